//! The protocol between a file and a stream, step by step: no timer, no task, no order of its own. Who runs it makes the
//! steps, as often and in whatever order the network allows.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, RwLock, broadcast};
use uuid::Uuid;

use super::connector::{LocalStore, RemoteStore};
use super::divergence::Divergence;
use super::notice::{Notice, Noticed};
use super::options::HybridOptions;
use super::parked::ParkedCommit;
use super::state::{Cause, Kept, Writing};
use super::up::Up;
use super::{DownStep, UpStep};
use crate::block::{Cid, StoredEvent};
use crate::domain::message::Timestamp;
use crate::store::{
    Bookmark, CommitRequest, EventStore, Position, Selection, StateClaim, StoreError, StreamExt,
};

/// How many notices a listener may lag behind.
const NOTICES: usize = 256;

/// The protocol between a file and a stream. [`HybridEventStore`](super::HybridEventStore) runs it; who makes its steps
/// alone decides when, and in what order, something is sent and read.
///
/// Each step may be made again after it failed, and one that was given up may have been made: nothing is sent twice, since
/// the stream and the file know a commit by its CIDs. What is [saved](Self::save) spares work; what was not is found out
/// again.
///
/// ```
/// use std::sync::Arc;
///
/// use cim_es::MemoryEventStore;
/// use cim_es::hybrid::{HybridOptions, Protocol, RemoteStore, UpStep};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let stream: Arc<dyn RemoteStore> = Arc::new(MemoryEventStore::new());
/// let protocol = Protocol::open(Arc::new(MemoryEventStore::new()), HybridOptions::new()).await?;
/// protocol.greet(&stream).await?;
/// assert!(matches!(protocol.up(&stream).await?, UpStep::Level));
/// protocol.save().await?;
/// # Ok(())
/// # }
/// ```
pub struct Protocol {
    pub(super) local: Arc<dyn LocalStore>,
    pub(super) options: HybridOptions,
    kept: Mutex<Kept>,
    /// Held by who keeps the file level.
    claim: Mutex<Option<StateClaim>>,
    /// Held to read by commands, and to write by who replaces a branch.
    gate: RwLock<()>,
    pub(super) going_up: tokio::sync::Mutex<Up>,
    pub(super) going_down: tokio::sync::Mutex<()>,
    /// Why the file takes nothing of the stream, while it is full.
    full: Mutex<Option<StoreError>>,
    /// Held by who writes what is known, so that nothing older comes behind it.
    saving: tokio::sync::Mutex<()>,
    notices: broadcast::Sender<Notice>,
    /// Somebody is to look at the queue.
    pub(super) grown: Notify,
    /// Somebody is to read the stream from another place.
    pub(super) moved: Notify,
}

impl Protocol {
    /// Goes on with what the file knows of the stream.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where that is not what was written, and the engine's failures.
    pub async fn open(
        local: Arc<dyn LocalStore>,
        options: HybridOptions,
    ) -> Result<Self, StoreError> {
        options.selection.check()?;
        let kept = load(&*local).await?;
        let protocol = Self {
            local,
            options,
            kept: Mutex::new(kept),
            claim: Mutex::default(),
            gate: RwLock::new(()),
            going_up: tokio::sync::Mutex::default(),
            going_down: tokio::sync::Mutex::default(),
            full: Mutex::default(),
            saving: tokio::sync::Mutex::default(),
            notices: broadcast::channel(NOTICES).0,
            grown: Notify::new(),
            moved: Notify::new(),
        };
        Ok(protocol)
    }

    /// Claims the file, so that nobody else keeps it level, until the protocol is dropped; where that is so already,
    /// nothing happens. What others did meanwhile is read.
    ///
    /// Two that keep one file level would each write over what the other has found out.
    ///
    /// # Errors
    /// [`StoreError::KeptLevel`] while somebody else does, and the failures of the file.
    pub async fn claim(&self) -> Result<(), StoreError> {
        if self.has_claim() {
            return Ok(());
        }
        let claim = self.local.claim_state().await?;
        self.read_again().await?;
        *self.claimed() = Some(claim);
        Ok(())
    }

    /// Whether nobody else keeps the file level.
    pub(super) fn has_claim(&self) -> bool {
        self.claimed().is_some()
    }

    /// Lets others keep the file level.
    pub(super) fn release(&self) {
        *self.claimed() = None;
    }

    fn claimed(&self) -> MutexGuard<'_, Option<StateClaim>> {
        self.claim.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads again what is known of the stream: another may have changed it.
    pub(super) async fn read_again(&self) -> Result<(), StoreError> {
        let mut again = load(&*self.local).await?;
        let mut kept = self.kept();
        (again.sent, again.resets) = (kept.sent, kept.resets + 1);
        *kept = again;
        Ok(())
    }

    /// The store that the program works on.
    pub fn local(&self) -> &Arc<dyn LocalStore> {
        &self.local
    }

    /// The name of this node, by which the stream knows how far it is.
    pub fn node(&self) -> Uuid {
        self.kept().node
    }

    /// The id under which the node marks in the stream how far it is.
    pub(super) fn mark_name(&self) -> String {
        format!("hybrid-{}", self.node())
    }

    pub(super) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the file takes nothing of the stream, while it is full.
    pub(super) fn full(&self) -> Option<StoreError> {
        self.full
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Notes whether the file is full.
    pub(super) fn file_is(&self, full: Option<StoreError>) {
        *self.full.lock().unwrap_or_else(PoisonError::into_inner) = full;
    }

    pub(super) fn now(&self) -> Timestamp {
        self.options.clock.now()
    }

    /// Stores a commit in the file, as [`EventStore::append`] does. It is queued with that.
    ///
    /// # Errors
    /// [`StoreError::Unresolved`] on an aggregate that takes no command until a divergence is resolved; else as
    /// [`EventStore::append`].
    pub async fn append(&self, commit: CommitRequest) -> Result<Vec<StoredEvent>, StoreError> {
        let _no_branch_is_replaced = self.gate.read().await;
        self.check(&commit)?;
        let stored = self.local.append(commit).await?;
        self.grown.notify_one();
        Ok(stored)
    }

    /// Keeps commands out as long as it is held: whoever replaces what the file has of an aggregate.
    pub async fn hold_commands(&self) -> tokio::sync::RwLockWriteGuard<'_, ()> {
        self.gate.write().await
    }

    fn check(&self, commit: &CommitRequest) -> Result<(), StoreError> {
        let kept = self.kept();
        if !kept.has_blocks() {
            return Ok(());
        }
        let changed = commit.aggregates.iter().filter(|part| !part.is_unchanged);
        for part in changed {
            let block = kept.block(&part.aggregate);
            let Some(block) = block.filter(|block| block.cause.blocks_down()) else {
                continue;
            };
            let with = match &block.cause {
                Cause::Diverged(root) if *root != part.aggregate => Some(Box::new(root.clone())),
                _ => None,
            };
            return Err(StoreError::Unresolved {
                aggregate: Box::new(part.aggregate.clone()),
                with,
            });
        }
        Ok(())
    }

    /// How many events of the file the stream has not acknowledged, as far as this node knows.
    ///
    /// # Errors
    /// The engine's failures.
    pub async fn queue_size(&self) -> Result<u64, StoreError> {
        let last = self.local.last_position().await?;
        Ok(self.kept().settled.missing(last))
    }

    /// How many events the stream has acknowledged to this program.
    pub(super) fn sent(&self) -> u64 {
        self.kept().sent
    }

    /// How many aggregates wait behind a commit that was parked or a divergence.
    pub fn waiting(&self) -> usize {
        self.kept().waiting()
    }

    /// The last event of the file that the stream acknowledged.
    pub(super) fn flushed(&self) -> Bookmark {
        self.kept().flushed
    }

    /// Up to which position the stream has all that the file has.
    pub fn acknowledged(&self) -> Position {
        self.kept().settled.up_to()
    }

    /// Up to where the stream was read.
    pub fn read_up_to(&self) -> Bookmark {
        self.kept().down
    }

    /// The commits that were set aside.
    pub fn parked(&self) -> Vec<ParkedCommit> {
        self.kept().parked().cloned().collect()
    }

    /// All divergences as they were recorded, in the order in which they were noticed; those that were resolved among them.
    pub fn recorded_divergences(&self) -> Vec<Divergence> {
        self.kept().divergences().cloned().collect()
    }

    /// What a person should know, in its order.
    pub fn notices(&self) -> Vec<Notice> {
        self.kept().notices().cloned().collect()
    }

    /// What a person should know, from now on.
    pub fn follow_notices(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    /// Records what a person should know, and says it.
    pub(super) fn note(&self, what: Noticed) {
        let notice = Notice {
            at: self.now(),
            what,
        };
        tracing::warn!(node = %self.node(), "{}", notice.what);
        self.kept().note(notice.clone());
        // Nobody may be listening.
        let _ = self.notices.send(notice);
    }

    /// Writes what is known of the stream into the file.
    ///
    /// # Errors
    /// What keeps the file from taking it.
    pub async fn save(&self) -> Result<(), StoreError> {
        let _alone = self.saving.lock().await;
        if !self.kept().is_dirty() {
            return Ok(());
        }
        self.notice_epoch().await?;
        let (writing, changes) = self.kept().changes();
        let mut unwritten = Unwritten {
            protocol: self,
            writing: Some(writing),
        };
        self.local.change_state(changes).await?;
        unwritten.writing = None;
        Ok(())
    }

    /// Reads again what is known of the stream, where another program has replaced a branch of the file: positions are others
    /// since.
    pub(super) async fn notice_epoch(&self) -> Result<(), StoreError> {
        let present = epoch(&*self.local).await?;
        let known = self.kept().epoch;
        match known == present {
            true => Ok(()),
            false => self.read_again().await,
        }
    }

    /// Compares, where a way to the stream was made, what the stream knows of this node with what the file is.
    ///
    /// A file that is an older copy than the one that brought events to the stream is noticed by it, and a stream that
    /// knows nothing of what this node brought.
    ///
    /// # Errors
    /// The failures of either side.
    pub async fn greet(&self, remote: &Arc<dyn RemoteStore>) -> Result<(), StoreError> {
        let mark = remote.get_checkpoint(&self.mark_name()).await?;
        let (flushed, marked) = {
            let kept = self.kept();
            (kept.flushed, kept.marked)
        };
        match mark {
            None if marked.position > Position::START => {
                let reason = "it knows nothing of this node".to_owned();
                self.start_anew(reason).await?;
            }
            None => {}
            Some(mark) => {
                let last = self.local.last_position().await?;
                let found = event_at(&*self.local, mark.position).await?;
                let found = found.map(|event| event.cid);
                if mark.check(&"the file".into(), last, found).is_err()
                    && !self.has_moved(mark.cid).await?
                {
                    self.note(Noticed::FileRestored {
                        flushed: mark.position,
                        cid: mark.cid,
                        last,
                    });
                    self.save().await?;
                    // From now on the stream knows this copy.
                    let name = self.mark_name();
                    remote.save_checkpoint(&name, flushed).await?;
                    self.kept().marked(flushed);
                }
            }
        }
        Ok(())
    }

    /// Whether the file has an event elsewhere than it was: a branch was replaced since.
    async fn has_moved(&self, cid: Option<Cid>) -> Result<bool, StoreError> {
        let Some(cid) = cid else { return Ok(false) };
        Ok(self.local.find(&cid).await?.is_some())
    }

    /// Marks in the stream how far this node is: what the file was saved with.
    ///
    /// # Errors
    /// The stream's failures.
    pub async fn mark(&self, remote: &Arc<dyn RemoteStore>) -> Result<(), StoreError> {
        let flushed = self.kept().flushed;
        if flushed.position > Position::START {
            let name = self.mark_name();
            remote.save_checkpoint(&name, flushed).await?;
            self.kept().marked(flushed);
        }
        Ok(())
    }

    /// Compares everything with the stream from the start: it is another one than was known.
    pub(super) async fn start_anew(&self, reason: String) -> Result<(), StoreError> {
        self.kept().forget_stream();
        self.note(Noticed::AnotherStream { reason });
        self.grown.notify_one();
        self.moved.notify_one();
        self.save().await
    }

    /// Makes steps in both ways until neither has anything left to do: for programs and tests without a task.
    ///
    /// # Errors
    /// The failures of either side; what was done until then is done.
    pub async fn level(&self, remote: &Arc<dyn RemoteStore>) -> Result<(), StoreError> {
        loop {
            let down = self.follow(remote, self.reading(remote, false)).await?;
            let up = self.up(remote).await?;
            if matches!((down, up), (DownStep::Level, UpStep::Level)) {
                return self.save().await;
            }
        }
    }
}

/// What is being written, and is to be written again where that failed or was given up.
struct Unwritten<'a> {
    protocol: &'a Protocol,
    writing: Option<Writing>,
}

impl Drop for Unwritten<'_> {
    fn drop(&mut self) {
        if let Some(writing) = self.writing.take() {
            self.protocol.kept().unsaved(writing);
        }
    }
}

/// How many times a branch of the file was replaced.
async fn epoch(local: &dyn LocalStore) -> Result<usize, StoreError> {
    match local.settings().branches {
        Some(branches) => Ok(branches.epochs().await?.len()),
        None => Ok(0),
    }
}

/// What a file knows of the stream, and in which epoch it is.
async fn load(local: &dyn LocalStore) -> Result<Kept, StoreError> {
    let epoch = epoch(local).await?;
    let mut kept = Kept::load(local).await?;
    kept.epoch = epoch;
    Ok(kept)
}

/// The event of a store at a position.
pub(super) async fn event_at(
    store: &dyn LocalStore,
    position: Position,
) -> Result<Option<StoredEvent>, StoreError> {
    let Some(before) = position.0.checked_sub(1) else {
        return Ok(None);
    };
    if store.last_position().await? < position {
        return Ok(None);
    }
    let mut events = store.read(Selection::everything(), Position(before).into());
    let found = events.next().await.transpose()?;
    Ok(found.filter(|event| event.position == position))
}
