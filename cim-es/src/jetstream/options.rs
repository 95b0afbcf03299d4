//! What a store on JetStream is configured to be.

use std::time::Duration;

use crate::store::SealOptions;
use crate::subject::StoredSubjects;

/// What happens when a stream has as many events as it may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// New events are refused with [`StoreError::Full`](crate::store::StoreError::Full).
    #[default]
    Refuse,
    /// The oldest events are dropped; needs [`JetStreamOptions::accept_losing_events`].
    DropOldest,
}

/// What a store on JetStream is configured to be: its stream, and how patient it is.
///
/// ```
/// use cim_es::jetstream::JetStreamOptions;
///
/// let options = JetStreamOptions::new("INFRASTRUCTURE", ["infrastructure.>"]).replicas(3);
/// ```
#[derive(Clone, Debug)]
pub struct JetStreamOptions {
    pub(super) stream: String,
    pub(super) public: Vec<String>,
    pub(super) public_prefix: Option<String>,
    pub(super) subjects: StoredSubjects,
    pub(super) domain: Option<String>,
    pub(super) replicas: usize,
    pub(super) max_age: Option<Duration>,
    pub(super) max_messages: Option<u64>,
    pub(super) when_full: WhenFull,
    pub(super) duplicate_window: Duration,
    pub(super) accepts_losing_events: bool,
    pub(super) creates_stream: bool,
    pub(super) seal: SealOptions,
    pub(super) request_timeout: Duration,
    pub(super) patience: Duration,
}

impl JetStreamOptions {
    /// A stream by name, and the public subjects whose events it keeps, such as `infrastructure.>`; they may have
    /// wildcards. Streams may not overlap.
    pub fn new<S: Into<String>>(
        stream: impl Into<String>,
        public: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            stream: stream.into(),
            public: public.into_iter().map(Into::into).collect(),
            public_prefix: None,
            subjects: StoredSubjects::default(),
            domain: None,
            replicas: 1,
            max_age: None,
            max_messages: None,
            when_full: WhenFull::default(),
            duplicate_window: Duration::from_secs(120),
            accepts_losing_events: false,
            creates_stream: true,
            seal: SealOptions::default(),
            request_timeout: Duration::from_secs(2),
            patience: Duration::from_secs(30),
        }
    }

    /// Tokens in front of the public subjects, under which committed events are republished. Needed where one stream
    /// keeps several domains that have no first token in common.
    pub fn public_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.public_prefix = Some(prefix.into());
        self
    }

    /// How stored subjects are made; every program that writes to the stream must agree.
    pub fn stored_subjects(mut self, subjects: StoredSubjects) -> Self {
        self.subjects = subjects;
        self
    }

    /// The JetStream domain of the servers, for a leaf node or a tenant.
    pub fn jetstream_domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// How many servers keep each event; 1 by default, 3 on a cluster.
    pub fn replicas(mut self, replicas: usize) -> Self {
        self.replicas = replicas;
        self
    }

    /// Drops events that are older; needs [`accept_losing_events`](Self::accept_losing_events).
    ///
    /// A history that no longer starts at 1 loads only from a snapshot, and an id whose events have all expired can
    /// start again.
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }

    /// The most events that the stream keeps; what happens then is for [`when_full`](Self::when_full) to say.
    pub fn max_messages(mut self, max_messages: u64) -> Self {
        self.max_messages = Some(max_messages);
        self
    }

    /// What happens when the stream is full; new events are refused by default.
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// For how long the servers recognise a message that is sent again; 2 minutes by default.
    pub fn duplicate_window(mut self, window: Duration) -> Self {
        self.duplicate_window = window;
        self
    }

    /// Accepts that the stream may drop events, by age or by count.
    pub fn accept_losing_events(mut self) -> Self {
        self.accepts_losing_events = true;
        self
    }

    /// Does not create a stream that is missing: for programs that have no right to.
    pub fn without_creating(mut self) -> Self {
        self.creates_stream = false;
        self
    }

    /// The hash of new CIDs, and the limit for payloads.
    pub fn seal(mut self, seal: SealOptions) -> Self {
        self.seal = seal;
        self
    }

    /// How long to wait for one answer of a server; 2 s by default.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// How long an operation goes on while the servers do not answer, elect a leader or restart; 30 s by default.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}
