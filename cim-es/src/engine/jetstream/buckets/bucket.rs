//! A bucket: the stream under a key-value or an object bucket, read from its leader and written with a guard.

use std::fmt;
use std::future::Future;

use async_nats::HeaderMap;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::create::{Making, create};
use super::purpose::Purpose;
use crate::engine::jetstream::api::{
    Api, ApiFailure, Class, EXPECTED_SEQUENCE, Leader, Raw, StreamInfo, subjects,
};
use crate::engine::jetstream::config::check_name;
use crate::engine::jetstream::connect::Connection;
use crate::engine::jetstream::retry;
use crate::store::{Location, StoreError};

/// A bucket.
#[derive(Clone)]
pub(crate) struct Bucket {
    api: Api,
    name: String,
    /// The largest message that the stream under it takes, where that is limited.
    limit: Option<usize>,
}

/// The least that the servers must take in a message for a bucket to be of use.
const LEAST_MESSAGE: usize = 4_096;

/// Whether a guarded write took place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    /// At this sequence of the stream.
    Stored(u64),
    /// The subject's last message is another than the guard says.
    Refused,
}

impl Bucket {
    /// Opens a bucket, and creates it when it is missing.
    pub(crate) async fn open(
        connection: Connection,
        name: &str,
        purpose: Purpose,
        making: Making,
    ) -> Result<Self, StoreError> {
        let replicas = making.replicas;
        let mut bucket = Self::named(&connection, name, purpose)?;
        let found = match Leader::new(&bucket.api).stream_info().await? {
            Some(found) => found,
            None => create(&bucket.api, name, purpose.layout(), making).await?,
        };
        bucket.take(&found, purpose)?;
        let found = found.info.config.num_replicas;
        if found < replicas {
            let location = bucket.location();
            tracing::warn!(
                %location,
                found,
                replicas,
                "a bucket is kept by fewer servers than configured: let an operator raise it"
            );
        }
        Ok(bucket)
    }

    /// Opens a bucket; none when it does not exist.
    pub(crate) async fn find(
        connection: Connection,
        name: &str,
        purpose: Purpose,
    ) -> Result<Option<Self>, StoreError> {
        let mut bucket = Self::named(&connection, name, purpose)?;
        let Some(found) = Leader::new(&bucket.api).stream_info().await? else {
            return Ok(None);
        };
        bucket.take(&found, purpose)?;
        Ok(Some(bucket))
    }

    /// Takes the stream that was found.
    ///
    /// # Errors
    /// [`StoreError::Incompatible`] where a setting stands in the way, or the servers take hardly anything in a message.
    fn take(&mut self, found: &StreamInfo, purpose: Purpose) -> Result<(), StoreError> {
        let config = &found.info.config;
        if let Some(reason) = purpose.refusal(&self.name, config) {
            return Err(StoreError::Incompatible {
                location: self.location(),
                reason,
            });
        }
        self.api = self.api.clone().of_stream(&found.created);
        let limit = usize::try_from(config.max_message_size).unwrap_or(0);
        self.limit = (limit > 0).then_some(limit);
        let bytes = self.max_message();
        match bytes < LEAST_MESSAGE {
            false => Ok(()),
            true => Err(StoreError::Incompatible {
                location: self.location(),
                reason: format!(
                    "a message may have {bytes} bytes, and nothing of use fits into less than {LEAST_MESSAGE}: raise \
                     `max_payload` of the server, or `max_msg_size` of the bucket"
                ),
            }),
        }
    }

    fn named(connection: &Connection, name: &str, purpose: Purpose) -> Result<Self, StoreError> {
        let api = Api::new(connection, &purpose.layout().stream(name));
        check_name("the name", name).map_err(|error| StoreError::Incompatible {
            location: api.location(),
            reason: error.to_string(),
        })?;
        Ok(Self {
            api,
            name: name.to_owned(),
            limit: None,
        })
    }

    /// The name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How messages name the bucket.
    pub(crate) fn location(&self) -> Location {
        self.api.location()
    }

    /// The requests that it is read and written by.
    pub(crate) fn api(&self) -> &Api {
        &self.api
    }

    /// The largest message that the servers take, headers included.
    pub(crate) fn max_message(&self) -> usize {
        let server = self.api.client().max_payload();
        self.limit.map_or(server, |limit| limit.min(server))
    }

    /// The last message on a subject, as far as the leader knows at the moment: for what is guarded, or a cache.
    pub(crate) async fn peek(&self, subject: &str) -> Result<Option<Raw>, StoreError> {
        let found = Leader::new(&self.api).last(subject).await?;
        Ok(self.noticed(found))
    }

    /// The last message on a subject, which is known to be at a sequence or after it.
    pub(crate) async fn last(
        &self,
        subject: &str,
        at_least: u64,
    ) -> Result<Option<Raw>, StoreError> {
        let leader = Leader::new(&self.api);
        self.believed(at_least, || leader.last(subject)).await
    }

    /// The first message on a subject at or after a sequence of the stream.
    pub(crate) async fn next(
        &self,
        subject: &str,
        sequence: u64,
    ) -> Result<Option<Raw>, StoreError> {
        let leader = Leader::new(&self.api);
        self.believed(0, || leader.next(subject, sequence)).await
    }

    fn noticed(&self, found: Option<Raw>) -> Option<Raw> {
        if let Some(message) = &found {
            self.api.seen.note(message.sequence);
        }
        found
    }

    /// What is found, once the leader has all that this program has seen.
    async fn believed<F>(
        &self,
        at_least: u64,
        ask: impl Fn() -> F,
    ) -> Result<Option<Raw>, StoreError>
    where
        F: Future<Output = Result<Option<Raw>, StoreError>>,
    {
        let mut retry = retry::STALE.within(self.api.patience);
        loop {
            let seen = self.api.seen.last();
            let mut found = ask().await?;
            let is_behind = match &found {
                Some(message) => message.sequence < at_least,
                None if seen == 0 => at_least > 0,
                // A server that was paused takes itself for the leader for a moment longer, so that what it does not find
                // is believed only once it has all that was seen.
                None => {
                    Leader::new(&self.api).state().await?;
                    found = ask().await?;
                    false
                }
            };
            if !is_behind {
                return Ok(self.noticed(found));
            }
            self.api
                .wait(&mut retry, "reading", ApiFailure::Stale)
                .await?;
        }
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
        headers.insert(EXPECTED_SEQUENCE, guard.to_string().as_str());
        let subject = self.published(subject);
        let deadline = self.api.deadline();
        let mut retry = retry::REQUEST.until(deadline);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = self.api.timeout.min(left);
            let sent = self
                .api
                .publish(&subject, headers.clone(), body.clone(), timeout);
            let failure = match sent.await {
                Ok(ack) => {
                    self.api.seen.note(ack.seq);
                    return Ok(Write::Stored(ack.seq));
                }
                Err(failure) => failure,
            };
            match failure.class() {
                Class::Conflict => return Ok(Write::Refused),
                Class::Transient => self.api.wait(&mut retry, "writing", failure).await?,
                _ => return Err(self.api.write_error("writing", failure)),
            }
        }
    }

    /// Where a message for a subject is published: what goes to another domain carries the prefix of its API.
    fn published(&self, subject: &str) -> String {
        match &*self.api.prefix {
            prefix if prefix != "$JS.API" && subject.starts_with("$KV.") => {
                format!("{prefix}.{subject}")
            }
            _ => subject.to_owned(),
        }
    }

    /// Removes the messages on a subject for good; what cannot be removed stays, and is only in the way.
    pub(crate) async fn discard(&self, subject: &str) {
        self.purge(subject, json!({ "filter": subject })).await;
    }

    /// The same for the messages on a subject up to a sequence.
    pub(crate) async fn discard_up_to(&self, subject: &str, sequence: u64) {
        let query = json!({ "filter": subject, "seq": sequence.saturating_add(1) });
        self.purge(subject, query).await;
    }

    async fn purge(&self, subject: &str, query: Value) {
        let purged = self.api.ask::<Value>("STREAM.PURGE", &query).await;
        if let Err(reason) = purged {
            tracing::debug!(
                location = %self.location(),
                subject,
                %reason,
                "what is no longer needed stays"
            );
        }
    }

    /// The subjects under a filter that have messages, each once.
    pub(crate) async fn subjects(&self, filter: &str) -> Result<Vec<String>, StoreError> {
        let subjects = subjects(&self.api, filter).await?;
        Ok(subjects.into_iter().collect())
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket").field("name", &self.name).finish()
    }
}
