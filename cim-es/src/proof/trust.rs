//! Whom a reader of checkpoints trusts.

use std::path::Path;
use std::sync::Arc;

use super::note::SignedNote;
use super::witness;
use super::{
    Checkpoint, Cosignature, KeyError, KeyUse, ProofError, SignedCheckpoint, VerifyingKey,
};

/// The keys that a reader trusts: of logs, each for the origin that is its name, and of witnesses.
///
/// ```
/// use cim_es::proof::Trust;
///
/// # fn main() -> Result<(), cim_es::proof::KeyError> {
/// let trust = Trust::parse(
///     "# the library\n\
///      example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k\n",
/// )?;
/// assert_eq!(trust.keys()[0].name(), "example.com/foo");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Trust {
    keys: Vec<VerifyingKey>,
    quorum: usize,
}

impl Trust {
    /// Trusts these keys, and asks for no witness. Several keys of one log are its present and its former ones.
    pub fn new(keys: impl IntoIterator<Item = VerifyingKey>) -> Self {
        Self {
            keys: keys.into_iter().collect(),
            quorum: 0,
        }
    }

    /// The keys that a text lists, a verifier key on each line; empty lines and those that begin with `#` are passed over.
    ///
    /// # Errors
    /// [`KeyError`] for the first line that is not a key.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let lines = text.lines().map(str::trim);
        let keys = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        Ok(Self::new(
            keys.map(str::parse).collect::<Result<Vec<_>, _>>()?,
        ))
    }

    /// The keys that a file lists, as [`parse`](Self::parse) takes them.
    ///
    /// # Errors
    /// [`KeyError::File`] when the file cannot be read; else as for `parse`.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, KeyError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|error| KeyError::File {
            path: path.to_owned(),
            source: Arc::new(error),
        })?;
        Self::parse(&text)
    }

    /// The same, asking that at least so many of the trusted witnesses cosigned.
    #[must_use]
    pub fn quorum(self, witnesses: usize) -> Self {
        Self {
            quorum: witnesses,
            ..self
        }
    }

    /// The keys.
    pub fn keys(&self) -> &[VerifyingKey] {
        &self.keys
    }

    /// The cosignatures of trusted witnesses on a checkpoint, one of each, the newest. What a checkpoint says is still
    /// only to be believed when it [verifies](SignedCheckpoint::verify).
    ///
    /// # Errors
    /// [`ProofError::BadSignature`] where one does not fit.
    pub fn cosignatures(&self, signed: &SignedCheckpoint) -> Result<Vec<Cosignature>, ProofError> {
        self.witnesses(&signed.note)
    }

    fn witnesses(&self, note: &SignedNote) -> Result<Vec<Cosignature>, ProofError> {
        let mut found: Vec<Cosignature> = Vec::new();
        for key in self.keys.iter().filter(|it| it.usage() == KeyUse::Witness) {
            let mut newest = None;
            for signature in note.signatures_of(key) {
                let time = witness::cosigned_at(key, note, signature);
                let time = time.ok_or_else(|| bad_signature(key))?;
                newest = newest.max(Some(time));
            }
            // A cosignature does not cover the witness's name: under two names it is still one witness.
            let is_other = |it: &Cosignature| !it.witness.is_same_key(key);
            if let Some(time) = newest
                && found.iter().all(is_other)
            {
                found.push(Cosignature {
                    witness: key.clone(),
                    time,
                });
            }
        }
        Ok(found)
    }

    pub(super) fn check(
        &self,
        checkpoint: &Checkpoint,
        note: &SignedNote,
    ) -> Result<(), ProofError> {
        let mut is_signed = false;
        for key in self.keys.iter().filter(|it| it.usage() == KeyUse::Log) {
            for signature in note.signatures_of(key) {
                if !key.verifies(note.text.as_bytes(), &signature.bytes) {
                    return Err(bad_signature(key));
                }
                is_signed |= key.name() == checkpoint.origin();
            }
        }
        if !is_signed {
            return Err(ProofError::Untrusted {
                origin: checkpoint.origin().to_owned(),
            });
        }
        let found = self.witnesses(note)?.len();
        match found >= self.quorum {
            true => Ok(()),
            false => Err(ProofError::TooFewWitnesses {
                found,
                needed: self.quorum,
            }),
        }
    }
}

fn bad_signature(key: &VerifyingKey) -> ProofError {
    ProofError::BadSignature {
        name: key.name().to_owned(),
    }
}
