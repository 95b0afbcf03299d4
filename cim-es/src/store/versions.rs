//! Which part of one aggregate's history a reader wants.

use std::ops::{RangeFrom, RangeFull, RangeInclusive, RangeToInclusive};

use super::Head;

/// The versions of an aggregate that a reader wants: all of them, those from one on, those up to one.
///
/// ```
/// use cim_es::store::Versions;
///
/// assert_eq!(Versions::from(3..=5), Versions::starting_at(3).up_to(5));
/// assert!(Versions::from(3..).includes(7) && !Versions::from(..=5).includes(7));
/// assert_eq!(Versions::from(..), Versions::ALL);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    first: u64,
    last: u64,
    known: Option<Head>,
}

impl Versions {
    /// The whole history.
    pub const ALL: Self = Self {
        first: 1,
        last: u64::MAX,
        known: None,
    };

    /// Those from one on; 0 and 1 are the first.
    pub fn starting_at(version: u64) -> Self {
        Self {
            first: version.max(1),
            ..Self::ALL
        }
    }

    /// Those from an event on that the caller knows, this one included; where the event at its version is another, what
    /// is there from that version on.
    ///
    /// An engine that finds events by their position reads no more than these. One that has dropped the known event, by
    /// age or by count, gives those behind it, as long as the first of them links to it.
    pub fn starting_with(known: &Head) -> Self {
        Self {
            known: Some(*known),
            ..Self::starting_at(known.version)
        }
    }

    /// The same, and none behind a version. With 0, none at all.
    pub fn up_to(self, version: u64) -> Self {
        Self {
            last: version,
            ..self
        }
    }

    /// The first version that is wanted, 1 at least.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The last version that is wanted, if there are so many.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// The event at the first version, where the caller knows it.
    pub fn known(&self) -> Option<&Head> {
        self.known.as_ref()
    }

    /// Whether a version is wanted.
    pub fn includes(&self, version: u64) -> bool {
        (self.first..=self.last).contains(&version)
    }

    /// Whether no version can be wanted.
    pub fn is_empty(&self) -> bool {
        self.first > self.last
    }
}

impl From<RangeFull> for Versions {
    fn from(_: RangeFull) -> Self {
        Self::ALL
    }
}

impl From<RangeFrom<u64>> for Versions {
    fn from(range: RangeFrom<u64>) -> Self {
        Self::starting_at(range.start)
    }
}

impl From<RangeInclusive<u64>> for Versions {
    fn from(range: RangeInclusive<u64>) -> Self {
        Self::starting_at(*range.start()).up_to(*range.end())
    }
}

impl From<RangeToInclusive<u64>> for Versions {
    fn from(range: RangeToInclusive<u64>) -> Self {
        Self::ALL.up_to(range.end)
    }
}
