//! The place of an event in its commit.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The place of an event in its commit: among the events of its own aggregate, and among all of them.
///
/// In the envelope it is the list `[index, of, whole_index, whole_of]`. A commit over one aggregate has the same pair
/// twice.
///
/// ```
/// use cim_es::block::CommitPart;
///
/// // The second event of its aggregate, and the fourth of a commit of five.
/// let part = CommitPart { index: 2, of: 3, whole_index: 4, whole_of: 5 };
/// assert!(part.is_possible() && !part.is_last() && !part.is_last_of_whole());
/// assert_eq!(part.to_string(), "event 2 of 3 of its aggregate, 4 of 5 of the commit");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "[u32; 4]", into = "[u32; 4]")]
pub struct CommitPart {
    /// The place among the aggregate's events of the commit, from 1.
    pub index: u32,
    /// The number of the aggregate's events of the commit.
    pub of: u32,
    /// The place among all events of the commit, from 1.
    pub whole_index: u32,
    /// The number of all events of the commit.
    pub whole_of: u32,
}

impl CommitPart {
    /// The place of an event that is a commit of its own.
    pub const ALONE: Self = Self {
        index: 1,
        of: 1,
        whole_index: 1,
        whole_of: 1,
    };

    /// Whether there can be such a place: both indexes are within their counts, and the commit has room for the other
    /// events of the aggregate before and behind this one.
    pub fn is_possible(&self) -> bool {
        (1..=self.of).contains(&self.index)
            && (self.index..=self.whole_of).contains(&self.whole_index)
            && self.of - self.index <= self.whole_of - self.whole_index
    }

    /// Whether it is the aggregate's first event of the commit.
    pub fn is_first(&self) -> bool {
        self.index == 1
    }

    /// Whether it is the aggregate's last event of the commit.
    pub fn is_last(&self) -> bool {
        self.index == self.of
    }

    /// Whether it is the first event of the commit.
    pub fn is_first_of_whole(&self) -> bool {
        self.whole_index == 1
    }

    /// Whether it is the last event of the commit.
    pub fn is_last_of_whole(&self) -> bool {
        self.whole_index == self.whole_of
    }

    /// Whether the next event of the same aggregate can stand at a place: in the same commit where this one is not the
    /// aggregate's last, at the start of another one where it is.
    pub fn is_followed_by(&self, next: &Self) -> bool {
        if self.is_last() {
            return next.is_first();
        }
        self.index.checked_add(1) == Some(next.index)
            && self.of == next.of
            && self.whole_index < next.whole_index
            && self.whole_of == next.whole_of
    }
}

impl From<[u32; 4]> for CommitPart {
    fn from([index, of, whole_index, whole_of]: [u32; 4]) -> Self {
        Self {
            index,
            of,
            whole_index,
            whole_of,
        }
    }
}

impl From<CommitPart> for [u32; 4] {
    fn from(part: CommitPart) -> Self {
        [part.index, part.of, part.whole_index, part.whole_of]
    }
}

impl fmt::Display for CommitPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            index,
            of,
            whole_index,
            whole_of,
        } = self;
        write!(
            f,
            "event {index} of {of} of its aggregate, {whole_index} of {whole_of} of the commit"
        )
    }
}
