//! The stream and the servers that a store needs.

use async_nats::jetstream::stream::{
    Compression, Config, DiscardPolicy, Republish, RetentionPolicy, StorageType,
};

use crate::engine::jetstream::api::Api;
use crate::engine::jetstream::config::JetStreamOptions;
use crate::store::StoreError;

/// The oldest server on which guards hold: before it, atomic batches under a wildcard guard lose updates.
pub(super) const MINIMUM: (u64, u64, u64) = (2, 14, 4);

pub(super) fn is_new_enough(version: &str) -> bool {
    let numbers = version.split(['-', '+']).next().unwrap_or_default();
    let mut numbers = numbers.split('.').map(|number| number.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next()) >= MINIMUM
}

/// The stream that the options describe.
pub(super) fn wanted(api: &Api, options: &JetStreamOptions) -> Result<Config, StoreError> {
    let checked = options.stream.check();
    checked.map_err(|error| incompatible(api, error.to_string()))?;
    let stream = &options.stream;
    let filter = |public: &String| options.stream.stored_subjects.filter(public);
    let max_messages = stream.max_messages.map_or(Ok(-1), i64::try_from);
    Ok(Config {
        name: stream.stream_name.clone(),
        description: Some("Events of cim-es; append-only".to_owned()),
        subjects: stream.subjects.iter().map(filter).collect(),
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard: match stream.drop_oldest_when_full {
            true => DiscardPolicy::Old,
            false => DiscardPolicy::New,
        },
        max_messages: max_messages.unwrap_or(i64::MAX),
        max_messages_per_subject: -1,
        max_bytes: -1,
        max_message_size: -1,
        max_consumers: -1,
        max_age: stream.max_age.unwrap_or_default(),
        num_replicas: stream.replicas,
        duplicate_window: stream.duplicate_window,
        deny_delete: true,
        deny_purge: true,
        allow_direct: true,
        allow_atomic_publish: true,
        compression: Some(Compression::None),
        republish: Some(republish(options)),
        ..Config::default()
    })
}

/// How stored subjects become public ones again, once the events are committed.
fn republish(options: &JetStreamOptions) -> Republish {
    let pattern = match options.stream.subjects.as_slice() {
        [public] if public != ">" => public.clone(),
        several => common(several),
    };
    // The partition and the id are the first two wildcards of the stored subject.
    let mut wildcard = 2;
    let public = pattern.split('.').map(|token| match token {
        "*" => {
            wildcard += 1;
            format!("{{{{wildcard({wildcard})}}}}")
        }
        token => token.to_owned(),
    });
    let public = public.collect::<Vec<_>>().join(".");
    Republish {
        source: options.stream.stored_subjects.filter(&pattern),
        destination: match &options.stream.public_prefix {
            Some(prefix) => format!("{prefix}.{public}"),
            None => public,
        },
        headers_only: false,
    }
}

/// The tokens with which all filters start, and the rest.
fn common(filters: &[String]) -> String {
    let Some((first, others)) = filters.split_first() else {
        return EVERYTHING.to_owned();
    };
    let length = |filter: &String| filter.split('.').count();
    let shortest = filters.iter().map(length).min().unwrap_or_default();
    let is_shared = |(place, token): &(usize, &str)| {
        // The rest has a token at least.
        place + 1 < shortest
            && !matches!(*token, "*" | ">")
            && others
                .iter()
                .all(|other| other.split('.').nth(*place) == Some(token))
    };
    let shared = first.split('.').enumerate().take_while(is_shared);
    let mut tokens: Vec<_> = shared.map(|(_, token)| token).collect();
    if tokens.is_empty() {
        return EVERYTHING.to_owned();
    }
    tokens.push(">");
    tokens.join(".")
}

/// Every public subject of two tokens and more. The servers take a republished `>` for a cycle, but not a first token
/// that is carried over.
const EVERYTHING: &str = "*.>";

pub(super) fn incompatible(api: &Api, reason: impl Into<String>) -> StoreError {
    StoreError::Incompatible {
        location: api.location(),
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::jetstream::config::EventStoreConfig;

    fn republished(public: &[&str], prefix: Option<&str>) -> (String, String) {
        let stream = EventStoreConfig::new("S", public.iter().copied());
        let mut options = JetStreamOptions::new(stream);
        options.stream.public_prefix = prefix.map(str::to_owned);
        let republish = republish(&options);
        (republish.source, republish.destination)
    }

    #[test]
    fn public_subjects_come_back_out_of_stored_ones() {
        let pair = |source: &str, destination: &str| (source.into(), destination.into());
        assert_eq!(
            republished(&["infrastructure.>"], None),
            pair("es.*.*.infrastructure.>", "infrastructure.>")
        );
        assert_eq!(
            republished(&["cim.graph.*.events.>"], None),
            pair(
                "es.*.*.cim.graph.*.events.>",
                "cim.graph.{{wildcard(3)}}.events.>"
            )
        );
        assert_eq!(
            republished(&["cim.keys.>", "cim.graph.>"], None),
            pair("es.*.*.cim.>", "cim.>")
        );
        assert_eq!(
            republished(&["bank.opened", "bank.opened.again"], None),
            pair("es.*.*.bank.>", "bank.>")
        );
        assert_eq!(
            republished(&["a.>", "b.>"], None),
            pair("es.*.*.*.>", "{{wildcard(3)}}.>")
        );
        assert_eq!(
            republished(&[">"], Some("tenant")),
            pair("es.*.*.*.>", "tenant.{{wildcard(3)}}.>")
        );
    }

    #[test]
    fn only_servers_that_hold_guards_are_new_enough() {
        for version in ["2.14.4", "2.15.0", "2.15.1-beta", "3.0.0"] {
            assert!(is_new_enough(version), "{version}");
        }
        for version in ["2.14.3", "2.9.99", "2.11.7", "", "unknown"] {
            assert!(!is_new_enough(version), "{version}");
        }
    }
}
