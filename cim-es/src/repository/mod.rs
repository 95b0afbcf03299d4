//! The repository: executes commands on aggregates and loads them, on any store.

mod all;
mod commit;
mod decide;
mod error;
mod execute;
mod load;
mod new;
mod recent;
mod rehearse;
mod root;
mod snapshot;
mod unique;

use std::fmt;
use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;

use crate::domain::aggregate::Aggregate;
use crate::domain::message::{Clock, SystemClock};
use crate::store::{EventStore, SnapshotStore};

pub use commit::Commit;
#[cfg(feature = "testing")]
pub(crate) use decide::decide;
pub use error::{ExecuteError, LoadError};
pub use load::{At, Recorded};
pub use rehearse::rehearse;
pub use root::Root;
#[cfg(feature = "testing")]
pub(crate) use snapshot::{encode as encode_snapshot, tag as snapshot_tag};
pub use unique::{Holder, ScopeError};

/// One aggregate that is kept warm; empty while a command works on it, so that a command whose caller gave up leaves
/// nothing behind that the store may contradict.
type Warm<A> = Arc<tokio::sync::Mutex<Option<Root<A>>>>;

/// After how many events of an aggregate a snapshot is written, where neither the program nor the store says it.
const SNAPSHOT_THRESHOLD: u64 = 100;

/// Executes commands on the aggregates of one kind and loads them.
///
/// It keeps the aggregates that were used last in memory: a command on one of them costs one append and no read.
/// Other processes may write to the same store: an append is guarded by the version, a conflict reloads and decides
/// again, and a refusal on an aggregate from memory is confirmed against the store first. Commands on one aggregate
/// through one repository wait for each other.
///
/// A clone is another handle to the same repository.
pub struct Repository<A: Aggregate> {
    inner: Arc<Inner<A>>,
}

struct Inner<A: Aggregate> {
    store: Arc<dyn EventStore>,
    snapshots: Option<Arc<dyn SnapshotStore>>,
    clock: Arc<dyn Clock>,
    options: Options,
    warm: Mutex<LruCache<A::Id, Warm<A>>>,
}

#[derive(Clone, Copy)]
struct Options {
    snapshot_threshold: Option<NonZeroU64>,
    conflict_retries: u32,
    remembered_commits: usize,
}

impl<A: Aggregate> Repository<A> {
    /// A repository on a store, with the defaults: the snapshots that the store keeps, one every 100 events unless the
    /// store was configured with another number; 1,024
    /// warm aggregates; up to 5 decisions after a conflict; the message ids of an aggregate's last 1,000 commits; the
    /// clock of the operating system.
    pub fn new(store: impl EventStore) -> Self {
        Self::builder(store).build()
    }

    /// A repository with settings of one's own.
    pub fn builder(store: impl EventStore) -> RepositoryBuilder<A> {
        let store: Arc<dyn EventStore> = Arc::new(store);
        let snapshot_threshold = store.snapshot_threshold().unwrap_or(SNAPSHOT_THRESHOLD);
        RepositoryBuilder {
            snapshots: store.snapshots(),
            store,
            clock: Arc::new(SystemClock),
            warm_aggregates: NonZeroUsize::new(1_024).unwrap_or(NonZeroUsize::MIN),
            options: Options {
                snapshot_threshold: NonZeroU64::new(snapshot_threshold),
                conflict_retries: 5,
                remembered_commits: 1_000,
            },
            aggregate: std::marker::PhantomData,
        }
    }

    /// The store under this repository.
    pub fn store(&self) -> &Arc<dyn EventStore> {
        &self.inner.store
    }

    fn warm(&self, id: &A::Id) -> Warm<A> {
        let mut warm = self
            .inner
            .warm
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Arc::clone(warm.get_or_insert(id.clone(), Warm::default))
    }
}

impl<A: Aggregate> Clone for Repository<A> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<A: Aggregate> fmt::Debug for Repository<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repository")
            .field("aggregate", &A::KIND)
            .finish_non_exhaustive()
    }
}

/// Settings of a [`Repository`].
#[must_use = "a builder does nothing before `build`"]
pub struct RepositoryBuilder<A: Aggregate> {
    store: Arc<dyn EventStore>,
    snapshots: Option<Arc<dyn SnapshotStore>>,
    clock: Arc<dyn Clock>,
    warm_aggregates: NonZeroUsize,
    options: Options,
    aggregate: std::marker::PhantomData<fn() -> A>,
}

impl<A: Aggregate> RepositoryBuilder<A> {
    /// Reads the time from another clock.
    pub fn clock(self, clock: impl Clock) -> Self {
        Self {
            clock: Arc::new(clock),
            ..self
        }
    }

    /// Keeps snapshots in another place than the store's own.
    pub fn snapshots(self, snapshots: impl SnapshotStore) -> Self {
        Self {
            snapshots: Some(Arc::new(snapshots)),
            ..self
        }
    }

    /// Writes and reads no snapshots.
    pub fn without_snapshots(self) -> Self {
        Self {
            snapshots: None,
            ..self
        }
    }

    /// Writes a snapshot each time that this many events have come; 0 writes none, and still reads those there are.
    pub fn snapshot_threshold(mut self, events: u64) -> Self {
        self.options.snapshot_threshold = NonZeroU64::new(events);
        self
    }

    /// How many aggregates stay warm; 1 at least.
    pub fn warm_aggregates(self, aggregates: usize) -> Self {
        Self {
            warm_aggregates: NonZeroUsize::new(aggregates).unwrap_or(NonZeroUsize::MIN),
            ..self
        }
    }

    /// How many times a command is decided again after a conflict; with 0 the first conflict is the answer.
    pub fn conflict_retries(mut self, retries: u32) -> Self {
        self.options.conflict_retries = retries;
        self
    }

    /// How many commits of an aggregate are remembered by their message ids: a command that comes again within them
    /// takes effect once.
    pub fn remembered_commits(mut self, commits: usize) -> Self {
        self.options.remembered_commits = commits;
        self
    }

    /// The repository.
    pub fn build(self) -> Repository<A> {
        Repository {
            inner: Arc::new(Inner {
                store: self.store,
                snapshots: self.snapshots,
                clock: self.clock,
                options: self.options,
                warm: Mutex::new(LruCache::new(self.warm_aggregates)),
            }),
        }
    }
}
