//! The port for events.

use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use cid::Cid;
use futures_core::Stream;

use super::forward::forward_event_store;
use super::{
    AggregateKey, AppendedCommit, Bookmark, CommitRequest, EngineSettings, Position, ProvedCommit,
    SealedCommit, Selection, StoreError, Versions,
};
use crate::block::StoredEvent;
use crate::domain::aggregate::IdText;

/// Events as they are read, each verified; the first error ends the stream.
pub type EventStream = Pin<Box<dyn Stream<Item = Result<StoredEvent, StoreError>> + Send>>;

/// Where events are kept: append-only, guarded by the expected version, verified on every read.
///
/// These are the methods that an engine writes; [`EventStoreExt`](super::EventStoreExt) has what is made of them.
///
/// Everything that gives events gives them as they were written: a block that does not hash to the CID beside it, a
/// gap in a history or a broken link is [`StoreError::Damaged`], never a shorter answer. A stream reads as it is asked,
/// and holds a bounded number of bytes in memory.
///
/// ```
/// # use cim_es::prelude::*;
/// # async fn read(store: MemoryEventStore) -> Result<(), cim_es::store::StoreError> {
/// use cim_es::store::{Bookmark, EventStore, Selection, StreamExt};
///
/// let mut events = store.read(Selection::everything(), Bookmark::START);
/// while let Some(event) = events.next().await {
///     let event = event?;
///     println!("{} {} {}", event.position, event.event_type(), event.cid);
/// }
/// # Ok(())
/// # }
/// ```
///
/// # An engine in 80 lines
///
/// What every engine shares is done by the crate: [`seal`](super::seal) makes the blocks,
/// [`plan`](super::plan) compares what comes from outside, [`Selection`] and [`Bookmark`] check and
/// choose. This one keeps everything in a list:
///
/// ```
/// use std::collections::BTreeSet;
/// use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
///
/// use async_trait::async_trait;
/// use cim_es::aggregate::IdText;
/// use cim_es::block::{Cid, StoredEvent};
/// use cim_es::store::*;
/// use futures_util::stream;
/// use tokio::sync::watch;
///
/// #[derive(Clone)]
/// struct ListStore {
///     events: Arc<Mutex<Vec<StoredEvent>>>,
///     grown: watch::Sender<()>,
/// }
///
/// struct List<'a>(MutexGuard<'a, Vec<StoredEvent>>);
///
/// impl Standing for List<'_> {
///     fn location(&self) -> Location {
///         "the list".into()
///     }
///     fn head(&mut self, key: &AggregateKey) -> Result<Option<Head>, StoreError> {
///         Ok(self.0.iter().rfind(|event| key.has(event)).map(StoredEvent::head))
///     }
///     fn event(
///         &mut self, key: &AggregateKey, version: u64, _: &Cid,
///     ) -> Result<Option<StoredEvent>, StoreError> {
///         let is_it = |it: &&StoredEvent| key.has(it) && it.envelope.sequence == version;
///         Ok(self.0.iter().find(is_it).cloned())
///     }
/// }
///
/// impl ListStore {
///     fn list(&self) -> List<'_> {
///         List(self.events.lock().unwrap_or_else(PoisonError::into_inner))
///     }
///     fn keep(&self, list: &mut List<'_>, sealed: Vec<SealedEvent>) -> Vec<StoredEvent> {
///         let before = list.0.len();
///         for (event, at) in sealed.into_iter().zip(before as u64 + 1..) {
///             list.0.push(event.into_stored(Position(at)));
///         }
///         self.grown.send_replace(());
///         list.0[before..].to_vec()
///     }
///     fn select(
///         &self, selection: &Selection, after: Bookmark,
///     ) -> Result<Vec<StoredEvent>, StoreError> {
///         selection.check()?;
///         let list = self.list().0;
///         let place = usize::try_from(after.position.0).unwrap_or(usize::MAX);
///         let found = place.checked_sub(1).and_then(|place| list.get(place));
///         let end = Position(list.len() as u64);
///         after.check(&"the list".into(), end, found.map(|event| event.cid))?;
///         let is_wanted = |event: &&StoredEvent| selection.includes(event);
///         Ok(list[place..].iter().filter(is_wanted).cloned().collect())
///     }
/// }
///
/// fn streamed(events: Result<Vec<StoredEvent>, StoreError>) -> EventStream {
///     match events {
///         Ok(events) => Box::pin(stream::iter(events.into_iter().map(Ok))),
///         Err(error) => Box::pin(stream::iter([Err(error)])),
///     }
/// }
///
/// #[async_trait]
/// impl EventStore for ListStore {
///     async fn append(&self, commit: CommitRequest) -> Result<Vec<StoredEvent>, StoreError> {
///         let mut list = self.list();
///         let of_message = |key: &AggregateKey, id| {
///             let is_of_it = |it: &&StoredEvent| key.has(it) && it.envelope.causation_id == id;
///             Ok(list.0.iter().filter(is_of_it).cloned().collect())
///         };
///         if let Some(earlier) = repeated(&commit, of_message)? {
///             return Ok(earlier);
///         }
///         let mut heads = Vec::new();
///         for part in &commit.aggregates {
///             let head = list.head(&part.aggregate)?;
///             part.check(head.as_ref())?;
///             heads.push(head);
///         }
///         let sealed = seal(commit, &heads, &SealOptions::default())?;
///         Ok(self.keep(&mut list, sealed))
///     }
///     async fn append_sealed(
///         &self, commits: Vec<SealedCommit>,
///     ) -> Result<Vec<AppendedCommit>, StoreError> {
///         let prove = |commit: SealedCommit| commit.prove(&SealOptions::default());
///         let proved: Vec<_> = commits.into_iter().map(prove).collect::<Result<_, _>>()?;
///         let mut list = self.list();
///         let plans = plan(&proved, &mut list)?;
///         let mut appended: Vec<AppendedCommit> = Vec::new();
///         for (commit, plan) in proved.into_iter().zip(plans) {
///             let was_there = plan != Plan::Store;
///             let events = match plan {
///                 Plan::There(events) => events,
///                 Plan::Repeats(earlier) => appended[earlier].events.clone(),
///                 Plan::Store => self.keep(&mut list, commit.into_events()),
///             };
///             appended.push(AppendedCommit { events, was_there });
///         }
///         Ok(appended)
///     }
///     fn history(&self, key: &AggregateKey, versions: Versions) -> EventStream {
///         let is_wanted =
///             |it: &&StoredEvent| key.has(it) && versions.includes(it.envelope.sequence);
///         streamed(Ok(self.list().0.iter().filter(is_wanted).cloned().collect()))
///     }
///     async fn last(&self, key: &AggregateKey) -> Result<Option<StoredEvent>, StoreError> {
///         Ok(self.list().0.iter().rfind(|event| key.has(event)).cloned())
///     }
///     async fn kinds(&self, id: &IdText) -> Result<Vec<String>, StoreError> {
///         let list = self.list().0;
///         let of_id = list.iter().filter(|it| it.envelope.aggregate_id == id.as_str());
///         let kinds: BTreeSet<_> = of_id.map(|it| it.envelope.aggregate.clone()).collect();
///         Ok(kinds.into_iter().collect())
///     }
///     async fn find(&self, cid: &Cid) -> Result<Option<StoredEvent>, StoreError> {
///         Ok(self.list().0.iter().find(|event| event.cid == *cid).cloned())
///     }
///     async fn last_position(&self) -> Result<Position, StoreError> {
///         Ok(Position(self.list().0.len() as u64))
///     }
///     fn read(&self, selection: Selection, after: Bookmark) -> EventStream {
///         streamed(self.select(&selection, after))
///     }
///     fn follow(&self, selection: Selection, after: Bookmark) -> EventStream {
///         let start = Some((self.clone(), self.grown.subscribe(), selection, after));
///         Box::pin(stream::unfold(start, |state| async move {
///             let (store, mut grown, selection, after) = state?;
///             loop {
///                 grown.borrow_and_update();
///                 match store.select(&selection, after) {
///                     Ok(page) if page.is_empty() => grown.changed().await.ok()?,
///                     Ok(page) => {
///                         let after = page[page.len() - 1].bookmark();
///                         let next = Some((store, grown, selection, after));
///                         return Some((streamed(Ok(page)), next));
///                     }
///                     Err(error) => return Some((streamed(Err(error)), None)),
///                 }
///             }
///         }).flatten())
///     }
///     fn settings(&self) -> EngineSettings {
///         EngineSettings::default().with_cid_index()
///     }
/// }
///
/// # use cim_es::{MemoryEventStore, message::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let store = ListStore { events: Arc::default(), grown: watch::channel(()).0 };
/// # let key = AggregateKey::new("home.lamp", IdText::new("hall")?);
/// # let event = || NewEvent::from_payload("home.lamp.switched", 1, vec![0xa0]);
/// # let identity = || MessageIdentity::new_from_user("me");
/// # let first = CommitRequest::new(identity(), SystemClock.now())
/// #     .aggregate(key.clone(), ExpectedVersion::NoStream, vec![event(), event()]);
/// # let stored = store.append(first.clone()).await?;
/// # assert_eq!(store.append(first).await?, stored);
/// # let second = CommitRequest::new(identity(), SystemClock.now())
/// #     .aggregate(key.clone(), ExpectedVersion::NoStream, vec![event()]);
/// # assert!(store.append(second).await.unwrap_err().is_conflict());
/// # let copy = MemoryEventStore::new();
/// # let all: Vec<_> = store.read_all(Position::START).try_collect().await?;
/// # copy.append_sealed(SealedCommit::split(&all)?).await?;
/// # let more = CommitRequest::new(identity(), SystemClock.now())
/// #     .aggregate(key.clone(), ExpectedVersion::Exactly(2), vec![event()]);
/// # copy.append(more).await?;
/// # let all: Vec<_> = copy.read_all(Position::START).try_collect().await?;
/// # let appended = store.append_sealed(SealedCommit::split(&all)?).await?;
/// # assert_eq!((appended[0].was_there, appended[1].was_there), (true, false));
/// # assert_eq!(store.get_events(&key, 2).await?.len(), 2);
/// # let mut following = store.follow(Selection::subjects("home.>"), all[1].bookmark());
/// # assert_eq!(following.next().await.ok_or("it ended")??.cid, all[2].cid);
/// # Ok(())
/// # }
/// ```
///
/// A store proves itself by the contract suite, `cim_es::contract_tests!` (feature `testing`).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event store",
    label = "this type keeps no events",
    note = "give a `SqliteEventStore`, a `MemoryEventStore` or another store; what opens one gives a `Result`, to be taken apart with `?`"
)]
#[async_trait]
pub trait EventStore: Send + Sync + 'static {
    /// Stores a commit over one or several aggregates: all of it or nothing. Gives the sealed events in order.
    ///
    /// A commit takes effect once, by the id of its message. One that comes again, with the same events for the same
    /// aggregates, gives the earlier one as it is stored, whatever it expects and however much was stored since; nothing
    /// is stored then. On aggregates that the message wrote nothing to, it is a new commit. An engine asks
    /// [`repeated`](super::repeated). Ids that sort by time ([UUID v7](crate::message::MessageIdentity::new_from_user)) are
    /// found to be new without a look at the history; other ids on a long history are looked for in it each time.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when an aggregate does not have the expected version;
    /// [`StoreError::MessageIdReused`] when the message led to another commit on one of the aggregates before;
    /// [`StoreError::Payload`] and [`StoreError::InvalidCommit`] when the commit is refused; what else keeps the engine
    /// from storing it. Only [`StoreError::OutcomeUnknown`] leaves open whether it was stored.
    async fn append(&self, commit: CommitRequest) -> Result<Vec<StoredEvent>, StoreError>;

    /// Stores commits that were sealed elsewhere as they are, byte by byte: what imports and replicas do. Gives for each
    /// its events at their places, and whether it stood there already.
    ///
    /// The whole list is proved and compared with what is here before anything of it is stored; its commits may follow
    /// each other. A commit that stands at its place already is passed over, so a list may be sent again. Each commit
    /// is stored whole or not at all, over all its aggregates. An engine that stores them one by one may find that it cannot
    /// store one of them: then what follows on the same aggregates is not stored either, others may be.
    ///
    /// # Errors
    /// [`StoreError::Unproved`] and [`StoreError::InvalidCommit`] for what is not a whole commit as it was sealed;
    /// [`StoreError::Diverged`] where another event stands; [`StoreError::MissingPredecessor`] where what it follows is
    /// missing; what keeps the engine from storing it. All of these leave nothing of the list stored.
    /// [`StoreError::PartlyStored`] where a part of it is, with what became of each commit.
    async fn append_sealed(
        &self,
        commits: Vec<SealedCommit>,
    ) -> Result<Vec<AppendedCommit>, StoreError>;

    /// Stores commits that were proved, as [`append_sealed`](Self::append_sealed) does, without proving them by themselves
    /// once more: imports and replicas that have just proved what they bring call this. What depends on the store is checked
    /// here too: whether a commit [fits](ProvedCommit::fits), and what it follows.
    ///
    /// Where an engine has no way of its own, and where a store stands before another, it is `append_sealed`, with the proof
    /// that this asks for.
    ///
    /// # Errors
    /// As [`append_sealed`](Self::append_sealed).
    async fn append_proved(
        &self,
        commits: Vec<ProvedCommit>,
    ) -> Result<Vec<AppendedCommit>, StoreError> {
        self.append_sealed(commits.iter().map(SealedCommit::from).collect())
            .await
    }

    /// The events of an aggregate at some versions, in order, up to the last that it had when the stream was first
    /// asked; none when it has no such version.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] and the engine's failures.
    fn history(&self, aggregate: &AggregateKey, versions: Versions) -> EventStream;

    /// The last event of an aggregate; none when it has no event.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] and the engine's failures.
    async fn last(&self, aggregate: &AggregateKey) -> Result<Option<StoredEvent>, StoreError>;

    /// The kinds of the aggregates that have events under an id, each once, in any order: by it, an aggregate whose kind
    /// was renamed is told from one that is new.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] and the engine's failures.
    async fn kinds(&self, id: &IdText) -> Result<Vec<String>, StoreError>;

    /// The event with a CID; none when the store does not have it.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] and the engine's failures.
    async fn find(&self, cid: &Cid) -> Result<Option<StoredEvent>, StoreError>;

    /// The position of the last event of all, [`START`](Position::START) where there is none: how far a reader has to
    /// come to have seen what is there. An engine that keeps other messages among its events may name one behind it.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] and the engine's failures.
    async fn last_position(&self) -> Result<Position, StoreError>;

    /// The events of a selection behind a bookmark, in the store's order, up to the last one that the store had when
    /// the stream was made or first asked for an event; then the stream ends, even while others keep writing.
    ///
    /// # Errors
    /// In the stream: [`StoreError::NothingSelected`] for a selection that can match nothing,
    /// [`StoreError::AnotherHistory`] for a bookmark that is not of this store's history, [`StoreError::Damaged`] and
    /// the engine's failures.
    fn read(&self, selection: Selection, after: Bookmark) -> EventStream;

    /// The events of a selection behind a bookmark, then those that are yet to come; the stream does not end by itself.
    ///
    /// # Errors
    /// In the stream, as for [`read`](Self::read).
    fn follow(&self, selection: Selection, after: Bookmark) -> EventStream;

    /// What the engine says of itself.
    fn settings(&self) -> EngineSettings;
}

forward_event_store!([S: EventStore + ?Sized] Arc<S>, |this| (**this));
forward_event_store!([S: EventStore + ?Sized] Box<S>, |this| (**this));
