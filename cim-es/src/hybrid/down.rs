//! The way down: from the stream into the file.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::future::try_join;

use super::connector::RemoteStore;
use super::parked::{Way, aggregates};
use super::protocol::Protocol;
use super::state::Cause;
use crate::block::{EventBlock, Fault, StoredEvent, Truncation};
use crate::domain::ErrorChain;
use crate::projection::commits::{Batch, Commits};
use crate::store::{
    AggregateKey, EventStore, Position, ProvedCommit, SealedCommit, Selection, StoreError,
    StreamExt, Versions,
};

/// What a step down came to.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum DownStep {
    /// Everything that is wanted of the stream is in the file, as far as the stream was read.
    Level,
    /// Some commits were read.
    Read {
        /// How many events the file has now that it did not have.
        stored: u64,
        /// The aggregates that were found to have gone on differently here.
        diverged: Vec<AggregateKey>,
        /// How many commits were set aside, because the file refuses them for good.
        parked: usize,
    },
    /// The stream has another history than was known: everything is compared with it from the start.
    StartedAnew,
}

/// Commits of the stream that are to be stored, each with its events in order.
pub(super) type Pending = VecDeque<Vec<StoredEvent>>;

/// A commit of the stream.
enum Arrived {
    /// Proved once, however often it is brought to the file; with the places of its events in the stream.
    Proved(ProvedCommit, Vec<Position>),
    /// As it was read, and why it is not proved.
    Unproved(Vec<StoredEvent>, StoreError),
}

impl Arrived {
    fn of(events: Vec<StoredEvent>) -> Self {
        let places = events.iter().map(|event| event.position).collect();
        match ProvedCommit::of_read(events) {
            Ok(proved) => Self::Proved(proved, places),
            Err((error, events)) => Self::Unproved(events, error),
        }
    }

    /// Where it stands in the stream.
    fn place(&self) -> Option<Position> {
        match self {
            Self::Proved(_, places) => places.first().copied(),
            Self::Unproved(events, _) => place(events),
        }
    }

    /// Its events, for the few of which more is asked than to store them.
    fn events(&self) -> Cow<'_, [StoredEvent]> {
        match self {
            Self::Proved(proved, places) => {
                let events = proved.events().iter().cloned().zip(places);
                events.map(|(event, at)| event.into_stored(*at)).collect()
            }
            Self::Unproved(events, _) => events.into(),
        }
    }
}

impl Protocol {
    /// Reads the next commits of the stream, and stores what the file does not have.
    ///
    /// # Errors
    /// The failures of either side, which may pass: the same commits come again with the next step.
    pub async fn down(&self, remote: &Arc<dyn RemoteStore>) -> Result<DownStep, StoreError> {
        let mut reading = self.reading(remote, false);
        match reading.next().await {
            Ok(None) => Ok(DownStep::Level),
            Ok(Some(read)) => self.take(remote, read).await,
            Err(error) => self.reading_failed(error).await,
        }
    }

    /// Stores what a reading gives, and reads on while the file stores what came before. Ends with the reading, or where the
    /// stream is to be read from another place; gives the last step.
    ///
    /// # Errors
    /// As [`down`](Self::down).
    pub(super) async fn follow(
        &self,
        remote: &Arc<dyn RemoteStore>,
        mut reading: Reading,
    ) -> Result<DownStep, StoreError> {
        let mut last = DownStep::Level;
        let mut next = reading.next().await;
        loop {
            let read = match next {
                Ok(Some(read)) => read,
                Ok(None) => return Ok(last),
                Err(error) => return self.reading_failed(error).await,
            };
            // What the file says against these is not kept back until more has come.
            let reads_on = async { Ok(reading.next().await) };
            (last, next) = try_join(self.take(remote, read), reads_on).await?;
            if self.kept().resets != reading.resets {
                return Ok(last);
            }
        }
    }

    /// Reads the stream from where it was read up to: what is there, or also what is yet to come.
    pub(super) fn reading(&self, remote: &Arc<dyn RemoteStore>, is_following: bool) -> Reading {
        let (after, resets) = {
            let mut kept = self.kept();
            if let Some(after) = kept.echoes.behind(kept.down.position) {
                kept.read_up_to(after);
            }
            (kept.down, kept.resets)
        };
        let store: Arc<dyn EventStore> = Arc::clone(remote) as _;
        let selection = &self.options.selection;
        Reading {
            commits: Commits::new(&store, selection, after, is_following, Arc::default()),
            resets,
        }
    }

    /// Another history is one to begin anew with; what else fails may pass.
    pub(super) async fn reading_failed(&self, error: StoreError) -> Result<DownStep, StoreError> {
        match error {
            StoreError::AnotherHistory(_) => {
                let reason = ErrorChain(&error).to_string();
                self.start_anew(reason).await?;
                Ok(DownStep::StartedAnew)
            }
            error => Err(error),
        }
    }

    /// Stores commits of the stream in the file, all that can be.
    async fn take(
        &self,
        remote: &Arc<dyn RemoteStore>,
        read: Read,
    ) -> Result<DownStep, StoreError> {
        let _alone = self.going_down.lock().await;
        self.notice_epoch().await?;
        let mut taken = Taken::default();
        let mut pending = VecDeque::new();
        let last = read.batch.up_to();
        for events in read.batch.into_commits() {
            if !self.has_sent(&events) {
                pending.push_back(Arrived::of(whole(&**remote, events).await?));
            }
        }
        self.store(remote, pending, &mut taken).await?;
        self.file_is(None);
        let mut kept = self.kept();
        if kept.resets == read.resets {
            kept.read_up_to(last);
        }
        Ok(DownStep::Read {
            stored: taken.stored,
            diverged: taken.diverged,
            parked: taken.parked,
        })
    }

    /// Whether events of the stream are those that this node has sent.
    fn has_sent(&self, events: &[StoredEvent]) -> bool {
        let kept = self.kept();
        events.iter().all(|it| kept.echoes.has(it.position))
    }

    async fn store(
        &self,
        remote: &Arc<dyn RemoteStore>,
        mut pending: VecDeque<Arrived>,
        taken: &mut Taken,
    ) -> Result<(), StoreError> {
        // All at once; where the file refuses one of them, one after the other.
        let mut is_single = false;
        while !pending.is_empty() {
            self.pass_over(&mut pending).await?;
            let most = if is_single { 1 } else { pending.len() };
            let proved = pending.iter().take(most).map_while(|it| match it {
                Arrived::Proved(proved, _) => Some(proved.clone()),
                Arrived::Unproved(..) => None,
            });
            let list: Vec<_> = proved.collect();
            let count = list.len();
            let outcome = match pending.front() {
                None => break,
                Some(Arrived::Unproved(_, error)) => Err(error.clone()),
                Some(Arrived::Proved(..)) => self.local.append_proved(list).await,
            };
            match outcome {
                Ok(appended) => {
                    let mut kept = self.kept();
                    for commit in &appended {
                        // What the file had already has come from here, or is known to be there now.
                        kept.settle(&commit.events);
                        if !commit.was_there {
                            taken.stored += commit.events.len() as u64;
                        }
                    }
                    pending.drain(..count);
                }
                Err(StoreError::Diverged { aggregate, .. }) => {
                    let skipped = self.kept().down;
                    self.diverge(remote, &aggregate, Some(skipped)).await?;
                    taken.diverged.push(*aggregate);
                }
                Err(
                    ref error @ StoreError::MissingPredecessor {
                        ref aggregate,
                        version,
                        needed,
                    },
                ) => {
                    let missing = missing(&**remote, aggregate, version, needed).await?;
                    let before = pending.len();
                    let missing = missing.into_iter().map(Arrived::of);
                    merge(&mut pending, missing, Arrived::place);
                    if pending.len() > before {
                        continue;
                    }
                    // The stream does not have it, or no more.
                    let at = pending.iter().position(|commit| {
                        let events = commit.events();
                        let mut events = events.iter();
                        events.any(|it| aggregate.has(it) && it.envelope.sequence > needed)
                    });
                    let commit = at.and_then(|at| pending.remove(at));
                    let Some(commit) = commit else {
                        return Err(error.clone());
                    };
                    self.park(Way::Down, &commit.events(), error, 1).await?;
                    taken.parked += 1;
                }
                Err(error) if Way::Down.is_refused_by(&error) => {
                    if count > 1 {
                        is_single = true;
                        continue;
                    }
                    if let Some(commit) = pending.pop_front() {
                        self.park(Way::Down, &commit.events(), &error, 1).await?;
                        taken.parked += 1;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes out the commits of which an aggregate waits; then all of theirs do. What the file has already concerns nobody.
    async fn pass_over(&self, pending: &mut VecDeque<Arrived>) -> Result<(), StoreError> {
        if !self.kept().has_blocks() {
            return Ok(());
        }
        let mut at = 0;
        while let Some(commit) = pending.get(at) {
            let events = commit.events().into_owned();
            let Some(cause) = self.waits_for(&events) else {
                at += 1;
                continue;
            };
            let here = self.in_the_file(&events).await?;
            {
                let mut kept = self.kept();
                match here {
                    Some(here) => kept.settle(&here),
                    None => {
                        let skipped = Some(kept.down);
                        for key in aggregates(&events) {
                            kept.wait_behind(&key, &cause, skipped, None);
                        }
                    }
                }
            }
            pending.remove(at);
        }
        Ok(())
    }

    /// What an aggregate of a commit of the stream waits for.
    fn waits_for(&self, commit: &[StoredEvent]) -> Option<Cause> {
        let kept = self.kept();
        aggregates(commit).iter().find_map(|key| {
            let block = kept.block(key)?;
            block.cause.blocks_down().then(|| block.cause.clone())
        })
    }

    /// A commit of the stream as the file has it; none where the file does not.
    async fn in_the_file(
        &self,
        commit: &[StoredEvent],
    ) -> Result<Option<Vec<StoredEvent>>, StoreError> {
        let mut here = Vec::with_capacity(commit.len());
        for event in commit {
            match self.local.find(&event.cid).await? {
                Some(event) => here.push(event),
                None => return Ok(None),
            }
        }
        Ok(Some(here))
    }
}

/// The stream as it is being read.
pub(super) struct Reading {
    commits: Commits,
    resets: u64,
}

/// Commits of the stream, and how many times the place in it was set back before.
pub(super) struct Read {
    batch: Batch,
    resets: u64,
}

impl Reading {
    /// The next commits; none at the end of a stream that is not followed. Whoever stops waiting loses nothing.
    pub(super) async fn next(&mut self) -> Result<Option<Read>, StoreError> {
        let batch = self.commits.next().await?;
        Ok(batch.map(|batch| Read {
            batch,
            resets: self.resets,
        }))
    }
}

/// What came of some commits.
#[derive(Default)]
struct Taken {
    stored: u64,
    diverged: Vec<AggregateKey>,
    parked: usize,
}

pub(super) fn sealed(events: &[StoredEvent]) -> SealedCommit {
    SealedCommit {
        events: events.iter().map(EventBlock::from).collect(),
    }
}

/// The whole of a commit of which a selection gave some events: those of one commit stand side by side.
pub(super) async fn whole(
    remote: &dyn EventStore,
    events: Vec<StoredEvent>,
) -> Result<Vec<StoredEvent>, StoreError> {
    let Some(one) = events.first() else {
        return Ok(events);
    };
    let part = one.envelope.commit;
    let count = part.whole_of as usize;
    if events.len() == count {
        return Ok(events);
    }
    let before = Position(one.position.0.saturating_sub(u64::from(part.whole_index)));
    let around = remote.read(Selection::everything(), before.into());
    let mut around = around.take(count);
    let mut found: Vec<StoredEvent> = Vec::with_capacity(count);
    while let Some(event) = around.next().await.transpose()? {
        if event.envelope.causation_id == one.envelope.causation_id {
            found.push(event);
        }
    }
    if found.len() == count {
        return Ok(found);
    }
    let missing = Truncation::Commit {
        index: part.whole_index,
        count: part.whole_of,
    };
    Err(Fault::Truncated { missing }.at(one.place()).into())
}

/// The commits that gave an aggregate its events between two versions.
pub(super) async fn missing(
    remote: &dyn EventStore,
    aggregate: &AggregateKey,
    version: u64,
    needed: u64,
) -> Result<Vec<Vec<StoredEvent>>, StoreError> {
    let mut history = remote.history(aggregate, Versions::from(version + 1..=needed));
    let mut commits: Vec<Vec<StoredEvent>> = Vec::new();
    while let Some(event) = history.next().await.transpose()? {
        let is_known = |commit: &Vec<StoredEvent>| commit.iter().any(|it| it.cid == event.cid);
        if !commits.iter().any(is_known) {
            commits.push(whole(remote, vec![event]).await?);
        }
    }
    Ok(commits)
}

/// Where a commit stands in the stream.
pub(super) fn place(commit: &[StoredEvent]) -> Option<Position> {
    commit.first().map(|first| first.position)
}

/// Adds commits that are not among others, and has all stand in the order of the stream.
pub(super) fn merge<T>(
    pending: &mut VecDeque<T>,
    commits: impl IntoIterator<Item = T>,
    place: impl Fn(&T) -> Option<Position>,
) {
    for commit in commits {
        if !pending.iter().any(|known| place(known) == place(&commit)) {
            pending.push_back(commit);
        }
    }
    pending.make_contiguous().sort_by_key(place);
}
