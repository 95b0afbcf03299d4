//! Positions of a file as ranges: all up to one, and some beyond it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::block::Cid;
use crate::store::{Bookmark, Position};

/// How many ranges are remembered. Forgetting one costs a look at what the stream has, and nothing else.
const MOST_RANGES: usize = 4_096;

/// Positions, in ranges.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "(u64, Vec<(u64, u64)>)", into = "(u64, Vec<(u64, u64)>)")]
pub(super) struct Positions {
    up_to: u64,
    /// The last position of each range beyond, by the first.
    beyond: BTreeMap<u64, u64>,
}

impl Positions {
    /// Up to which position none is missing.
    pub(super) fn up_to(&self) -> Position {
        Position(self.up_to)
    }

    /// Adds the positions from one to another.
    pub(super) fn add(&mut self, first: u64, last: u64) {
        let (mut first, mut last) = (first.max(self.up_to + 1), last);
        if first > last {
            return;
        }
        // Ranges that touch become one.
        while let Some((&from, &to)) = self.beyond.range(..=last.saturating_add(1)).next_back() {
            if to.saturating_add(1) < first {
                break;
            }
            (first, last) = (first.min(from), last.max(to));
            self.beyond.remove(&from);
        }
        match first == self.up_to + 1 {
            true => self.up_to = last,
            false => drop(self.beyond.insert(first, last)),
        }
        if self.beyond.len() > MOST_RANGES {
            let smallest = self.beyond.iter().min_by_key(|(from, to)| *to - *from);
            if let Some(first) = smallest.map(|(from, _)| *from) {
                self.beyond.remove(&first);
            }
        }
    }

    /// The last position of the range that has a position; none where it is not there.
    pub(super) fn end_of_range(&self, position: u64) -> Option<u64> {
        if position <= self.up_to {
            return Some(self.up_to);
        }
        let (_, last) = self.beyond.range(..=position).next_back()?;
        (*last >= position).then_some(*last)
    }

    /// The same positions once the events at some, in their order, are gone, and those behind them have moved up.
    pub(super) fn without(&self, gone: &[u64]) -> Self {
        let up_to = |at: u64| at - gone.partition_point(|gone| *gone <= at) as u64;
        let mut moved = Self {
            up_to: up_to(self.up_to),
            beyond: BTreeMap::new(),
        };
        for (first, last) in &self.beyond {
            moved.add(up_to(first - 1) + 1, up_to(*last));
        }
        moved
    }

    /// How many positions up to one are missing.
    pub(super) fn missing(&self, last: Position) -> u64 {
        let beyond = self.beyond.range(..=last.0);
        let there: u64 = beyond.map(|(from, to)| last.0.min(*to) - from + 1).sum();
        last.0.saturating_sub(self.up_to).saturating_sub(there)
    }
}

impl From<(u64, Vec<(u64, u64)>)> for Positions {
    fn from((up_to, ranges): (u64, Vec<(u64, u64)>)) -> Self {
        let mut positions = Self {
            up_to,
            beyond: BTreeMap::new(),
        };
        for (first, last) in ranges {
            positions.add(first, last);
        }
        positions
    }
}

impl From<Positions> for (u64, Vec<(u64, u64)>) {
    fn from(positions: Positions) -> Self {
        (positions.up_to, positions.beyond.into_iter().collect())
    }
}

/// Where commits of this node stand in the stream: what comes back from there is passed over.
#[derive(Clone, Debug, Default)]
pub(super) struct Echoes {
    /// The last position of each range and the event there, by the first.
    ranges: BTreeMap<u64, (u64, Cid)>,
}

impl Echoes {
    /// Remembers a commit by its first and its last position.
    pub(super) fn add(&mut self, first: Position, last: Position, cid: Cid) {
        let before = first.0.checked_sub(1);
        let before = before.and_then(|end| self.ranges.range_mut(..=end).next_back());
        if let Some((_, (end, known))) = before
            && *end + 1 == first.0
        {
            (*end, *known) = (last.0, cid);
            return;
        }
        self.ranges.insert(first.0, (last.0, cid));
        if self.ranges.len() > MOST_RANGES {
            self.ranges.pop_first();
        }
    }

    /// Whether an event of the stream is known to be one of this node.
    pub(super) fn has(&self, position: Position) -> bool {
        let found = self.ranges.range(..=position.0).next_back();
        found.is_some_and(|(_, (last, _))| *last >= position.0)
    }

    /// Where reading goes on behind a position, past what is known, where that begins directly behind it.
    pub(super) fn behind(&self, position: Position) -> Option<Bookmark> {
        let next = position.0.checked_add(1)?;
        let (_, (last, cid)) = self.ranges.range(..=next).next_back()?;
        (*last >= next).then_some(Bookmark {
            position: Position(*last),
            cid: Some(*cid),
        })
    }

    /// Forgets what stands up to a position.
    pub(super) fn forget(&mut self, position: Position) {
        while let Some(first) = self.ranges.first_entry() {
            if first.get().0 > position.0 {
                break;
            }
            first.remove();
        }
    }

    pub(super) fn clear(&mut self) {
        self.ranges.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_say_what_a_set_of_positions_says(added in prop::collection::vec((1_u64..60, 0_u64..6), 0..40)) {
            let (mut ranges, mut set) = (Positions::default(), BTreeSet::new());
            for (first, more) in added {
                ranges.add(first, first + more);
                set.extend(first..=first + more);
            }
            let up_to = (1..).find(|position| !set.contains(position)).unwrap_or(1) - 1;
            prop_assert_eq!(ranges.up_to(), Position(up_to));
            for position in 1..80 {
                prop_assert_eq!(ranges.end_of_range(position).is_some(), set.contains(&position));
                let missing = (1..=position).filter(|it| !set.contains(it)).count() as u64;
                prop_assert_eq!(ranges.missing(Position(position)), missing);
            }
            let kept: (u64, Vec<(u64, u64)>) = ranges.clone().into();
            prop_assert_eq!(Positions::from(kept), ranges);
        }
    }

    #[test]
    fn what_stands_directly_behind_is_passed_over_at_once() {
        let cid = |byte: u8| crate::block::HashCode::Sha2_256.cid(&[byte]);
        let mut echoes = Echoes::default();
        echoes.add(Position(3), Position(4), cid(1));
        echoes.add(Position(5), Position(5), cid(2));
        echoes.add(Position(9), Position(9), cid(3));
        assert_eq!(echoes.behind(Position(1)), None);
        let end = Bookmark {
            position: Position(5),
            cid: Some(cid(2)),
        };
        assert_eq!(echoes.behind(Position(2)), Some(end));
        assert!(echoes.has(Position(4)) && !echoes.has(Position(6)) && echoes.has(Position(9)));
        echoes.forget(Position(5));
        assert!(!echoes.has(Position(4)) && echoes.has(Position(9)));
    }
}
