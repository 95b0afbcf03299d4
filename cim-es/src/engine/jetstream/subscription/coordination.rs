//! What members of a subscription write down for each other: a key-value bucket in which every write is guarded.
//!
//! ```text
//! <name>.member.<place>              who is there; written again and again as a heartbeat
//! <name>.partition.<partition or all>     whose turn it is, and how far it came
//! <name>.parked.<p>.<id>.<position>  an event that the handler failed on
//! ```
//!
//! An empty value stands for none.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::engine::jetstream::api::{Api, Raw, direct};
use crate::engine::jetstream::buckets::{
    bucket::{Bucket, Write},
    create::Making,
    name::token,
    purpose::Purpose,
};
use crate::engine::jetstream::connect::Connection;
use crate::store::{Damage, Location, StoreError};

/// The bucket of all subscriptions of an account.
pub(super) const BUCKET: &str = "cim-es-subscriptions";

/// How long a glance may wait for one answer, before the leader is asked: heartbeats must not wait for it.
const GLANCE: Duration = Duration::from_millis(300);

/// How many entries are read at once.
const AT_ONCE: usize = 32;

/// The entries of one subscription.
#[derive(Clone)]
pub(super) struct Coordination {
    bucket: Bucket,
    api: Api,
    /// `$KV.<bucket>.<name>.`
    prefix: String,
}

/// One entry, and the revision that the next write on it must name.
#[derive(Clone, Debug)]
pub(super) struct Entry<T> {
    pub(super) key: String,
    pub(super) revision: u64,
    pub(super) value: Option<T>,
}

/// Creates the bucket of all subscriptions, where it is missing and this user may: for those who subscribe later without
/// the right to. One who may not has nothing to create it for, unless it subscribes, and is told then.
pub(crate) async fn make_room(connection: &Connection, replicas: usize) -> Result<(), StoreError> {
    match Bucket::open(
        connection.clone(),
        BUCKET,
        Purpose::Coordination,
        Making::with_replicas(replicas),
    )
    .await
    {
        Ok(_) => Ok(()),
        Err(StoreError::ReadOnly { location, reason }) => {
            tracing::debug!(%location, reason, "there is no room for subscriptions yet");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

impl Coordination {
    /// The entries of a subscription, in the bucket that is created when it is missing.
    pub(super) async fn open(
        connection: &Connection,
        name: &str,
        replicas: usize,
    ) -> Result<Self, StoreError> {
        let bucket = Bucket::open(
            connection.clone(),
            BUCKET,
            Purpose::Coordination,
            Making::with_replicas(replicas),
        )
        .await?;
        Ok(Self::of(bucket, name))
    }

    /// The entries of a subscription; none where the account has no bucket for them.
    pub(super) async fn find(
        connection: &Connection,
        name: &str,
    ) -> Result<Option<Self>, StoreError> {
        let found = Bucket::find(connection.clone(), BUCKET, Purpose::Coordination).await?;
        Ok(found.map(|bucket| Self::of(bucket, name)))
    }

    /// That the account has no bucket for them.
    pub(super) fn missing() -> StoreError {
        StoreError::Incompatible {
            location: Location::Bucket(BUCKET.to_owned()),
            reason: "it does not exist, since no subscription of this account was ever started"
                .to_owned(),
        }
    }

    fn of(bucket: Bucket, name: &str) -> Self {
        let api = bucket.api().with_timeout(GLANCE);
        Self {
            bucket,
            api,
            prefix: format!("$KV.{BUCKET}.{}.", token(name)),
        }
    }

    /// A entry, read from the leader; its revision is 0 when it was never written.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        key: &str,
    ) -> Result<Entry<T>, StoreError> {
        match self.bucket.last(&self.subject(key), 0).await? {
            None => Ok(Entry {
                key: key.to_owned(),
                revision: 0,
                value: None,
            }),
            Some(message) => self.read_message(message),
        }
    }

    /// Whether anything was ever written.
    pub(super) async fn has_any(&self) -> Result<bool, StoreError> {
        let next = self.bucket.next(&self.subject(">"), 1).await?;
        Ok(next.is_some())
    }

    /// All entries whose keys match a pattern, each read from the leader.
    pub(super) async fn read_all<T: DeserializeOwned>(
        &self,
        pattern: &str,
    ) -> Result<Vec<Entry<T>>, StoreError> {
        let subjects = self.bucket.subjects(&self.subject(pattern)).await?;
        let read = async |subject: String| self.bucket.last(&subject, 0).await;
        let mut messages = stream::iter(subjects).map(read).buffer_unordered(AT_ONCE);
        let mut entries = Vec::new();
        while let Some(message) = messages.try_next().await? {
            if let Some(message) = message {
                entries.push(self.read_message(message)?);
            }
        }
        Ok(entries)
    }

    /// Entries whose keys match a pattern and that were written from a revision on. The last ones may be missing.
    pub(super) async fn glance<T: DeserializeOwned>(
        &self,
        pattern: &str,
        from: u64,
    ) -> Result<Vec<Entry<T>>, StoreError> {
        match self.glance_nearby(pattern, from).await {
            Err(StoreError::Engine { .. }) => self.glance_at_leader(pattern, from).await,
            answer => answer,
        }
    }

    /// Asks whichever server is near, which may lag, and may be one that no longer answers.
    async fn glance_nearby<T: DeserializeOwned>(
        &self,
        pattern: &str,
        mut from: u64,
    ) -> Result<Vec<Entry<T>>, StoreError> {
        let mut entries = Vec::new();
        loop {
            let pages = direct::pages(&self.api, &[self.subject(pattern)], from).await;
            let pages = pages.map_err(|failure| self.api.error("reading", failure))?;
            let mut is_more = false;
            for page in pages {
                is_more |= page.is_more;
                for raw in page.messages {
                    from = raw.sequence + 1;
                    entries.push(self.parsed(raw.sequence, &raw.subject, &raw.body)?);
                }
            }
            if !is_more {
                return Ok(entries);
            }
        }
    }

    /// Asks the leader, one entry after the other.
    async fn glance_at_leader<T: DeserializeOwned>(
        &self,
        pattern: &str,
        mut from: u64,
    ) -> Result<Vec<Entry<T>>, StoreError> {
        let mut entries = Vec::new();
        let subject = self.subject(pattern);
        while let Some(message) = self.bucket.next(&subject, from.max(1)).await? {
            from = message.sequence + 1;
            entries.push(self.read_message(message)?);
        }
        Ok(entries)
    }

    /// Writes a entry, if its last revision is the one given. Gives the new revision; none when another write was first.
    pub(super) async fn write<T: Serialize>(
        &self,
        key: &str,
        value: &T,
        revision: u64,
    ) -> Result<Option<u64>, StoreError> {
        // A record of plain fields always has a text.
        let body = serde_json::to_vec(value).unwrap_or_default();
        self.put(key, body.into(), revision).await
    }

    /// Empties a entry, if its last revision is the one given. Gives the new revision.
    pub(super) async fn clear(&self, key: &str, revision: u64) -> Result<Option<u64>, StoreError> {
        self.put(key, Bytes::new(), revision).await
    }

    /// Removes an entry for good, if its last revision is the one given. Gives whether it was.
    pub(super) async fn remove(&self, key: &str, revision: u64) -> Result<bool, StoreError> {
        let Some(cleared) = self.clear(key, revision).await? else {
            return Ok(false);
        };
        // Without the right to it the empty entry stays, and is only in the way.
        let subject = self.subject(key);
        self.bucket.discard_up_to(&subject, cleared).await;
        Ok(true)
    }

    async fn put(&self, key: &str, body: Bytes, revision: u64) -> Result<Option<u64>, StoreError> {
        let subject = self.subject(key);
        match self.bucket.write(&subject, body, revision).await? {
            Write::Stored(revision) => Ok(Some(revision)),
            Write::Refused => Ok(None),
        }
    }

    fn read_message<T: DeserializeOwned>(&self, message: Raw) -> Result<Entry<T>, StoreError> {
        self.parsed(message.sequence, &message.subject, &message.body)
    }

    fn parsed<T: DeserializeOwned>(
        &self,
        revision: u64,
        subject: &str,
        body: &[u8],
    ) -> Result<Entry<T>, StoreError> {
        Ok(Entry {
            key: self.key(subject),
            revision,
            value: self.value(subject, body)?,
        })
    }

    fn value<T: DeserializeOwned>(
        &self,
        subject: &str,
        body: &[u8],
    ) -> Result<Option<T>, StoreError> {
        if body.is_empty() {
            return Ok(None);
        }
        serde_json::from_slice(body).map(Some).map_err(|error| {
            let key = self.key(subject);
            let reason = format!(
                "`{subject}` cannot be read ({error}); delete the key `{key}` of the subscription to start it over"
            );
            Damage::new(self.bucket.location(), None, None, reason).into()
        })
    }

    fn subject(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    fn key(&self, subject: &str) -> String {
        let key = subject.strip_prefix(&self.prefix);
        key.unwrap_or(subject).to_owned()
    }
}
