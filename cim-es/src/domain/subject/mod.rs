//! Public subjects, `<domain>.<aggregate>.<operation>`: the names under which events are published and read.

pub(crate) mod pattern;
mod subjects;
mod token;
mod typed;

pub use pattern::{Pattern, PatternError};
pub use subjects::Subjects;
pub use token::{Token, TokenError};
pub use typed::{Filter, Subject};
