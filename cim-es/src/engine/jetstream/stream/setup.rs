//! Setting up the stream: whether it is what it must be, and creating it.

use std::collections::BTreeSet;
use std::time::Duration;

use async_nats::jetstream::stream::Config;
use serde_json::json;

use super::compare;
use super::finding::{Finding, Severity};
use super::wanted::{incompatible, wanted};
use super::{rivals, versions};
use crate::engine::jetstream::api::{Api, ApiFailure, Leader, StreamInfo, errors, failure_of};
use crate::engine::jetstream::config::JetStreamOptions;
use crate::engine::jetstream::retry;
use crate::store::StoreError;

/// How long a server without JetStream may look for another one that has it.
const WITHOUT: Duration = Duration::from_secs(1);

/// Checks the server, the options and the stream, which is created when it is missing.
pub(super) async fn open(api: &Api, options: &JetStreamOptions) -> Result<StreamInfo, StoreError> {
    let survey = api.connection.survey().await;
    if let Some(finding) = versions::too_old(&survey) {
        return Err(incompatible(api, finding.to_string()));
    }
    let wanted = wanted(api, options)?;
    if !api.connection.has_jetstream() {
        // Another server may have it, which then answers at once.
        let deadline = retry::deadline(api.patience.min(WITHOUT));
        if let Err(error) = Leader::until(api, deadline).stream_info().await
            && matches!(failure_of(&error), Some(ApiFailure::NoResponders))
        {
            return Err(incompatible(api, api.connection.no_jetstream().to_string()));
        }
    }
    let found = match Leader::new(api).stream_info().await? {
        Some(found) => found,
        None => {
            let created = create(api, options, &wanted).await?;
            // The answer to it says nothing of the domain.
            let found = Leader::new(api).stream_info().await?;
            found.unwrap_or(created)
        }
    };
    let mut findings = compare::stream(options, &wanted, &found.info.config);
    findings.extend(versions::findings(&survey, Some(&found)));
    findings.extend(compare::max_payload(options, &survey));
    findings.extend(rivals::find(api, options, &found).await);
    for finding in &findings {
        if finding.severity == Severity::Warning {
            tracing::warn!(stream = %api.stream, %finding, "opened, and something should be changed");
        }
    }
    let dangers: Vec<_> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Danger)
        .map(Finding::to_string)
        .collect();
    match dangers.as_slice() {
        [] => Ok(found),
        dangers => Err(incompatible(api, dangers.join("; "))),
    }
}

async fn create(
    api: &Api,
    options: &JetStreamOptions,
    wanted: &Config,
) -> Result<StreamInfo, StoreError> {
    if !options.stream.create {
        return Err(incompatible(
            api,
            "it does not exist, and this program is not to create it: let an operator create it",
        ));
    }
    let mut retry = retry::REQUEST.within(api.patience);
    loop {
        match api.ask::<StreamInfo>("STREAM.CREATE", wanted).await {
            Ok(info) => return Ok(info),
            // Another process was first, with other settings: look at what it made.
            Err(failure) if failure.has_error(errors::STREAM_NAME_IN_USE) => {
                if let Some(info) = Leader::new(api).stream_info().await? {
                    return Ok(info);
                }
            }
            Err(failure) if failure.has_error(errors::SUBJECTS_OVERLAP) => {
                return Err(incompatible(api, overlap(api, wanted).await));
            }
            Err(failure) => api.wait(&mut retry, "create the stream", failure).await?,
        }
    }
}

/// Which streams have the subjects that one is to have, and what to do about it.
async fn overlap(api: &Api, wanted: &Config) -> String {
    #[derive(serde::Deserialize)]
    struct Names {
        streams: Option<Vec<String>>,
    }
    let mut others = BTreeSet::new();
    for subject in &wanted.subjects {
        let names = format!("{}.STREAM.NAMES", api.prefix);
        let found = api
            .ask_at::<Names>(names, &json!({ "subject": subject }))
            .await;
        // A program that may not ask is told without the names.
        let found = found.ok().and_then(|names| names.streams);
        others.extend(found.unwrap_or_default());
    }
    let others: Vec<_> = others.iter().map(String::as_str).collect();
    let others = match others.as_slice() {
        [] => "another stream".to_owned(),
        others => format!("stream {}", others.join(", ")),
    };
    format!(
        "{others} stores some of its subjects ({}) already, and an event is stored in one stream only: open that one, or give each stream subjects of its own",
        wanted.subjects.join(", ")
    )
}
