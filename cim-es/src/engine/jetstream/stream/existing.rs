//! What a stream was configured to be, as far as it can be told from the stream itself.

use async_nats::jetstream::stream::{Config, DiscardPolicy};

use super::wanted::{incompatible, wanted};
use crate::engine::jetstream::api::{Api, Leader};
use crate::engine::jetstream::config::{EventStoreConfig, JetStreamOptions, check_name};
use crate::store::{StoreError, StoredSubjects};

/// What stands between the prefix of stored subjects and the public ones.
const BETWEEN: &str = ".*.*.";

/// The options under which a stream that is there can be opened as it is.
pub(super) async fn options(api: &Api) -> Result<JetStreamOptions, StoreError> {
    check_name("stream", &api.stream).map_err(|error| incompatible(api, error.to_string()))?;
    let found = Leader::new(api).stream_info().await?;
    let found = found.ok_or_else(|| {
        let reason = "it does not exist; look whether the name of the stream, the account and the JetStream domain are right";
        incompatible(api, reason)
    })?;
    let found = found.info.config;
    let (prefix, subjects) = layout(&found.subjects).ok_or_else(|| {
        let subjects = found.subjects.join(", ");
        let reason = format!(
            "it takes `{subjects}`, and a stream of events takes subjects such as `es.*.*.infrastructure.>`: give the name of another stream"
        );
        incompatible(api, reason)
    })?;
    let mut options = JetStreamOptions::new(EventStoreConfig {
        stream_name: api.stream.to_string(),
        subjects,
        stored_subjects: prefix,
        max_age: (!found.max_age.is_zero()).then_some(found.max_age),
        max_messages: u64::try_from(found.max_messages)
            .ok()
            .filter(|most| *most > 0),
        drop_oldest_when_full: found.discard == DiscardPolicy::Old,
        // It is as it is; `doctor` says what it can lose.
        accept_losing_events: true,
        replicas: found.num_replicas,
        duplicate_window: found.duplicate_window,
        create: false,
        ..EventStoreConfig::default()
    });
    options.stream.public_prefix = public_prefix(api, &options, &found)?;
    Ok(options)
}

/// The prefix and the public subjects of what a stream takes; none for a stream that keeps no events.
fn layout(stored: &[String]) -> Option<(StoredSubjects, Vec<String>)> {
    let mut prefix = None;
    let mut subjects = Vec::new();
    for subject in stored {
        let (before, public) = subject.split_once(BETWEEN)?;
        if *prefix.get_or_insert(before) != before {
            return None;
        }
        subjects.push(public.to_owned());
    }
    Some((prefix?.parse().ok()?, subjects))
}

/// What stands in front of the public subjects under which the stream republishes.
fn public_prefix(
    api: &Api,
    options: &JetStreamOptions,
    found: &Config,
) -> Result<Option<String>, StoreError> {
    let without = wanted(api, options)?.republish;
    let prefix = found
        .republish
        .as_ref()
        .zip(without)
        .and_then(|(found, without)| {
            let prefix = found.destination.strip_suffix(&*without.destination)?;
            prefix.strip_suffix('.').map(str::to_owned)
        });
    Ok(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_subjects_of_a_stream_are_told_from_the_stored_ones() {
        let found = |subjects: &[&str]| {
            let subjects: Vec<_> = subjects.iter().map(|it| (*it).to_owned()).collect();
            layout(&subjects).map(|(prefix, public)| (prefix.prefix().to_owned(), public))
        };
        let told = |prefix: &str, public: &[&str]| {
            let public = public.iter().map(|it| (*it).to_owned());
            Some((prefix.to_owned(), public.collect::<Vec<_>>()))
        };
        assert_eq!(found(&["es.*.*.>"]), told("es", &[">"]));
        assert_eq!(
            found(&["a.es.*.*.b.>", "a.es.*.*.c.*.d"]),
            told("a.es", &["b.>", "c.*.d"])
        );
        for other in [&["orders.>"][..], &["es.*.*.a.>", "x.*.*.b.>"], &[]] {
            assert_eq!(found(other), None, "{other:?}");
        }
    }
}
