//! What was damaged already, so that what follows from it is not told as another damage.

use std::collections::HashSet;

use cid::Cid;
use serde::{Deserialize, Serialize};

use crate::block::Position;

/// How many places and CIDs are remembered; behind that, what follows from a damage is told as well.
const MOST: usize = 65_536;

/// What was told to be damaged.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Noted {
    /// CIDs that stand beside damaged blocks, or that these have.
    cids: HashSet<Cid>,
    /// First and last positions of what is damaged; they rise.
    ranges: Vec<(u64, u64)>,
}

impl Noted {
    pub(super) fn note_cid(&mut self, cid: Option<Cid>) {
        if self.cids.len() < MOST {
            self.cids.extend(cid);
        }
    }

    pub(super) fn note_positions(&mut self, first: Position, last: Position) {
        let has_room = self.ranges.len() < MOST;
        match self.ranges.last_mut() {
            Some((_, end)) if *end + 1 == first.0 => *end = last.0,
            _ if has_room => self.ranges.push((first.0, last.0)),
            _ => {}
        }
    }

    pub(super) fn has_cid(&self, cid: Option<&Cid>) -> bool {
        cid.is_some_and(|cid| self.cids.contains(cid))
    }

    pub(super) fn has_position(&self, position: u64) -> bool {
        let behind = self.ranges.partition_point(|(first, _)| *first <= position);
        let range = behind.checked_sub(1).map(|at| self.ranges[at]);
        range.is_some_and(|(_, last)| position <= last)
    }
}
