//! Checkpoints ([C2SP](https://c2sp.org/tlog-checkpoint)): how many events a log has, and the root over them.

use std::fmt;
use std::str::FromStr;

use super::note::{NoteFault, NoteSignature, SignedNote};
use super::{KeyUse, ProofError, SigningKey, TreeHash, Trust};

const WHAT: &str = "checkpoint";

/// How many events a log has, and the root of the tree over them: the first `size` events of the store, each of them
/// and their order, and nothing else, give this root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: TreeHash,
    extensions: Vec<String>,
}

impl Checkpoint {
    pub(super) fn new(origin: impl Into<String>, size: u64, root: TreeHash) -> Self {
        Self {
            origin: origin.into(),
            size,
            root,
            extensions: Vec::new(),
        }
    }

    /// The checkpoint of a log before its first event, which every one goes on from.
    pub fn empty(origin: impl Into<String>) -> Self {
        Self::new(origin, 0, TreeHash::empty())
    }

    /// The log: `<host or organisation>/<stream>`, which is the name of its key.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// How many events it covers.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree over them.
    pub fn root(&self) -> TreeHash {
        self.root
    }

    /// Lines that other programs add, whose meaning is theirs. This one adds none.
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }

    /// The text that is signed.
    fn text(&self) -> String {
        let mut text = format!("{}\n{}\n{}\n", self.origin, self.size, self.root);
        for line in &self.extensions {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    pub(super) fn sign(&self, key: &SigningKey) -> Result<SignedCheckpoint, ProofError> {
        key.needs(KeyUse::Log)?;
        self.is_of(key.name())?;
        let text = self.text();
        let signature = NoteSignature {
            name: key.name().to_owned(),
            id: key.verifying_key().id(),
            bytes: key.sign(text.as_bytes()).to_vec(),
        };
        Ok(SignedCheckpoint {
            checkpoint: self.clone(),
            note: SignedNote {
                text,
                signatures: vec![signature],
            },
        })
    }

    pub(super) fn is_of(&self, origin: &str) -> Result<(), ProofError> {
        match self.origin == origin {
            true => Ok(()),
            false => Err(ProofError::OtherOrigin {
                expected: origin.to_owned(),
                found: self.origin.clone(),
            }),
        }
    }

    fn parse(text: &str) -> Result<Self, NoteFault> {
        let lines: Vec<_> = text.split_terminator('\n').collect();
        if let Some(empty) = lines.iter().position(|line| line.is_empty()) {
            return Err(NoteFault::new(empty + 1, "the line is empty"));
        }
        let [origin, size, root, extensions @ ..] = &lines[..] else {
            let reason = "a checkpoint has the lines origin, size and root";
            return Err(NoteFault::new(lines.len() + 1, reason));
        };
        let size = decimal(size).ok_or_else(|| NoteFault::new(2, "the size is not a number"))?;
        let root = TreeHash::from_base64(root)
            .ok_or_else(|| NoteFault::new(3, "the root is not base64 of 32 bytes"))?;
        if size == 0 && root != TreeHash::empty() {
            return Err(NoteFault::new(
                3,
                "the root is not that of a log without events",
            ));
        }
        Ok(Self {
            origin: (*origin).to_owned(),
            size,
            root,
            extensions: extensions.iter().map(|it| (*it).to_owned()).collect(),
        })
    }
}

/// A number in decimal digits, written in the one way: no sign, no zeros in front.
pub(super) fn decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// A checkpoint with its signatures; as long as they are not [verified](Self::verify), it says nothing.
///
/// It reads and prints as the text of a C2SP signed note, which is what is kept in files and sent to others:
///
/// ```text
/// example.org/library
/// 20852163
/// CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
///
/// — example.org/library Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    pub(super) note: SignedNote,
}

impl SignedCheckpoint {
    /// What it says, if it is signed by a key that is trusted for its log, and by as many witnesses as are asked for.
    ///
    /// # Errors
    /// [`ProofError::Untrusted`] without such a signature, [`ProofError::BadSignature`] where one of a trusted key does
    /// not fit, [`ProofError::TooFewWitnesses`].
    pub fn verify(&self, trust: &Trust) -> Result<Checkpoint, ProofError> {
        trust.check(&self.checkpoint, &self.note)?;
        Ok(self.checkpoint.clone())
    }

    /// What it says, whoever wrote it.
    pub fn unverified(&self) -> &Checkpoint {
        &self.checkpoint
    }

    pub(super) fn parse(text: &str) -> Result<Self, NoteFault> {
        let note = SignedNote::parse(text)?;
        Ok(Self {
            checkpoint: Checkpoint::parse(&note.text)?,
            note,
        })
    }
}

impl FromStr for SignedCheckpoint {
    type Err = ProofError;

    /// Reads the text, and believes nothing of it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text).map_err(|fault| fault.of(WHAT))
    }
}

impl fmt::Display for SignedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.note.fmt(f)
    }
}
