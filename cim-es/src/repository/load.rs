//! Loading: as it is now, as it was, and how it came to be so.

use cid::Cid;

use super::loaded::{Known, Loaded, read};
use super::work::Work;
use super::{LoadError, Repository, snapshot};
use crate::block::StoredEvent;
use crate::domain::ErrorChain;
use crate::domain::aggregate::Aggregate;
use crate::domain::event::DomainEvent;
use crate::domain::message::Timestamp;
use crate::domain::subject::{Subject, Subjects};
use crate::store::{
    AggregateKey, EventStoreExt, Head, Position, Selection, StoreError, StreamExt, TryStreamExt,
    Versions,
};

/// A moment in the history of an aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// After this many events; 0 is before the first.
    Version(u64),
    /// After the last event at or before this time, whatever times the events before it have; no order of times across
    /// aggregates is promised.
    Time(Timestamp),
    /// After the event with this CID.
    Cid(Cid),
}

impl From<u64> for At {
    fn from(version: u64) -> Self {
        Self::Version(version)
    }
}

impl From<Timestamp> for At {
    fn from(time: Timestamp) -> Self {
        Self::Time(time)
    }
}

impl From<Cid> for At {
    fn from(cid: Cid) -> Self {
        Self::Cid(cid)
    }
}

/// A typed event beside what is stored of it. What is stored as one event and read as several stands beside each of these,
/// one after another; what is read as none is not among them.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded<E> {
    /// The event, brought up to the present schema.
    pub event: E,
    /// The event as it is stored.
    pub stored: StoredEvent,
}

impl<E: DomainEvent> Recorded<E> {
    /// What is read from a stored event.
    fn of(stored: StoredEvent) -> Result<impl Iterator<Item = Self>, LoadError> {
        let events = read(&stored)?;
        let stored = std::iter::repeat_n(stored, events.len());
        let pairs = events.into_iter().zip(stored);
        Ok(pairs.map(|(event, stored)| Self { event, stored }))
    }

    /// What is read from stored events.
    pub(super) fn all(
        stored: impl IntoIterator<Item = StoredEvent>,
    ) -> Result<Vec<Self>, LoadError> {
        let mut recorded = Vec::new();
        for stored in stored {
            recorded.extend(Self::of(stored)?);
        }
        Ok(recorded)
    }
}

impl<A: Aggregate> Repository<A> {
    /// The aggregate as it is now; version 0 and the default for an id without events.
    ///
    /// # Errors
    /// [`LoadError`].
    pub async fn load(&self, id: &A::Id) -> Result<Loaded<A>, LoadError> {
        let mut work = Work::begin(self, id).await?;
        work.confirm().await?;
        Ok(work.loaded().clone())
    }

    /// The aggregate as it is now; none for an id without events.
    ///
    /// # Errors
    /// [`LoadError`].
    pub async fn find(&self, id: &A::Id) -> Result<Option<Loaded<A>>, LoadError> {
        let loaded = self.load(id).await?;
        Ok((loaded.version() > 0).then_some(loaded))
    }

    /// The aggregate as it was.
    ///
    /// # Errors
    /// [`LoadError::NoSuchVersion`] and [`LoadError::NoSuchEvent`] for a moment that is not in its history.
    pub async fn load_at(&self, id: &A::Id, at: impl Into<At>) -> Result<Loaded<A>, LoadError> {
        let key = self.key(id).await?;
        match at.into() {
            At::Version(version) => self.load_version(&key, version).await,
            At::Time(time) => {
                let is_within = |event: &StoredEvent| event.timestamp() <= time;
                Ok(self.read_through(&key, is_within).await?.loaded)
            }
            At::Cid(cid) => {
                let version = self.version_of(&key, cid).await?;
                self.load_version(&key, version).await
            }
        }
    }

    /// The aggregate as it is now, folded from its whole history, event by event: past every snapshot and all that is kept
    /// in memory. [`load`](Self::load) gives the same with less reading; this one proves it.
    ///
    /// # Errors
    /// [`LoadError`].
    pub async fn replay(&self, id: &A::Id) -> Result<Loaded<A>, LoadError> {
        let key = self.key(id).await?;
        let mut loaded = Loaded::<A>::empty();
        let mut events = self.inner.store.history(&key, Versions::ALL);
        while let Some(event) = events.next().await {
            loaded.fold(&event?)?;
        }
        Ok(loaded)
    }

    /// Every event of the aggregate with what is stored of it, in order.
    ///
    /// # Errors
    /// [`LoadError`].
    pub async fn history(&self, id: &A::Id) -> Result<Vec<Recorded<A::Event>>, LoadError> {
        let key = self.key(id).await?;
        let events = self.events(&key).await?;
        Recorded::all(events)
    }

    /// At most `limit` events stored under one subject after a position, over all aggregates of this kind, in the store's
    /// order; those stored under a former name of the event are among them. An event that is read as several counts as
    /// one, and those as which it is read may have other subjects.
    ///
    /// # Errors
    /// [`LoadError`].
    pub async fn events_of(
        &self,
        subject: Subject<A::Event>,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Recorded<A::Event>>, LoadError> {
        let info = A::Event::info_of(subject.as_str());
        let former = info.map_or(&[][..], |info| info.former_types);
        let names = former.iter().copied().chain([subject.as_str()]);
        let selection = Selection::subjects(names.collect::<Subjects>());
        let events = self.inner.store.read(selection, after.into());
        let of_this_kind = |event: &Result<StoredEvent, StoreError>| {
            let is_other = |event: &StoredEvent| !A::is_kind(&event.envelope.aggregate);
            std::future::ready(!event.as_ref().is_ok_and(is_other))
        };
        let events = events.filter(of_this_kind).take(limit);
        Recorded::all(events.try_collect::<Vec<_>>().await?)
    }

    async fn load_version(&self, key: &AggregateKey, version: u64) -> Result<Loaded<A>, LoadError> {
        let is_within = |event: &StoredEvent| event.envelope.sequence <= version;
        let loaded = self.read_through(key, is_within).await?.loaded;
        if loaded.version() < version {
            return Err(LoadError::NoSuchVersion {
                aggregate: Box::new(key.clone()),
                asked: version,
                found: loaded.version(),
            });
        }
        Ok(loaded)
    }

    async fn version_of(&self, key: &AggregateKey, cid: Cid) -> Result<u64, LoadError> {
        let event = self.inner.store.find_in(key, &cid).await?;
        event
            .map(|event| event.envelope.sequence)
            .ok_or_else(|| LoadError::NoSuchEvent {
                cid,
                aggregate: Box::new(key.clone()),
            })
    }

    /// The aggregate from a snapshot that fits, or from nothing, and its events since.
    pub(super) async fn read(&self, key: &AggregateKey) -> Result<Known<A>, LoadError> {
        self.read_through(key, |_| true).await
    }

    /// Folds the history through the last event that is wanted, whether or not those before it are.
    async fn read_through(
        &self,
        key: &AggregateKey,
        is_wanted: impl Fn(&StoredEvent) -> bool,
    ) -> Result<Known<A>, LoadError> {
        let through = |events: &[StoredEvent]| {
            let last = events.iter().rposition(&is_wanted);
            last.map_or(0, |last| last + 1)
        };
        if let Some(mut known) = self.newest_snapshot(key).await {
            let head = known.loaded.head();
            let events = self.since(key, head.as_ref()).await?;
            if let Some(news) = after_head(head, &events) {
                let wanted = through(news);
                let is_anchored = events.first().is_some_and(&is_wanted);
                if is_anchored || wanted > 0 {
                    known.fold_all(&news[..wanted])?;
                    return Ok(known);
                }
            }
        }
        let events = self.events(key).await?;
        let mut known = Known::empty(self.inner.options.remembered_commits);
        known.fold_all(&events[..through(&events)])?;
        Ok(known)
    }

    /// The events from a head on.
    pub(super) async fn since(
        &self,
        key: &AggregateKey,
        head: Option<&Head>,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let store = &self.inner.store;
        match head {
            Some(head) => store.get_versions(key, Versions::starting_with(head)).await,
            None => store.get_versions(key, Versions::ALL).await,
        }
    }

    async fn newest_snapshot(&self, key: &AggregateKey) -> Option<Known<A>> {
        let snapshots = self.inner.snapshots.as_ref()?;
        let found = snapshots.newest(key, snapshot::tag::<A>()).await;
        let found = found.and_then(|found| found.map(snapshot::open::<A>).transpose());
        match found {
            Ok(known) => known.map(|known| Known {
                recent: known
                    .recent
                    .with_limit(self.inner.options.remembered_commits),
                loaded: known.loaded,
            }),
            Err(error) => {
                tracing::warn!(aggregate = %key, error = %ErrorChain(&error), "a snapshot is not used");
                None
            }
        }
    }
}

/// The events after a head, when `events`, read from its version on, start with that head; or with the one that links to
/// it, where the store has dropped the head.
pub(super) fn after_head(head: Option<Head>, events: &[StoredEvent]) -> Option<&[StoredEvent]> {
    let Some(head) = head else {
        return Some(events);
    };
    let (first, news) = events.split_first()?;
    let envelope = &first.envelope;
    if first.cid == head.cid {
        return Some(news);
    }
    let is_next = envelope.previous == Some(head.cid) && envelope.sequence == head.version + 1;
    is_next.then_some(events)
}
