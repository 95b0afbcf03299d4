//! Which other streams take what is published for this one.
//!
//! A JetStream domain stores what comes on the subjects of its own streams, so the same subjects at
//! a hub and at a leaf node store each event twice. No API of one domain tells of the streams of
//! another. But every stream answers a message that asks for a stream of a name that there is not:
//! with a refusal, before it looks at anything else.

use std::collections::BTreeSet;
use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;
use futures_util::StreamExt;
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use super::finding::{Finding, Severity};
use crate::domain::aggregate::IdText;
use crate::engine::jetstream::api::{Api, ApiFailure, StreamInfo};
use crate::engine::jetstream::config::JetStreamOptions;

/// How long answers are waited for: that there is no further one nothing can show.
const LISTENS: Duration = Duration::from_millis(500);
/// The stream that is asked for; no stream can have this name.
const NOBODY: &str = "nobody.at.all";
/// The id of an aggregate that there never is.
const PROBE: &str = "cim-es-probe";

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    stream: String,
}

/// Looks for other streams, where domains are in use.
pub(super) async fn find(
    api: &Api,
    options: &JetStreamOptions,
    found: &StreamInfo,
) -> Option<Finding> {
    found.domain.as_ref()?;
    match ask(api, options).await {
        Ok(others) if others.is_empty() => None,
        Ok(others) => Some(Finding {
            severity: Severity::Danger,
            about: "subjects",
            found: format!("taken by {} as well", others.into_iter().collect::<Vec<_>>().join(", ")),
            expected: "subjects of its own".to_owned(),
            advice: "each event would be stored twice, at a hub and at a leaf node: give one of the two streams other \
                     `subjects`, or another `stored_prefix`"
                .to_owned(),
        }),
        Err(failure) => {
            tracing::debug!(stream = %api.stream, %failure, "it is not known whether another domain takes its subjects");
            None
        }
    }
}

/// The streams that answer beside this one.
async fn ask(api: &Api, options: &JetStreamOptions) -> Result<BTreeSet<String>, ApiFailure> {
    let inbox = api.client().new_inbox();
    let mut answers = api.listen(format!("{inbox}.*")).await?;
    let id = IdText::trusted(PROBE);
    let public = &options.stream.subjects;
    let mut asked = BTreeSet::new();
    for (at, filter) in public.iter().enumerate() {
        let subject = options.stream.stored_subjects.stored(&id, &example(filter));
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Expected-Stream", NOBODY);
        let reply = format!("{inbox}.{at}");
        asked.insert(subject.clone());
        api.hand_over(subject, Some(reply), Some(headers), Bytes::new())
            .await?;
    }
    let until = Instant::now() + LISTENS;
    let listening = async {
        let (mut others, mut own) = (BTreeSet::new(), BTreeSet::new());
        while let Ok(Some(answer)) = timeout_at(until, answers.next()).await {
            let Ok(Answer { stream }) = serde_json::from_slice(&answer.payload) else {
                continue;
            };
            // Of two answers with its own name, one is another domain's.
            let is_own = stream == *api.stream && own.insert(answer.subject.to_string());
            if !is_own && !stream.is_empty() {
                others.insert(format!("stream {stream}"));
            }
        }
        others
    };
    api.unless_denied(|denied| asked.contains(denied), listening)
        .await
}

/// A public subject that a filter lets through.
fn example(filter: &str) -> String {
    let token = |token: &str| match token {
        "*" => "probe".to_owned(),
        ">" => "probe.probe.probe".to_owned(),
        token => token.to_owned(),
    };
    let tokens: Vec<_> = filter.split('.').map(token).collect();
    tokens.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_a_subject_that_the_filter_lets_through() {
        for filter in [">", "library.>", "cim.graph.*.events.>", "a.b.c"] {
            let example = example(filter);
            let is_through = crate::domain::subject::pattern::matches(filter, &example);
            assert!(is_through, "{filter}: {example}");
        }
    }
}
