//! The contract that every storage of read models keeps, as tests that any storage can run.
//!
//! A storage proves itself with one line in its test crate, for a type that opens it:
//!
//! ```
//! use cim_es::MemoryReadModels;
//! use cim_es::testing::read_model_contract::Provider;
//!
//! /// A place for one test's views.
//! #[derive(Default)]
//! struct InMemory(MemoryReadModels);
//!
//! #[async_trait::async_trait]
//! impl Provider for InMemory {
//!     type Storage = MemoryReadModels;
//!
//!     async fn open(&self) -> MemoryReadModels {
//!         self.0.clone()
//!     }
//! }
//!
//! cim_es::read_model_contract_tests!(InMemory::default());
//! ```
#![expect(
    clippy::missing_panics_doc,
    reason = "each is a test, which panics where the promise is broken"
)]

mod commits;
mod documents;
mod holds;
mod indexes;
mod lists;
mod sample;
mod table;
mod versions;

use async_trait::async_trait;

use crate::store::read_model::ReadModelStorage;

pub use table::{PROMISES, prove};

/// Opens the storage under test. Each test makes a provider of its own, which has no views and whose views are gone
/// with it.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// The storage.
    type Storage: ReadModelStorage + Clone;

    /// Opens the provider's views; each call opens them anew, as another process would.
    async fn open(&self) -> Self::Storage;
}

/// The promises as functions, for [`read_model_contract_tests!`](crate::read_model_contract_tests).
#[doc(hidden)]
pub mod promises {
    pub use super::commits::*;
    pub use super::documents::*;
    pub use super::holds::*;
    pub use super::indexes::*;
    pub use super::lists::*;
    pub use super::versions::*;
}

#[doc(hidden)]
pub use super::contract::run;
