//! How a store names an aggregate, and a place in its order of events.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::StoredEvent;
use crate::domain::aggregate::{Aggregate, AggregateId, IdText, IdTextError};
use crate::domain::event::DomainEvent;

/// A place in a store's order of all events, from 1; 0 is before the first.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Position(
    /// The place, counted by the engine; places may be missing where an engine keeps other data between events.
    pub u64,
);

impl Position {
    /// Before the first event.
    pub const START: Self = Self(0);
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names one aggregate in a store: its kind and its id.
#[derive(Clone, Debug)]
pub struct AggregateKey {
    kind: Cow<'static, str>,
    id: IdText,
    types: &'static [&'static str],
}

impl AggregateKey {
    /// The key of an aggregate of kind `A`, with the types of its events, by which a distributed engine reads it.
    ///
    /// # Errors
    /// [`IdTextError`] when the text of the id is empty or too long.
    pub fn of<A: Aggregate>(id: &A::Id) -> Result<Self, IdTextError> {
        Ok(Self {
            kind: Cow::Borrowed(A::KIND),
            id: id.text()?,
            types: <A::Event as DomainEvent>::TYPES,
        })
    }

    /// The same under a kind that is, or was, that of `A`: under which a history began it goes on.
    pub(crate) fn of_kind<A: Aggregate>(kind: &'static str, id: IdText) -> Self {
        Self {
            kind: Cow::Borrowed(kind),
            id,
            types: <A::Event as DomainEvent>::TYPES,
        }
    }

    /// The key of an aggregate whose kind is known by name alone, as a tool that reads any store needs it.
    pub fn new(kind: impl Into<Cow<'static, str>>, id: impl Into<IdText>) -> Self {
        Self {
            kind: kind.into(),
            id: id.into(),
            types: &[],
        }
    }

    /// The key of the aggregate that an event is of, by its kind's name alone.
    pub fn of_event(event: &StoredEvent) -> Self {
        let id = IdText::trusted(&event.envelope.aggregate_id);
        Self::new(event.envelope.aggregate.clone(), id)
    }

    /// `<domain>.<name>` of the aggregate's kind.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The kind by value, without a copy of a declared one.
    pub(crate) fn kind_name(&self) -> Cow<'static, str> {
        self.kind.clone()
    }

    /// The aggregate's id.
    pub fn id(&self) -> &IdText {
        &self.id
    }

    /// Whether an event is one of this aggregate.
    pub fn has(&self, event: &StoredEvent) -> bool {
        event.envelope.aggregate == self.kind() && event.envelope.aggregate_id == self.id().as_str()
    }

    /// The types of events that this program knows for the kind; empty when it is known by name alone.
    pub fn types(&self) -> &'static [&'static str] {
        self.types
    }
}

impl PartialEq for AggregateKey {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.id == other.id
    }
}

impl Eq for AggregateKey {}

impl std::hash::Hash for AggregateKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.kind.hash(state);
        self.id.hash(state);
    }
}

impl fmt::Display for AggregateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.id)
    }
}

/// As the list of kind and id.
impl Serialize for AggregateKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.kind(), self.id.as_str()).serialize(serializer)
    }
}

/// From the list of kind and id, by the kind's name alone.
impl<'de> Deserialize<'de> for AggregateKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (kind, id) = <(String, String)>::deserialize(deserializer)?;
        let id = IdText::new(&id).map_err(serde::de::Error::custom)?;
        Ok(Self::new(kind, id))
    }
}
