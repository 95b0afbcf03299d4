//! What a person or a program should know about the servers and the stream.

use std::time::SystemTime;

use async_nats::jetstream::stream::Info;
use serde::Deserialize;
use serde_json::json;

use super::finding::{Finding, Severity};
use super::room::{self, Account};
use super::{compare, rivals, versions, wanted};
use crate::domain::message::Timestamp;
use crate::engine::jetstream::api::{Api, Leader, StreamInfo};
use crate::engine::jetstream::config::JetStreamOptions;
use crate::store::StoreError;

/// A difference between the clocks that is worth a warning, in microseconds.
const SKEW: i64 = 1_000_000;

/// The server's clock when it answered.
#[derive(Deserialize)]
struct Answered {
    ts: Option<String>,
}

/// Looks at the servers and the stream. The worst comes first.
pub(super) async fn examine(
    api: &Api,
    options: &JetStreamOptions,
) -> Result<Vec<Finding>, StoreError> {
    let survey = api.connection.survey().await;
    let mut findings = Vec::from_iter(versions::too_old(&survey));
    findings.extend(compare::max_payload(options, &survey));
    let wanted = wanted::wanted(api, options)?;
    let leader = Leader::new(api);
    let found = leader.stream_info().await?;
    findings.extend(versions::findings(&survey, found.as_ref()));
    match found {
        Some(found) => {
            findings.extend(rivals::find(api, options, &found).await);
            let StreamInfo { info, .. } = found;
            findings.extend(compare::stream(options, &wanted, &info.config));
            replicas(&info, &mut findings);
            let account = Account::ask(api).await;
            let memory = options.stream.server_memory;
            findings.extend(room::findings(&info, account.as_ref(), memory));
        }
        None => findings.push(Finding {
            severity: Severity::Danger,
            about: "stream",
            found: "missing".to_owned(),
            expected: options.stream.stream_name.clone(),
            advice: "open the store to create it, or look whether someone deleted it".to_owned(),
        }),
    }
    findings.extend(clock(api).await);
    findings.push(Finding {
        severity: Severity::Notice,
        about: "sync_interval",
        found: "not visible to a client".to_owned(),
        expected: "always".to_owned(),
        advice: "without it a server acknowledges before the event is on the disk, and a power cut can take up to two minutes of events from one server; look into its configuration".to_owned(),
    });
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    Ok(findings)
}

fn replicas(info: &Info, findings: &mut Vec<Finding>) {
    let wanted = info.config.num_replicas;
    let Some(cluster) = &info.cluster else {
        findings.push(single(wanted));
        return;
    };
    if wanted == 1 {
        findings.push(single(wanted));
    }
    if cluster.leader.is_none() {
        findings.push(Finding {
            severity: Severity::Warning,
            about: "leader",
            found: "none".to_owned(),
            expected: "a leader".to_owned(),
            advice: "nothing can be appended until a majority of the servers is there".to_owned(),
        });
    }
    for peer in cluster
        .replicas
        .iter()
        .filter(|peer| peer.offline || !peer.current)
    {
        let state = if peer.offline { "offline" } else { "behind" };
        let lag = peer.lag.unwrap_or(0);
        findings.push(Finding {
            severity: Severity::Warning,
            about: "replica",
            found: format!("{} is {state}, {lag} operations missing", peer.name),
            expected: "current".to_owned(),
            advice: "with one more server missing, nothing can be appended: look after this one"
                .to_owned(),
        });
    }
}

fn single(replicas: usize) -> Finding {
    Finding {
        severity: Severity::Notice,
        about: "replicas",
        found: replicas.to_string(),
        expected: "3".to_owned(),
        advice: "the loss of one disk loses the events: keep backups, or run three servers"
            .to_owned(),
    }
}

/// The difference between the clocks here and there, when it is worth knowing.
async fn clock(api: &Api) -> Option<Finding> {
    let before = Timestamp::from(SystemTime::now());
    let answer = api.ask::<Answered>("STREAM.INFO", &json!({})).await.ok()?;
    let after = Timestamp::from(SystemTime::now());
    let there: Timestamp = answer.ts?.parse().ok()?;
    let middle = before.as_micros() / 2 + after.as_micros() / 2;
    let skew = there.as_micros() - middle;
    (skew.abs() > SKEW).then(|| Finding {
        severity: Severity::Warning,
        about: "clock",
        found: format!("the server's clock differs by {} ms", skew / 1_000),
        expected: format!("at most {} ms", SKEW / 1_000),
        advice: "events carry this machine's time, ages and expiry follow the server's: let both follow a time server".to_owned(),
    })
}
