//! The repository: executes commands on aggregates and loads them, on any store.

mod all;
mod backoff;
mod cache;
mod commit;
mod decide;
mod error;
mod execute;
mod fold;
mod kind;
mod load;
mod loaded;
mod pending;
mod rehearse;
mod scope;
mod snapshot;
mod together;
mod unique;
mod warm;
mod work;

use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::aggregate::Aggregate;
use crate::domain::info::Domain;
use crate::domain::message::{Clock, SystemClock};
use crate::store::{CLOCK_SKEW, EventStore, SnapshotStore};
use cache::SnapshotCache;
use kind::KnownKinds;
use scope::KnownScopes;
use warm::WarmAggregates;

pub use all::Each;
pub use commit::Commit;
pub use error::{ExecuteError, LoadError};
#[cfg(feature = "testing")]
pub(crate) use fold::FoldFault;
pub(crate) use fold::fold;
pub use load::{At, Recorded};
pub use loaded::Loaded;
#[cfg(feature = "testing")]
pub(crate) use pending::PendingCommit;
pub use rehearse::rehearse;
pub use scope::ScopeError;
pub(crate) use scope::{is_of_a_name, key as key_of_name};
#[cfg(feature = "testing")]
pub(crate) use snapshot::{encode as encode_snapshot, tag as snapshot_tag};
pub use together::{Together, TogetherError};
pub use unique::Holder;
pub(crate) use unique::{NameEvent, held_by, name_and_holder, name_event};

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
    snapshots: Option<SnapshotCache>,
    clock: Arc<dyn Clock>,
    options: Options,
    warm: Arc<WarmAggregates<A>>,
    kinds: KnownKinds<A>,
    scopes: KnownScopes,
    domain: Option<Domain>,
}

#[derive(Clone, Copy)]
struct Options {
    snapshot_threshold: Option<NonZeroU64>,
    conflict_retries: u32,
    remembered_commits: usize,
    clock_skew: Duration,
}

impl<A: Aggregate> Repository<A> {
    /// A repository on a store, with the defaults: the snapshots that the store keeps, one every 100 events unless the
    /// store was configured with another number; 1,024 warm aggregates; up to 200 decisions after a conflict; the
    /// message ids of an aggregate's last 1,000 commits in memory; the clock of the operating system, which may be
    /// behind by a minute.
    pub fn new(store: impl EventStore) -> Self {
        Self::builder(store).build()
    }

    /// A repository with settings of one's own.
    pub fn builder(store: impl EventStore) -> RepositoryBuilder<A> {
        let store: Arc<dyn EventStore> = Arc::new(store);
        let settings = store.settings();
        let snapshot_threshold = settings.snapshot_threshold.unwrap_or(SNAPSHOT_THRESHOLD);
        RepositoryBuilder {
            snapshots: settings.snapshots,
            store,
            clock: Arc::new(SystemClock),
            warm_aggregates: 1_024,
            options: Options {
                snapshot_threshold: NonZeroU64::new(snapshot_threshold),
                conflict_retries: 200,
                remembered_commits: 1_000,
                clock_skew: CLOCK_SKEW,
            },
            domain: None,
            aggregate: std::marker::PhantomData,
        }
    }

    /// The store under this repository.
    pub fn store(&self) -> &Arc<dyn EventStore> {
        &self.inner.store
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
    warm_aggregates: usize,
    options: Options,
    domain: Option<Domain>,
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

    /// Says which aggregates the domain has, as [`domain!`](crate::domain!) declares them: a
    /// [unique name](crate::aggregate::UniqueName) whose scope is the name of one of them is refused. Without it, only an
    /// aggregate that has events in the store is noticed, and this one itself.
    pub fn domain(self, domain: Domain) -> Self {
        Self {
            domain: Some(domain),
            ..self
        }
    }

    /// Keeps snapshots in another place than the store's own. They are a cache: one that does not answer in less than a
    /// second is passed over for a while, which is logged once.
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

    /// How far the clock may be behind the last event of an aggregate, which another machine wrote. Within it, an event
    /// gets the time of the one before it, so that times go up along a history. A clock that is behind by more keeps its
    /// reading, which is logged as a warning: one wrong date is not handed on for ever.
    pub fn clock_skew(mut self, bound: Duration) -> Self {
        self.options.clock_skew = bound;
        self
    }

    /// How many aggregates stay in memory when nobody works on them; with 0 each command reads its aggregate.
    pub fn warm_aggregates(self, aggregates: usize) -> Self {
        Self {
            warm_aggregates: aggregates,
            ..self
        }
    }

    /// How many times a command is decided again after a conflict, each time after a pause that grows, by chance, up to
    /// 64 milliseconds; with 0 the first conflict is the answer.
    pub fn conflict_retries(mut self, retries: u32) -> Self {
        self.options.conflict_retries = retries;
        self
    }

    /// How many commits of an aggregate are kept in memory and in its snapshots by their message ids. A command takes
    /// effect once however many there are; one that may be older than those that are kept, which its UUID v7 tells by its
    /// time, is looked for in the history of the aggregate.
    pub fn remembered_commits(mut self, commits: usize) -> Self {
        self.options.remembered_commits = commits;
        self
    }

    /// The repository.
    pub fn build(self) -> Repository<A> {
        Repository {
            inner: Arc::new(Inner {
                store: self.store,
                snapshots: self.snapshots.map(SnapshotCache::new),
                clock: self.clock,
                options: self.options,
                warm: Arc::new(WarmAggregates::new(self.warm_aggregates)),
                kinds: KnownKinds::new(),
                scopes: KnownScopes::default(),
                domain: self.domain,
            }),
        }
    }
}
