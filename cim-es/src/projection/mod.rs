//! Projections: answers over many aggregates, kept current.
//!
//! A **projection** is what an author declares: which events it takes, and what it makes of each. Its **view** is what it
//! keeps. Each event counts in a view exactly once; whoever reads a view sees whole commits, and learns the position up
//! to which what is seen is true.
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::time::Duration;
//!
//! use cim_es::prelude::*;
//! use cim_es::projection::ProjectionManager;
//! # #[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
//! # enum BookState { #[state(initial)] #[on(Lend / Lent => _)] Any }
//! # #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
//! # enum BookEvent { Lent { reader: String } }
//! # #[derive(Command, Clone, Debug)]
//! # enum BookCommand { Lend { reader: String } }
//! # #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
//! # #[aggregate(domain = "library", name = "book")]
//! # struct Book { state: BookState, reader: Option<String> }
//! # impl Decide for Book {
//! #     fn decide(&self, command: BookCommand, _: &Context) -> Decision<Self> {
//! #         let BookCommand::Lend { reader } = command;
//! #         emit(BookEvent::Lent { reader })
//! #     }
//! # }
//!
//! /// How many times each reader took a book.
//! #[derive(Projection, Debug, Default)]
//! #[projection(name = "loans", version = 1, events = [BookEvent])]
//! struct Loans {
//!     readers: BTreeMap<String, u32>,
//! }
//!
//! impl Project<BookEvent> for Loans {
//!     fn project(&mut self, event: BookEvent, _: &Source<Book>) {
//!         let BookEvent::Lent { reader } = event;
//!         *self.readers.entry(reader).or_default() += 1;
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let store = MemoryEventStore::new();
//! # let books = Repository::<Book>::new(store.clone());
//! # let (book, desk) = (Id::new(), MessageIdentity::new_from_user("desk"));
//! let projections = ProjectionManager::new(store);
//! let loans = projections.in_memory::<Loans>().await?;
//! let lent = books.execute(&book, BookCommand::Lend { reader: "Ann".into() }, &desk).await?;
//! loans.wait_for(lent.position(), Duration::from_secs(5)).await?;
//! assert_eq!(loans.read(|loans| loans.readers["Ann"]).await?.value, 1);
//! # Ok(())
//! # }
//! ```

mod ahead;
pub(crate) mod commits;
pub mod correlation;
mod declaration;
#[doc(hidden)]
pub mod declared;
mod documents;
mod error;
mod forms;
mod given;
mod home;
mod in_memory;
#[cfg(feature = "sqlite")]
mod inline;
mod manager;
mod panic;
mod remark;
mod runner;
mod running;
mod saved;
mod settled;
mod source;
mod split;
mod status;
mod stored;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod tables;

pub use cim_es_derive::Projection;
pub use declaration::{InMemory, Lists, Project, Projection};
pub use documents::{DocumentsView, InDocuments, OpenDocuments, ProjectDocuments, WithoutFields};
pub use error::{ControlError, NotReady, OpenError, ProjectionError, WaitError};
pub use given::RebuildError;
pub use in_memory::InMemoryView;
#[cfg(feature = "sqlite")]
pub use inline::{OpenInline, OpenInlineTables};
pub use manager::{OpenInMemory, ProjectionManager, Saved, StartsAnew};
pub use running::RunningView;
pub use source::Source;
pub use split::{OpenSplit, SplitStatus, SplitView};
pub use status::{ViewState, ViewStatus};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use tables::OpenTables;
#[cfg(feature = "postgres")]
pub use tables::{
    InPostgresTables, PostgresTables, PostgresTablesReader, PostgresTablesSnapshot,
    PostgresTablesView, ProjectPostgresTables,
};
#[cfg(feature = "sqlite")]
pub use tables::{InTables, ProjectTables, Tables, TablesReader, TablesView};

pub use crate::document::{Document, Documents};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use crate::store::read_model::TableError;
pub use crate::store::read_model::{Parked, Skipped, UpTo, ViewId};
