//! Proofs: what a store has is fixed by a signature, so that nobody can change it later without being found.
//!
//! The chain of an aggregate shows that none of its events was changed or left out before its last one. It does not show
//! that the last one is the last, that no aggregate is missing, or that not all was written anew. A **checkpoint** does:
//! it is the root of a tree over the CIDs of all events in the store's order, signed by a key of which the store knows
//! nothing. Who kept one finds whether what is stored now is what was stored then.
//!
//! | what | shows | made by |
//! |---|---|---|
//! | [`SignedCheckpoint`] | so many events were there, with this root | [`CheckpointLog::checkpoint`], [`AutomaticCheckpoints`] |
//! | [`InclusionProof`] | this event is one of them, at this place | [`CheckpointLog::prove`] |
//! | [`ConsistencyProof`] | the events of an older checkpoint are the first of a newer one | [`CheckpointLog::prove_consistency`] |
//! | a cosignature | a [`Witness`] saw the checkpoint, and that it goes on from the last that it saw | [`Witness::cosign`] |
//!
//! Checking needs no store: a public key to [`Trust`], and a small file of text. All forms are those of
//! C2SP ([checkpoints](https://c2sp.org/tlog-checkpoint), [proofs](https://c2sp.org/tlog-proof),
//! [tiles](https://c2sp.org/tlog-tiles), [cosignatures](https://c2sp.org/tlog-cosignature)), so other programs check them
//! as well.

mod automatic;
mod checkpoint;
#[cfg(feature = "car")]
mod cover;
mod edge;
mod error;
mod files;
mod growth;
mod hash;
mod key;
mod key_text;
mod log;
mod note;
mod places;
mod proof_file;
#[cfg(test)]
mod tests;
#[cfg(feature = "car")]
mod text;
mod tiles;
mod tree;
mod trust;
mod witness;

pub use automatic::{AutomaticCheckpoints, CheckpointStatus, RunningCheckpoints};
pub use checkpoint::{Checkpoint, SignedCheckpoint};
#[cfg(feature = "car")]
pub(crate) use cover::Cover;
pub use error::{CheckpointError, HistoryChange, KeyError, ProofError};
pub use hash::TreeHash;
pub use key::{KeyUse, SigningKey, VerifyingKey};
pub use log::{CheckpointLog, Reading, Tiles};
pub use proof_file::{ConsistencyProof, InclusionProof};
#[cfg(feature = "car")]
pub(crate) use text::{check_text, sign_text};
pub use trust::Trust;
pub use witness::{Cosignature, Witness};
