//! A bucket: the stream under a key-value or an object bucket, read from its leader and written with a guard.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, RawMessageError, Stream};
use async_nats::jetstream::{ErrorCode, kv, object_store};
use bytes::Bytes;
use futures_util::TryStreamExt;
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use crate::jetstream::{Connection, PermissionDenied};
use crate::store::StoreError;

/// How long an operation goes on while the servers elect a leader or restart.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long it waits before it asks again.
const PAUSE: Duration = Duration::from_millis(100);

/// Codes of the server with which it refuses a write because of its guard.
const GUARD: [u64; 2] = [10071, 10164];
/// Codes of the server for a stream, a server or an account that has no room.
const FULL: [u64; 6] = [10002, 10023, 10028, 10047, 10054, 10077];

/// Which layout a bucket has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::jetstream) enum Layout {
    KeyValue,
    Objects,
}

impl Layout {
    fn stream(self, name: &str) -> String {
        match self {
            Self::KeyValue => format!("KV_{name}"),
            Self::Objects => format!("OBJ_{name}"),
        }
    }
}

/// A bucket.
#[derive(Clone)]
pub(in crate::jetstream) struct Bucket {
    connection: Connection,
    stream: Stream,
    name: String,
}

/// Whether a guarded write took place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::jetstream) enum Write {
    /// At this sequence of the stream.
    Stored(u64),
    /// The subject's last message is another than the guard says.
    Refused,
}

enum Failure {
    /// Nobody answered, or there is no leader at the moment.
    Passing(String),
    Denied(PermissionDenied),
    Server {
        code: u64,
        description: String,
    },
    Other(String),
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Said(String);

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
    pub(in crate::jetstream) async fn open(
        connection: Connection,
        name: &str,
        layout: Layout,
        replicas: usize,
    ) -> Result<Self, StoreError> {
        let place = place(name);
        let stream_name = layout.stream(name);
        let context = connection.jetstream();
        let found = patiently(&connection, &place, "opening the bucket", || async {
            let asked = context.get_stream(&stream_name);
            let concerns = |refused: &PermissionDenied| refused.subject.ends_with(&stream_name);
            match connection.unless_refused(concerns, asked).await {
                Ok(Ok(stream)) => Ok(Some(stream)),
                Ok(Err(error)) => match error.kind() {
                    async_nats::jetstream::context::GetStreamErrorKind::JetStream(error) => {
                        if error.error_code() == ErrorCode::STREAM_NOT_FOUND {
                            return Ok(None);
                        }
                        Err(server_failure(
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
        let stream = match found {
            Some(stream) => stream,
            None => create(&connection, name, layout, replicas, &place).await?,
        };
        Ok(Self {
            connection,
            stream,
            name: name.to_owned(),
        })
    }

    /// The name.
    pub(in crate::jetstream) fn name(&self) -> &str {
        &self.name
    }

    /// How messages name the bucket.
    pub(in crate::jetstream) fn place(&self) -> String {
        place(&self.name)
    }

    /// The largest message that the servers take, headers included.
    pub(in crate::jetstream) fn max_message(&self) -> usize {
        self.connection.client().server_info().max_payload
    }

    /// The last message on a subject.
    pub(in crate::jetstream) async fn last(
        &self,
        subject: &str,
    ) -> Result<Option<StreamMessage>, StoreError> {
        self.read("reading", || {
            self.stream
                .raw_message_builder()
                .last_by_subject(subject)
                .send()
        })
        .await
    }

    /// The first message on a subject at or after a sequence of the stream.
    pub(in crate::jetstream) async fn next(
        &self,
        subject: &str,
        sequence: u64,
    ) -> Result<Option<StreamMessage>, StoreError> {
        self.read("reading", || {
            let builder = self.stream.raw_message_builder();
            builder.sequence(sequence).next_by_subject(subject).send()
        })
        .await
    }

    async fn read<F>(
        &self,
        operation: &'static str,
        mut ask: impl FnMut() -> F,
    ) -> Result<Option<StreamMessage>, StoreError>
    where
        F: Future<Output = Result<StreamMessage, RawMessageError>>,
    {
        let suffix = format!(".STREAM.MSG.GET.{}", self.stream.cached_info().config.name);
        let concerns = |refused: &PermissionDenied| refused.subject.ends_with(&suffix);
        patiently(&self.connection, &self.place(), operation, || {
            let asked = ask();
            async {
                match self.connection.unless_refused(concerns, asked).await {
                    Ok(Ok(message)) => Ok(Some(message)),
                    Ok(Err(error)) => match error.kind() {
                        LastRawMessageErrorKind::NoMessageFound => Ok(None),
                        LastRawMessageErrorKind::JetStream(error) => Err(server_failure(
                            error.code() as u16,
                            error.error_code().0,
                            error.to_string(),
                        )),
                        _ => Err(Failure::Passing(error.to_string())),
                    },
                    Err(denied) => Err(Failure::Denied(denied)),
                }
            }
        })
        .await
    }

    /// Writes a message. With a guard, only if the subject's last message has that sequence; 0 is for no message at all.
    ///
    /// A write whose answer was lost is sent again, so that a guarded one may be refused because of itself.
    pub(in crate::jetstream) async fn write(
        &self,
        subject: &str,
        body: Bytes,
        guard: Option<u64>,
    ) -> Result<Write, StoreError> {
        let mut headers = HeaderMap::new();
        if let Some(sequence) = guard {
            headers.insert(
                "Nats-Expected-Last-Subject-Sequence",
                sequence.to_string().as_str(),
            );
        }
        let written = self.ask("writing", subject, headers, body).await;
        match written {
            Ok(sequence) => Ok(Write::Stored(sequence)),
            Err(Failure::Server { code, .. }) if GUARD.contains(&code) => Ok(Write::Refused),
            Err(failure) => Err(error(&self.place(), "writing", failure)),
        }
    }

    /// Removes the messages on a subject for good; what cannot be removed stays, and is only in the way.
    pub(in crate::jetstream) async fn discard(&self, subject: &str) {
        let work = self.stream.purge().filter(subject);
        let suffix = format!(".STREAM.PURGE.{}", self.stream.cached_info().config.name);
        let concerns = |refused: &PermissionDenied| refused.subject.ends_with(&suffix);
        let discarded = self
            .connection
            .unless_refused(concerns, async { work.await })
            .await;
        let reason = match discarded {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => error.to_string(),
            Err(denied) => denied.to_string(),
        };
        tracing::info!(
            place = self.place(),
            subject,
            reason,
            "could not remove what is no longer needed"
        );
    }

    /// The subjects under a filter that have messages.
    pub(in crate::jetstream) async fn subjects(
        &self,
        filter: &str,
    ) -> Result<Vec<String>, StoreError> {
        let suffix = format!(".STREAM.INFO.{}", self.stream.cached_info().config.name);
        let concerns = |refused: &PermissionDenied| refused.subject.ends_with(&suffix);
        patiently(&self.connection, &self.place(), "listing", || async {
            let listed = async {
                let listed = self.stream.info_with_subjects(filter).await;
                let listed = listed.map_err(|error| Failure::Passing(error.to_string()))?;
                let listed = listed.map_ok(|(subject, _)| subject).try_collect().await;
                listed.map_err(|error| Failure::Passing(error.to_string()))
            };
            let listed = self.connection.unless_refused(concerns, listed).await;
            listed.unwrap_or_else(|denied| Err(Failure::Denied(denied)))
        })
        .await
    }

    async fn ask(
        &self,
        operation: &'static str,
        subject: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<u64, Failure> {
        let end = Instant::now() + PATIENCE;
        loop {
            let client = self.connection.client();
            let asked =
                client.request_with_headers(subject.to_owned(), headers.clone(), body.clone());
            let concerns = |refused: &PermissionDenied| refused.subject == subject;
            let failure = match self.connection.unless_refused(concerns, asked).await {
                Err(denied) => return Err(Failure::Denied(denied)),
                Ok(Err(error)) => Failure::Passing(error.to_string()),
                Ok(Ok(message)) => match serde_json::from_slice::<Answer>(&message.payload) {
                    Ok(Answer {
                        error: Some(it), ..
                    }) => server_failure(it.code, it.err_code, it.description),
                    Ok(Answer { seq, .. }) => return Ok(seq),
                    Err(error) => Failure::Other(error.to_string()),
                },
            };
            match failure {
                Failure::Passing(reason) if may_go_on(&self.connection, end) => {
                    tracing::debug!(operation, subject, reason, "asking again");
                    sleep(PAUSE).await;
                }
                failure => return Err(failure),
            }
        }
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket").field("name", &self.name).finish()
    }
}

fn place(name: &str) -> String {
    format!("bucket `{name}`")
}

async fn create(
    connection: &Connection,
    name: &str,
    layout: Layout,
    replicas: usize,
    place: &str,
) -> Result<Stream, StoreError> {
    let context = connection.jetstream();
    let stream_name = layout.stream(name);
    let suffix = format!(".STREAM.CREATE.{stream_name}");
    let concerns = |refused: &PermissionDenied| {
        refused.subject.ends_with(&suffix) || refused.subject.ends_with(".INFO")
    };
    let operation = "creating the bucket";
    patiently(connection, place, operation, || async {
        let work = async {
            match layout {
                Layout::KeyValue => {
                    let config = kv::Config {
                        bucket: name.to_owned(),
                        history: 1,
                        num_replicas: replicas,
                        ..kv::Config::default()
                    };
                    let created = context.create_key_value(config).await;
                    created.map(drop).map_err(|error| error.to_string())
                }
                Layout::Objects => {
                    let config = object_store::Config {
                        bucket: name.to_owned(),
                        num_replicas: replicas,
                        ..object_store::Config::default()
                    };
                    let created = context.create_object_store(config).await;
                    created.map(drop).map_err(|error| error.to_string())
                }
            }
        };
        let created = connection.unless_refused(concerns, work).await;
        if let Err(denied) = created {
            return Err(Failure::Denied(denied));
        }
        // Another program may have created it a moment before, with other settings.
        match (created, context.get_stream(&stream_name).await) {
            (_, Ok(stream)) => Ok(stream),
            (Ok(Err(reason)), Err(_)) => Err(Failure::Passing(reason)),
            (_, Err(error)) => Err(Failure::Passing(error.to_string())),
        }
    })
    .await
}

async fn patiently<T, F>(
    connection: &Connection,
    place: &str,
    operation: &'static str,
    mut work: impl FnMut() -> F,
) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, Failure>>,
{
    let end = Instant::now() + PATIENCE;
    loop {
        match work().await {
            Ok(done) => return Ok(done),
            Err(Failure::Passing(reason)) if may_go_on(connection, end) => {
                tracing::debug!(place, operation, reason, "asking again");
                sleep(PAUSE).await;
            }
            Err(failure) => {
                if let Some(ended) = connection.why_ended() {
                    let reason = ended.to_string();
                    return Err(StoreError::Closed { reason });
                }
                return Err(error(place, operation, failure));
            }
        }
    }
}

fn may_go_on(connection: &Connection, end: Instant) -> bool {
    connection.why_ended().is_none() && Instant::now() < end
}

/// A failure that the server reports. With 503 it has no leader at the moment.
fn server_failure(status: u16, code: u64, description: String) -> Failure {
    if status == 503 && !FULL.contains(&code) {
        return Failure::Passing(description);
    }
    Failure::Server { code, description }
}

fn error(place: &str, operation: &'static str, failure: Failure) -> StoreError {
    let place = place.to_owned();
    match failure {
        Failure::Denied(denied) => StoreError::ReadOnly {
            place,
            reason: denied.to_string(),
        },
        Failure::Server { code, description } if FULL.contains(&code) => StoreError::Full {
            place,
            reason: format!("{description} ({code})"),
        },
        Failure::Server { code, description } => StoreError::Engine {
            place,
            operation,
            source: Arc::new(Said(format!("{description} ({code})"))),
        },
        Failure::Passing(reason) => StoreError::Engine {
            place,
            operation,
            source: Arc::new(Said(format!("{reason}, for {} s", PATIENCE.as_secs()))),
        },
        Failure::Other(reason) => StoreError::Engine {
            place,
            operation,
            source: Arc::new(Said(reason)),
        },
    }
}
