//! What is read: events that are proved by themselves, commit by commit.

use std::path::Path;
use std::sync::Arc;

use super::ahead::Ahead;
use super::input::Bytes;
use super::lines::Lines;
use crate::block::{Cid, CommitVerifier, StoredEvent, read_envelope};
use crate::bundle::encryption;
use crate::bundle::signature::{self, Trust};
use crate::bundle::{At, BundleError, BundleFault, Manifest};
use crate::car::{CarBlock, CarError, CarLimits, CarReader};
use crate::store::{Position, ProvedCommit};

/// The longest block. Memory is taken for what is there and not for what is said, so this only bounds what one may be.
const LONGEST: u64 = 1 << 30;

/// The events of a file.
pub(super) enum Events {
    Blocks(Blocks),
    Lines(Lines),
}

impl Events {
    /// The next event and where it stands; none at the end. Positions count them from 1.
    fn next(&mut self) -> Result<Option<(At, StoredEvent)>, BundleError> {
        match self {
            Self::Blocks(blocks) => blocks.next(),
            Self::Lines(lines) => lines.next(),
        }
    }
}

/// The blocks behind a manifest.
pub(super) struct Blocks {
    ahead: Ahead,
    path: Arc<Path>,
    events: u64,
}

/// What stands before the events.
#[derive(Default)]
pub(super) struct Begun {
    pub(super) manifest: Option<Manifest>,
    /// The name of the trusted key that signed it, where one is asked for.
    pub(super) signed_by: Option<String>,
}

impl Blocks {
    /// Reads what stands before the events: the roots, which are the manifest and, where there is one, its signature.
    pub(super) fn begin(
        path: &Path,
        bytes: Bytes,
        trust: Option<&Trust>,
    ) -> Result<(Begun, Self), BundleError> {
        let limits = CarLimits {
            block: LONGEST,
            ..CarLimits::default()
        };
        let failed = |error| of_car(path, error);
        let refused = |at, fault| BundleError::refused(path, at, fault);
        let mut car = CarReader::with_limits(bytes, limits).map_err(failed)?;
        let roots = car.roots().to_vec();
        if roots.len() > 2 {
            let reason = "it has more than two roots".to_owned();
            return Err(refused(At::Byte(0), BundleFault::NotABundle { reason }));
        }
        let mut root = |root: &Cid, missing: &str, other: &str| {
            let not_one = |at: u64, reason: &str| {
                let reason = reason.to_owned();
                refused(At::Byte(at), BundleFault::NotABundle { reason })
            };
            match car.read().map_err(failed)? {
                None => Err(not_one(car.position(), missing)),
                Some(block) if block.cid != *root => Err(not_one(block.at, other)),
                Some(block) => Ok(block),
            }
        };
        let first = root(
            &roots[0],
            "its root is missing",
            "its first block is not its root",
        )?;
        let at = At::Byte(first.at);
        let manifest = Manifest::decode(&first.bytes).map_err(|fault| refused(at, fault))?;
        if let Some(checkpoint) = &manifest.checkpoint {
            let checked = signature::check_checkpoint(trust, checkpoint);
            checked.map_err(|fault| refused(at, fault))?;
        }
        let mut note = None;
        if let Some(second) = roots.get(1) {
            const MISSING: &str = "its signature is missing";
            let block = root(second, MISSING, MISSING)?;
            let read = signature::decode(&block.bytes);
            let at = At::Byte(block.at);
            note = Some((at, read.map_err(|fault| refused(at, fault))?));
        }
        let signed_by = match (trust, note) {
            (None, _) => None,
            (Some(_), None) => return Err(refused(at, BundleFault::Unsigned)),
            (Some(trust), Some((at, note))) => {
                let signed_by = signature::check(trust, &first.cid, &note);
                Some(signed_by.map_err(|fault| refused(at, fault))?)
            }
        };
        let begun = Begun {
            manifest: Some(manifest),
            signed_by,
        };
        let blocks = Self {
            ahead: Ahead::of(car),
            path: path.into(),
            events: 0,
        };
        Ok((begun, blocks))
    }

    fn next(&mut self) -> Result<Option<(At, StoredEvent)>, BundleError> {
        let Some(envelope) = self.read()? else {
            return Ok(None);
        };
        let at = At::Byte(envelope.at);
        let expected = || format!("the payload of event {}", envelope.cid);
        let Some(payload) = self.read()? else {
            let at = At::Byte(self.ahead.end());
            let expected = expected();
            return Err(self.refused(at, BundleFault::Ends { expected }));
        };
        self.events += 1;
        let blocks = (
            (envelope.cid, &envelope.bytes[..]),
            (payload.cid, &payload.bytes[..]),
        );
        match StoredEvent::of_blocks(Position(self.events), blocks.0, blocks.1) {
            Ok(event) => Ok(Some((at, event))),
            Err(verdict) => Err(match read_envelope(&envelope.bytes) {
                // The envelope is one: it is the payload that stands at the wrong place.
                Ok(read) if read.payload != payload.cid => {
                    let fault = BundleFault::OutOfPlace {
                        found: payload.cid,
                        expected: format!("{}, {},", expected(), read.payload),
                    };
                    self.refused(At::Byte(payload.at), fault)
                }
                _ => self.refused(at, BundleFault::Event(verdict)),
            }),
        }
    }

    fn read(&mut self) -> Result<Option<CarBlock>, BundleError> {
        self.ahead.next().map_err(|error| of_car(&self.path, error))
    }

    fn refused(&self, at: At, fault: BundleFault) -> BundleError {
        BundleError::refused(&self.path, at, fault)
    }
}

fn of_car(path: &Path, error: CarError) -> BundleError {
    match error {
        CarError::Damaged { at, fault } => BundleError::refused(path, At::Byte(at), fault),
        CarError::Io { doing, source, .. } => encryption::read_failed(path, doing, source),
        // Of writing alone.
        error => {
            let reason = error.to_string();
            BundleError::refused(path, At::Whole, BundleFault::NotABundle { reason })
        }
    }
}

/// The commits of a file.
pub(super) struct Commits {
    path: Arc<Path>,
    events: Events,
    verifier: CommitVerifier,
}

/// A commit, and where its first event stands.
pub(super) struct Commit {
    pub(super) at: At,
    pub(super) events: Vec<StoredEvent>,
}

impl Commit {
    /// Proves what remains to be proved of it: its blocks were hashed and its envelopes read when it was read.
    pub(super) fn prove(self, path: &Path) -> Result<ProvedCommit, BundleError> {
        let proved = ProvedCommit::of(self.events.len(), self.events.into_iter().map(Ok));
        proved.map_err(|error| BundleError::refused(path, self.at, BundleFault::of_commit(error)))
    }
}

impl Commits {
    pub(super) fn of(path: Arc<Path>, events: Events) -> Self {
        Self {
            path,
            events,
            verifier: CommitVerifier::new(),
        }
    }

    /// The next commit, whole; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Commit>, BundleError> {
        let mut commit: Option<Commit> = None;
        loop {
            let Some((at, event)) = self.events.next()? else {
                let verifier = std::mem::take(&mut self.verifier);
                let finished = verifier.finish();
                finished.map_err(|verdict| {
                    BundleError::refused(&self.path, At::Whole, BundleFault::Event(verdict))
                })?;
                return Ok(None);
            };
            let is_end = self.verifier.accept(&event).map_err(|verdict| {
                BundleError::refused(&self.path, at, BundleFault::Event(verdict))
            })?;
            let begun = commit.get_or_insert_with(|| Commit {
                at,
                events: Vec::new(),
            });
            begun.events.push(event);
            if is_end {
                return Ok(commit);
            }
        }
    }
}
