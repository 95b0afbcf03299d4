//! What an author declares: aggregates, events, machines, messages, subjects, values. It knows no other room.

pub mod aggregate;
pub mod declared;
mod error_chain;
pub mod event;
pub mod info;
pub mod kept;
pub mod machine;
pub mod message;
pub(crate) mod panicked;
pub mod subject;
pub mod value;

pub use error_chain::ErrorChain;
