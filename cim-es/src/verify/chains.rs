//! The history of each aggregate, followed event by event, and found again behind a fault.

use serde::{Deserialize, Serialize};

use super::heads::{Heads, Known, Name};
use super::noted::Noted;
use crate::block::{ChainHead, ChainVerifier, Envelope, Fault, Place, Truncation, Verdict};

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

impl Chains {
    /// Takes an event that was proved.
    pub(super) fn accept(
        &mut self,
        name: Name,
        place: Place,
        envelope: &Envelope,
        noted: &Noted,
        may_be_cut: bool,
    ) -> Option<Verdict> {
        let head = self.heads.get(&name).map(Known::chain_head);
        let mut chain = match head {
            None => ChainVerifier::of_any_aggregate(),
            Some(head) => ChainVerifier::behind(head),
        };
        let verdict = chain.accept_envelope(place.position, place.cid, envelope);
        let Err(verdict) = verdict else {
            self.put(name, place, envelope);
            return None;
        };
        let (found, follows_damage) =
            (envelope.sequence, noted.has_cid(envelope.previous.as_ref()));
        let is_told = match &verdict.fault {
            Fault::Gap { expected, .. } if found > *expected => {
                self.put(name, place, envelope);
                !(follows_damage && found == *expected + 1)
            }
            // It comes again, or too late: what stands behind it follows from the one that is known.
            Fault::Gap { .. } => true,
            Fault::Truncated {
                missing: Truncation::Start { .. },
            } => {
                self.put(name, place, envelope);
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
                self.put(name, place, envelope);
                !follows_branch
            }
            _ => {
                self.put(name, place, envelope);
                true
            }
        };
        is_told.then_some(verdict)
    }

    fn put(&mut self, name: Name, place: Place, envelope: &Envelope) {
        let timestamp = envelope.timestamp.as_micros();
        let known = Known::new(&place.cid, envelope.sequence, place.position, timestamp);
        if let Some(known) = known {
            self.heads.put(name, known);
        }
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
