//! A view in parts: the documents of each part are a view of their own, made of the events of some partitions.
//!
//! ```text
//! cards--parts       a view without documents of the author's; the version that serves is asked, and says how many parts it has
//! cards--2-0         the documents of the first part of version 2
//! cards--2-member-0  held by one of the programs that keep version 2 current
//! ```

mod names;
mod reader;

pub(crate) use names::{PARTS, PartNames, parts_in};
pub use reader::SplitReader;
