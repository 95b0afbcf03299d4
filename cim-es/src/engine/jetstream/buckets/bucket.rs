//! A bucket: the stream under a key-value or an object bucket, read from its leader and written with a guard.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, RawMessageError, Stream};
use async_nats::{HeaderMap, Request};
use bytes::Bytes;
use futures_util::TryStreamExt;
use serde::Deserialize;

use super::create::{Layout, create};
use super::failure::{Failure, Operation, patiently};
use crate::engine::jetstream::api::errors;
use crate::engine::jetstream::config::check_name;
use crate::engine::jetstream::connect::{Connection, PermissionDenied};
use crate::store::StoreError;

/// How long one answer may take; a server that steps down or dies gives none, and another is asked.
const ANSWER: Duration = Duration::from_secs(2);
/// Codes of the server with which it refuses a write because of its guard.
const GUARD: [u64; 2] = [
    errors::WRONG_LAST_SEQUENCE,
    errors::WRONG_LAST_SEQUENCE_IN_FLIGHT,
];
/// A bucket.
#[derive(Clone)]
pub(crate) struct Bucket {
    connection: Connection,
    stream: Stream,
    name: String,
    /// The highest sequence of the stream that this program has seen. A server that was paused takes itself for the leader
    /// for a moment longer, so that what it does not find is believed only if it has all that was seen.
    seen: Arc<AtomicU64>,
}

/// Whether a guarded write took place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    /// At this sequence of the stream.
    Stored(u64),
    /// The subject's last message is another than the guard says.
    Refused,
}

#[derive(Deserialize)]
struct Answer {
    error: Option<AnswerError>,
    #[serde(default)]
    seq: u64,
}

#[derive(Deserialize)]
struct AnswerError {
    code: u16,
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

impl Bucket {
    /// Opens a bucket, and creates it when it is missing.
    pub(crate) async fn open(
        connection: Connection,
        name: &str,
        layout: Layout,
        replicas: usize,
    ) -> Result<Self, StoreError> {
        if let Some(bucket) = Self::find(connection.clone(), name, layout).await? {
            let found = bucket.stream.cached_info().config.num_replicas;
            if found < replicas {
                let place = bucket.place();
                tracing::warn!(
                    place,
                    found,
                    replicas,
                    "a bucket is kept by fewer servers than configured: let an operator raise it"
                );
            }
            return Ok(bucket);
        }
        let place = place(name);
        let stream = create(&connection, name, layout, replicas, &place).await?;
        Ok(Self::of(connection, stream, name))
    }

    fn of(connection: Connection, stream: Stream, name: &str) -> Self {
        Self {
            connection,
            stream,
            name: name.to_owned(),
            seen: Arc::default(),
        }
    }

    /// Opens a bucket; none when it does not exist.
    pub(crate) async fn find(
        connection: Connection,
        name: &str,
        layout: Layout,
    ) -> Result<Option<Self>, StoreError> {
        let place = place(name);
        check_name("the name", name).map_err(|error| StoreError::Incompatible {
            place: place.clone(),
            reason: error.to_string(),
        })?;
        let stream_name = layout.stream(name);
        let mut context = connection.jetstream();
        context.set_timeout(ANSWER);
        let found = patiently(&connection, &place, Operation::Open, || async {
            let asked = context.get_stream(&stream_name);
            let concerns = |refused: &PermissionDenied| refused.subject.ends_with(&stream_name);
            match connection.unless_refused(concerns, asked).await {
                Ok(Ok(stream)) => Ok(Some(stream)),
                Ok(Err(error)) => match error.kind() {
                    async_nats::jetstream::context::GetStreamErrorKind::JetStream(error) => {
                        if error.error_code() == ErrorCode::STREAM_NOT_FOUND {
                            return Ok(None);
                        }
                        Err(Failure::of_server(
                            error.code() as u16,
                            error.error_code().0,
                            error.to_string(),
                        ))
                    }
                    _ => Err(Failure::Passing(error.to_string())),
                },
                Err(denied) => Err(Failure::Denied(denied)),
            }
        })
        .await?;
        Ok(found.map(|stream| Self::of(connection, stream, name)))
    }

    /// The name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How messages name the bucket.
    pub(crate) fn place(&self) -> String {
        place(&self.name)
    }

    /// The largest message that the servers take, headers included.
    pub(crate) fn max_message(&self) -> usize {
        self.connection.client().server_info().max_payload
    }

    /// The last message on a subject, as far as the leader knows at the moment: for what is guarded, or a cache.
    pub(crate) async fn peek(&self, subject: &str) -> Result<Option<StreamMessage>, StoreError> {
        patiently(&self.connection, &self.place(), Operation::Read, || {
            self.ask_last(subject)
        })
        .await
    }

    /// The last message on a subject, which is known to be at a sequence or after it.
    pub(crate) async fn last(
        &self,
        subject: &str,
        at_least: u64,
    ) -> Result<Option<StreamMessage>, StoreError> {
        patiently(&self.connection, &self.place(), Operation::Read, || {
            self.believed(at_least, || self.ask_last(subject))
        })
        .await
    }

    /// The first message on a subject at or after a sequence of the stream.
    pub(crate) async fn next(
        &self,
        subject: &str,
        sequence: u64,
    ) -> Result<Option<StreamMessage>, StoreError> {
        let ask = || {
            let builder = self.stream.raw_message_builder();
            self.read_once(builder.sequence(sequence).next_by_subject(subject).send())
        };
        patiently(&self.connection, &self.place(), Operation::Read, || {
            self.believed(0, ask)
        })
        .await
    }

    async fn ask_last(&self, subject: &str) -> Result<Option<StreamMessage>, Failure> {
        let builder = self.stream.raw_message_builder();
        self.read_once(builder.last_by_subject(subject).send())
            .await
    }

    async fn read_once(
        &self,
        asked: impl Future<Output = Result<StreamMessage, RawMessageError>>,
    ) -> Result<Option<StreamMessage>, Failure> {
        match self.unless_refused("MSG.GET", asked).await? {
            Ok(message) => {
                self.seen.fetch_max(message.sequence, Ordering::Relaxed);
                Ok(Some(message))
            }
            Err(error) => match error.kind() {
                LastRawMessageErrorKind::NoMessageFound => Ok(None),
                LastRawMessageErrorKind::JetStream(error) => Err(Failure::of_server(
                    error.code() as u16,
                    error.error_code().0,
                    error.to_string(),
                )),
                _ => Err(Failure::Passing(error.to_string())),
            },
        }
    }

    /// What is found, once the leader has all that this program has seen.
    async fn believed<F>(
        &self,
        at_least: u64,
        ask: impl Fn() -> F,
    ) -> Result<Option<StreamMessage>, Failure>
    where
        F: Future<Output = Result<Option<StreamMessage>, Failure>>,
    {
        let mut found = ask().await?;
        if found.is_none() && self.seen.load(Ordering::Relaxed) > 0 {
            if !self.has_caught_up().await? {
                return Err(behind());
            }
            found = ask().await?;
        }
        if found.as_ref().is_some_and(|it| it.sequence < at_least) {
            return Err(behind());
        }
        Ok(found)
    }

    /// Whether the leader has all that this program has seen.
    async fn has_caught_up(&self) -> Result<bool, Failure> {
        let info = self.unless_refused("INFO", self.stream.get_info()).await?;
        let info = info.map_err(|error| Failure::Passing(error.to_string()))?;
        Ok(info.state.last_sequence >= self.seen.load(Ordering::Relaxed))
    }

    /// Does some work that uses an operation of the API on the stream, unless the servers refuse that.
    async fn unless_refused<T>(
        &self,
        operation: &str,
        work: impl Future<Output = T>,
    ) -> Result<T, Failure> {
        let suffix = format!(
            ".STREAM.{operation}.{}",
            self.stream.cached_info().config.name
        );
        let concerns = |refused: &PermissionDenied| refused.subject.ends_with(&suffix);
        let done = self.connection.unless_refused(concerns, work).await;
        done.map_err(Failure::Denied)
    }

    /// Writes a message if the subject's last message has a sequence; 0 is for no message at all.
    ///
    /// A write whose answer was lost is sent again, so that it may be refused because of itself.
    pub(crate) async fn write(
        &self,
        subject: &str,
        body: Bytes,
        guard: u64,
    ) -> Result<Write, StoreError> {
        let mut headers = HeaderMap::new();
        headers.insert(
            "Nats-Expected-Last-Subject-Sequence",
            guard.to_string().as_str(),
        );
        patiently(&self.connection, &self.place(), Operation::Write, || {
            self.ask(subject, &headers, &body)
        })
        .await
    }

    /// Removes the messages on a subject for good; what cannot be removed stays, and is only in the way.
    pub(crate) async fn discard(&self, subject: &str) {
        let work = self.stream.purge().filter(subject);
        let reason = match self.unless_refused("PURGE", async { work.await }).await {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => error.to_string(),
            Err(Failure::Denied(denied)) => denied.to_string(),
            Err(_) => String::new(),
        };
        tracing::info!(
            place = self.place(),
            subject,
            reason,
            "what is no longer needed stays"
        );
    }

    /// The subjects under a filter that have messages, each once.
    ///
    /// The server lists them in pages, by the place in an order that a new subject shifts: one may come twice.
    pub(crate) async fn subjects(&self, filter: &str) -> Result<Vec<String>, StoreError> {
        patiently(&self.connection, &self.place(), Operation::Read, || async {
            let listed = async {
                let listed = self.stream.info_with_subjects(filter).await;
                let listed = listed.map_err(|error| Failure::Passing(error.to_string()))?;
                if listed.info.state.last_sequence < self.seen.load(Ordering::Relaxed) {
                    return Err(behind());
                }
                let listed = listed.map_ok(|(subject, _)| subject);
                let listed: Result<BTreeSet<_>, _> = listed.try_collect().await;
                let listed = listed.map_err(|error| Failure::Passing(error.to_string()))?;
                Ok(listed.into_iter().collect())
            };
            self.unless_refused("INFO", listed).await?
        })
        .await
    }

    async fn ask(
        &self,
        subject: &str,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Result<Write, Failure> {
        let request = Request::new()
            .headers(headers.clone())
            .payload(body.clone())
            .timeout(Some(ANSWER));
        let asked = self
            .connection
            .client()
            .send_request(subject.to_owned(), request);
        let concerns = |refused: &PermissionDenied| refused.subject == subject;
        let message = match self.connection.unless_refused(concerns, asked).await {
            Ok(Ok(message)) => message,
            Ok(Err(error)) => return Err(Failure::Passing(error.to_string())),
            Err(denied) => return Err(Failure::Denied(denied)),
        };
        let answer: Answer = serde_json::from_slice(&message.payload)
            .map_err(|error| Failure::Malformed(error.to_string()))?;
        match answer.error {
            None => {
                self.seen.fetch_max(answer.seq, Ordering::Relaxed);
                Ok(Write::Stored(answer.seq))
            }
            Some(error) if GUARD.contains(&error.err_code) => Ok(Write::Refused),
            Some(error) => Err(Failure::of_server(
                error.code,
                error.err_code,
                error.description,
            )),
        }
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket").field("name", &self.name).finish()
    }
}

fn behind() -> Failure {
    let reason = "the leader is behind what this program has seen; was the bucket made anew?";
    Failure::Passing(reason.to_owned())
}

fn place(name: &str) -> String {
    format!("bucket `{name}`")
}
