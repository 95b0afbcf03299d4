//! The distributed engine: events in one JetStream stream on NATS servers.

mod config;
mod connect;
mod kept;

pub use config::{
    ConfigError, EventStoreConfig, JetStreamConfig, NatsAuth, NatsConfig, Secret, TlsConfig,
};
pub use connect::{Action, ConnectError, Connection, PermissionDenied};
pub use kept::{JetStreamCheckpointStore, JetStreamObjectStore, JetStreamSnapshotStore, Link};
