//! What a subscriber is made of.

use std::sync::Arc;
use std::time::Duration;

use super::EventSubscriber;
use super::choice::{Chosen, Store};
use crate::domain::subject::Subjects;
use crate::store::EventStore;
use crate::store::read_model::ReadModelStorage;
use crate::store::subscription::{
    EventHandler, Mode, Plan, Retry, SubscriptionError, SubscriptionStart, Worker,
};

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

/// Makes an [`EventSubscriber`]; it needs a store, a subject and a handler.
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
    chosen: Chosen,
    subjects: Subjects,
    handler: Option<Arc<dyn EventHandler>>,
    name: Option<String>,
    /// What it was asked to be, and under which name; live when nothing.
    kinds: Vec<(Kind, String)>,
    retry: Retry,
    time_limit: Option<Duration>,
    start: Option<SubscriptionStart>,
    lease: Option<Duration>,
    concurrency: Option<usize>,
    goes_on: bool,
}

/// What a builder can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Durable,
    Group,
    Partitioned,
}

impl EventSubscriberBuilder {
    /// A builder that knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The store whose events are wanted. On NATS servers it stands for its connection and its stream.
    pub fn store<S: EventStore + Clone>(mut self, store: &S) -> Self {
        self.parts.chosen.store(Store::new(store.clone()));
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

    /// Where to keep how far the subscription came and what it parked, in place of beside the events: any storage of
    /// read models. Programs with one name must give the same one.
    ///
    /// An SQLite file of events has room in a file of its own, `<file>-subscriptions`; a store in memory keeps it in
    /// memory; NATS servers keep it in a bucket.
    pub fn kept_in(mut self, storage: impl ReadModelStorage) -> Self {
        self.parts.chosen.kept_in = Some(Arc::new(storage));
        self
    }

    /// From where this subscriber left off, in order: how far it came is kept under the name. Of several programs with
    /// one name a single one gets the events, and another takes over when it ends.
    pub fn durable(self, name: impl Into<String>) -> Self {
        self.of_kind(Kind::Durable, name.into())
    }

    /// Shared by all programs with this name, each of which gets a part of the events; in no order, so that any number
    /// of members can work at once. On NATS servers alone.
    pub fn group(self, name: impl Into<String>) -> Self {
        self.of_kind(Kind::Group, name.into())
    }

    /// Shared by all programs with this name, each aggregate's events going to one of them in order. Aggregates are
    /// spread over 64 partitions, and these over the members as they come and go. On NATS servers alone.
    pub fn partitioned(self, name: impl Into<String>) -> Self {
        self.of_kind(Kind::Partitioned, name.into())
    }

    #[cfg(feature = "jetstream")]
    pub(super) fn servers(&mut self) -> &mut super::nats::Servers {
        &mut self.parts.chosen.servers
    }

    fn of_kind(mut self, kind: Kind, name: String) -> Self {
        self.parts.kinds.retain(|(other, _)| *other != kind);
        self.parts.kinds.push((kind, name));
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
    /// from 1 s to a day; a group and a live subscription have none. A handler that is still at work by two thirds of it,
    /// while what keeps the subscription cannot be reached, is dropped.
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
    /// [`SubscriptionError`] for what is missing, a pattern that no subject matches, a setting without sense, and a kind
    /// that the store does not offer.
    pub fn build(self) -> Result<EventSubscriber, SubscriptionError> {
        let missing = |part, call| SubscriptionError::Incomplete { part, call };
        let parts = self.parts;
        parts.subjects.check()?;
        check(&parts)?;
        let mode = mode(&parts)?;
        let engine = parts.chosen.engine()?;
        let handler = parts.handler.ok_or(missing("handler", "handler(…)"))?;
        if parts.subjects.is_empty() {
            return Err(missing("subject", "subject(…)"));
        }
        engine.check(&mode)?;
        let start = parts.start.unwrap_or(match mode {
            Mode::Live { .. } => SubscriptionStart::Now,
            _ => SubscriptionStart::First,
        });
        let plan = Plan {
            wanted: parts.subjects,
            worker: Worker {
                handler,
                retry: parts.retry,
                time_limit: parts.time_limit,
            },
            mode,
            start,
            holds: !parts.goes_on,
        };
        Ok(EventSubscriber::new(engine, plan))
    }
}

/// How the subscription gets its events, with the settings that this way has.
fn mode(parts: &Parts) -> Result<Mode, SubscriptionError> {
    let refused = |reason: &str| {
        let reason = reason.to_owned();
        Err(SubscriptionError::Setting { reason })
    };
    let (kind, name) = match parts.kinds.as_slice() {
        [] => (None, parts.name.clone().unwrap_or_else(|| LIVE.to_owned())),
        [(kind, name)] => (Some(*kind), name.clone()),
        _ => {
            return refused(
                "it cannot be more than one of durable, a group and partitioned: call one of `durable`, `group` and \
                 `partitioned`",
            );
        }
    };
    if kind.is_some() && parts.name.is_some() {
        return refused(
            "`name` is for a live subscription: a durable, shared or partitioned one has its name already",
        );
    }
    let has_lease = matches!(kind, Some(Kind::Durable | Kind::Partitioned));
    if parts.lease.is_some() && !has_lease {
        return refused(
            "a lease is for a durable or partitioned subscription: the server itself notices a member of a group that is \
             silent, and a live one has nobody to take over; leave `lease` out",
        );
    }
    if parts.concurrency.is_some() && kind != Some(Kind::Group) {
        return refused(
            "only a group handles several events at once, the others keep an order: leave `concurrency` out, or call \
             `group`",
        );
    }
    let lease = parts.lease.unwrap_or(LEASE);
    Ok(match kind {
        None => Mode::Live { name },
        Some(Kind::Durable) => Mode::Durable { name, lease },
        Some(Kind::Partitioned) => Mode::Partitioned { name, lease },
        Some(Kind::Group) => Mode::Group {
            name,
            concurrency: parts.concurrency.unwrap_or(CONCURRENCY),
        },
    })
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
    let names = parts.kinds.iter().map(|(_, name)| name);
    let mut names = names.chain(&parts.name);
    if let Some(name) = names.find(|name| name.is_empty() || name.len() > LONGEST_NAME) {
        return refused(format!(
            "`{name}` is no name: a name has 1 to {LONGEST_NAME} bytes"
        ));
    }
    let can_match = |pattern: &str| {
        let tokens: Vec<_> = pattern.split('.').collect();
        tokens.len() >= 3 || tokens.last() == Some(&">")
    };
    if let Some(pattern) = parts.subjects.patterns().find(|it| !can_match(it)) {
        return refused(format!(
            "no event has a subject like `{pattern}`: a public subject is <domain>.<aggregate>.<operation>; write `.>` \
             behind a domain or an aggregate"
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
