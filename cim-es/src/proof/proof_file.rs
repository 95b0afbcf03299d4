//! Proofs as small files that are checked without the store: hashes, an empty line, and the checkpoint that they lead to.

use std::fmt::{self, Write};
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::checkpoint::decimal;
use super::note::NoteFault;
use super::tree::{self, LONGEST_PATH};
use super::{Checkpoint, ProofError, SignedCheckpoint, TreeHash, Trust};
use crate::block::{Cid, parse_cid};

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// Shows that one event is among those that a checkpoint covers, and at which place.
///
/// It reads and prints as the text of a C2SP [tlog-proof](https://c2sp.org/tlog-proof), which is kept in files that end in
/// `.tlog-proof`. Its `extra` data is the CID of the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionProof {
    event: Option<Cid>,
    index: u64,
    path: Vec<TreeHash>,
    checkpoint: SignedCheckpoint,
}

impl InclusionProof {
    pub(super) fn new(
        event: Cid,
        index: u64,
        path: Vec<TreeHash>,
        checkpoint: SignedCheckpoint,
    ) -> Self {
        Self {
            event: Some(event),
            index,
            path,
            checkpoint,
        }
    }

    /// The event that it says it is about; none in a proof of a program that leaves it out. Only what
    /// [`verify`](Self::verify) was given is shown.
    pub fn event(&self) -> Option<&Cid> {
        self.event.as_ref()
    }

    /// The index of the event in the store's order, from 0.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The checkpoint that the event is shown to be in.
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// Shows that the event with this CID is at [`index`](Self::index) of the events of the checkpoint, and gives the
    /// checkpoint.
    ///
    /// # Errors
    /// [`ProofError::OtherEvent`] for a proof about another event, [`ProofError::NotIncluded`] when it does not lead from
    /// the event to the checkpoint, and what [`SignedCheckpoint::verify`] refuses.
    pub fn verify(&self, event: &Cid, trust: &Trust) -> Result<Checkpoint, ProofError> {
        let checkpoint = self.checkpoint.verify(trust)?;
        self.leads_to(event, &checkpoint)?;
        Ok(checkpoint)
    }

    pub(super) fn leads_to(&self, event: &Cid, checkpoint: &Checkpoint) -> Result<(), ProofError> {
        if let Some(found) = self.event.filter(|it| it != event) {
            return Err(ProofError::OtherEvent {
                expected: *event,
                found,
            });
        }
        let leaf = TreeHash::of_event(event);
        let (size, root) = (checkpoint.size(), checkpoint.root());
        match tree::is_included(&leaf, self.index, &self.path, size, &root) {
            true => Ok(()),
            false => Err(ProofError::NotIncluded {
                event: *event,
                index: self.index,
                size,
            }),
        }
    }
}

impl fmt::Display for InclusionProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}")?;
        if let Some(event) = &self.event {
            writeln!(f, "extra {}", STANDARD.encode(event.to_bytes()))?;
        }
        writeln!(f, "index {}", self.index)?;
        write_path(f, &self.path, &self.checkpoint)
    }
}

impl FromStr for InclusionProof {
    type Err = ProofError;

    /// Reads the text, and believes nothing of it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let of_proof = |fault: NoteFault| fault.of("proof of inclusion");
        let mut lines = Lines::new(text);
        if lines.next() != Some(FIRST_LINE) {
            let reason = format!("`{FIRST_LINE}` is missing");
            return Err(of_proof(lines.fault(reason)));
        }
        let mut line = lines.next().unwrap_or_default();
        let mut event = None;
        if let Some(extra) = line.strip_prefix("extra ") {
            let bytes = STANDARD.decode(extra).ok();
            let cid = bytes.and_then(|bytes| parse_cid(&bytes).ok());
            let reason = "the extra data is not the CID of an event";
            event = Some(cid.ok_or_else(|| of_proof(lines.fault(reason)))?);
            line = lines.next().unwrap_or_default();
        }
        let index = line.strip_prefix("index ").and_then(decimal);
        let index =
            index.ok_or_else(|| of_proof(lines.fault("`index` and a number are missing")))?;
        let (path, checkpoint) = lines.path().map_err(of_proof)?;
        Ok(Self {
            event,
            index,
            path,
            checkpoint,
        })
    }
}

/// Shows that the events of one checkpoint are the first events of another: nothing of them was removed, changed or
/// reordered between the two.
///
/// It reads and prints as what a C2SP witness is asked with ([tlog-witness](https://c2sp.org/tlog-witness)): the size of the
/// older checkpoint, hashes, and the newer one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistencyProof {
    old: u64,
    path: Vec<TreeHash>,
    checkpoint: SignedCheckpoint,
}

impl ConsistencyProof {
    pub(super) fn new(old: u64, path: Vec<TreeHash>, checkpoint: SignedCheckpoint) -> Self {
        Self {
            old,
            path,
            checkpoint,
        }
    }

    /// How many events the older checkpoint covers.
    pub fn old_size(&self) -> u64 {
        self.old
    }

    /// The newer checkpoint.
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// Shows that the newer checkpoint goes on from the older one, which the reader kept, and gives the newer one.
    ///
    /// # Errors
    /// [`ProofError::OtherOrigin`] for checkpoints of different logs, [`ProofError::Inconsistent`] when the proof does not
    /// lead from the one to the other, and what [`SignedCheckpoint::verify`] refuses of the newer one.
    pub fn verify(&self, old: &Checkpoint, trust: &Trust) -> Result<Checkpoint, ProofError> {
        let new = self.checkpoint.verify(trust)?;
        self.leads_from(old, &new)?;
        Ok(new)
    }

    pub(super) fn leads_from(&self, old: &Checkpoint, new: &Checkpoint) -> Result<(), ProofError> {
        new.is_of(old.origin())?;
        let (from, to) = ((old.size(), &old.root()), (new.size(), &new.root()));
        match self.old == old.size() && tree::is_consistent(from, to, &self.path) {
            true => Ok(()),
            false => Err(ProofError::Inconsistent {
                origin: new.origin().to_owned(),
                old: old.size(),
                new: new.size(),
            }),
        }
    }
}

impl fmt::Display for ConsistencyProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        write_path(f, &self.path, &self.checkpoint)
    }
}

impl FromStr for ConsistencyProof {
    type Err = ProofError;

    /// Reads the text, and believes nothing of it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let of_proof = |fault: NoteFault| fault.of("proof of consistency");
        let mut lines = Lines::new(text);
        let old = lines.next().and_then(|line| line.strip_prefix("old "));
        let old = old.and_then(decimal);
        let old = old.ok_or_else(|| of_proof(lines.fault("`old` and a number are missing")))?;
        let (path, checkpoint) = lines.path().map_err(of_proof)?;
        Ok(Self {
            old,
            path,
            checkpoint,
        })
    }
}

fn write_path(
    f: &mut fmt::Formatter<'_>,
    path: &[TreeHash],
    checkpoint: &SignedCheckpoint,
) -> fmt::Result {
    for hash in path {
        writeln!(f, "{hash}")?;
    }
    f.write_char('\n')?;
    write!(f, "{checkpoint}")
}

/// The lines of a proof, up to the checkpoint, which is read as one.
struct Lines<'a> {
    rest: &'a str,
    read: usize,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            rest: text,
            read: 0,
        }
    }

    /// What is wrong with the line that was read last.
    fn fault(&self, reason: impl Into<String>) -> NoteFault {
        NoteFault::new(self.read.max(1), reason)
    }

    fn path(&mut self) -> Result<(Vec<TreeHash>, SignedCheckpoint), NoteFault> {
        let mut path = Vec::new();
        loop {
            match self.next() {
                Some("") => break,
                Some(_) if path.len() == LONGEST_PATH => {
                    return Err(self.fault("there are more hashes than a proof has"));
                }
                Some(line) => {
                    let hash = TreeHash::from_base64(line);
                    path.push(hash.ok_or_else(|| self.fault("it is not base64 of 32 bytes"))?);
                }
                None => {
                    return Err(self.fault("the empty line in front of the checkpoint is missing"));
                }
            }
        }
        let checkpoint = SignedCheckpoint::parse(self.rest);
        Ok((path, checkpoint.map_err(|fault| fault.behind(self.read))?))
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a str;

    /// The next line; none where no further one is ended.
    fn next(&mut self) -> Option<&'a str> {
        let (line, rest) = self.rest.split_once('\n')?;
        self.rest = rest;
        self.read += 1;
        Some(line)
    }
}
