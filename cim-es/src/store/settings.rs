//! What an engine says of itself.

use std::fmt;
use std::sync::Arc;

use super::raw::RawEvents;
use super::read_model::ReadModelsBeside;
use super::subscription::SubscriptionEngine;
use super::{BranchStore, EventPages, SnapshotStore};

/// What an engine says of itself to those who use it.
///
/// A store that hands another one on and changes what is read of it gives settings of its own: those of the other lead past
/// it, to what the engine itself has.
///
/// ```
/// # use std::sync::Arc;
/// # use cim_es::{MemoryEventStore, store::EngineSettings};
/// let settings = EngineSettings::default().with_snapshots(Arc::new(MemoryEventStore::new()));
/// assert!(settings.snapshots.is_some() && !settings.publishes);
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct EngineSettings {
    /// The snapshots that are kept beside the events, if the engine has room for them; a repository uses them unless it
    /// is given others.
    pub snapshots: Option<Arc<dyn SnapshotStore>>,
    /// After how many events of an aggregate a repository writes a snapshot, unless it is told otherwise; 0 is never.
    /// None leaves it to the repository.
    pub snapshot_threshold: Option<u64>,
    /// Whether the engine itself publishes committed events on their public subjects, so that nobody else has to.
    pub publishes: bool,
    /// Whether the engine finds an event by its CID at once. Where it does not, who knows the aggregate looks through
    /// its history.
    pub has_cid_index: bool,
    /// What handles to this store have in common, within a program, and no handle to another; none where nothing tells
    /// them apart. A commit over several repositories needs it, because it is made in one store.
    pub store_id: Option<usize>,
    /// What replaces branches of the history, where the engine can; see [`BranchStore`].
    pub branches: Option<Arc<dyn BranchStore>>,
    /// What opens the storage of read models that the engine keeps beside its events.
    pub(crate) read_models: Option<Arc<dyn ReadModelsBeside>>,
    /// What runs subscriptions, where the engine has a way of its own.
    pub(crate) subscriptions: Option<Arc<dyn SubscriptionEngine>>,
    /// What gives everything that is stored, where the engine has a way under its readers.
    pub(crate) raw: Option<Arc<dyn RawEvents>>,
    /// What reads between any two positions, where the engine does so cheaply.
    pub(crate) pages: Option<Arc<dyn EventPages>>,
    /// Whether lists of sealed commits are stored in the order in which they were given, so that the next one may be given
    /// before it is known what became of the one before.
    #[cfg_attr(not(feature = "car"), allow(dead_code, reason = "imports alone ask"))]
    pub(crate) stores_sealed_in_order: bool,
}

impl EngineSettings {
    /// The same with a place for snapshots.
    pub fn with_snapshots(self, snapshots: Arc<dyn SnapshotStore>) -> Self {
        Self {
            snapshots: Some(snapshots),
            ..self
        }
    }

    /// The same for a store in which branches can be replaced.
    pub fn with_branches(self, branches: Arc<dyn BranchStore>) -> Self {
        Self {
            branches: Some(branches),
            ..self
        }
    }

    /// The same with a snapshot after so many events.
    pub fn with_snapshot_threshold(self, events: u64) -> Self {
        Self {
            snapshot_threshold: Some(events),
            ..self
        }
    }

    /// The same for an engine that publishes what it has committed.
    pub fn publishing(self) -> Self {
        Self {
            publishes: true,
            ..self
        }
    }

    /// The same for a store that its handles share: its place in memory tells it from others.
    pub fn shared_as<T>(self, shared: &Arc<T>) -> Self {
        Self {
            store_id: Some(Arc::as_ptr(shared).addr()),
            ..self
        }
    }

    /// The same with read models beside the events.
    pub(crate) fn with_read_models(self, beside: Arc<dyn ReadModelsBeside>) -> Self {
        Self {
            read_models: Some(beside),
            ..self
        }
    }

    /// The same for an engine that runs subscriptions in its own way.
    #[cfg(feature = "jetstream")]
    pub(crate) fn with_subscriptions(self, subscriptions: Arc<dyn SubscriptionEngine>) -> Self {
        Self {
            subscriptions: Some(subscriptions),
            ..self
        }
    }

    /// The same for an engine that has a way under its readers.
    #[cfg(any(feature = "sqlite", feature = "jetstream"))]
    pub(crate) fn with_raw_events(self, raw: Arc<dyn RawEvents>) -> Self {
        Self {
            raw: Some(raw),
            ..self
        }
    }

    /// The same for an engine that reads from any position on as cheaply as from the first.
    pub(crate) fn with_pages(self, pages: Arc<dyn EventPages>) -> Self {
        Self {
            pages: Some(pages),
            ..self
        }
    }

    /// The same for an engine that stores lists of sealed commits in the order in which they were given.
    #[cfg(feature = "sqlite")]
    pub(crate) fn storing_sealed_in_order(self) -> Self {
        Self {
            stores_sealed_in_order: true,
            ..self
        }
    }

    /// The same for an engine that has an index by CID.
    pub fn with_cid_index(self) -> Self {
        Self {
            has_cid_index: true,
            ..self
        }
    }
}

impl fmt::Debug for EngineSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineSettings")
            .field("has_snapshots", &self.snapshots.is_some())
            .field("snapshot_threshold", &self.snapshot_threshold)
            .field("publishes", &self.publishes)
            .field("has_cid_index", &self.has_cid_index)
            .field("store_id", &self.store_id)
            .field("has_branches", &self.branches.is_some())
            .finish_non_exhaustive()
    }
}
