//! The ports: what every engine offers, and what every engine shares.
//!
//! A port is a small object-safe trait. One contract suite (`cim_es::testing`) runs against every engine; a store of
//! your own proves itself by running it.

mod bookmark;
mod branch;
mod checkpoint;
mod commit;
mod damage;
#[cfg(feature = "jetstream")]
pub(crate) mod denied;
mod error;
mod event_store;
mod event_store_ext;
mod forward;
mod listing;
mod location;
#[cfg(any(feature = "proof", feature = "sqlite"))]
pub(crate) mod lock_file;
mod messages;
#[cfg(any(feature = "car", feature = "proof"))]
pub(crate) mod new_file;
mod object;
mod object_info;
mod pages;
mod partly;
mod plan;
mod proved;
pub(crate) mod raw;
pub mod read_model;
mod recent;
mod repeat;
mod seal;
mod sealed;
#[cfg(any(feature = "encrypt", feature = "proof"))]
pub(crate) mod secret_file;
mod selection;
mod settings;
mod snapshot;
mod stored_subjects;
pub(crate) mod subscription;
mod sync_state;
mod time;
mod versions;

pub use bookmark::Bookmark;
pub use branch::{
    Branch, BranchError, BranchReplacement, BranchStore, Epoch, ReplacedBranches, taken_out,
};
pub(crate) use branch::{check_whole, key_of};
pub use checkpoint::CheckpointStore;
pub use commit::{AggregateCommit, CommitRequest, ExpectedVersion, NewEvent};
pub use damage::{Damage, Finding};
pub use error::{AnotherHistory, StoreError};
pub use event_store::{EventStore, EventStream};
pub use event_store_ext::EventStoreExt;
#[cfg(feature = "jetstream")]
pub(crate) use forward::forward_event_store;
/// `next` and the like on an [`EventStream`].
#[doc(no_inline)]
pub use futures_util::{StreamExt, TryStreamExt};
pub use listing::{AggregateEntry, AggregatePage, AggregateQuery, ObjectEntry, StoredType};
pub use location::Location;
pub(crate) use messages::{KnownMessages, Message};
pub use object::{ObjectError, ObjectStore, ObjectStoreExt};
pub use object_info::{ContentType, ContentTypeError, ObjectInfo};
pub(crate) use pages::{EventPage, EventPages};
pub use partly::{PartlyStored, SealedOutcome};
pub use plan::{Plan, Standing, plan};
pub use proved::ProvedCommit;
pub(crate) use recent::{CommitVersions, RecentCommits, Seen};
#[cfg(any(feature = "sqlite", feature = "jetstream"))]
pub(crate) use repeat::compare;
pub use repeat::repeated;
#[cfg(feature = "sqlite")]
pub(crate) use seal::seal_commit;
pub use seal::{SealOptions, SealedEvent, seal};
pub use sealed::{AppendedCommit, SealedCommit};
pub use selection::{Selection, SelectionError};
pub use settings::EngineSettings;
pub use snapshot::{Snapshot, SnapshotStore};
pub use stored_subjects::{PARTITIONS, StoredSubjects, partition};
pub use sync_state::{StateChange, StateClaim, SyncState};
pub(crate) use time::{CLOCK_SKEW, event_time};
pub use versions::Versions;

pub use crate::block::{AggregateKey, Head, Position};
