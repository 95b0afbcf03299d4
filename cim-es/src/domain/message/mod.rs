//! What comes in with a command: who asked, when, and the ids that tie the answer to the question.
//!
//! Deciding and folding never read a clock or draw a random number; both come from the [`Context`], so that
//! deciding again, or replaying, gives the same bytes.

mod context;
mod identity;
mod meta;
mod timestamp;

pub use context::Context;
pub(crate) use context::derived_id;
pub use identity::{Cause, MessageIdentity};
pub use meta::{Meta, MetaValue};
pub use timestamp::{Clock, FixedClock, SystemClock, Timestamp, TimestampError};
