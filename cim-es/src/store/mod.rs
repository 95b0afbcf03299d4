//! The ports: what every engine offers, and what every engine shares.
//!
//! A port is a small object-safe trait. One contract suite (`cim_es::testing`) runs against every engine; a store of
//! your own proves itself by running it.

mod bookmark;
mod checkpoint;
mod commit;
mod error;
mod event_store;
mod event_store_ext;
mod forward;
mod object;
mod seal;
mod sealed;
mod selection;
mod settings;
mod snapshot;
mod stored_subjects;
mod time;
mod versions;

pub use bookmark::Bookmark;
pub use checkpoint::CheckpointStore;
pub use commit::{AggregateCommit, CommitRequest, ExpectedVersion, NewEvent};
pub use error::{AnotherHistory, Damage, StoreError};
pub use event_store::{EventStore, EventStream};
pub use event_store_ext::EventStoreExt;
#[cfg(feature = "jetstream")]
pub(crate) use forward::forward_event_store;
/// `next` and the like on an [`EventStream`].
#[doc(no_inline)]
pub use futures_util::{StreamExt, TryStreamExt};
pub use object::ObjectStore;
pub use seal::{SealOptions, SealedEvent, seal};
pub use sealed::{AppendedCommit, Plan, ProvedCommit, SealedCommit, Standing, plan};
pub use selection::{Selection, SelectionError};
pub use settings::EngineSettings;
pub use snapshot::{Snapshot, SnapshotStore};
pub use stored_subjects::{PARTITIONS, StoredSubjects, partition};
pub(crate) use time::{CLOCK_SKEW, event_time};
pub use versions::Versions;

pub use crate::block::{AggregateKey, Head, Position};
