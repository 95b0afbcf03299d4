//! What a subscriber is made of.

use std::sync::Arc;
use std::time::Duration;

use super::handler::EventHandler;
use super::worker::{Retry, Worker};
use super::{EventSubscriber, SubscriptionError};
use crate::domain::subject::Subjects;
use crate::engine::jetstream::connect::Connection;
use crate::engine::jetstream::stream::JetStreamEventStore;
use crate::store::{Position, StoredSubjects};

/// The name under which a live subscription parks events, unless it is given one.
const LIVE: &str = "live";
/// How long a member may be silent.
const LEASE: Duration = Duration::from_secs(6);
const SHORTEST_LEASE: Duration = Duration::from_secs(1);
const LONGEST_LEASE: Duration = Duration::from_secs(24 * 60 * 60);
/// How many events a member of a group handles at once.
const CONCURRENCY: usize = 8;
/// The longest name in bytes; with escapes it stays below what the servers take.
const LONGEST_NAME: usize = 64;

/// Where a subscription starts that has no place of its own yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SubscriptionStart {
    /// With the first event that the stream has.
    #[default]
    First,
    /// With what is appended from now on.
    Now,
    /// Behind a position.
    After(Position),
}

/// How a subscription gets its events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Live,
    Durable,
    Group,
    Partitioned,
}

/// Makes an [`EventSubscriber`]; it needs a client, a subject and a handler.
///
/// It is live unless [`durable`](Self::durable), [`group`](Self::group) or [`partitioned`](Self::partitioned) says
/// otherwise.
#[derive(Clone, Default)]
#[must_use = "a builder does nothing until it is built"]
pub struct EventSubscriberBuilder {
    parts: Parts,
}

#[derive(Clone, Default)]
struct Parts {
    connection: Option<Connection>,
    stream: Option<String>,
    layout: StoredSubjects,
    subjects: Subjects,
    handler: Option<Arc<dyn EventHandler>>,
    name: Option<String>,
    kind: Kind,
    retry: Retry,
    time_limit: Option<Duration>,
    start: Option<SubscriptionStart>,
    lease: Option<Duration>,
    concurrency: Option<usize>,
    goes_on: bool,
}

impl EventSubscriberBuilder {
    /// A builder that knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The connection. One made by [`NatsConfig::connect`](crate::jetstream::NatsConfig::connect) hears at once what the
    /// servers do not permit; with a bare client that is an answer that never comes.
    pub fn client(mut self, connection: impl Into<Connection>) -> Self {
        self.parts.connection = Some(connection.into());
        self
    }

    /// Which events: `ComputeEvent::subjects()`, a subject, a filter, a domain, or a text such as `infrastructure.>`.
    /// Each further call adds to them.
    pub fn subject(mut self, subjects: impl Into<Subjects>) -> Self {
        self.parts.subjects = self.parts.subjects.and(subjects);
        self
    }

    /// What to do with each event.
    pub fn handler(mut self, handler: impl EventHandler) -> Self {
        self.parts.handler = Some(Arc::new(handler));
        self
    }

    /// The stream by name. Without it the stream that keeps the events is looked up, which needs the right to list
    /// streams.
    pub fn stream(mut self, name: impl Into<String>) -> Self {
        self.parts.stream = Some(name.into());
        self
    }

    /// How the stream makes stored subjects, when it is not the default.
    pub fn stored_subjects(mut self, layout: StoredSubjects) -> Self {
        self.parts.layout = layout;
        self
    }

    /// The stream of a store, and how it makes stored subjects.
    pub fn store(self, store: &JetStreamEventStore) -> Self {
        self.stream(store.stream_name())
            .stored_subjects(store.subjects().clone())
    }

    /// From where this subscriber left off, in order: how far it came is kept under the name. Of several programs with
    /// one name a single one gets the events, and another takes over when it ends.
    pub fn durable(self, name: impl Into<String>) -> Self {
        self.kind(Kind::Durable, name.into())
    }

    /// Shared by all programs with this name, each of which gets a part of the events; in no order, so that any number
    /// of members can work at once.
    pub fn group(self, name: impl Into<String>) -> Self {
        self.kind(Kind::Group, name.into())
    }

    /// Shared by all programs with this name, each aggregate's events going to one of them in order. Aggregates are
    /// spread over 64 partitions, and these over the members as they come and go.
    pub fn partitioned(self, name: impl Into<String>) -> Self {
        self.kind(Kind::Partitioned, name.into())
    }

    fn kind(mut self, kind: Kind, name: String) -> Self {
        self.parts.kind = kind;
        self.parts.name = Some(name);
        self
    }

    /// The name under which a live subscription parks events; `live` by default.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.parts.name = Some(name.into());
        self
    }

    /// Where to start, the first time: with the first event by default, and with the next for a live subscription.
    pub fn starting(mut self, start: SubscriptionStart) -> Self {
        self.parts.start = Some(start);
        self
    }

    /// How often, and when, a handler gets an event that it failed on.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.parts.retry = retry;
        self
    }

    /// How long the handler may take for one event; longer counts as a failure. No limit by default.
    pub fn handler_time_limit(mut self, limit: Duration) -> Self {
        self.parts.time_limit = Some(limit);
        self
    }

    /// How long a member of a durable or partitioned subscription may be silent before others take over; 6 s by default,
    /// from 1 s to a day. A handler that is still at work by two thirds of it, while the servers cannot be reached, is
    /// dropped.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.parts.lease = Some(lease);
        self
    }

    /// How many events a member of a [`group`](Self::group) handles at once; 8 by default.
    pub fn concurrency(mut self, count: usize) -> Self {
        self.parts.concurrency = Some(count);
        self
    }

    /// Goes on with an aggregate of which an event is parked. Without it a durable or partitioned subscription parks the
    /// aggregate's further events behind the one that failed, so that their order is kept.
    pub fn go_on_past_parked(mut self) -> Self {
        self.parts.goes_on = true;
        self
    }

    /// The subscriber.
    ///
    /// # Errors
    /// [`SubscriptionError`] for what is missing, a pattern that no subject matches, and a setting without sense.
    pub fn build(self) -> Result<EventSubscriber, SubscriptionError> {
        let missing = |part, call| SubscriptionError::Incomplete { part, call };
        let parts = self.parts;
        parts.subjects.check()?;
        check(&parts)?;
        let connection = parts.connection.ok_or(missing("client", "client(…)"))?;
        let handler = parts.handler.ok_or(missing("handler", "handler(…)"))?;
        if parts.subjects.is_empty() {
            return Err(missing("subject", "subject(…)"));
        }
        let start = parts.start.unwrap_or(match parts.kind {
            Kind::Live => SubscriptionStart::Now,
            _ => SubscriptionStart::First,
        });
        Ok(EventSubscriber {
            connection,
            stream: parts.stream,
            layout: parts.layout,
            wanted: Arc::new(parts.subjects),
            worker: Worker {
                handler,
                retry: parts.retry,
                time_limit: parts.time_limit,
            },
            name: parts.name.unwrap_or_else(|| LIVE.to_owned()),
            kind: parts.kind,
            start,
            lease: parts.lease.unwrap_or(LEASE),
            concurrency: parts.concurrency.unwrap_or(CONCURRENCY),
            holds: !parts.goes_on,
        })
    }
}

impl std::fmt::Debug for EventSubscriberBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventSubscriberBuilder")
            .field("subjects", &self.parts.subjects)
            .finish_non_exhaustive()
    }
}

fn check(parts: &Parts) -> Result<(), SubscriptionError> {
    let refused = |reason: String| Err(SubscriptionError::Setting { reason });
    if let Some(name) = &parts.name
        && (name.is_empty() || name.len() > LONGEST_NAME)
    {
        return refused(format!(
            "`{name}` is no name: a name has 1 to {LONGEST_NAME} bytes"
        ));
    }
    if parts.retry.attempts == 0 {
        return refused(
            "with 0 attempts no event would ever be handled: allow 1 or more".to_owned(),
        );
    }
    if parts.concurrency == Some(0) {
        return refused(
            "with a concurrency of 0 no event would ever be handled: allow 1 or more".to_owned(),
        );
    }
    if parts.lease.is_some_and(|lease| lease < SHORTEST_LEASE) {
        return refused(
            "a lease shorter than 1 s would be lost at every pause of a server: make it longer"
                .to_owned(),
        );
    }
    if parts.lease.is_some_and(|lease| lease > LONGEST_LEASE) {
        return refused(
            "with a lease longer than a day nobody would take over from a program that crashed: make it shorter"
                .to_owned(),
        );
    }
    Ok(())
}
