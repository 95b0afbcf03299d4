//! Where a verification stands.

use cid::Cid;
use serde::{Deserialize, Serialize};

use super::chains::Chains;
use super::commits::Commits;
use super::noted::Noted;
use super::progress::Stage;
use crate::block::Position;
use crate::store::raw::SoundPart;

/// Where a verification stands, for one that goes on from there later, also in another program.
///
/// serde writes and reads it, best in a binary format such as dag-cbor: it has 77 bytes for each aggregate.
///
/// ```
/// # use cim_es::prelude::*;
/// # use cim_es::verify::{Verification, VerificationState};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let store = MemoryEventStore::new();
/// let mut verification = Verification::of(store.clone());
/// verification.next().await?;
/// let bytes = serde_ipld_dagcbor::to_vec(&verification.state())?;
///
/// let state: VerificationState = serde_ipld_dagcbor::from_slice(&bytes)?;
/// let mut verification = Verification::of(store).resume(state);
/// while verification.next().await?.is_some() {}
/// assert!(verification.report().is_complete);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerificationState {
    pub(super) stage: Stage,
    /// Up to where everything was looked at.
    pub(super) at: Position,
    /// The last event that was proved.
    pub(super) last: Option<(Position, Cid)>,
    pub(super) commits: Commits,
    pub(super) chains: Chains,
    pub(super) noted: Noted,
    pub(super) lists: Vec<KnownList>,
    pub(super) counts: Counts,
    /// The key of the last row of the ends of histories that was compared.
    pub(super) head_key: Option<i64>,
    /// The part beside the events that is next, and where in it.
    pub(super) part: (usize, u64),
    /// What of the parts was found sound while the events were read.
    #[serde(default)]
    pub(super) sound: Vec<SoundPart>,
}

/// A list of events, as the events themselves make it up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct KnownList {
    pub(super) list: u64,
    pub(super) last: u64,
    /// Kind and type of its events, once one was proved.
    pub(super) named: Option<(String, String)>,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Counts {
    pub(super) events: u64,
    pub(super) bytes: u64,
    pub(super) others: u64,
    pub(super) removed: u64,
    pub(super) damages: u64,
}

impl VerificationState {
    /// A copy for who keeps it.
    pub(super) fn saved(&self) -> Self {
        Self {
            stage: self.stage,
            at: self.at,
            last: self.last,
            commits: self.commits.saved(),
            chains: self.chains.clone(),
            noted: self.noted.clone(),
            lists: self.lists.clone(),
            counts: self.counts,
            head_key: self.head_key,
            part: self.part,
            sound: self.sound.clone(),
        }
    }
}

impl Clone for VerificationState {
    fn clone(&self) -> Self {
        self.saved()
    }
}
