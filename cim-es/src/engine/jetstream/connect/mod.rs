//! Connecting to the servers, and what becomes of the connection.

mod classify;
mod error;
mod login;
mod seen;
mod servers;
mod tls;

use std::fmt;
use std::future::{Future, pending};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use async_nats::jetstream::Context;
use async_nats::{Client, ClientError, ConnectOptions, Event, ServerAddr, ServerError};
use futures_util::future::{Either, select};
use tokio::sync::{broadcast, watch};

pub use crate::store::denied::{Action, PermissionDenied};
pub use error::ConnectError;
pub(crate) use seen::Seen;
pub(crate) use servers::Survey;

use crate::engine::jetstream::config::{JetStreamConfig, NatsConfig, without_login};
use crate::engine::jetstream::retry;

/// How many refusals a slow listener may be behind; one that is further behind waits for its answer in vain.
const REFUSALS: usize = 64;
/// A connection that is lost sooner counts as a failed attempt, so that a server that drops every client meets no storm.
const SHORT_LIVED: Duration = Duration::from_secs(1);

/// A connection to the servers. A clone is another handle to it.
///
/// It connects again by itself after it was lost, with growing delays; [`ended`](Self::ended) tells when it gave that
/// up. It also hears what the servers do not permit, which a client alone takes for an answer that never comes.
///
/// ```no_run
/// use cim_es::jetstream::NatsConfig;
///
/// # async fn example() -> Result<(), cim_es::jetstream::ConnectError> {
/// let connection = NatsConfig::new(["nats://127.0.0.1:4222"]).connect().await?;
/// connection.client().publish("greetings", "hello".into()).await.ok();
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Connection {
    client: Client,
    api: JetStreamConfig,
    timing: Timing,
    login: &'static str,
    signals: Arc<Signals>,
}

/// How messages name the login of a client that was made elsewhere.
const BARE: &str = "this client";

/// How long what goes over a connection may take.
#[derive(Clone, Copy)]
struct Timing {
    request: Duration,
    patience: Duration,
}

/// What the client reports while it runs.
struct Signals {
    servers: String,
    /// `host:port` of each; none for a client that was made elsewhere.
    addresses: Vec<String>,
    max_reconnects: usize,
    was_connected: AtomicBool,
    since: Mutex<Instant>,
    /// How many connections in a row were lost as soon as they were made: the client counts those as successes.
    short_lived: AtomicUsize,
    refused: broadcast::Sender<PermissionDenied>,
    ended: watch::Sender<Option<ConnectError>>,
    seen: seen::Register,
}

impl NatsConfig {
    /// Connects to the first of the servers that answers.
    ///
    /// Each server is tried once; a program that starts before its servers connects again after this failed.
    ///
    /// # Errors
    /// [`ConnectError`] says what is wrong and where.
    pub async fn connect(&self) -> Result<Connection, ConnectError> {
        self.check()?;
        let (addresses, auth) = login::addresses(self)?;
        let signals = Arc::new(Signals::new(self, &addresses));
        let login = login::name(&auth);
        let uses_tls = self.tls.required || addresses.iter().any(|address| address.tls_required());
        // One attempt for each server at the start is always made.
        let attempts = match self.max_reconnects {
            0 => 0,
            attempts => attempts.max(addresses.len()),
        };
        let first_delay = self.reconnect_delay;
        let options = login::options(&auth)?
            .name("cim-es")
            .tls_client_config(tls::client_config(&self.tls)?)
            .require_tls(uses_tls)
            .connection_timeout(self.connection_timeout)
            .request_timeout(Some(self.request_timeout))
            .max_reconnects(attempts);
        let waiting = Arc::clone(&signals);
        let options = options.reconnect_delay_callback(move |attempt| {
            if waiting.was_connected.load(Ordering::Relaxed) {
                let short_lived = waiting.short_lived.load(Ordering::Relaxed);
                retry::reconnect(first_delay).pause(attempt.saturating_add(short_lived))
            } else {
                Duration::ZERO
            }
        });
        let client = listen(options, &signals)
            .connect(addresses)
            .await
            .map_err(|error| classify::classify(error, signals.servers.clone(), login, uses_tls))?;
        signals.was_connected.store(true, Ordering::Relaxed);
        Ok(Connection {
            client,
            api: self.jetstream.clone(),
            timing: Timing {
                request: self.request_timeout,
                patience: self.patience,
            },
            login,
            signals,
        })
    }
}

fn listen(options: ConnectOptions, signals: &Arc<Signals>) -> ConnectOptions {
    // It goes with the client's task, and so with the runtime.
    let task = Task(Arc::downgrade(signals));
    options.event_callback(move |event| {
        if let Some(signals) = task.0.upgrade() {
            signals.hear(event);
        }
        async {}
    })
}

/// What is dropped when the task of a client ends, whatever ends it.
struct Task(Weak<Signals>);

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(signals) = self.0.upgrade() {
            let servers = signals.servers.clone();
            signals.end(ConnectError::RuntimeEnded { servers });
        }
    }
}

impl Signals {
    fn new(config: &NatsConfig, addresses: &[ServerAddr]) -> Self {
        let address = |it: &ServerAddr| match it.host().contains(':') {
            true => format!("[{}]:{}", it.host(), it.port()),
            false => format!("{}:{}", it.host(), it.port()),
        };
        let servers: Vec<_> = config.servers.iter().map(|it| without_login(it)).collect();
        Self {
            servers: servers.join(", "),
            addresses: addresses.iter().map(address).collect(),
            max_reconnects: config.max_reconnects,
            was_connected: AtomicBool::new(false),
            since: Mutex::new(Instant::now()),
            short_lived: AtomicUsize::new(0),
            refused: broadcast::channel(REFUSALS).0,
            ended: watch::channel(None).0,
            seen: seen::Register::default(),
        }
    }

    fn hear(&self, event: Event) {
        match event {
            Event::ServerError(ServerError::Other(text)) => {
                if let Some(refused) = PermissionDenied::parse(&text) {
                    tracing::warn!(%refused, "not permitted");
                    let _ = self.refused.send(refused);
                }
            }
            Event::Connected => *self.since() = Instant::now(),
            Event::Disconnected if self.since().elapsed() < SHORT_LIVED => {
                self.short_lived.fetch_add(1, Ordering::Relaxed);
            }
            Event::Disconnected => self.short_lived.store(0, Ordering::Relaxed),
            Event::ClientError(ClientError::MaxReconnects) => self.end(ConnectError::GivenUp {
                servers: self.servers.clone(),
                attempts: self.max_reconnects,
            }),
            Event::Closed => self.end(ConnectError::Closed),
            _ => {}
        }
    }

    fn since(&self) -> MutexGuard<'_, Instant> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, reason: ConnectError) {
        self.ended.send_if_modified(|ended| {
            let is_first = ended.is_none();
            if is_first {
                *ended = Some(reason);
            }
            is_first
        });
    }
}

impl Connection {
    /// The client under it.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// How long one request may wait for its answer.
    pub fn request_timeout(&self) -> Duration {
        self.timing.request
    }

    /// How long an operation goes on while the servers do not answer, elect a leader or restart.
    pub fn patience(&self) -> Duration {
        self.timing.patience
    }

    /// Another handle, whose requests may wait this long for their answer.
    pub fn with_request_timeout(mut self, timeout: Duration) -> Self {
        self.timing.request = timeout;
        self
    }

    /// Another handle, whose operations go on this long while the servers do not answer.
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.timing.patience = patience;
        self
    }

    /// The addresses of the servers as they were configured, without users and passwords, for people to read.
    pub fn servers(&self) -> &str {
        &self.signals.servers
    }

    /// What the subjects of the JetStream API start with.
    pub(crate) fn api_prefix(&self) -> String {
        match (&self.api.domain, &self.api.prefix) {
            (Some(domain), _) => format!("$JS.{domain}.API"),
            (None, Some(prefix)) => prefix.clone(),
            (None, None) => "$JS.API".to_owned(),
        }
    }

    /// What this program has seen of a stream.
    pub(crate) fn seen(&self, stream: &str) -> Arc<Seen> {
        let prefix = self.api_prefix();
        self.signals.seen.of(format!("{prefix} {stream}"))
    }

    /// What the servers refuse from now on.
    pub(crate) fn refusals(&self) -> Refusals {
        Refusals(self.signals.refused.subscribe())
    }

    /// JetStream, addressed as the configuration says.
    pub fn jetstream(&self) -> Context {
        let client = self.client.clone();
        match (&self.api.domain, &self.api.prefix) {
            (Some(domain), _) => async_nats::jetstream::with_domain(client, domain),
            (None, Some(prefix)) => async_nats::jetstream::with_prefix(client, prefix),
            (None, None) => async_nats::jetstream::new(client),
        }
    }

    /// Whether the account has JetStream and the servers answer for it.
    ///
    /// # Errors
    /// [`ConnectError::NoJetStream`], and [`ConnectError::Unreachable`] when nobody answers.
    pub async fn check_jetstream(&self) -> Result<(), ConnectError> {
        use async_nats::jetstream::context::AccountErrorKind;

        let asked = self.jetstream();
        let answer = self.unless_refused(|_| true, asked.query_account()).await;
        match answer {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error))
                if matches!(
                    error.kind(),
                    AccountErrorKind::JetStream(_) | AccountErrorKind::JetStreamUnavailable
                ) =>
            {
                Err(self.no_jetstream())
            }
            // Not to be permitted to ask is no sign that there is none.
            Err(_) => Ok(()),
            Ok(Err(error)) => Err(ConnectError::Unreachable {
                servers: self.signals.servers.clone(),
                reason: error.to_string(),
            }),
        }
    }

    /// The error for servers without JetStream.
    pub(crate) fn no_jetstream(&self) -> ConnectError {
        let info = self.client.server_info();
        ConnectError::NoJetStream {
            servers: match self.login {
                // Who made the client knows its address; the server says where it is.
                BARE => format!("{}:{}", info.host, info.port),
                _ => self.signals.servers.clone(),
            },
            login: self.login,
        }
    }

    /// Whether the server that this client talks to runs JetStream itself.
    pub(crate) fn has_jetstream(&self) -> bool {
        self.client.server_info().jetstream
    }

    /// Waits until the connection is given up or closed, and tells why. A connection that is merely lost is made again.
    pub async fn ended(&self) -> ConnectError {
        let mut ended = self.signals.ended.subscribe();
        match ended.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or(ConnectError::Closed),
            Err(_) => pending().await,
        }
    }

    /// Why the connection was given up or closed; none while it is there or being made again.
    pub fn why_ended(&self) -> Option<ConnectError> {
        self.signals.ended.borrow().clone()
    }

    /// Does some work that asks the servers, unless they refuse a subject of the work: then that is the answer, at once,
    /// instead of a timeout.
    ///
    /// # Errors
    /// [`PermissionDenied`] for the first refusal that `concerns` the work. What another task of this connection was
    /// refused counts too, where it concerns the same subjects.
    pub async fn unless_refused<T>(
        &self,
        concerns: impl Fn(&PermissionDenied) -> bool,
        work: impl Future<Output = T>,
    ) -> Result<T, PermissionDenied> {
        let mut refusals = self.refusals();
        match select(pin!(work), pin!(refusals.next(concerns))).await {
            Either::Left((answer, _)) => Ok(answer),
            Either::Right((refused, _)) => Err(refused),
        }
    }
}

/// What the servers refuse, from a moment on.
#[derive(Debug)]
pub(crate) struct Refusals(broadcast::Receiver<PermissionDenied>);

impl Refusals {
    /// Waits for a refusal that concerns some work.
    pub(crate) async fn next(
        &mut self,
        concerns: impl Fn(&PermissionDenied) -> bool,
    ) -> PermissionDenied {
        loop {
            match self.0.recv().await {
                Ok(refused) if concerns(&refused) => return refused,
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return pending().await,
            }
        }
    }
}

impl From<Client> for Connection {
    /// A client that was made elsewhere. What the servers do not permit it does not hear: refusals are timeouts.
    fn from(client: Client) -> Self {
        let defaults = NatsConfig::default();
        let signals = Arc::new(Signals::new(&defaults, &[]));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // A task beside the client's own: it ends with the runtime, or with the last handle.
            let (task, mut ended) = (Task(Arc::downgrade(&signals)), signals.ended.subscribe());
            runtime.spawn(async move {
                let _task = task;
                while ended.changed().await.is_ok() {}
            });
        }
        Self {
            client,
            api: JetStreamConfig::default(),
            timing: Timing {
                request: defaults.request_timeout,
                patience: defaults.patience,
            },
            login: BARE,
            signals,
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("servers", &self.signals.servers)
            .field("state", &self.client.connection_state())
            .field("ended", &*self.signals.ended.borrow())
            .finish()
    }
}
