//! What stands beside the events: snapshots, blocks, links between blocks, checkpoints, and read models.
//!
//! Each lives in a bucket of its own, in the layout that every NATS tool knows: key-value buckets and an object store.
//! Reads ask the leader, so that what was written is seen at once, whichever server wrote it.

mod abandoned;
pub(super) mod bucket;
pub(super) mod check;
mod checkpoints;
pub(super) mod create;
mod details;
mod links;
pub(super) mod name;
mod objects;
pub(super) mod purpose;
mod read_models;
mod snapshots;

pub use checkpoints::JetStreamCheckpointStore;
pub use links::Link;
pub use objects::JetStreamObjectStore;
pub use read_models::JetStreamReadModels;
pub use snapshots::JetStreamSnapshotStore;
