//! What a store on JetStream is configured to be.

use std::time::Duration;

use super::EventStoreConfig;
use crate::store::{SealOptions, StoredSubjects};

/// What a store on JetStream is configured to be, beside its stream: how it names, seals and waits.
///
/// ```
/// use std::time::Duration;
///
/// use cim_es::jetstream::{EventStoreConfig, JetStreamOptions};
///
/// let stream = EventStoreConfig::new("INFRASTRUCTURE", ["infrastructure.>"]).replicas(3);
/// let options = JetStreamOptions::new(stream).patience(Duration::from_secs(10));
/// ```
#[derive(Clone, Debug)]
pub struct JetStreamOptions {
    pub(crate) stream: EventStoreConfig,
    pub(crate) request_timeout: Option<Duration>,
    pub(crate) patience: Option<Duration>,
}

impl From<EventStoreConfig> for JetStreamOptions {
    fn from(stream: EventStoreConfig) -> Self {
        Self::new(stream)
    }
}

impl JetStreamOptions {
    /// The defaults for a stream.
    pub fn new(stream: EventStoreConfig) -> Self {
        Self {
            stream,
            request_timeout: None,
            patience: None,
        }
    }

    /// How stored subjects are made; every program that writes to the stream must agree.
    pub fn stored_subjects(mut self, subjects: StoredSubjects) -> Self {
        self.stream.stored_subjects = subjects;
        self
    }

    /// Tokens in front of the public subjects, under which committed events are republished: for tests and for tenants
    /// that share an account.
    pub fn public_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.stream.public_prefix = Some(prefix.into());
        self
    }

    /// Does not create a stream that is missing: for programs that have no right to.
    pub fn without_creating(mut self) -> Self {
        self.stream.create = false;
        self
    }

    /// The hash of new CIDs, and the limit for payloads.
    pub fn seal(mut self, seal: SealOptions) -> Self {
        self.stream.seal = seal;
        self
    }

    /// How long to wait for one answer of a server; as long as the connection says by default.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = Some(timeout);
        self
    }

    /// How long an operation goes on while the servers do not answer, elect a leader or restart; as long as the connection
    /// says by default.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }
}
