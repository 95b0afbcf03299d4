//! The distributed engine: events in one JetStream stream on NATS servers, guarded by their subjects.
//!
//! An event is stored on `es.<p>.<id>.<domain>.<aggregate>.<operation>` and republished, once it is committed, on its
//! public subject `<domain>.<aggregate>.<operation>`. Every write carries the aggregate's guard
//! ([`StoredSubjects::guard`](crate::subject::StoredSubjects::guard)), so that two writers never both win.

mod api;
mod append;
mod compare;
mod config;
mod connect;
mod direct;
mod doctor;
mod history;
mod kept;
mod leader;
mod message;
mod options;
mod patience;
mod patterns;
mod publish;
mod publisher;
mod reader;
mod scan;
mod setup;
mod standing;
mod store;
mod stores;
mod subscriber;

pub use api::ApiFailure;
pub use config::{
    ConfigError, EventStoreConfig, JetStreamConfig, NatsAuth, NatsConfig, Secret, TlsConfig,
};
pub use connect::{Action, ConnectError, Connection, PermissionDenied};
pub use doctor::{Finding, Severity};
pub use kept::{JetStreamCheckpointStore, JetStreamObjectStore, JetStreamSnapshotStore, Link};
pub use options::JetStreamOptions;
pub use publisher::{EventPublisher, Publication, PublishError};
pub use store::JetStreamEventStore;
pub use stores::{JetStreamStores, OpenError};
pub use subscriber::{
    EventHandler, EventSubscriber, EventSubscriberBuilder, FnEventHandler, HandlerError,
    ParkedEvent, ParkedEvents, ParkedRequest, Retry, Subscription, SubscriptionError,
    SubscriptionStart,
};
