//! Sending a request and waiting for its answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::client::{PublishErrorKind, RequestErrorKind};
use async_nats::{Client, HeaderMap, Message, Request, Subject, Subscriber};
use bytes::Bytes;
use cid::Cid;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::failure::{ApiFailure, ErrorAnswer};
use crate::domain::ErrorChain;
use crate::engine::jetstream::connect::{ConnectError, Connection, PermissionDenied, Seen};
use crate::engine::jetstream::retry::{self, Retry};
use crate::store::{AnotherHistory, Bookmark, Location, Position, StoreError};

/// The longest subject that a message is sent to, in bytes. A server reads a line of 4,096 bytes at most by default
/// (`max_control_line`) and ends the connection of who sends a longer one; beside the subject a line has where the answer
/// goes, and two sizes.
const LONGEST_SUBJECT: usize = 4096 - 256;

/// The connection, and where the API of one stream is found.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    pub(crate) connection: Connection,
    /// `$JS.API`, or `$JS.<domain>.API`.
    pub(crate) prefix: Arc<str>,
    pub(crate) stream: Arc<str>,
    /// How long one answer may take.
    pub(crate) timeout: Duration,
    /// How long an operation goes on while the servers do not answer.
    pub(crate) patience: Duration,
    /// What this program has seen of the stream.
    pub(crate) seen: Arc<Seen>,
    /// When the stream was created that was opened; none where nobody looked.
    pub(crate) created: Option<Arc<str>>,
}

/// An answer is an error, or what was asked for.
#[derive(Deserialize)]
struct Failed {
    error: Option<ErrorAnswer>,
}

/// What the server says of a message that it has stored.
#[derive(Debug, Deserialize)]
pub(crate) struct Ack {
    pub(crate) stream: String,
    pub(crate) seq: u64,
    #[serde(default)]
    pub(crate) domain: Option<String>,
    #[serde(default)]
    pub(crate) duplicate: bool,
    /// The id of the batch that it answers.
    #[serde(default)]
    pub(crate) batch: Option<String>,
}

impl Api {
    /// The API of a stream, with the patience of the connection.
    pub(crate) fn new(connection: &Connection, stream: &str) -> Self {
        Self {
            connection: connection.clone(),
            prefix: connection.api_prefix().into(),
            stream: stream.into(),
            timeout: connection.request_timeout(),
            patience: connection.patience(),
            seen: connection.seen(stream),
            created: None,
        }
    }

    /// The same with another time for one answer.
    pub(crate) fn with_timeout(&self, timeout: Duration) -> Self {
        Self {
            timeout,
            ..self.clone()
        }
    }

    /// The same for the stream that was found: another one of its name is noticed from now on.
    pub(crate) fn of_stream(mut self, created: &str) -> Self {
        self.seen.identify(created);
        self.created = Some(created.into());
        self
    }

    pub(crate) fn client(&self) -> &Client {
        self.connection.client()
    }

    /// When an operation that begins now must have ended.
    pub(crate) fn deadline(&self) -> Instant {
        retry::deadline(self.patience)
    }

    /// A subject of the API: `STREAM.INFO` becomes `$JS.API.STREAM.INFO.<stream>`.
    pub(crate) fn subject(&self, operation: &str) -> String {
        format!("{}.{operation}.{}", self.prefix, self.stream)
    }

    /// The longest subject of a stored message, in bytes: that can be sent to a server, and asked for.
    pub(crate) fn longest_stored(&self) -> usize {
        // What `subject` would make of it, counted alone: it is asked for each event.
        let in_front = self.prefix.len() + ".DIRECT.GET.".len() + self.stream.len() + ".".len();
        LONGEST_SUBJECT.saturating_sub(in_front)
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

    /// Asks on a subject of the API, again while the failures pass.
    pub(crate) async fn ask_patiently<T: DeserializeOwned>(
        &self,
        subject: &str,
        body: &impl Serialize,
        operation: &'static str,
    ) -> Result<T, StoreError> {
        let mut retry = retry::REQUEST.within(self.patience);
        loop {
            match self.ask_at(subject.to_owned(), body).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => self.wait(&mut retry, operation, failure).await?,
            }
        }
    }

    /// Publishes a message to the stream, and gives what the server says of it.
    pub(crate) async fn publish(
        &self,
        subject: &str,
        headers: HeaderMap,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Ack, ApiFailure> {
        let request = Request::new().headers(headers).payload(body);
        let answer = self.send(subject, request, timeout).await?;
        parse(&answer.payload)
    }

    /// Sends a request and waits for its answer, or for the word that the server does not permit it.
    async fn send(
        &self,
        subject: &str,
        request: Request,
        timeout: Duration,
    ) -> Result<Message, ApiFailure> {
        check_length(subject)?;
        let request = request.timeout(Some(timeout));
        let answer = self.client().send_request(subject.to_owned(), request);
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

    /// Hands a message to the client, with where its answer is to come.
    pub(crate) async fn hand_over(
        &self,
        subject: impl Into<Subject>,
        reply: Option<String>,
        headers: Option<HeaderMap>,
        body: Bytes,
    ) -> Result<(), ApiFailure> {
        let (client, subject) = (self.client(), subject.into());
        check_length(&subject)?;
        let headers = headers.unwrap_or_default();
        let sent = async {
            match reply {
                Some(reply) => {
                    client
                        .publish_with_reply_and_headers(subject, reply, headers, body)
                        .await
                }
                None if headers.is_empty() => client.publish(subject, body).await,
                None => client.publish_with_headers(subject, headers, body).await,
            }
        };
        let sent = in_time(self.timeout, sent).await?;
        sent.map_err(|error| match error.kind() {
            PublishErrorKind::MaxPayloadExceeded => ApiFailure::Refused {
                code: 413,
                error: 0,
                description: error.to_string(),
            },
            _ => ApiFailure::Client(error.to_string()),
        })
    }

    /// Listens on a subject for answers.
    pub(crate) async fn listen(&self, subject: String) -> Result<Subscriber, ApiFailure> {
        let subscribed = in_time(self.timeout, self.client().subscribe(subject)).await?;
        subscribed.map_err(|error| ApiFailure::Client(error.to_string()))
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

    /// Waits before the next attempt.
    ///
    /// # Errors
    /// The failure, when it is not one that passes or there is no time left.
    pub(crate) async fn wait(
        &self,
        retry: &mut Retry,
        operation: &'static str,
        failure: ApiFailure,
    ) -> Result<(), StoreError> {
        if !failure.is_transient() || self.has_ended() {
            return Err(self.error(operation, failure));
        }
        tracing::debug!(stream = %self.stream, operation, %failure, "trying again");
        match retry.pause().await {
            true => Ok(()),
            false => Err(self.error(operation, failure)),
        }
    }

    /// The error of a store for a failed request.
    pub(crate) fn error(&self, operation: &'static str, failure: ApiFailure) -> StoreError {
        match self.has_ended() {
            true => self.closed(),
            false => failure.into_error(self.location(), operation),
        }
    }

    /// The error of a store for a failed write.
    pub(crate) fn write_error(&self, operation: &'static str, failure: ApiFailure) -> StoreError {
        match self.has_ended() {
            true => self.closed(),
            false => failure.into_write_error(self.location(), operation),
        }
    }

    /// The error for a stream that was deleted and made anew, or restored from an older copy.
    pub(crate) fn another_history(
        &self,
        known: Bookmark,
        last: u64,
        found: Option<Cid>,
    ) -> StoreError {
        StoreError::AnotherHistory(Box::new(AnotherHistory {
            location: self.location(),
            known,
            last: Position(last),
            found,
        }))
    }

    /// The error for a connection that has ended.
    pub(crate) fn closed(&self) -> StoreError {
        let ended = self.connection.why_ended();
        let ended = ended.unwrap_or(ConnectError::Closed);
        let reason = ErrorChain(&ended).to_string();
        StoreError::Closed { reason }
    }

    /// How errors name the stream: a bucket by the name that people know.
    pub(crate) fn location(&self) -> Location {
        let bucket = self.stream.strip_prefix("KV_");
        match bucket.or_else(|| self.stream.strip_prefix("OBJ_")) {
            Some(bucket) => Location::Bucket(bucket.to_owned()),
            None => Location::Stream(self.stream.to_string()),
        }
    }

    /// How many times the client has connected: a change means that the servers have forgotten what was under way.
    pub(crate) fn connects(&self) -> u64 {
        let statistics = self.client().statistics();
        statistics.connects.load(Ordering::Relaxed)
    }

    /// Whether the connection was given up or closed.
    pub(crate) fn has_ended(&self) -> bool {
        self.connection.why_ended().is_some()
    }
}

/// Refuses a subject for which a server would end the connection, and with it all that others wait for.
fn check_length(subject: &str) -> Result<(), ApiFailure> {
    match subject.len() {
        bytes if bytes > LONGEST_SUBJECT => Err(ApiFailure::LongSubject { bytes }),
        _ => Ok(()),
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
