//! Public subjects, `<domain>.<aggregate>.<operation>`: the names under which events are published and read.

mod subjects;
mod token;
mod typed;

pub use subjects::{PatternError, Subjects};
pub use token::{Token, TokenError};
pub use typed::{Filter, Subject};
