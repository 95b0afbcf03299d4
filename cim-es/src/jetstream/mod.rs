//! The distributed engine: events in one JetStream stream on NATS servers.

mod config;

pub use config::{
    ConfigError, EventStoreConfig, JetStreamConfig, NatsAuth, NatsConfig, Secret, TlsConfig,
};
