//! The contract that every store keeps, as tests that any store can run.
//!
//! A store proves itself with one line in its test crate, for a type that opens it:
//!
//! ```
//! use cim_es::MemoryEventStore;
//! use cim_es::testing::contract::Provider;
//!
//! /// A place for one test's data.
//! #[derive(Default)]
//! struct InMemory(MemoryEventStore);
//!
//! #[async_trait::async_trait]
//! impl Provider for InMemory {
//!     type Store = MemoryEventStore;
//!
//!     async fn open(&self) -> MemoryEventStore {
//!         self.0.clone()
//!     }
//! }
//!
//! cim_es::contract_tests!(InMemory::default());
//! ```
#![expect(
    clippy::missing_panics_doc,
    reason = "each is a test, which panics where the promise is broken"
)]

mod append;
mod branches;
mod club;
mod commands;
mod counter;
mod follow;
mod forged;
mod guard;
mod handles;
mod ids;
mod imported;
mod kept;
mod kinds;
mod large;
mod loading;
mod names;
mod proved;
mod races;
mod read;
mod repeats;
mod sample;
mod sealed;
mod select;
mod several;
mod sync_state;
mod table;
mod unchanged;
mod values;
mod whole;

use std::time::Duration;

use async_trait::async_trait;

use crate::store::{CheckpointStore, EventStore, ObjectStore, SnapshotStore};

pub use table::{PROMISES, prove};

/// Opens the store under test. Each test makes a provider of its own, whose data is empty and is gone with it.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// The store.
    type Store: EventStore + SnapshotStore + ObjectStore + CheckpointStore + Clone;

    /// Opens the provider's data; each call opens them anew, as another process would.
    async fn open(&self) -> Self::Store;
}

/// The promises as functions, for [`contract_tests!`](crate::contract_tests).
#[doc(hidden)]
pub mod promises {
    pub use super::append::*;
    pub use super::branches::*;
    pub use super::commands::*;
    pub use super::follow::*;
    pub use super::forged::*;
    pub use super::guard::*;
    pub use super::handles::*;
    pub use super::ids::*;
    pub use super::imported::*;
    pub use super::kept::*;
    pub use super::kinds::*;
    pub use super::large::*;
    pub use super::loading::*;
    pub use super::names::*;
    pub use super::proved::*;
    pub use super::races::*;
    pub use super::read::*;
    pub use super::repeats::*;
    pub use super::sealed::*;
    pub use super::select::*;
    pub use super::several::*;
    pub use super::sync_state::*;
    pub use super::unchanged::*;
    pub use super::values::*;
    pub use super::whole::*;
}

/// How long a promise may take before it counts as one that never ends. No promise depends on it: a store that keeps its
/// promises slowly keeps them.
const LIMIT: Duration = Duration::from_secs(300);

/// Runs one test of the contract to its end, on a runtime with several threads.
#[doc(hidden)]
pub fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build();
    let runtime = runtime.unwrap_or_else(|error| panic!("no runtime for the test: {error}"));
    let outcome = runtime.block_on(async { tokio::time::timeout(LIMIT, test).await });
    runtime.shutdown_timeout(Duration::from_secs(5));
    assert!(
        outcome.is_ok(),
        "the test did not end within {} s: something that was promised never came",
        LIMIT.as_secs()
    );
}
