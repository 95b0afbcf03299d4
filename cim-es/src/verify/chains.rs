//! The history of each aggregate, followed event by event, and found again behind a fault.

use serde::{Deserialize, Serialize};

use super::heads::{Heads, Known};
use super::noted::Noted;
use super::shown::Shown;
use crate::block::{ChainHead, ChainVerifier, Envelope, Fault, Position, Truncation, Verdict};

/// How many ends of forked histories are remembered.
const MOST_BRANCHES: usize = 4_096;

/// The histories of all aggregates.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Chains {
    pub(super) heads: Heads,
    /// Events beside which another one claims the same version; either may be followed.
    branches: Vec<ChainHead>,
    /// Aggregates of which the store has dropped the beginning, as it was set up to.
    pub(super) cut: u64,
}

/// Whether an event is the next one, which nearly every one is.
fn follows(known: &Known, event: &Shown) -> bool {
    known.version.checked_add(1) == Some(event.sequence) && event.previous == Some(known.cid)
}

impl Chains {
    /// Takes an event that was proved. Gives the position of its aggregate's event before, and what is wrong.
    pub(super) fn accept(
        &mut self,
        event: &Shown,
        noted: &Noted,
        may_be_cut: bool,
    ) -> (Option<Position>, Option<Box<Verdict>>) {
        let known = self.heads.get_mut(&event.name);
        let before = known.as_ref().map(|known| known.position);
        match known {
            Some(known) if follows(known, event) => {
                *known = Known::of(event);
                (before, None)
            }
            known => {
                let head = known.map(|known| known.chain_head());
                let verdict = self.look_at(head, event, noted, may_be_cut);
                (before, verdict.map(Box::new))
            }
        }
    }

    /// Takes an event that is the first of its aggregate, or does not follow the one before.
    fn look_at(
        &mut self,
        head: Option<ChainHead>,
        event: &Shown,
        noted: &Noted,
        may_be_cut: bool,
    ) -> Option<Verdict> {
        let (place, envelope) = match event.envelope() {
            Ok(envelope) => (event.place(), envelope),
            Err(verdict) => return Some(verdict),
        };
        let envelope = &envelope;
        let mut chain = match head {
            None => ChainVerifier::of_any_aggregate(),
            Some(head) => ChainVerifier::behind(head),
        };
        let verdict = chain.accept_envelope(place.position, place.cid, envelope);
        let Err(verdict) = verdict else {
            self.put(event);
            return None;
        };
        let (found, follows_damage) =
            (envelope.sequence, noted.has_cid(envelope.previous.as_ref()));
        let is_told = match &verdict.fault {
            Fault::Gap { expected, .. } if found > *expected => {
                self.put(event);
                !(follows_damage && found == *expected + 1)
            }
            // It comes again, or too late: what stands behind it follows from the one that is known.
            Fault::Gap { .. } => true,
            Fault::Truncated {
                missing: Truncation::Start { .. },
            } => {
                self.put(event);
                let is_explained = follows_damage && found == 2;
                self.cut += u64::from(may_be_cut && !is_explained);
                !is_explained && !may_be_cut
            }
            Fault::Fork { .. } => {
                self.remember_branch(ChainHead {
                    sequence: found,
                    cid: place.cid,
                });
                true
            }
            Fault::PreviousMismatch { .. } => {
                let follows_branch = self.follows_branch(envelope);
                self.put(event);
                !follows_branch
            }
            _ => {
                self.put(event);
                true
            }
        };
        is_told.then_some(verdict)
    }

    fn put(&mut self, event: &Shown) {
        self.heads.put(event.name, Known::of(event));
    }

    fn remember_branch(&mut self, branch: ChainHead) {
        if self.branches.len() < MOST_BRANCHES {
            self.branches.push(branch);
        }
    }

    fn follows_branch(&self, envelope: &Envelope) -> bool {
        let is_followed = |branch: &ChainHead| {
            Some(branch.cid) == envelope.previous
                && branch.sequence.checked_add(1) == Some(envelope.sequence)
        };
        self.branches.iter().any(is_followed)
    }
}
