//! Lists of what a store has, for tools that know no types.

use super::{AggregateKey, Head, ObjectInfo, Position};

/// Which aggregates a list has: all or those of one kind, a number of them, from the beginning or behind one.
///
/// The engines give lists in an order of their own, which stays the same as long as no aggregate is added:
/// `SqliteEventStore::aggregates` and `JetStreamEventStore::aggregates`.
///
/// ```
/// use cim_es::store::AggregateQuery;
///
/// let books = AggregateQuery::new().kind("library.book").limit(100);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AggregateQuery {
    pub(crate) kind: Option<String>,
    pub(crate) after: Option<AggregateKey>,
    pub(crate) limit: usize,
}

/// The most aggregates that one page has.
const MOST: usize = 10_000;

impl Default for AggregateQuery {
    fn default() -> Self {
        Self {
            kind: None,
            after: None,
            limit: 100,
        }
    }
}

impl AggregateQuery {
    /// The first 100 aggregates of all kinds.
    pub fn new() -> Self {
        Self::default()
    }

    /// Those of one kind, `<domain>.<name>`.
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.kind = Some(kind.into());
        self
    }

    /// Those behind one, as [`AggregatePage::next`] names it. It need not be there.
    pub fn after(mut self, aggregate: AggregateKey) -> Self {
        self.after = Some(aggregate);
        self
    }

    /// At most so many, from 1 to 10,000: another number is the nearest of these.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit.clamp(1, MOST);
        self
    }
}

/// An aggregate in a list: its name, and its last event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AggregateEntry {
    /// Kind and id.
    pub aggregate: AggregateKey,
    /// Version, CID, position and time of its last event.
    pub head: Head,
}

/// A page of a list of aggregates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AggregatePage {
    /// The aggregates. A page may have fewer than the query allows, and none, while there are more.
    pub aggregates: Vec<AggregateEntry>,
    /// Behind which the list goes on; none at its end.
    pub next: Option<AggregateKey>,
}

/// A type of events that a store has, and a kind of aggregates that has events of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoredType {
    /// `<domain>.<name>` of the kind; none where the store does not say.
    pub kind: Option<String>,
    /// The type of the events, which is their public subject.
    pub event_type: String,
    /// The position of the last of them.
    pub last: Position,
}

/// An object in a list, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectEntry {
    /// Its CID, and what stands beside it.
    pub info: ObjectInfo,
    /// The place in the list, behind which it goes on.
    pub cursor: u64,
}
