//! Tables of an author's own: how they are named, and how one is told that is not as it was made.
//!
//! Versions of a view stand beside each other, so each has tables of its own: `{units}` in the author's SQL is
//! `heads_1_units` for version 1 of view `heads`. What a view made is recorded with it, under the key that no document has.

mod error;
mod names;
mod record;

pub use error::TableError;
pub(crate) use names::{TableNames, one_line, quoted};
#[cfg(feature = "postgres")]
pub(crate) use names::{quoted_name, statements};
pub(crate) use record::{Made, RECORD, TablesRecord};
