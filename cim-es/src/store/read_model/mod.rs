//! The port for read models: views of documents, each with the position up to which it is true.
//!
//! A **view** is what a projection keeps: documents by key, found by key, by an index entry, or in the
//! order of their keys. It has a name and a version ([`ViewId`]); several versions of one name may
//! stand side by side, and at most one of them **serves** those who ask by name.
//!
//! Events are counted exactly once because of three rules that every storage keeps:
//! - a [commit](ReadModelStorage::commit) writes documents, their index entries and the position, all
//!   or none of them;
//! - it says which position it goes on from ([`ViewChanges::after`]), and is refused where the view is
//!   somewhere else;
//! - it is refused from everybody but the one who [holds](ReadModelStorage::hold) the view.
//!
//! Every answer comes with the position up to which it is true ([`UpTo`]), and shows a commit as a
//! whole or not at all.

mod beside;
mod changes;
mod error;
mod ext;
mod forward;
mod page;
mod saved_state;
mod storage;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod tables;
mod unserved;
mod view;

pub(crate) use beside::ReadModelsBeside;
pub use changes::{DocumentChange, IndexEntry, MAX_INDEX_VALUE, MAX_KEY, ViewChanges};
pub use error::ReadModelError;
pub use ext::ReadModelStorageExt;
pub use page::{DocumentPage, MAX_PAGE, Page, StoredDocument, UpTo};
pub(crate) use saved_state::{STATE, kept_in_memory, opened_state, sealed_state};
pub use storage::ReadModelStorage;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use tables::TableError;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) use tables::{Made, RECORD, TableNames, TablesRecord, one_line, quoted};
#[cfg(feature = "postgres")]
pub(crate) use tables::{quoted_name, statements};
pub use unserved::Unserved;
pub use view::{Held, Hold, Parked, Skipped, ViewDeclaration, ViewId, ViewRecord};
