//! The distributed engine; what it is stands with the public module, in `lib.rs`.

mod api;
mod buckets;
mod config;
mod connect;
mod publisher;
mod retry;
mod stores;
mod stream;
mod subscription;

pub use api::ApiFailure;
pub use buckets::{
    JetStreamCheckpointStore, JetStreamObjectStore, JetStreamReadModels, JetStreamSnapshotStore,
    Link,
};
pub use config::{
    ConfigError, EventStoreConfig, JetStreamConfig, JetStreamOptions, NatsAuth, NatsConfig, Secret,
    Storage, StorageConfig, TlsConfig,
};
pub use connect::{Action, ConnectError, Connection, PermissionDenied};
pub use publisher::{EventPublisher, Publication, PublishError};
pub use stores::{JetStreamStores, OpenError};
pub use stream::{Copied, Finding, JetStreamEventStore, Severity, UnfinishedCommit};
pub(crate) use subscription::JetStreamSubscriptions;
