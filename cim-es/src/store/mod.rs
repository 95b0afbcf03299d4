//! The ports: what every engine offers, and what every engine shares.
//!
//! A port is a small object-safe trait. One contract suite (`cim_es::testing`) runs against every engine; a store of
//! your own proves itself by running it.

mod checkpoint;
mod commit;
mod error;
mod event_store;
mod object;
mod seal;
mod snapshot;
mod stored_subjects;
mod time;

pub use checkpoint::CheckpointStore;
pub use commit::{AggregateCommit, CommitRequest, ExpectedVersion, NewEvent};
pub use error::{Damage, StoreError};
pub use event_store::{EventStore, EventStream};
/// `next` and the like on an [`EventStream`].
#[doc(no_inline)]
pub use futures_util::{StreamExt, TryStreamExt};
pub use object::ObjectStore;
pub use seal::{SealOptions, SealedEvent, seal};
pub use snapshot::{Snapshot, SnapshotStore};
pub use stored_subjects::{PARTITIONS, StoredSubjects, partition};
pub(crate) use time::{CLOCK_SKEW, event_time};

pub use crate::block::{AggregateKey, Head, Position};
