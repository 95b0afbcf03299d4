//! Subjects: the names under which events are published, stored, read and guarded.
//!
//! ```text
//! public, committed events only     <domain>.<aggregate>.<operation>
//! stored                            es.<p>.<id>.<domain>.<aggregate>.<operation>
//! the guard of one aggregate        es.<p>.<id>.>
//! ```

mod domain;
mod stored;
mod subjects;
mod token;
mod typed;

pub use domain::{AggregateInfo, Domain};
pub use stored::{PARTITIONS, StoredSubjects, partition};
pub use subjects::{PatternError, Subjects};
pub use token::{Token, TokenError};
pub use typed::{Filter, Subject};
