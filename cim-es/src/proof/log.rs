//! The log of a store: making checkpoints, and proofs about them.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Mutex;

use super::files::{self, Files};
use super::growth::{Growth, Halt, Known, blocking, full_tiles};
use super::tiles::{Leaves, TileReader};
use super::{
    Checkpoint, CheckpointError, ConsistencyProof, HistoryChange, InclusionProof, ProofError,
    SignedCheckpoint, SigningKey, TreeHash, Trust, VerifyingKey, places,
};
use crate::block::Cid;
use crate::store::{
    Bookmark, ContentType, EventStore, Location, ObjectStore, Position, StoreError,
};

/// The name of the last checkpoint among the tiles, as C2SP's tlog-tiles has it.
const LAST: &str = "checkpoint";

/// Where the hashes of the tree are cached, and the last checkpoint is kept.
///
/// A directory has the layout of C2SP's [tlog-tiles](https://c2sp.org/tlog-tiles) (`checkpoint`, `tile/<level>/<index>`),
/// so that any web server can offer it to those who check, and beside it `places/`, which is for this library alone. It
/// belongs to one log, on a medium of its own: whoever can write to the store should not be able to write there.
///
/// The hashes are 32 bytes an event. They can be lost: they are made again from the store. The checkpoint cannot.
#[derive(Clone, Debug)]
pub struct Tiles {
    files: Files,
    turn: Arc<Mutex<()>>,
}

impl Tiles {
    /// In a directory, which is made when it is needed.
    pub fn in_directory(path: impl Into<PathBuf>) -> Self {
        Self::of(Files::Directory(Arc::from(path.into())))
    }

    /// In the memory of this process: for what is done once, and for tests.
    pub fn in_memory() -> Self {
        Self::of(Files::Memory(Arc::default()))
    }

    fn of(files: Files) -> Self {
        Self {
            files,
            turn: Arc::default(),
        }
    }
}

/// How much of the store is read for a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The events since the last checkpoint, and up to 255 before it: milliseconds, whatever the size of the store. What is
    /// signed goes on from the last checkpoint in any case. What was changed further back in the store since is not
    /// looked at; the hashes stand for what was there. Only where the engine knows without reading how many events it has,
    /// as a stream does, is it noticed that one was taken out: then everything is read.
    New,
    /// All events, each compared with what was there when the last checkpoint was made.
    All,
}

/// The log of a store: the tree over its events, of which checkpoints are signed.
///
/// ```
/// # use cim_es::prelude::*;
/// # use cim_es::store::{AggregateKey, CommitRequest, EventStore, ExpectedVersion, NewEvent};
/// # use cim_es::aggregate::IdText;
/// # use cim_es::message::{Clock, SystemClock};
/// # use cim_es::proof::SigningKey;
/// use cim_es::proof::{CheckpointLog, InclusionProof, Reading, Tiles, Trust};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let store = MemoryEventStore::new();
/// # let text = "-----BEGIN PRIVATE KEY-----\n\
/// # MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n\
/// # -----END PRIVATE KEY-----\n";
/// # let key = SigningKey::parse("example.org/library", text)?;
/// # let of = AggregateKey::new("home.lamp", IdText::new("hall")?);
/// # let switched = NewEvent::from_payload("home.lamp.switched", 1, vec![0xa0]);
/// # let commit = CommitRequest::new(MessageIdentity::new_from_user("me"), SystemClock.now())
/// #     .aggregate(of, ExpectedVersion::NoStream, vec![switched]);
/// # let event = store.append(commit).await?.remove(0);
/// // let key = SigningKey::read("example.org/library", "library.pem")?;
/// let log = CheckpointLog::new(store, key.name(), Tiles::in_memory());
/// let signed = log.checkpoint(&key, Reading::All).await?;
/// println!("{signed}");
///
/// // A file that shows that the event is among them.
/// let proof = log.prove(&event.cid, &signed).await?.to_string();
///
/// // Elsewhere, without the store: by the public key alone.
/// let trust = Trust::new([key.verifying_key()]);
/// let checkpoint = proof.parse::<InclusionProof>()?.verify(&event.cid, &trust)?;
/// assert_eq!(checkpoint.size(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct CheckpointLog {
    store: Arc<dyn EventStore>,
    origin: Arc<str>,
    tiles: Tiles,
    former: Vec<VerifyingKey>,
    copies: Vec<PathBuf>,
    objects: Option<Arc<dyn ObjectStore>>,
    tell: Arc<dyn Fn(u64) + Send + Sync>,
}

/// How a growing tree ended.
enum Grown {
    Whole(Box<Growth>),
    /// What is known of the tree does not fit what is stored, by hashes or places that may themselves be damaged.
    Doubtful,
}

impl CheckpointLog {
    /// The log of a store under an origin, `<host or organisation>/<stream>`, which is the name of its key.
    pub fn new(store: impl EventStore, origin: &str, tiles: Tiles) -> Self {
        Self {
            store: Arc::new(store),
            origin: origin.into(),
            tiles,
            former: Vec::new(),
            copies: Vec::new(),
            objects: None,
            tell: Arc::new(|_| ()),
        }
    }

    /// Calls a function while events are read, with the number of events that the tree covers by then. It counts anew where
    /// it is read again from the start.
    #[must_use]
    pub fn on_progress(mut self, tell: impl Fn(u64) + Send + Sync + 'static) -> Self {
        self.tell = Arc::new(tell);
        self
    }

    /// Takes checkpoints that a former key of the log signed for earlier ones of it.
    #[must_use]
    pub fn with_former_key(mut self, key: VerifyingKey) -> Self {
        self.former.push(key);
        self
    }

    /// Keeps the last checkpoint in this file as well: best on another machine's disk. The next one has to go on from it, so
    /// that who rewrites the store and the directory of hashes together is found.
    #[must_use]
    pub fn with_copy(mut self, path: impl Into<PathBuf>) -> Self {
        self.copies.push(path.into());
        self
    }

    /// Keeps each checkpoint in an object store as well, as a dag-cbor text; [`object_of`](Self::object_of) has its CID.
    #[must_use]
    pub fn with_objects(mut self, objects: impl ObjectStore) -> Self {
        self.objects = Some(Arc::new(objects));
        self
    }

    /// The block in which an object store keeps a checkpoint: its text as dag-cbor. It hashes to the object's CID.
    pub fn object_of(signed: &SignedCheckpoint) -> Bytes {
        let text = signed.to_string();
        // A text always encodes.
        Bytes::from(serde_ipld_dagcbor::to_vec(&text).unwrap_or_default())
    }

    /// The origin.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn EventStore> {
        &self.store
    }

    /// The last checkpoint that was kept with the hashes; none before the first. Its signature is not checked.
    ///
    /// # Errors
    /// [`CheckpointError::Kept`] when what is kept is not a checkpoint; [`CheckpointError::File`].
    pub async fn last(&self) -> Result<Option<SignedCheckpoint>, CheckpointError> {
        let files = self.tiles.files.clone();
        blocking(move || last(&files)).await
    }

    /// Signs a checkpoint over all events that the store has now, and keeps it. Before it signs, it makes sure that every
    /// event which the last checkpoint covers is where it was, as far as it [reads](Reading) them, and that the new
    /// checkpoint goes on from each that is kept. Where nothing is new, it gives the last checkpoint again, with the
    /// cosignatures that it has.
    ///
    /// # Errors
    /// [`CheckpointError::HistoryChanged`] says what differs, and nothing is signed; [`CheckpointError::Kept`] when a kept
    /// checkpoint is damaged or signed by another key; [`CheckpointError::InUse`]; the store's failures, and those of files:
    /// when one of the copies cannot be written, the checkpoint is kept with the hashes already.
    pub async fn checkpoint(
        &self,
        key: &SigningKey,
        reading: Reading,
    ) -> Result<SignedCheckpoint, CheckpointError> {
        // What the key refuses is said before anything is read.
        Checkpoint::empty(&*self.origin).sign(key)?;
        let _turn = self.tiles.turn.lock().await;
        let files = self.tiles.files.clone();
        let _lock = blocking(move || files.lock()).await?;
        let trust = Trust::new(self.former.iter().cloned().chain([key.verifying_key()]));
        let kept = self.kept(trust).await?;
        let last = kept.first().map(|it| it.unverified().clone());

        let mut grown = Grown::Doubtful;
        if let (Reading::New, Some(last)) = (reading, &last) {
            grown = self.grow(last).await?;
        }
        let growth = match grown {
            Grown::Whole(growth) => *growth,
            Grown::Doubtful => self.grow_from_start(last.as_ref()).await?,
        };
        let checkpoint = Checkpoint::new(&*self.origin, growth.size(), growth.root());
        for earlier in &kept {
            self.goes_on(earlier.unverified(), &checkpoint).await?;
        }
        let signed = checkpoint.sign(key)?;
        let now = Trust::new([key.verifying_key()]);
        let again = kept.into_iter().find(|it| {
            let found = it.unverified();
            found.size() == checkpoint.size() && it.verify(&now).is_ok()
        });
        let signed = again.unwrap_or(signed);
        self.keep_everywhere(&signed).await?;
        Ok(signed)
    }

    /// Keeps a checkpoint that others have cosigned in place of the same one without their cosignatures.
    ///
    /// # Errors
    /// [`ProofError::Inconsistent`] unless it is the last checkpoint; the failures of files.
    pub async fn keep(&self, signed: &SignedCheckpoint) -> Result<(), CheckpointError> {
        let _turn = self.tiles.turn.lock().await;
        let files = self.tiles.files.clone();
        let _lock = blocking(move || files.lock()).await?;
        let last = self.last().await?;
        let is_last = |last: &SignedCheckpoint| last.note.text == signed.note.text;
        if !last.as_ref().is_some_and(is_last) {
            let old = last.map_or(0, |last| last.unverified().size());
            let new = signed.unverified().size();
            return Err(self.inconsistent(old, new).into());
        }
        self.keep_everywhere(signed).await
    }

    /// Reads the events that a checkpoint covers, each, and compares them with it. The checkpoint is one that was
    /// [verified](SignedCheckpoint::verify).
    ///
    /// # Errors
    /// [`CheckpointError::HistoryChanged`] when the store does not have these events in this order any more. It says which
    /// is the first that differs if the hashes reach so far. The store's failures.
    pub async fn audit(&self, checkpoint: &Checkpoint) -> Result<(), CheckpointError> {
        checkpoint.is_of(&self.origin)?;
        let known = self.known(checkpoint).await?;
        let with_leaves = known.is_some();
        let growth = Growth::reading(known, checkpoint.size());
        match growth
            .read(&*self.store, Bookmark::START, &*self.tell)
            .await
        {
            Ok(growth) if growth.root() == checkpoint.root() => Ok(()),
            Ok(growth) if growth.size() < checkpoint.size() => {
                Err(self.change(checkpoint, Some(growth.size()), None).into())
            }
            Ok(_) => Err(self.change(checkpoint, None, None).into()),
            Err(Halt::Differs { index, found }) if with_leaves => {
                match self.confirmed(checkpoint, index, found).await? {
                    Some(change) => Err(change.into()),
                    None => self.audit_root(checkpoint).await,
                }
            }
            Err(Halt::Failed(CheckpointError::Tiles { .. })) => self.audit_root(checkpoint).await,
            Err(Halt::Failed(error)) => Err(error),
            Err(Halt::Differs { index, .. }) => {
                Err(self.change(checkpoint, Some(index), None).into())
            }
        }
    }

    /// Shows that an event is among those that a checkpoint covers. The checkpoint is the [last](Self::last) one or an
    /// earlier one. It takes milliseconds where the store finds an event by its CID, whatever the size of the store.
    ///
    /// # Errors
    /// [`CheckpointError::NoSuchEvent`], [`CheckpointError::NotCovered`] for an event that came later,
    /// [`CheckpointError::TooShort`] when no checkpoint was made with these hashes that reaches so far,
    /// [`CheckpointError::Tiles`] for damaged hashes, [`CheckpointError::HistoryChanged`] for a checkpoint of another history.
    pub async fn prove(
        &self,
        event: &Cid,
        signed: &SignedCheckpoint,
    ) -> Result<InclusionProof, CheckpointError> {
        let checkpoint = signed.unverified();
        checkpoint.is_of(&self.origin)?;
        let reach = self.reach(checkpoint.size()).await?;
        let found = self.store.find(event).await?;
        let (files, signed, event) = (self.tiles.files.clone(), signed.clone(), *event);
        let change = self.change(checkpoint, None, None);
        blocking(move || {
            let checkpoint = signed.unverified();
            let mut reader = TileReader::new(files.clone(), reach);
            let leaf = TreeHash::of_event(&event);
            let mut index = None;
            if let Some(found) = &found {
                let tile = places::tile_of(&files, found.position, full_tiles(reach))?;
                if tile * (super::edge::TILE as u64) < reach {
                    index = reader.find_in(&leaf, tile)?;
                }
            }
            // The place of an event is a hint; and one that the store has lost is still in the tree.
            if index.is_none() {
                index = reader.find(&leaf, 0)?;
            }
            let size = checkpoint.size();
            let index = match index {
                Some(index) if index < size => index,
                None if found.is_none() => return Err(CheckpointError::NoSuchEvent { event }),
                _ => return Err(CheckpointError::NotCovered { event, size }),
            };
            let path = reader.inclusion(index, size)?;
            let proof = InclusionProof::new(event, index, path, signed.clone());
            if proof.leads_to(&event, checkpoint).is_ok() {
                return Ok(proof);
            }
            Err(not_shown(&files, &mut reader, reach, change)?)
        })
        .await
    }

    /// Shows that the events of an older checkpoint are the first of a newer one.
    ///
    /// # Errors
    /// [`ProofError::Inconsistent`] when they are not; [`CheckpointError::TooShort`] and [`CheckpointError::Tiles`] as for
    /// [`prove`](Self::prove).
    pub async fn prove_consistency(
        &self,
        old: &Checkpoint,
        new: &SignedCheckpoint,
    ) -> Result<ConsistencyProof, CheckpointError> {
        old.is_of(&self.origin)?;
        let newer = new.unverified();
        newer.is_of(&self.origin)?;
        let (from, to) = (old.size(), newer.size());
        if from > to {
            return Err(self.inconsistent(from, to).into());
        }
        let reach = self.reach(to).await?;
        let (files, old, new) = (self.tiles.files.clone(), old.clone(), new.clone());
        blocking(move || {
            let path = TileReader::new(files, reach).consistency(from, to)?;
            let proof = ConsistencyProof::new(from, path, new);
            proof.leads_from(&old, proof.checkpoint().unverified())?;
            Ok(proof)
        })
        .await
    }

    /// The checkpoints that are kept, the one with the hashes first; each is one that the log's keys signed.
    async fn kept(&self, trust: Trust) -> Result<Vec<SignedCheckpoint>, CheckpointError> {
        let (files, origin) = (self.tiles.files.clone(), Arc::clone(&self.origin));
        let copies = self.copies.clone();
        blocking(move || {
            let is_ours = |signed: &SignedCheckpoint, location: Location| {
                let of_origin = signed.unverified().is_of(&origin);
                let verified = of_origin.and_then(|()| signed.verify(&trust));
                verified.map_err(|source| CheckpointError::Kept { location, source })
            };
            let mut kept = Vec::new();
            if let Some(signed) = last(&files)? {
                is_ours(&signed, files.location_of(LAST))?;
                kept.push(signed);
            }
            let mut others = Vec::new();
            for path in &copies {
                if let Some(bytes) = files::read(path)? {
                    let location = || Location::File(path.clone());
                    let signed = parse(bytes, location())?;
                    is_ours(&signed, location())?;
                    others.push(signed);
                }
            }
            if kept.is_empty() {
                // The hashes are gone with the checkpoint beside them, and are made again.
                others.sort_by_key(|it| it.unverified().size());
            }
            kept.append(&mut others);
            Ok(kept)
        })
        .await
    }

    /// Goes on from the last checkpoint, by the hashes that it left.
    async fn grow(&self, last: &Checkpoint) -> Result<Grown, CheckpointError> {
        let (files, last) = (self.tiles.files.clone(), last.clone());
        let begun = blocking(move || {
            let reader = TileReader::new(files.clone(), last.size());
            let mut edge = reader.edge()?;
            let full = full_tiles(last.size());
            let after = match full.checked_sub(1) {
                Some(tile) => places::end_of(&files, tile)?,
                None => Some(Bookmark::START),
            };
            let (true, Some(after)) = (edge.root() == last.root(), after) else {
                return Ok(None);
            };
            edge.back_to_full_tile();
            let known = Known {
                leaves: Leaves::new(reader),
                until: last.size(),
            };
            Ok(Some((Growth::writing(edge, Some(known), files), after)))
        });
        let begun = match begun.await {
            Err(CheckpointError::Tiles { .. }) => None,
            begun => begun?,
        };
        let Some((growth, after)) = begun else {
            return Ok(Grown::Doubtful);
        };
        let count = self.count().await?;
        let growth = match count {
            Some((_, until)) => growth.counting(until),
            None => growth,
        };
        match growth.read(&*self.store, after, &*self.tell).await {
            // Fewer or more events than hashes: something was taken out where nothing was read.
            Ok(growth) if growth.counted() != count.map(|(events, _)| events) => {
                Ok(Grown::Doubtful)
            }
            Ok(growth) => Ok(Grown::Whole(Box::new(growth))),
            Err(
                Halt::Differs { .. }
                | Halt::Failed(CheckpointError::Tiles { .. })
                | Halt::Failed(CheckpointError::Store(StoreError::AnotherHistory(_))),
            ) => Ok(Grown::Doubtful),
            Err(Halt::Failed(error)) => Err(error),
        }
    }

    /// How many events the store has up to its last position, where it knows that without reading.
    async fn count(&self) -> Result<Option<(u64, Position)>, StoreError> {
        match self.store.settings().raw {
            Some(raw) => raw.count().await,
            None => Ok(None),
        }
    }

    /// Reads everything, compares it with the last checkpoint, and writes all hashes.
    async fn grow_from_start(&self, last: Option<&Checkpoint>) -> Result<Growth, CheckpointError> {
        let mut known = None;
        if let Some(last) = last {
            known = self.known(last).await?;
            if known.is_none() {
                // Nothing is written over the hashes before what is stored has proved to be what they were of.
                self.audit_root(last).await?;
            }
        }
        let grow = |known| {
            let edge = super::edge::Edge::default();
            Growth::writing(edge, known, self.tiles.files.clone())
        };
        match grow(known)
            .read(&*self.store, Bookmark::START, &*self.tell)
            .await
        {
            Ok(growth) => return Ok(growth),
            Err(Halt::Failed(CheckpointError::Tiles { .. })) => {}
            Err(Halt::Failed(error)) => return Err(error),
            Err(Halt::Differs { index, found }) => {
                let Some(last) = last else {
                    return Err(self
                        .change(&Checkpoint::empty(&*self.origin), Some(index), found)
                        .into());
                };
                if let Some(change) = self.confirmed(last, index, found).await? {
                    return Err(change.into());
                }
            }
        }
        // A hash was damaged: the root alone says whether the history is what it was.
        if let Some(last) = last {
            self.audit_root(last).await?;
        }
        match grow(None)
            .read(&*self.store, Bookmark::START, &*self.tell)
            .await
        {
            Ok(growth) => Ok(growth),
            Err(Halt::Failed(error)) => Err(error),
            Err(Halt::Differs { index, found }) => {
                let origin = Checkpoint::empty(&*self.origin);
                Err(self
                    .change(last.unwrap_or(&origin), Some(index), found)
                    .into())
            }
        }
    }

    /// The leaves of the events that a checkpoint covers, if the hashes have its root.
    async fn known(&self, checkpoint: &Checkpoint) -> Result<Option<Known>, CheckpointError> {
        let (files, checkpoint) = (self.tiles.files.clone(), checkpoint.clone());
        blocking(move || {
            let until = checkpoint.size();
            let Some(reach) = reach(&files)?.filter(|reach| *reach >= until) else {
                return Ok(None);
            };
            let mut reader = TileReader::new(files, reach);
            match reader.root(until) {
                Ok(root) if root == checkpoint.root() => Ok(Some(Known {
                    leaves: Leaves::new(reader),
                    until,
                })),
                Ok(_) | Err(CheckpointError::Tiles { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Reads the events that a checkpoint covers, and compares the root.
    async fn audit_root(&self, checkpoint: &Checkpoint) -> Result<(), CheckpointError> {
        let growth = Growth::reading(None, checkpoint.size());
        let index = match growth
            .read(&*self.store, Bookmark::START, &*self.tell)
            .await
        {
            Ok(growth) if growth.root() == checkpoint.root() => return Ok(()),
            Ok(growth) => (growth.size() < checkpoint.size()).then_some(growth.size()),
            Err(Halt::Differs { index, .. }) => Some(index),
            Err(Halt::Failed(error)) => return Err(error),
        };
        Err(self.change(checkpoint, index, None).into())
    }

    /// How the store differs from a checkpoint at an index, if the leaf there leads to the checkpoint's root; none if the
    /// leaf itself is damaged.
    async fn confirmed(
        &self,
        checkpoint: &Checkpoint,
        index: u64,
        found: Option<Bookmark>,
    ) -> Result<Option<HistoryChange>, CheckpointError> {
        let files = self.tiles.files.clone();
        let (size, root) = (checkpoint.size(), checkpoint.root());
        let mut change = self.change(checkpoint, Some(index), found);
        let confirmed = blocking(move || {
            let Some(reach) = reach(&files)? else {
                return Ok(None);
            };
            let mut reader = TileReader::new(files, reach);
            let tile = reader.read(0, full_tiles(index))?;
            let path = reader.inclusion(index, size)?;
            let leaf = tile.get((index % super::edge::TILE as u64) as usize);
            let leads = |leaf: &TreeHash| super::tree::is_included(leaf, index, &path, size, &root);
            if !leaf.is_some_and(leads) {
                return Ok(None);
            }
            if let Some((_, cid)) = &change.found {
                let leaf = TreeHash::of_event(cid);
                change.formerly = reader
                    .find(&leaf, full_tiles(index))?
                    .filter(|it| *it < size);
            }
            Ok(Some(change))
        });
        match confirmed.await {
            Err(CheckpointError::Tiles { .. }) => Ok(None),
            confirmed => confirmed,
        }
    }

    /// Makes sure that a new checkpoint, whose hashes are written, goes on from an earlier one.
    async fn goes_on(&self, old: &Checkpoint, new: &Checkpoint) -> Result<(), CheckpointError> {
        let (size, reach) = (old.size(), new.size());
        if size > reach {
            return Err(self.change(old, Some(reach), None).into());
        }
        let files = self.tiles.files.clone();
        let root = blocking(move || TileReader::new(files, reach).root(size)).await?;
        match root == old.root() {
            true => Ok(()),
            false => Err(self.change(old, None, None).into()),
        }
    }

    async fn keep_everywhere(&self, signed: &SignedCheckpoint) -> Result<(), CheckpointError> {
        let (files, copies) = (self.tiles.files.clone(), self.copies.clone());
        let text = signed.to_string();
        blocking(move || {
            let is_there = |kept: Option<Vec<u8>>| kept.is_some_and(|it| it == text.as_bytes());
            if !is_there(files.read(LAST)?) {
                files.keep(LAST, text.as_bytes())?;
            }
            for path in &copies {
                if !is_there(files::read(path)?) {
                    files::write(path, text.as_bytes(), true)?;
                }
            }
            Ok::<_, CheckpointError>(())
        })
        .await?;
        if let Some(objects) = &self.objects {
            let text = Self::object_of(signed);
            objects.put_object_as(text, ContentType::DAG_CBOR).await?;
        }
        Ok(())
    }

    /// To how many events the hashes reach, which are enough.
    async fn reach(&self, needed: u64) -> Result<u64, CheckpointError> {
        let files = self.tiles.files.clone();
        blocking(move || {
            let size = reach(&files)?.unwrap_or(0);
            match size >= needed {
                true => Ok(size),
                false => Err(CheckpointError::TooShort {
                    location: files.location(),
                    size,
                    needed,
                }),
            }
        })
        .await
    }

    fn change(
        &self,
        checkpoint: &Checkpoint,
        index: Option<u64>,
        found: Option<Bookmark>,
    ) -> HistoryChange {
        HistoryChange {
            origin: self.origin.to_string(),
            size: checkpoint.size(),
            root: checkpoint.root(),
            index,
            found: found.and_then(|at| Some((at.position, at.cid?))),
            formerly: None,
        }
    }

    fn inconsistent(&self, old: u64, new: u64) -> ProofError {
        ProofError::Inconsistent {
            origin: self.origin.to_string(),
            old,
            new,
        }
    }
}

/// Why a proof that was made of the hashes leads nowhere: the checkpoint is of another history, or a hash is damaged.
fn not_shown(
    files: &Files,
    reader: &mut TileReader,
    reach: u64,
    change: HistoryChange,
) -> Result<CheckpointError, CheckpointError> {
    let last = last(files)?.map(|it| it.unverified().root());
    if last == Some(reader.root(reach)?) && reader.root(change.size)? != change.root {
        return Ok(change.into());
    }
    Ok(CheckpointError::Tiles {
        location: files.location(),
        reason: "they do not lead to the root of the checkpoint".to_owned(),
    })
}

/// To how many events the hashes reach; none before the first checkpoint.
fn reach(files: &Files) -> Result<Option<u64>, CheckpointError> {
    Ok(last(files)?.map(|signed| signed.unverified().size()))
}

fn last(files: &Files) -> Result<Option<SignedCheckpoint>, CheckpointError> {
    let bytes = files.read(LAST)?;
    bytes
        .map(|bytes| parse(bytes, files.location_of(LAST)))
        .transpose()
}

fn parse(bytes: Vec<u8>, location: Location) -> Result<SignedCheckpoint, CheckpointError> {
    let text = String::from_utf8(bytes).map_err(|_| ProofError::Malformed {
        what: "checkpoint",
        line: 1,
        reason: "it is not UTF-8".to_owned(),
    });
    text.and_then(|text| text.parse())
        .map_err(|source| CheckpointError::Kept { location, source })
}

impl std::fmt::Debug for CheckpointLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CheckpointLog")
            .field("origin", &self.origin)
            .field("tiles", &self.tiles)
            .field("copies", &self.copies)
            .finish_non_exhaustive()
    }
}
