//! Witnesses ([C2SP](https://c2sp.org/tlog-cosignature)): others who saw a checkpoint, and that it goes on from the one
//! before.

use super::note::{NoteSignature, SignedNote};
use super::{
    Checkpoint, ConsistencyProof, KeyUse, ProofError, SignedCheckpoint, SigningKey, Trust,
    VerifyingKey,
};
use crate::domain::message::Timestamp;

/// The cosignature of a witness on a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosignature {
    /// The key of the witness.
    pub witness: VerifyingKey,
    /// When it cosigned, to the second, as it says itself.
    pub time: Timestamp,
}

/// One who cosigns checkpoints of logs that it trusts, as long as each goes on from the last one that it saw: who asks for
/// its cosignature cannot be shown another history than everybody else.
///
/// It keeps nothing itself; who runs it keeps the last checkpoint of each log that it cosigned, and hands it in again.
#[derive(Clone, Debug)]
pub struct Witness {
    key: SigningKey,
    trust: Trust,
}

impl Witness {
    /// A witness for the logs whose keys are trusted.
    ///
    /// # Errors
    /// [`ProofError::WrongKey`] unless the key is [that of a witness](SigningKey::for_witness).
    pub fn new(key: SigningKey, trust: Trust) -> Result<Self, ProofError> {
        key.needs(KeyUse::Witness)?;
        Ok(Self { key, trust })
    }

    /// Cosigns what is offered at a time, which is kept to the second. `last` is the last checkpoint of the log that this
    /// witness cosigned; none when it never saw one, and then the proof goes from 0 events.
    ///
    /// # Errors
    /// What [`ConsistencyProof::verify`] refuses: a checkpoint that nobody trusted signed, or one that does not go on from
    /// the last.
    pub fn cosign(
        &self,
        last: Option<&Checkpoint>,
        offered: &ConsistencyProof,
        time: Timestamp,
    ) -> Result<SignedCheckpoint, ProofError> {
        let mut signed = offered.checkpoint().clone();
        let first = Checkpoint::empty(signed.unverified().origin());
        offered.verify(last.unwrap_or(&first), &self.trust)?;
        let seconds = u64::try_from(time.as_micros() / 1_000_000).unwrap_or_default();
        let signature = self.key.sign(&message(seconds, &signed.note.text));
        let key = self.key.verifying_key();
        let id = key.id();
        signed
            .note
            .signatures
            .retain(|it| it.name != key.name() || it.id != id);
        signed.note.signatures.push(NoteSignature {
            name: key.name().to_owned(),
            id,
            bytes: [&seconds.to_be_bytes()[..], &signature].concat(),
        });
        Ok(signed)
    }
}

fn message(seconds: u64, text: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {seconds}\n{text}").into_bytes()
}

/// When a witness cosigned a checkpoint; none when the signature is not its own.
pub(super) fn cosigned_at(
    key: &VerifyingKey,
    note: &SignedNote,
    signature: &NoteSignature,
) -> Option<Timestamp> {
    let (seconds, signature) = signature.bytes.split_first_chunk()?;
    let seconds = u64::from_be_bytes(*seconds);
    let micros = i64::try_from(seconds).ok()?.saturating_mul(1_000_000);
    key.verifies(&message(seconds, &note.text), signature)
        .then_some(Timestamp::from_micros(micros))
}
