//! A bucket: the stream under a key-value or an object bucket, read from its leader and written with a guard.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::future::Future;

use async_nats::HeaderMap;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::create::{Layout, Making, create};
use crate::engine::jetstream::api::{Api, ApiFailure, Class, EXPECTED_SEQUENCE, Leader, Raw};
use crate::engine::jetstream::config::check_name;
use crate::engine::jetstream::connect::Connection;
use crate::engine::jetstream::retry;
use crate::store::StoreError;

/// A bucket.
#[derive(Clone)]
pub(crate) struct Bucket {
    api: Api,
    name: String,
}

/// Whether a guarded write took place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    /// At this sequence of the stream.
    Stored(u64),
    /// The subject's last message is another than the guard says.
    Refused,
}

/// A page of the subjects that have messages.
#[derive(Deserialize)]
struct Listed {
    state: ListedState,
    #[serde(default)]
    total: usize,
}

#[derive(Deserialize)]
struct ListedState {
    last_seq: u64,
    subjects: Option<HashMap<String, u64>>,
}

impl Bucket {
    /// Opens a bucket, and creates it when it is missing.
    pub(crate) async fn open(
        connection: Connection,
        name: &str,
        layout: Layout,
        making: Making,
    ) -> Result<Self, StoreError> {
        let replicas = making.replicas;
        let mut bucket = Self::named(&connection, name, layout)?;
        let found = match Leader::new(&bucket.api).stream_info().await? {
            Some(found) => found,
            None => create(&bucket.api, name, layout, making).await?,
        };
        bucket.api = bucket.api.of_stream(&found.created);
        let found = found.info.config.num_replicas;
        if found < replicas {
            let place = bucket.place();
            tracing::warn!(
                place,
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
        layout: Layout,
    ) -> Result<Option<Self>, StoreError> {
        let mut bucket = Self::named(&connection, name, layout)?;
        let found = Leader::new(&bucket.api).stream_info().await?;
        Ok(found.map(|found| {
            bucket.api = bucket.api.of_stream(&found.created);
            bucket
        }))
    }

    fn named(connection: &Connection, name: &str, layout: Layout) -> Result<Self, StoreError> {
        let api = Api::new(connection, &layout.stream(name));
        check_name("the name", name).map_err(|error| StoreError::Incompatible {
            place: api.place(),
            reason: error.to_string(),
        })?;
        Ok(Self {
            api,
            name: name.to_owned(),
        })
    }

    /// The name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How messages name the bucket.
    pub(crate) fn place(&self) -> String {
        self.api.place()
    }

    /// The requests that it is read and written by.
    pub(crate) fn api(&self) -> &Api {
        &self.api
    }

    /// The largest message that the servers take, headers included.
    pub(crate) fn max_message(&self) -> usize {
        self.api.client().max_payload()
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
                place = self.place(),
                subject,
                %reason,
                "what is no longer needed stays"
            );
        }
    }

    /// The subjects under a filter that have messages, each once.
    ///
    /// The server lists them in pages, by the place in an order that a new subject shifts: one may come twice.
    pub(crate) async fn subjects(&self, filter: &str) -> Result<Vec<String>, StoreError> {
        const OPERATION: &str = "listing";
        let mut retry = retry::REQUEST.within(self.api.patience);
        'anew: loop {
            let mut subjects = BTreeSet::new();
            let mut offset = 0;
            loop {
                let query = json!({ "subjects_filter": filter, "offset": offset });
                let seen = self.api.seen.last();
                let page = self.api.ask::<Listed>("STREAM.INFO", &query).await;
                let failure = match page {
                    Ok(page) if page.state.last_seq < seen => ApiFailure::Stale,
                    Ok(page) => {
                        let found = page.state.subjects.unwrap_or_default();
                        offset += found.len();
                        let is_last = found.is_empty() || offset >= page.total;
                        subjects.extend(found.into_keys());
                        match is_last {
                            true => return Ok(subjects.into_iter().collect()),
                            false => continue,
                        }
                    }
                    Err(failure) => failure,
                };
                self.api.wait(&mut retry, OPERATION, failure).await?;
                continue 'anew;
            }
        }
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket").field("name", &self.name).finish()
    }
}
