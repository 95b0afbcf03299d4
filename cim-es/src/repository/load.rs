//! Loading: as it is now, as it was, and how it came to be so.

use cid::Cid;

use super::root::read;
use super::{LoadError, Repository, Root, snapshot};
use crate::block::StoredEvent;
use crate::domain::aggregate::Aggregate;
use crate::domain::event::DomainEvent;
use crate::domain::message::Timestamp;
use crate::domain::subject::Subject;
use crate::store::{AggregateKey, Position, StoreError};

/// A moment in the history of an aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// After this many events; 0 is before the first.
    Version(u64),
    /// After the last event at or before this time; no order of times across aggregates is promised.
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

/// A typed event beside what is stored of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded<E> {
    /// The event, brought up to the present schema.
    pub event: E,
    /// The event as it is stored.
    pub stored: StoredEvent,
}

impl<A: Aggregate> Repository<A> {
    /// The aggregate as it is now; version 0 and the default for an id without events.
    ///
    /// # Errors
    /// [`LoadError`].
    pub async fn load(&self, id: &A::Id) -> Result<Root<A>, LoadError> {
        let key = AggregateKey::of::<A>(id)?;
        let warm = self.warm(id);
        let mut slot = warm.lock().await;
        let root = match slot.take() {
            Some(root) => self.catch_up(&key, root).await?,
            None => self.read(&key).await?,
        };
        *slot = Some(root.clone());
        Ok(root)
    }

    /// The aggregate as it was.
    ///
    /// # Errors
    /// [`LoadError::NoSuchVersion`] and [`LoadError::NoSuchEvent`] for a moment that is not in its history.
    pub async fn load_at(&self, id: &A::Id, at: impl Into<At>) -> Result<Root<A>, LoadError> {
        let key = AggregateKey::of::<A>(id)?;
        match at.into() {
            At::Version(version) => self.load_version(&key, version).await,
            At::Time(time) => {
                let is_within = |event: &StoredEvent| event.timestamp() <= time;
                self.read_while(&key, is_within).await
            }
            At::Cid(cid) => {
                let version = self.version_of(&key, cid).await?;
                self.load_version(&key, version).await
            }
        }
    }

    /// Every event of the aggregate with what is stored of it, in order.
    ///
    /// # Errors
    /// [`LoadError`].
    pub async fn history(&self, id: &A::Id) -> Result<Vec<Recorded<A::Event>>, LoadError> {
        let key = AggregateKey::of::<A>(id)?;
        let events = self.inner.store.get_events(&key, 1).await?;
        let recorded = |stored: StoredEvent| {
            Ok(Recorded {
                event: read(&stored)?,
                stored,
            })
        };
        events.into_iter().map(recorded).collect()
    }

    /// At most `limit` events of one subject after a position, over all aggregates of this kind, in the store's order;
    /// those stored under a former name of the event are among them.
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
        let mut found = Vec::new();
        for event_type in former.iter().chain([&subject.as_str()]) {
            let events = self
                .inner
                .store
                .get_events_by_type(event_type, after, limit);
            found.extend(events.await?);
        }
        found.sort_by_key(|event| event.position);
        let of_this_kind = |event: &StoredEvent| event.envelope.aggregate == A::KIND;
        let recorded = |stored: StoredEvent| {
            Ok(Recorded {
                event: read(&stored)?,
                stored,
            })
        };
        found
            .into_iter()
            .filter(of_this_kind)
            .take(limit)
            .map(recorded)
            .collect()
    }

    async fn load_version(&self, key: &AggregateKey, version: u64) -> Result<Root<A>, LoadError> {
        let root = self
            .read_while(key, |event| event.envelope.sequence <= version)
            .await?;
        if root.version() < version {
            return Err(LoadError::NoSuchVersion {
                asked: version,
                found: root.version(),
            });
        }
        Ok(root)
    }

    async fn version_of(&self, key: &AggregateKey, cid: Cid) -> Result<u64, LoadError> {
        let event = self.inner.store.get_event(key, &cid).await?;
        event
            .map(|event| event.envelope.sequence)
            .ok_or_else(|| LoadError::NoSuchEvent {
                cid,
                aggregate: key.to_string(),
            })
    }

    /// The aggregate from a snapshot that fits, or from nothing, and its events since.
    pub(super) async fn read(&self, key: &AggregateKey) -> Result<Root<A>, LoadError> {
        self.read_while(key, |_| true).await
    }

    /// The aggregate with the events that came since `root` was folded.
    pub(super) async fn catch_up(
        &self,
        key: &AggregateKey,
        mut root: Root<A>,
    ) -> Result<Root<A>, LoadError> {
        let events = self.since(key, &root).await?;
        let Some(news) = after_head(&root, &events) else {
            return self.read(key).await;
        };
        fold_all(&mut root, news)?;
        Ok(root)
    }

    /// Folds the longest prefix of the history in which every event is wanted.
    async fn read_while(
        &self,
        key: &AggregateKey,
        is_wanted: impl Fn(&StoredEvent) -> bool,
    ) -> Result<Root<A>, LoadError> {
        let remembered = self.inner.options.remembered_commits;
        if let Some(mut root) = self.newest_snapshot(key).await {
            let events = self.since(key, &root).await?;
            let anchor = events.first().filter(|event| is_wanted(event));
            if anchor.is_some()
                && let Some(news) = after_head(&root, &events)
            {
                let wanted = news.iter().take_while(|event| is_wanted(event)).count();
                fold_all(&mut root, &news[..wanted])?;
                return Ok(root);
            }
        }
        let events = self.inner.store.get_events(key, 1).await?;
        let wanted = events.iter().take_while(|event| is_wanted(event)).count();
        let mut root = Root::empty(remembered);
        fold_all(&mut root, &events[..wanted])?;
        Ok(root)
    }

    /// The events from the head of `root` on.
    async fn since(
        &self,
        key: &AggregateKey,
        root: &Root<A>,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let store = &self.inner.store;
        match &root.head {
            Some(head) => store.get_events_from(key, head).await,
            None => store.get_events(key, 1).await,
        }
    }

    async fn newest_snapshot(&self, key: &AggregateKey) -> Option<Root<A>> {
        let snapshots = self.inner.snapshots.as_ref()?;
        let found = snapshots
            .get_latest_snapshot(key, snapshot::tag::<A>())
            .await;
        let found = found.and_then(|found| found.map(snapshot::open::<A>).transpose());
        match found {
            Ok(root) => {
                let remembered = self.inner.options.remembered_commits;
                let root = root.filter(|root: &Root<A>| root.recent.suffices(remembered));
                root.map(|root| Root {
                    recent: root.recent.with_limit(remembered),
                    ..root
                })
            }
            Err(error) => {
                tracing::warn!(aggregate = %key, %error, "a snapshot is not used");
                None
            }
        }
    }
}

/// The events after the head of `root`, when `events`, read from its version on, start with that head; or with the one
/// that links to it, where the store has dropped the head.
fn after_head<'a, A: Aggregate>(
    root: &Root<A>,
    events: &'a [StoredEvent],
) -> Option<&'a [StoredEvent]> {
    match root.head {
        None => Some(events),
        Some(head) => {
            let (first, news) = events.split_first()?;
            let envelope = &first.envelope;
            if first.cid == head.cid {
                return Some(news);
            }
            let is_next =
                envelope.previous == Some(head.cid) && envelope.sequence == head.version + 1;
            is_next.then_some(events)
        }
    }
}

fn fold_all<A: Aggregate>(root: &mut Root<A>, events: &[StoredEvent]) -> Result<(), LoadError> {
    events.iter().try_for_each(|event| root.fold(event))
}
