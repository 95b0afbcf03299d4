//! How to reach the servers and what to keep on them, from a TOML file, the environment, or code.

mod address;
mod aliases;
mod duration;
mod error;
mod event_store;
mod keys;
mod options;
mod read;
mod secret;
mod storage;

#[cfg(test)]
mod storage_tests;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use address::without_login;
pub use error::ConfigError;
pub use event_store::EventStoreConfig;
pub(super) use event_store::check_name;
pub use options::JetStreamOptions;
pub use secret::Secret;
pub use storage::{Storage, StorageConfig};

/// How to reach the servers and what to keep on them.
///
/// | key | default | meaning |
/// |---|---|---|
/// | `enabled` | `true` | `false`: the program works on a file alone ([`StorageConfig`]) |
/// | `servers` | `nats://127.0.0.1:4222` | addresses; `tls://` asks for TLS |
/// | `credentials` | | a file with a user's JWT and seed |
/// | `user`, `password` | | or these two |
/// | `token` | | or this |
/// | `nkey` | | or a user's seed, or the file that holds it |
/// | `connection_timeout` | `5s` | for one attempt to connect |
/// | `max_retries` | 3 | after how many refusals a commit of a hybrid store is parked |
/// | `max_reconnects` | 60 | attempts in a row after which the connection is given up; 0: never |
/// | `reconnect_delay` | `250ms` | before the first of them; it doubles up to 64 times that, half of it at random |
/// | `request_timeout` | `2s` | for the answer to one request |
/// | `patience` | `30s` | for one operation, while the servers elect a leader or restart |
/// | `object_store_bucket` | `cim-es-objects` | where blocks are kept |
/// | `tls.ca_cert` | | the authority that signs the servers' certificates; the system's by default |
/// | `tls.client_cert`, `tls.client_key` | | the program's own certificate and key |
/// | `tls.required` | `false` | refuses servers without TLS |
/// | `jetstream.domain` | | the JetStream domain to talk to |
/// | `jetstream.prefix` | | or the prefix of its API |
/// | `event_store.stream_name` | `EVENTS` | |
/// | `event_store.subjects` | `>` | the public subjects of the stream |
/// | `event_store.max_age` | | drops older events |
/// | `event_store.max_messages` | | the most events |
/// | `event_store.when_full` | `refuse` | or `drop_oldest` |
/// | `event_store.accept_losing_events` | `false` | must be true when the above can drop events |
/// | `event_store.replicas` | 1 | servers that keep each event |
/// | `event_store.retention` | `limits` | the only one under which reading an event does not delete it |
/// | `event_store.duplicate_window` | `2m` | for how long a message sent again is recognised |
/// | `event_store.snapshot_threshold` | 100 | events between two snapshots of an aggregate |
/// | `event_store.server_memory` | | the memory of each server in bytes, with which `doctor` compares what the stream takes |
/// | `event_store.stored_prefix` | `es` | what stored subjects begin with; the same in every program |
/// | `event_store.public_prefix` | | what stands in front of the public subjects, for tests and tenants |
/// | `event_store.create` | `true` | creates the stream and the buckets that are missing |
/// | `event_store.hash` | `sha2-256` | or `blake3`: the hash of new CIDs |
/// | `event_store.max_payload` | 1000000 | the largest payload of an event in bytes |
///
/// A file may have these keys in a table `[nats]`, beside `[offline]`. Names that other programs of the family use are
/// understood too, each beside or in place of the key above, never with it: `url` and `credentials_file`,
/// `connection_timeout_secs`, `stream_name` and `jetstream.stream_name`, `jetstream.object_store_bucket`, `subject_prefix`
/// (`cim.keys` is the subjects `cim.keys.>`), `tls_ca`, `tls_cert`, `tls_key`; `enable_jetstream` and
/// `enable_ipld` must be true.
///
/// Files are PEM. The environment variable of a key is its name in capitals with `_` for `.` and `CIM_ES_NATS_` in
/// front: `CIM_ES_NATS_TLS_CA_CERT`. Secrets do not show in `Debug`.
///
/// ```
/// use cim_es::jetstream::{EventStoreConfig, NatsConfig};
///
/// let config = NatsConfig::new(["nats://127.0.0.1:4222"])
///     .user_and_password("writer", "hunter2")
///     .max_reconnects(10)
///     .event_store(EventStoreConfig::new("NETWORK_EVENTS", ["network.>"]));
/// assert!(!format!("{config:?}").contains("hunter2"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct NatsConfig {
    /// Whether the program works on servers at all.
    pub enabled: bool,
    /// The addresses of the servers. A user and a password in an address count as `user` and `password`.
    pub servers: Vec<String>,
    /// How to log in.
    pub auth: NatsAuth,
    /// How to encrypt.
    pub tls: TlsConfig,
    /// How long one attempt to connect may take.
    pub connection_timeout: Duration,
    /// After how many refusals a commit of a hybrid store is parked; 3 by default.
    pub max_retries: u32,
    /// After how many attempts in a row a lost connection is given up; 0 is never.
    pub max_reconnects: usize,
    /// How long to wait before the first attempt.
    pub reconnect_delay: Duration,
    /// How long one request may wait for its answer; 2 s by default.
    pub request_timeout: Duration,
    /// How long an operation goes on while the servers do not answer, elect a leader or restart; 30 s by default.
    pub patience: Duration,
    /// How to address JetStream.
    pub jetstream: JetStreamConfig,
    /// The stream of events.
    pub event_store: EventStoreConfig,
    /// The bucket of the object store.
    pub object_store_bucket: String,
}

/// How a program logs in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NatsAuth {
    /// Not at all.
    #[default]
    None,
    /// With a file that holds a user's JWT and seed.
    Credentials(PathBuf),
    /// With a name and a password.
    UserPassword {
        /// The name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// With a token.
    Token(Secret),
    /// With a user's nkey: its seed, which starts with `SU`, or the path of a file that holds it.
    Nkey(Secret),
}

impl NatsAuth {
    fn keys(&self) -> &'static str {
        match self {
            Self::None => "no login",
            Self::Credentials(_) => "`credentials`",
            Self::UserPassword { .. } => "`user` with `password`",
            Self::Token(_) => "`token`",
            Self::Nkey(_) => "`nkey`",
        }
    }
}

/// How a connection is encrypted: TLS 1.3.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// A PEM file with the authorities that sign the servers' certificates; the system's where there is none.
    pub ca_cert: Option<PathBuf>,
    /// A PEM file with the program's own certificate.
    pub client_cert: Option<PathBuf>,
    /// A PEM file with its key.
    pub client_key: Option<PathBuf>,
    /// Refuses servers without TLS.
    pub required: bool,
}

/// How JetStream is addressed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JetStreamConfig {
    /// The domain, for servers behind a leaf node.
    pub domain: Option<String>,
    /// The prefix of the API's subjects, where an account imports it under another name than `$JS.API`.
    pub prefix: Option<String>,
}

impl Default for NatsConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            max_retries: 3,
            servers: vec!["nats://127.0.0.1:4222".to_owned()],
            auth: NatsAuth::None,
            tls: TlsConfig::default(),
            connection_timeout: Duration::from_secs(5),
            max_reconnects: 60,
            reconnect_delay: Duration::from_millis(250),
            request_timeout: Duration::from_secs(2),
            patience: Duration::from_secs(30),
            jetstream: JetStreamConfig::default(),
            event_store: EventStoreConfig::default(),
            object_store_bucket: "cim-es-objects".to_owned(),
        }
    }
}

impl NatsConfig {
    /// The defaults, for servers by their addresses.
    pub fn new<S: Into<String>>(servers: impl IntoIterator<Item = S>) -> Self {
        Self {
            servers: servers.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// Logs in with a file that holds a user's JWT and seed.
    pub fn credentials(mut self, file: impl Into<PathBuf>) -> Self {
        self.auth = NatsAuth::Credentials(file.into());
        self
    }

    /// Logs in with a name and a password.
    pub fn user_and_password(
        mut self,
        user: impl Into<String>,
        password: impl Into<Secret>,
    ) -> Self {
        self.auth = NatsAuth::UserPassword {
            user: user.into(),
            password: password.into(),
        };
        self
    }

    /// Logs in with a token.
    pub fn token(mut self, token: impl Into<Secret>) -> Self {
        self.auth = NatsAuth::Token(token.into());
        self
    }

    /// Logs in with a user's seed, or the path of a file that holds it.
    pub fn nkey(mut self, seed: impl Into<Secret>) -> Self {
        self.auth = NatsAuth::Nkey(seed.into());
        self
    }

    /// Trusts the authorities of a PEM file, and refuses servers without TLS.
    pub fn ca_cert(mut self, file: impl Into<PathBuf>) -> Self {
        self.tls.ca_cert = Some(file.into());
        self.tls.required = true;
        self
    }

    /// Shows a certificate of the program's own, and refuses servers without TLS.
    pub fn client_cert(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.tls.client_cert = Some(certificate.into());
        self.tls.client_key = Some(key.into());
        self.tls.required = true;
        self
    }

    /// Sets how long one attempt to connect may take.
    pub fn connection_timeout(mut self, timeout: Duration) -> Self {
        self.connection_timeout = timeout;
        self
    }

    /// Sets after how many attempts in a row a lost connection is given up; 0 is never.
    pub fn max_reconnects(mut self, attempts: usize) -> Self {
        self.max_reconnects = attempts;
        self
    }

    /// Sets how long to wait before the first attempt to connect again.
    pub fn reconnect_delay(mut self, delay: Duration) -> Self {
        self.reconnect_delay = delay;
        self
    }

    /// Sets how long one request may wait for its answer.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// Sets how long an operation goes on while the servers do not answer, elect a leader or restart.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Talks to a JetStream domain.
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.jetstream.domain = Some(domain.into());
        self
    }

    /// Sets the stream of events.
    pub fn event_store(mut self, event_store: EventStoreConfig) -> Self {
        self.event_store = event_store;
        self
    }

    /// Sets the bucket of the object store.
    pub fn object_store_bucket(mut self, bucket: impl Into<String>) -> Self {
        self.object_store_bucket = bucket.into();
        self
    }

    /// Whether the settings fit together.
    ///
    /// # Errors
    /// [`ConfigError`] names the first key that does not fit.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.servers.is_empty() {
            return Err(ConfigError::invalid(
                "servers",
                "at least one address is needed",
            ));
        }
        for server in &self.servers {
            address::check(server).map_err(|reason| ConfigError::invalid("servers", reason))?;
        }
        if self.request_timeout.is_zero() {
            return Err(ConfigError::invalid(
                "request_timeout",
                "it must be longer than zero",
            ));
        }
        if self.connection_timeout.is_zero() {
            return Err(ConfigError::invalid(
                "connection_timeout",
                "it must be longer than zero",
            ));
        }
        if self.tls.client_cert.is_some() != self.tls.client_key.is_some() {
            return Err(ConfigError::contradiction(
                "`tls.client_cert` and `tls.client_key` need each other: set both or neither",
            ));
        }
        if self.jetstream.domain.is_some() && self.jetstream.prefix.is_some() {
            return Err(ConfigError::contradiction(
                "`jetstream.domain` and `jetstream.prefix` are both set: a domain is a prefix, keep one",
            ));
        }
        check_name("object_store_bucket", &self.object_store_bucket)?;
        self.event_store.check()
    }
}

impl fmt::Debug for NatsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers: Vec<_> = self
            .servers
            .iter()
            .map(|server| without_login(server))
            .collect();
        f.debug_struct("NatsConfig")
            .field("enabled", &self.enabled)
            .field("max_retries", &self.max_retries)
            .field("servers", &servers)
            .field("auth", &self.auth)
            .field("tls", &self.tls)
            .field("connection_timeout", &self.connection_timeout)
            .field("max_reconnects", &self.max_reconnects)
            .field("reconnect_delay", &self.reconnect_delay)
            .field("request_timeout", &self.request_timeout)
            .field("patience", &self.patience)
            .field("jetstream", &self.jetstream)
            .field("event_store", &self.event_store)
            .field("object_store_bucket", &self.object_store_bucket)
            .finish()
    }
}
