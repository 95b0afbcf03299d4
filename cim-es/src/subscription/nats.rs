//! What a builder is told of NATS servers alone, where a program opens no store.

use std::any::Any;
use std::sync::Arc;

use super::EventSubscriberBuilder;
use crate::engine::jetstream::{Connection, JetStreamSubscriptions};
use crate::store::StoredSubjects;
use crate::store::subscription::{SubscriptionEngine, SubscriptionError};

/// A connection and a stream, as far as they were named.
#[derive(Clone, Default)]
pub(super) struct Servers {
    connection: Option<Connection>,
    stream: Option<String>,
    layout: Option<StoredSubjects>,
}

impl Servers {
    pub(super) fn forget_stream(&mut self) {
        (self.stream, self.layout) = (None, None);
    }

    /// On the stream that is named, or looked up.
    pub(super) fn engine(self) -> Result<Arc<dyn SubscriptionEngine>, SubscriptionError> {
        let connection = self.connection.ok_or(SubscriptionError::Incomplete {
            part: "store",
            call: "store(…)`, or on NATS servers `client(…)",
        })?;
        Ok(Arc::new(JetStreamSubscriptions {
            connection,
            stream: self.stream,
            layout: self.layout.unwrap_or_default(),
        }))
    }

    /// The engine of a store, with what was named in place of the store's own.
    pub(super) fn instead_of(
        self,
        engine: Arc<dyn SubscriptionEngine>,
    ) -> Result<Arc<dyn SubscriptionEngine>, SubscriptionError> {
        if self.connection.is_none() && self.stream.is_none() && self.layout.is_none() {
            return Ok(engine);
        }
        let engine: &dyn Any = &*engine;
        let Some(own) = engine.downcast_ref::<JetStreamSubscriptions>().cloned() else {
            let reason = "`client`, `stream` and `stored_subjects` are for NATS servers, and the store keeps its events \
                          elsewhere: leave them out";
            return Err(SubscriptionError::Setting {
                reason: reason.to_owned(),
            });
        };
        Ok(Arc::new(JetStreamSubscriptions {
            connection: self.connection.unwrap_or(own.connection),
            stream: self.stream.or(own.stream),
            layout: self.layout.unwrap_or(own.layout),
        }))
    }
}

impl EventSubscriberBuilder {
    /// A connection to NATS servers, for a program that opens no store, or to listen by another connection than that of
    /// the store. One made by [`NatsConfig::connect`](crate::jetstream::NatsConfig::connect) hears at once what the servers
    /// do not permit; with a bare client that is an answer that never comes.
    pub fn client(mut self, connection: impl Into<Connection>) -> Self {
        self.servers().connection = Some(connection.into());
        self
    }

    /// The stream by name. Without it, and without a store, the stream that keeps the events is looked up, which needs
    /// the right to list streams.
    pub fn stream(mut self, name: impl Into<String>) -> Self {
        self.servers().stream = Some(name.into());
        self
    }

    /// How the stream makes stored subjects, when it is not the default.
    pub fn stored_subjects(mut self, layout: StoredSubjects) -> Self {
        self.servers().layout = Some(layout);
        self
    }
}
