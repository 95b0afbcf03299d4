//! What an author declares: aggregates, events, machines, messages, subjects, values. It knows no other room.

pub mod aggregate;
pub mod declared;
pub mod event;
pub mod info;
pub mod machine;
pub mod message;
pub mod subject;
pub mod value;
