//! The keys of a configuration, in one list for files and for the environment.

use super::{ConfigError, aliases};
use crate::domain::declared::nearest;

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    Flag,
    /// Texts; in the environment separated by commas.
    List,
    /// A text such as `5s`.
    Duration,
}

/// Every key with what it takes; those of a table with its name in front.
pub(super) const KEYS: [(&str, Kind); 36] = [
    ("enabled", Kind::Flag),
    ("servers", Kind::List),
    ("credentials", Kind::Text),
    ("user", Kind::Text),
    ("password", Kind::Text),
    ("token", Kind::Text),
    ("nkey", Kind::Text),
    ("connection_timeout", Kind::Duration),
    ("max_retries", Kind::Number),
    ("max_reconnects", Kind::Number),
    ("reconnect_delay", Kind::Duration),
    ("request_timeout", Kind::Duration),
    ("patience", Kind::Duration),
    ("object_store_bucket", Kind::Text),
    ("tls.ca_cert", Kind::Text),
    ("tls.client_cert", Kind::Text),
    ("tls.client_key", Kind::Text),
    ("tls.required", Kind::Flag),
    ("jetstream.domain", Kind::Text),
    ("jetstream.prefix", Kind::Text),
    ("event_store.stream_name", Kind::Text),
    ("event_store.subjects", Kind::List),
    ("event_store.max_age", Kind::Duration),
    ("event_store.max_messages", Kind::Number),
    ("event_store.when_full", Kind::Text),
    ("event_store.accept_losing_events", Kind::Flag),
    ("event_store.replicas", Kind::Number),
    ("event_store.retention", Kind::Text),
    ("event_store.duplicate_window", Kind::Duration),
    ("event_store.snapshot_threshold", Kind::Number),
    ("event_store.server_memory", Kind::Number),
    ("event_store.stored_prefix", Kind::Text),
    ("event_store.public_prefix", Kind::Text),
    ("event_store.create", Kind::Flag),
    ("event_store.hash", Kind::Text),
    ("event_store.max_payload", Kind::Number),
];

/// What the names of environment variables start with.
pub(super) const PREFIX: &str = "CIM_ES_NATS_";

/// The environment variable of a key: `CIM_ES_NATS_TLS_CA_CERT` for `tls.ca_cert`.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_uppercase())
}

/// The key of an environment variable that starts with [`PREFIX`].
pub(super) fn of_variable(name: &str) -> Result<(&'static str, Kind), ConfigError> {
    let mut all = KEYS.into_iter().chain(aliases::names());
    if let Some(found) = all.find(|(key, _)| variable(key) == name) {
        return Ok(found);
    }
    let variables: Vec<String> = KEYS.iter().map(|(key, _)| variable(key)).collect();
    let known: Vec<&str> = variables.iter().map(String::as_str).collect();
    Err(ConfigError::UnknownKey {
        key: name.to_owned(),
        suggestion: nearest(name, &known).map(str::to_owned),
    })
}

/// Refuses a key that is not in the list.
pub(super) fn check(key: &str) -> Result<(), ConfigError> {
    let mut all = KEYS.into_iter().chain(aliases::names());
    if all.any(|(known, _)| known == key) {
        return Ok(());
    }
    let known: Vec<&str> = KEYS.iter().map(|(key, _)| *key).collect();
    let others = aliases::names().map(|(name, _)| name);
    let all: Vec<&str> = known.iter().copied().chain(others).collect();
    // A key at the wrong place is meant more likely than one with a similar name.
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let elsewhere = known.iter().find(|it| last(it) == last(key)).copied();
    let shortened = known
        .iter()
        .find(|it| it.starts_with(&format!("{key}_")))
        .copied();
    Err(ConfigError::UnknownKey {
        key: key.to_owned(),
        suggestion: elsewhere
            .or(shortened)
            .or_else(|| nearest(key, &all))
            .map(str::to_owned),
    })
}
