//! The distributed engine: events in one JetStream stream on NATS servers, guarded by their subjects.
//!
//! An event is stored on `es.<p>.<id>.<domain>.<aggregate>.<operation>` and republished, once it is committed, on its
//! public subject `<domain>.<aggregate>.<operation>`. Every write carries the aggregate's guard
//! ([`StoredSubjects::guard`](crate::subject::StoredSubjects::guard)), so that two writers never both win.

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
pub use buckets::{JetStreamCheckpointStore, JetStreamObjectStore, JetStreamSnapshotStore, Link};
pub use config::{
    ConfigError, EventStoreConfig, JetStreamConfig, JetStreamOptions, NatsAuth, NatsConfig, Secret,
    TlsConfig,
};
pub use connect::{Action, ConnectError, Connection, PermissionDenied};
pub use publisher::{EventPublisher, Publication, PublishError};
pub use stores::{JetStreamStores, OpenError};
pub use stream::{Finding, JetStreamEventStore, Severity};
pub use subscription::{
    EventHandler, EventSubscriber, EventSubscriberBuilder, FnEventHandler, HandlerError,
    ParkedEvent, ParkedEvents, ParkedRequest, Retry, Subscription, SubscriptionError,
    SubscriptionStart,
};
