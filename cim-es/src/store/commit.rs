//! What a caller asks a store to append.

use std::fmt;
use std::time::Duration;

use cid::Cid;
use uuid::Uuid;

use super::time::{CLOCK_SKEW, event_time};
use super::{AggregateKey, Head, StoreError};
use crate::block::CommitPart;
use crate::block::payload::{PayloadError, encode_readable};
use crate::domain::event::DomainEvent;
use crate::domain::message::{Context, MessageIdentity, Timestamp, derived_id};

/// The version that an aggregate must have for an append to take effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectedVersion {
    /// Whatever it is when the store looks.
    Any,
    /// The aggregate has no event yet.
    NoStream,
    /// The aggregate has exactly this many events.
    Exactly(u64),
}

impl ExpectedVersion {
    /// Whether a version fits.
    pub fn accepts(self, version: u64) -> bool {
        match self {
            Self::Any => true,
            Self::NoStream => version == 0,
            Self::Exactly(expected) => version == expected,
        }
    }
}

impl fmt::Display for ExpectedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any version"),
            Self::NoStream => f.write_str("no event yet"),
            Self::Exactly(version) => write!(f, "version {version}"),
        }
    }
}

/// An event that is not sealed yet: the store gives it its sequence, its predecessor and its CID.
#[derive(Clone, Debug)]
pub struct NewEvent {
    pub(crate) event_type: String,
    pub(crate) schema: u32,
    pub(crate) payload: Vec<u8>,
    pub(crate) parents: Vec<Cid>,
    /// Its id where it has one already; else it gets one from its commit.
    pub(crate) id: Option<Uuid>,
}

impl NewEvent {
    /// From a typed event.
    ///
    /// # Errors
    /// [`PayloadError::NotStorable`] with the path of the field that cannot stand in a block.
    pub fn of<E: DomainEvent>(event: &E) -> Result<Self, PayloadError> {
        Self::and_read_back(event).map(|(new, _)| new)
    }

    /// The same, with the event as everybody will read it: what its serde attributes skip or round is so from the start.
    pub(crate) fn and_read_back<E: DomainEvent>(event: &E) -> Result<(Self, E), PayloadError> {
        let info = event.info();
        let (payload, read_back) = encode_readable(event)?;
        let new = Self::from_payload(info.event_type, info.schema, payload);
        Ok((new, read_back))
    }

    /// From the bytes of a payload.
    ///
    /// When it seals, a store checks that the bytes are a block, that the type is tokens with dots between and that the
    /// version is at least 1. It does not check that any program knows the type, so one with a spelling mistake is
    /// stored, and the aggregate does not load where its events do not have that type. [`of`](Self::of) writes what is
    /// declared.
    pub fn from_payload(event_type: impl Into<String>, schema: u32, payload: Vec<u8>) -> Self {
        Self {
            event_type: event_type.into(),
            schema,
            payload,
            parents: Vec::new(),
            id: None,
        }
    }

    /// Gives it the id of the event that it takes again: the fact is the same, and whoever has seen it knows it by that.
    pub(crate) fn with_id(mut self, id: Uuid) -> Self {
        self.id = Some(id);
        self
    }

    /// Names further causal parents by their event CIDs; order and repetition do not matter.
    pub fn with_parents(mut self, parents: impl IntoIterator<Item = Cid>) -> Self {
        self.parents = in_order(self.parents.into_iter().chain(parents));
        self
    }

    /// The parents that the event has in a commit; for the first one of an aggregate the event that caused the commit is
    /// among them.
    pub(crate) fn parents_in(&self, identity: &MessageIdentity, part: CommitPart) -> Vec<Cid> {
        match identity.cause().filter(|_| part.is_first()) {
            None => self.parents.clone(),
            Some(cause) => in_order(self.parents.iter().copied().chain([cause])),
        }
    }
}

/// Parents as they stand in an envelope: sorted, without duplicates.
fn in_order(parents: impl IntoIterator<Item = Cid>) -> Vec<Cid> {
    let mut parents: Vec<_> = parents.into_iter().collect();
    parents.sort_by_cached_key(Cid::to_bytes);
    parents.dedup();
    parents
}

/// The events that one aggregate gets in a commit.
#[derive(Clone, Debug)]
pub struct AggregateCommit {
    /// The aggregate.
    pub aggregate: AggregateKey,
    /// The version that it must have.
    pub expected: ExpectedVersion,
    /// Its last event, when the caller knows it; without one the store reads it.
    pub head: Option<Head>,
    /// Its new events in order; none exactly where it must not move meanwhile.
    pub events: Vec<NewEvent>,
    /// Whether it gets no event and must not have moved when the others do.
    pub is_unchanged: bool,
    /// For the first events of an aggregate: the other kinds that may have events under its id. Where that is said, the
    /// events of any further kind are a conflict, as those of a release that knows the aggregate under another name.
    pub shares_ids_with: Option<&'static [&'static str]>,
}

impl AggregateCommit {
    /// Compares what the commit expects with what the store has.
    ///
    /// A head that the caller gave must be the store's head also by its CID, unless any version will do.
    ///
    /// # Errors
    /// [`StoreError::Conflict`].
    pub fn check(&self, actual: Option<&Head>) -> Result<(), StoreError> {
        let version = actual.map_or(0, |head| head.version);
        let is_other_history = match (self.expected, &self.head, actual) {
            (ExpectedVersion::Exactly(_), Some(known), Some(actual)) => known.cid != actual.cid,
            _ => false,
        };
        if self.expected.accepts(version) && !is_other_history {
            return Ok(());
        }
        Err(StoreError::Conflict {
            aggregate: self.aggregate.clone(),
            expected: self.expected,
            actual: version,
        })
    }

    /// Compares the kinds that the store has under the id with those that it may have there, when the aggregate has no
    /// event yet.
    ///
    /// # Errors
    /// [`StoreError::Conflict`].
    pub fn check_kinds<K: AsRef<str>>(&self, kinds: &[K]) -> Result<(), StoreError> {
        let Some(shared) = self.shares_ids_with else {
            return Ok(());
        };
        let is_known = |kind: &str| kind == self.aggregate.kind() || shared.contains(&kind);
        match kinds.iter().all(|kind| is_known(kind.as_ref())) {
            true => Ok(()),
            false => Err(StoreError::Conflict {
                aggregate: self.aggregate.clone(),
                expected: self.expected,
                actual: 0,
            }),
        }
    }
}

/// One commit: all of it is stored, or nothing.
///
/// It takes effect once by the [message id](MessageIdentity::message_id) of its identity: see
/// [`EventStore::append`](super::EventStore::append).
///
/// ```
/// # use cim_es::{store::*, subject::Token, message::*};
/// # fn request(key: AggregateKey, event: NewEvent) -> CommitRequest {
/// let identity = MessageIdentity::new_from_user("me");
/// CommitRequest::new(identity, SystemClock.now()).aggregate(key, ExpectedVersion::NoStream, vec![event])
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct CommitRequest {
    /// The command behind the commit.
    pub identity: MessageIdentity,
    /// The reading of the runtime's clock.
    pub now: Timestamp,
    /// The aggregates, each once.
    pub aggregates: Vec<AggregateCommit>,
    /// How far the events' time may be raised above `now`, to that of the events before them; none where `now` is the
    /// time of the events.
    pub(crate) clock_skew: Option<Duration>,
    /// Whether the caller has looked for what the message led to before, up to the versions that it expects.
    is_looked_up: bool,
    /// The aggregate of each event by its place, in the order of the commit; empty where the events of each aggregate
    /// follow those of the one before.
    order: Vec<usize>,
}

impl CommitRequest {
    /// An empty commit for a command, with the reading of a clock that may be behind by a minute: within it, the events get
    /// the time of those before them.
    pub fn new(identity: MessageIdentity, now: Timestamp) -> Self {
        Self {
            identity,
            now,
            aggregates: Vec::new(),
            clock_skew: Some(CLOCK_SKEW),
            is_looked_up: false,
            order: Vec::new(),
        }
    }

    /// An empty commit for the command of a context; the events get its time.
    pub fn of(context: &Context) -> Self {
        Self {
            clock_skew: None,
            ..Self::new(context.identity().clone(), context.now())
        }
    }

    /// The same commit by a clock that may be behind by another time.
    pub fn with_clock_skew(self, bound: Duration) -> Self {
        Self {
            clock_skew: Some(bound),
            ..self
        }
    }

    /// The same commit of a caller that has looked for what the message led to before, on every aggregate up to the
    /// version that it expects: the store does not look again.
    pub(crate) fn looked_up(self) -> Self {
        Self {
            is_looked_up: true,
            ..self
        }
    }

    pub(crate) fn is_looked_up(&self) -> bool {
        self.is_looked_up
    }

    /// The time that the events get on these heads, in the order of the aggregates.
    pub(crate) fn time(&self, heads: &[Option<Head>]) -> Timestamp {
        let Some(skew) = self.clock_skew else {
            return self.now;
        };
        let aggregates = self.aggregates.iter().map(|part| &part.aggregate);
        let heads = aggregates.zip(heads);
        let heads = heads.filter_map(|(key, head)| head.as_ref().map(|head| (key, head)));
        event_time(self.now, heads, skew)
    }

    /// Adds the events of one aggregate; the store reads its head.
    pub fn aggregate(
        self,
        aggregate: AggregateKey,
        expected: ExpectedVersion,
        events: Vec<NewEvent>,
    ) -> Self {
        self.push(AggregateCommit {
            aggregate,
            expected,
            head: None,
            events,
            is_unchanged: false,
            shares_ids_with: None,
        })
    }

    /// Adds the first events of one aggregate, under an id that has no events of other kinds than some.
    pub(crate) fn first(
        self,
        aggregate: AggregateKey,
        shares_ids_with: &'static [&'static str],
        events: Vec<NewEvent>,
    ) -> Self {
        self.push(AggregateCommit {
            aggregate,
            expected: ExpectedVersion::NoStream,
            head: None,
            events,
            is_unchanged: false,
            shares_ids_with: Some(shares_ids_with),
        })
    }

    /// Adds the events of one aggregate whose head the caller knows; the version must be that of the head.
    pub fn aggregate_at(self, aggregate: AggregateKey, head: Head, events: Vec<NewEvent>) -> Self {
        let expected = ExpectedVersion::Exactly(head.version);
        self.push(AggregateCommit {
            aggregate,
            expected,
            head: Some(head),
            events,
            is_unchanged: false,
            shares_ids_with: None,
        })
    }

    /// Adds one event behind all that are there, also where its aggregate has some already and others follow those: the
    /// commit keeps the order. What is expected of an aggregate is said with its first event.
    pub fn event(
        mut self,
        aggregate: AggregateKey,
        expected: ExpectedVersion,
        event: NewEvent,
    ) -> Self {
        let mut parts = self.aggregates.iter();
        let Some(place) = parts.position(|part| part.aggregate == aggregate && !part.is_unchanged)
        else {
            return self.aggregate(aggregate, expected, vec![event]);
        };
        if self.order.is_empty() {
            self.order = self.in_order().collect();
        }
        self.order.push(place);
        self.aggregates[place].events.push(event);
        self
    }

    /// The aggregate of each event, by its place among the aggregates, in the order of the commit.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = usize> + '_ {
        let is_grouped = self.order.is_empty();
        let parts = self.aggregates.iter().enumerate();
        let grouped = parts.flat_map(|(place, part)| part.events.iter().map(move |_| place));
        let grouped = grouped.filter(move |_| is_grouped);
        grouped.chain(self.order.iter().copied())
    }

    /// An aggregate for which the order does not have as many places as it has events: one whose list of events was
    /// changed behind the order.
    pub(crate) fn out_of_order(&self) -> Option<&AggregateKey> {
        let mut counts = vec![0; self.aggregates.len()];
        for place in self.in_order() {
            if let Some(count) = counts.get_mut(place) {
                *count += 1;
            }
        }
        let mut counted = self.aggregates.iter().zip(counts);
        let other = counted.find(|(part, count)| part.events.len() != *count);
        other.map(|(part, _)| &part.aggregate)
    }

    /// Adds an aggregate that gets no event: the commit takes effect only while this is its last event, or while it has
    /// none.
    pub fn unchanged(self, aggregate: AggregateKey, head: Option<Head>) -> Self {
        self.push(AggregateCommit {
            aggregate,
            expected: match head {
                Some(head) => ExpectedVersion::Exactly(head.version),
                None => ExpectedVersion::NoStream,
            },
            head,
            events: Vec::new(),
            is_unchanged: true,
            shares_ids_with: None,
        })
    }

    /// The id of the `n`-th event of the commit, from 0: the same command on the same aggregate, the first of the commit that
    /// gets events, gives the same ids.
    pub fn event_id(&self, n: u32) -> Uuid {
        let mut changed = self.aggregates.iter().filter(|part| !part.is_unchanged);
        let first = changed.next().map(|part| &part.aggregate);
        let kind = first.map_or("", AggregateKey::kind);
        let id = first.map_or("", |first| first.id().as_str());
        let purpose: [&[u8]; 5] = [b"event", kind.as_bytes(), &[0], id.as_bytes(), &[0]];
        derived_id(&self.identity, self.now, &purpose, n)
    }

    fn push(mut self, commit: AggregateCommit) -> Self {
        if !self.order.is_empty() {
            let place = self.aggregates.len();
            self.order.extend(commit.events.iter().map(|_| place));
        }
        self.aggregates.push(commit);
        self
    }
}
