//! What a store finds when what it has is not what was written.

use std::fmt;

use cid::Cid;

use super::{AggregateKey, Location, Position, StoreError};
use crate::block::Verdict;

/// What is not as it was written, and where.
///
/// A program tells a fork from a gap by the [`verdict`](Self::verdict):
///
/// ```
/// use cim_es::block::Fault;
/// use cim_es::store::StoreError;
///
/// fn is_fork(error: &StoreError) -> bool {
///     match error {
///         StoreError::Damaged(damage) => damage
///             .verdict()
///             .is_some_and(|verdict| matches!(verdict.fault, Fault::Fork { .. })),
///         _ => false,
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file, stream or bucket.
    pub location: Location,
    /// The aggregate in whose history it is, where that is known and the verdict does not say it.
    pub aggregate: Option<AggregateKey>,
    /// What was found.
    pub finding: Finding,
}

/// What was found damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// An event, or its place in the history of its aggregate.
    Verdict(Verdict),
    /// Something else: what a store keeps beside the events to find them, or an object, a snapshot, a checkpoint.
    Other {
        /// The position of the event that it concerns, when known.
        position: Option<Position>,
        /// The CID of the event or object that it concerns, when known.
        cid: Option<Cid>,
        /// What is wrong, and what to do.
        reason: String,
    },
}

impl Damage {
    /// Of something that is no event, at a position or under a CID where that is known.
    pub fn new(
        location: Location,
        position: impl Into<Option<Position>>,
        cid: impl Into<Option<Cid>>,
        reason: impl Into<String>,
    ) -> Self {
        Self {
            location,
            aggregate: None,
            finding: Finding::Other {
                position: position.into(),
                cid: cid.into(),
                reason: reason.into(),
            },
        }
    }

    /// Of an event.
    pub fn of(verdict: Verdict, location: Location) -> Self {
        Self {
            location,
            aggregate: None,
            finding: Finding::Verdict(verdict),
        }
    }

    /// The same in the history of an aggregate.
    pub fn in_history_of(self, aggregate: &AggregateKey) -> Self {
        Self {
            aggregate: Some(aggregate.clone()),
            ..self
        }
    }

    /// The verdict on the event; none where something else is damaged.
    pub fn verdict(&self) -> Option<&Verdict> {
        match &self.finding {
            Finding::Verdict(verdict) => Some(verdict),
            Finding::Other { .. } => None,
        }
    }

    /// The position of the event, when known.
    pub fn position(&self) -> Option<Position> {
        match &self.finding {
            Finding::Verdict(verdict) => Some(verdict.place.position),
            Finding::Other { position, .. } => *position,
        }
    }

    /// The CID that stands beside the event or object, when known.
    pub fn cid(&self) -> Option<Cid> {
        match &self.finding {
            Finding::Verdict(verdict) => Some(verdict.place.cid),
            Finding::Other { cid, .. } => *cid,
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(aggregate) = &self.aggregate {
            write!(f, "the history of {aggregate} in ")?;
        }
        write!(f, "{} is damaged", self.location)?;
        let Finding::Other {
            position,
            cid,
            reason,
        } = &self.finding
        else {
            return Ok(());
        };
        let mut separator = " at";
        if let Some(position) = position {
            write!(f, "{separator} position {position}")?;
            separator = ",";
        }
        if let Some(cid) = cid {
            write!(f, "{separator} {cid}")?;
        }
        write!(f, ": {reason}")
    }
}

impl std::error::Error for Damage {
    /// The verdict.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.verdict().map(|verdict| verdict as _)
    }
}

impl From<Damage> for StoreError {
    fn from(damage: Damage) -> Self {
        Self::Damaged(Box::new(damage))
    }
}

impl Verdict {
    /// The error of a store that found this where it keeps its events.
    pub fn into_damage(self, location: Location) -> StoreError {
        Damage::of(self, location).into()
    }
}
