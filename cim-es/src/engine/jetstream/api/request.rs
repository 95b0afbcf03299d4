//! Requests to the JetStream API of the servers, and what they answer.

use std::sync::Arc;
use std::time::Duration;

use async_nats::client::RequestErrorKind;
use async_nats::{Client, Message, Request};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::engine::jetstream::connect::{ConnectError, Connection, PermissionDenied};
use crate::store::StoreError;

/// Why a request to the JetStream API had no good answer.
///
/// It is the source of a [`StoreError::Engine`], for programs that want to tell the cases apart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApiFailure {
    /// The server refused the request.
    #[error("the server refused: {description} (code {code}, error {error})")]
    Refused {
        /// The status, as in HTTP.
        code: u16,
        /// The number of the error in the list of the server's errors.
        error: u64,
        /// What the server said.
        description: String,
    },
    /// No server listens on the subject: the stream has no leader at the moment, or JetStream is off.
    #[error(
        "no server answers for the stream; it may be electing a leader, or JetStream is not enabled"
    )]
    NoResponders,
    /// The answer did not come in time.
    #[error(
        "no answer within {} ms; the servers may be unreachable, or not permit the request",
        .0.as_millis()
    )]
    TimedOut(Duration),
    /// The server does not permit the request.
    #[error(transparent)]
    Denied(#[from] PermissionDenied),
    /// The answer was not what the API promises.
    #[error("the answer cannot be read: {0}")]
    Malformed(String),
    /// The client could not send the request.
    #[error("the client failed: {0}")]
    Client(String),
}

impl ApiFailure {
    /// Whether the same request may succeed a moment later.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::NoResponders | Self::TimedOut(_) => true,
            Self::Refused { code, error, .. } => {
                *code == 503 || matches!(*error, errors::NOT_LEADER | errors::UNAVAILABLE)
            }
            Self::Denied(_) | Self::Malformed(_) | Self::Client(_) => false,
        }
    }

    /// Whether the same request about a consumer may succeed a moment later: while servers restart it can fail in ways that
    /// pass, such as no place for it, or a stream that is not yet recovered.
    pub(crate) fn is_passing_for_a_consumer(&self) -> bool {
        match self {
            Self::Refused { code, .. } => self.is_passing() || *code >= 500,
            _ => self.is_passing(),
        }
    }

    /// Whether the server refused with this number.
    pub(crate) fn has_error(&self, number: u64) -> bool {
        matches!(self, Self::Refused { error, .. } if *error == number)
    }
}

/// Numbers of errors, from the list that the server publishes.
pub(crate) mod errors {
    pub(crate) const NO_PEERS: u64 = 10005;
    pub(crate) const UNAVAILABLE: u64 = 10008;
    pub(crate) const NOT_LEADER: u64 = 10009;
    pub(crate) const CONSUMER_NOT_FOUND: u64 = 10014;
    pub(crate) const INSUFFICIENT_RESOURCES: u64 = 10023;
    pub(crate) const ACCOUNT_RESOURCES_EXCEEDED: u64 = 10002;
    pub(crate) const MEMORY_RESOURCES_EXCEEDED: u64 = 10028;
    pub(crate) const NO_MESSAGE_FOUND: u64 = 10037;
    pub(crate) const STORAGE_RESOURCES_EXCEEDED: u64 = 10047;
    pub(crate) const MESSAGE_TOO_LARGE: u64 = 10054;
    pub(crate) const STREAM_NAME_IN_USE: u64 = 10058;
    pub(crate) const STREAM_NOT_FOUND: u64 = 10059;
    pub(crate) const SUBJECTS_OVERLAP: u64 = 10065;
    pub(crate) const WRONG_LAST_SEQUENCE: u64 = 10071;
    pub(crate) const STORE_FAILED: u64 = 10077;
    pub(crate) const STREAM_SEALED: u64 = 10109;
    pub(crate) const DUPLICATE_IN_FLIGHT: u64 = 10158;
    pub(crate) const LAST_SEQUENCE_NOT_READY: u64 = 10163;
    pub(crate) const WRONG_LAST_SEQUENCE_IN_FLIGHT: u64 = 10164;
    pub(crate) const BATCH_INCOMPLETE: u64 = 10176;
    pub(crate) const BATCH_REPEATS: u64 = 10201;
    pub(crate) const TOO_MANY_BATCHES: u64 = 10210;
}

/// The error in an answer.
#[derive(Debug, Deserialize)]
pub(crate) struct ErrorAnswer {
    #[serde(default)]
    code: u16,
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

impl From<ErrorAnswer> for ApiFailure {
    fn from(answer: ErrorAnswer) -> Self {
        Self::Refused {
            code: answer.code,
            error: answer.err_code,
            description: answer.description,
        }
    }
}

/// An answer is an error, or what was asked for.
#[derive(Deserialize)]
struct Failed {
    error: Option<ErrorAnswer>,
}

/// The connection, and where the API of one stream is found.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    connection: Connection,
    pub(crate) client: Client,
    /// `$JS.API`, or `$JS.<domain>.API`.
    pub(crate) prefix: Arc<str>,
    pub(crate) stream: Arc<str>,
    pub(crate) timeout: Duration,
}

impl Api {
    pub(crate) fn new(connection: &Connection, stream: &str, timeout: Duration) -> Self {
        Self {
            connection: connection.clone(),
            client: connection.client().clone(),
            prefix: connection.api_prefix().into(),
            stream: stream.into(),
            timeout,
        }
    }

    /// A subject of the API: `STREAM.INFO` becomes `$JS.API.STREAM.INFO.<stream>`.
    pub(crate) fn subject(&self, operation: &str) -> String {
        format!("{}.{operation}.{}", self.prefix, self.stream)
    }

    /// Asks for something about the stream.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        operation: &str,
        body: &impl Serialize,
    ) -> Result<T, ApiFailure> {
        self.ask_at(self.subject(operation), body).await
    }

    /// Asks on a subject of the API.
    pub(crate) async fn ask_at<T: DeserializeOwned>(
        &self,
        subject: String,
        body: &impl Serialize,
    ) -> Result<T, ApiFailure> {
        let request = Request::new().payload(json(body)?);
        let answer = self.send(&subject, request, self.timeout).await?;
        parse(&answer.payload)
    }

    /// Sends a request and waits for its answer, or for the word that the server does not permit it.
    pub(crate) async fn send(
        &self,
        subject: &str,
        request: Request,
        timeout: Duration,
    ) -> Result<Message, ApiFailure> {
        let request = request.timeout(Some(timeout));
        let answer = self.client.send_request(subject.to_owned(), request);
        let answer = in_time(timeout, answer);
        let answer = self
            .unless_denied(|denied| denied == subject, answer)
            .await??;
        answer.map_err(|error| match error.kind() {
            RequestErrorKind::TimedOut => ApiFailure::TimedOut(timeout),
            RequestErrorKind::NoResponders => ApiFailure::NoResponders,
            _ => ApiFailure::Client(error.to_string()),
        })
    }

    /// Does some work, unless the server does not permit a subject of it.
    pub(crate) async fn unless_denied<T>(
        &self,
        concerns: impl Fn(&str) -> bool,
        work: impl Future<Output = T>,
    ) -> Result<T, ApiFailure> {
        let concerns = |denied: &PermissionDenied| concerns(&denied.subject);
        Ok(self.connection.unless_refused(concerns, work).await?)
    }

    /// The error of a store for a failed request.
    pub(crate) fn error(&self, operation: &'static str, failure: ApiFailure) -> StoreError {
        match self.has_ended() {
            true => self.closed(),
            false => StoreError::Engine {
                place: self.place(),
                operation,
                source: Arc::new(failure),
            },
        }
    }

    /// The error for a connection that has ended.
    pub(crate) fn closed(&self) -> StoreError {
        let ended = self.connection.why_ended();
        let reason = ended.unwrap_or(ConnectError::Closed).to_string();
        StoreError::Closed { reason }
    }

    /// How errors name the stream.
    pub(crate) fn place(&self) -> String {
        format!("stream {}", self.stream)
    }

    /// How often the client has connected: a change means that the servers have forgotten what was under way.
    pub(crate) fn connects(&self) -> u64 {
        let statistics = self.client.statistics();
        statistics
            .connects
            .load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Whether the connection was given up or closed.
    pub(crate) fn has_ended(&self) -> bool {
        self.connection.why_ended().is_some()
    }
}

/// Does some work that hands something to the client. While there is no connection the client takes a number of messages,
/// and then lets everyone wait until there is one: longer than any operation may take.
pub(crate) async fn in_time<T>(
    timeout: Duration,
    work: impl Future<Output = T>,
) -> Result<T, ApiFailure> {
    let done = tokio::time::timeout(timeout, work).await;
    done.map_err(|_| ApiFailure::TimedOut(timeout))
}

pub(crate) fn json(body: &impl Serialize) -> Result<Bytes, ApiFailure> {
    let body = serde_json::to_vec(body);
    body.map(Bytes::from)
        .map_err(|error| ApiFailure::Malformed(error.to_string()))
}

/// A duration as the API has it.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What an answer holds, unless it is an error.
pub(crate) fn parse<T: DeserializeOwned>(payload: &[u8]) -> Result<T, ApiFailure> {
    let malformed = |error: serde_json::Error| ApiFailure::Malformed(error.to_string());
    let failed: Failed = serde_json::from_slice(payload).map_err(malformed)?;
    match failed.error {
        Some(error) => Err(error.into()),
        None => serde_json::from_slice(payload).map_err(malformed),
    }
}
