//! Event sourcing where you write only the domain.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

// The derives name this crate by its absolute path, also inside it.
extern crate self as cim_es;

pub mod aggregate;
pub mod block;
pub mod event;
#[cfg(feature = "jetstream")]
pub mod jetstream;
pub mod machine;
pub mod message;
pub mod prelude;
pub mod repository;
pub mod store;
pub mod subject;
#[cfg(feature = "testing")]
pub mod testing;

mod memory;
#[cfg(feature = "sqlite")]
mod sqlite;

pub use cim_es_derive::{domain, filter, subject};
pub use memory::MemoryEventStore;
pub use repository::Repository;
#[cfg(feature = "sqlite")]
pub use sqlite::{CheckReport, SqliteEventStore, SqliteOptions};

#[doc(hidden)]
pub mod __private;
