//! Views of documents and tables in the file of the events, written in the transaction that stores the events.

mod asking;
mod open;
mod runner;
mod view;

pub use open::{OpenInline, OpenInlineTables};
