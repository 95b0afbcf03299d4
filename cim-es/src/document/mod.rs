//! Documents: values by key that a view keeps, found by key or by an index.
//!
//! A **document** is a struct with `#[derive(Document)]`. It is stored as dag-cbor; a field with
//! `#[index]` is one by whose value documents are found. A projection reads and writes them through
//! [`Documents`]; whoever asks a view uses [`DocumentReader`], which needs the storage alone.
//!
//! ```
//! use cim_es::document::{Document, DocumentBatch, DocumentReader, IndexField};
//! use cim_es::prelude::*;
//! use cim_es::store::read_model::{Page, ReadModelStorage, ViewDeclaration, ViewId};
//! # use std::time::Duration;
//! # use cim_es::MemoryReadModels;
//!
//! #[derive(IndexField, Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
//! #[serde(rename_all = "snake_case")]
//! enum Shelf {
//!     OpenAccess,
//!     Vault,
//! }
//!
//! #[derive(Document, Debug, PartialEq, Serialize, Deserialize)]
//! struct Card {
//!     title: String,
//!     #[index]
//!     reader: Option<String>,
//!     #[index]
//!     shelf: Shelf,
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let storage = MemoryReadModels::new();
//! # let view = ViewId::new("cards", 1)?;
//! # let me = Uuid::now_v7();
//! # let record = storage.open_view(&ViewDeclaration::new(view.clone(), 1)).await?;
//! # storage.hold(&view, me, Duration::from_secs(10)).await?;
//! # let mut batch = DocumentBatch::<Card>::new(std::sync::Arc::new(storage.clone()), view.clone());
//! // What a projection does with a document.
//! let mut cards = batch.documents();
//! let dune = Card { title: "Dune".into(), reader: Some("Ann".into()), shelf: Shelf::Vault };
//! cards.put("dune", &dune)?;
//! assert_eq!(cards.get("dune").await?.as_ref(), Some(&dune));
//! # let changes = batch.changes(me, record.up_to, cim_es::store::Position(7).into());
//! # storage.commit(&view, changes).await?;
//! # storage.serve(&view).await?;
//!
//! // What others ask of the view.
//! let cards = DocumentReader::<Card>::new(storage, "cards");
//! let found = cards.find("reader", "Ann", &Page::first(20)).await?;
//! assert_eq!(found.value.documents[0].key, "dune");
//! assert_eq!(found.position.0, 7);
//! let locked = cards.find("shelf", &Shelf::Vault, &Page::default()).await?;
//! assert_eq!(locked.value.documents[0].document, dune);
//! # Ok(())
//! # }
//! ```

mod batch;
mod declared;
mod error;
mod index;
mod index_text;
mod key;
mod met;
mod page;
mod reader;
mod split;

pub use batch::{DocumentBatch, Documents};
pub use cim_es_derive::{Document, IndexField};
#[doc(hidden)]
pub use declared::check_index_field;
pub use declared::{Document, Index};
pub use error::DocumentError;
pub use index::IndexField;
pub use key::DocumentKey;
// Reachable, so that nobody is told of a sealed trait where a derive is missing.
#[doc(hidden)]
pub use crate::domain::kept::Storable;
pub use page::{Found, Keyed};
pub use reader::DocumentReader;
pub use split::SplitReader;
pub(crate) use split::{PARTS, PartNames, parts_in};
