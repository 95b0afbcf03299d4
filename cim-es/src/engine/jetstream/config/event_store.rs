//! Which stream a store keeps its events in, and the streams that this library knows by name.

use std::time::Duration;

use super::ConfigError;
use crate::domain::subject::Pattern;
use crate::store::{SealOptions, StoredSubjects};

/// 365 days.
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Which stream a store keeps its events in, and what the stream may hold.
///
/// The default is usable on a single local server: one stream for every domain, one replica, and no event is ever
/// dropped.
///
/// A stream with a `max_age`, or one that drops its oldest events when it is full, loses events. It is refused unless
/// [`accept_losing_events`](Self::accept_losing_events) is set: a history that no longer starts at 1 loads only from a
/// snapshot, and an id whose events have all expired can start again.
///
/// ```
/// use cim_es::jetstream::EventStoreConfig;
///
/// let config = EventStoreConfig {
///     stream_name: "NETWORK_EVENTS".to_owned(),
///     subjects: vec!["network.>".to_owned()],
///     ..EventStoreConfig::default()
/// };
/// assert_eq!(config.replicas, 1);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventStoreConfig {
    /// The name of the stream; `EVENTS` by default.
    pub stream_name: String,
    /// The public subjects whose events it keeps, such as `infrastructure.>`; `>` (the default) is every domain. No two
    /// streams may have a subject in common.
    pub subjects: Vec<String>,
    /// Drops events that are older; none (the default) keeps them for ever.
    pub max_age: Option<Duration>,
    /// The most events that the stream holds; none (the default) is no limit.
    pub max_messages: Option<u64>,
    /// When the stream holds `max_messages`: drops the oldest for each new one, where new ones are refused otherwise.
    pub drop_oldest_when_full: bool,
    /// Accepts that the stream drops events, by age or by count.
    pub accept_losing_events: bool,
    /// How many servers keep each event; 1 by default, 3 on a cluster.
    pub replicas: usize,
    /// For how long the servers recognise a message that is sent again; 2 minutes by default.
    pub duplicate_window: Duration,
    /// After how many events of an aggregate a repository writes a snapshot; 100 by default.
    pub snapshot_threshold: u64,
    /// The memory that each server has for the stream, in bytes, with which `doctor` compares what the stream takes of it;
    /// none by default. A client cannot see it.
    pub server_memory: Option<u64>,
    /// How stored subjects are made; every program that writes to the stream must agree.
    pub stored_subjects: StoredSubjects,
    /// Tokens in front of the public subjects, under which committed events are republished: for tests and for tenants
    /// that share an account.
    pub public_prefix: Option<String>,
    /// Creates the stream, and the buckets beside it, when they are missing; false for programs that have no right to.
    pub create: bool,
    /// The hash of new CIDs, and the limit for payloads.
    pub seal: SealOptions,
}

impl Default for EventStoreConfig {
    fn default() -> Self {
        Self {
            stream_name: "EVENTS".to_owned(),
            subjects: vec![">".to_owned()],
            max_age: None,
            max_messages: None,
            drop_oldest_when_full: false,
            accept_losing_events: false,
            replicas: 1,
            duplicate_window: Duration::from_secs(120),
            snapshot_threshold: 100,
            server_memory: None,
            stored_subjects: StoredSubjects::default(),
            public_prefix: None,
            create: true,
            seal: SealOptions::default(),
        }
    }
}

impl EventStoreConfig {
    /// A stream of its own for some public subjects.
    pub fn new<S: Into<String>>(
        stream_name: impl Into<String>,
        subjects: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            stream_name: stream_name.into(),
            subjects: subjects.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// `CIM_GRAPH_EVENTS`: the events of graphs, `cim.graph.*.events.>`, for a year, on 3 servers.
    pub fn cim_graph_events() -> Self {
        Self {
            max_age: Some(YEAR),
            replicas: 3,
            ..Self::new("CIM_GRAPH_EVENTS", ["cim.graph.*.events.>"])
        }
    }

    /// `CIM_KEYS_EVENTS`: what happens to keys, `cim.keys.>`.
    pub fn cim_keys_events() -> Self {
        Self::new("CIM_KEYS_EVENTS", ["cim.keys.>"])
    }

    /// `INFRASTRUCTURE_EVENTS`: the events of the domain `infrastructure`, at most 1,000,000, for a year, on 3 servers.
    pub fn infrastructure_events() -> Self {
        Self {
            max_age: Some(YEAR),
            max_messages: Some(1_000_000),
            replicas: 3,
            ..Self::new("INFRASTRUCTURE_EVENTS", ["infrastructure.>"])
        }
    }

    /// `CIM-EVENTS`: the events of domains that have no stream of their own, for 365 days.
    ///
    /// ```
    /// use cim_es::jetstream::EventStoreConfig;
    ///
    /// let config = EventStoreConfig::cim_events(["person", "organization"]);
    /// assert_eq!(config.subjects, ["person.>", "organization.>"]);
    /// ```
    pub fn cim_events<'a>(domains: impl IntoIterator<Item = &'a str>) -> Self {
        let subjects = domains.into_iter().map(|domain| format!("{domain}.>"));
        Self {
            max_age: Some(YEAR),
            ..Self::new("CIM-EVENTS", subjects)
        }
    }

    /// Sets how many servers keep each event.
    pub fn replicas(mut self, replicas: usize) -> Self {
        self.replicas = replicas;
        self
    }

    /// Accepts that the stream drops events, by age or by count.
    pub fn accept_losing_events(mut self) -> Self {
        self.accept_losing_events = true;
        self
    }

    /// The bucket for snapshots of what the stream holds: its name and `-snapshots`.
    pub fn snapshot_bucket(&self) -> String {
        format!("{}-snapshots", self.stream_name)
    }

    /// The bucket for checkpoints of the stream's readers: its name and `-checkpoints`.
    pub fn checkpoint_bucket(&self) -> String {
        format!("{}-checkpoints", self.stream_name)
    }

    /// Whether a stream with these settings drops events at some time.
    pub fn can_lose_events(&self) -> bool {
        self.max_age.is_some() || (self.max_messages.is_some() && self.drop_oldest_when_full)
    }

    /// Whether the settings fit together and the servers can take them.
    ///
    /// # Errors
    /// [`ConfigError`] names the first key that does not fit.
    pub fn check(&self) -> Result<(), ConfigError> {
        check_name("event_store.stream_name", &self.stream_name)?;
        if self.subjects.is_empty() {
            return Err(ConfigError::invalid(
                "event_store.subjects",
                "at least one subject is needed, such as \"infrastructure.>\"",
            ));
        }
        for subject in &self.subjects {
            check_subject(subject)?;
        }
        if self.max_messages == Some(0) {
            return Err(ConfigError::invalid(
                "event_store.max_messages",
                "a stream for 0 events would hold none: give a number from 1, or leave it out for no limit",
            ));
        }
        if ![1, 3, 5].contains(&self.replicas) {
            return Err(ConfigError::invalid(
                "event_store.replicas",
                "1, 3 or 5 is expected: an even number survives no more failures than the odd one below it",
            ));
        }
        if self.can_lose_events() && !self.accept_losing_events {
            return Err(ConfigError::contradiction(
                "the event store would drop events, by `event_store.max_age` or by `event_store.when_full`: remove \
                 that, or set `event_store.accept_losing_events` to true",
            ));
        }
        Ok(())
    }
}

/// Checks the name of a stream or a bucket.
pub(crate) fn check_name(key: &str, name: &str) -> Result<(), ConfigError> {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !name.is_empty() && name.chars().all(is_legal) {
        return Ok(());
    }
    Err(ConfigError::invalid(
        key,
        "a name has ASCII letters, digits, `-` and `_`, and at least one of them",
    ))
}

fn check_subject(subject: &str) -> Result<(), ConfigError> {
    let invalid = |reason: String| ConfigError::invalid("event_store.subjects", reason);
    let first = subject.split('.').next().unwrap_or_default();
    if first == "es" || first.starts_with(['$', '_']) {
        return Err(invalid(format!(
            "`{subject}` starts with `{first}`, which is the store's or the servers' own; name the public subjects"
        )));
    }
    if let Err(error) = subject.parse::<Pattern>() {
        return Err(invalid(format!(
            "`{subject}` is not a subject: tokens are joined by `.`, `*` is one token, `>` the rest: {}",
            error.reason
        )));
    }
    if subject.split('.').count() < 3 && !subject.ends_with('>') {
        return Err(invalid(format!(
            "no event has a subject like `{subject}`: a public subject is <domain>.<aggregate>.<operation>; write \
             `{first}.>` for a whole domain"
        )));
    }
    Ok(())
}
