//! Events that a handler failed on for good: where a person sees them, and has them handled again or given up.

use cid::Cid;
use serde::{Deserialize, Serialize};

use super::SubscriptionError;
use super::coordination::{Coordination, Entry};
use crate::block::StoredEvent;
use crate::domain::message::{Clock, SystemClock, Timestamp};
use crate::engine::jetstream::buckets::name::token;
use crate::engine::jetstream::connect::Connection;
use crate::store::{Position, StoreError, partition};

/// How often a write that others came before is tried again.
const TRIES: usize = 10;

/// An event that a handler failed on for good. It stays in the stream; this is the entry about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedEvent {
    /// Where it stands in the stream.
    pub position: Position,
    /// The event CID.
    #[serde(with = "text")]
    pub cid: Cid,
    /// Its type, the public subject.
    pub event_type: String,
    /// The aggregate's id.
    pub aggregate_id: String,
    /// The version of the aggregate after it.
    pub sequence: u64,
    /// Why the handler failed the last time, or behind which event this one waits.
    pub reason: String,
    /// How often it was handed over; 0 for one that waits behind another of its aggregate.
    pub attempts: u32,
    /// When it was parked.
    pub parked_at: Timestamp,
    /// What is to be done with it; none until a person says so.
    pub request: Option<ParkedRequest>,
}

/// What is to be done with a parked event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParkedRequest {
    /// Hand it to the handler again.
    Resend,
    /// Go on without it.
    Discard,
    /// A member of the group is handing it over.
    Taken,
}

/// The parked events of one subscription, by its name.
///
/// ```no_run
/// use cim_es::jetstream::{NatsConfig, ParkedEvents};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let connection = NatsConfig::default().connect().await?;
/// let parked = ParkedEvents::open(connection, "invoices").await?;
/// for event in parked.list().await? {
///     println!("{} {}: {}", event.position, event.event_type, event.reason);
///     parked.resend(event.position).await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ParkedEvents {
    coordination: Coordination,
    name: String,
}

impl ParkedEvents {
    /// Opens what is parked for the subscription of a name.
    ///
    /// # Errors
    /// [`StoreError::Incompatible`] when no subscription of the account was ever started, and the failures of the
    /// connection.
    pub async fn open(
        connection: impl Into<Connection>,
        name: &str,
    ) -> Result<Self, SubscriptionError> {
        let coordination = Coordination::find(&connection.into(), name).await?;
        let name = name.to_owned();
        Ok(Self { coordination, name })
    }

    /// All of them, in the order of the stream.
    ///
    /// # Errors
    /// The failures of the connection.
    pub async fn list(&self) -> Result<Vec<ParkedEvent>, SubscriptionError> {
        let entries = self.coordination.read_all::<ParkedEvent>(ALL).await?;
        let mut events: Vec<_> = entries
            .into_iter()
            .filter_map(|entry| entry.value)
            .collect();
        events.sort_by_key(|event| event.position);
        Ok(events)
    }

    /// Has the running subscription hand an event to its handler again; where none runs, the next one that starts does.
    ///
    /// An event that waits behind another of its aggregate needs no call: it follows when the other is handled or
    /// discarded.
    ///
    /// # Errors
    /// [`SubscriptionError::NotThere`] when it is not parked, and the failures of the connection.
    pub async fn resend(&self, position: Position) -> Result<(), SubscriptionError> {
        self.request(position, ParkedRequest::Resend).await
    }

    /// Has the running subscription go on without an event. The event itself stays in the stream.
    ///
    /// # Errors
    /// [`SubscriptionError::NotThere`] when it is not parked, and the failures of the connection.
    pub async fn discard(&self, position: Position) -> Result<(), SubscriptionError> {
        self.request(position, ParkedRequest::Discard).await
    }

    async fn request(
        &self,
        position: Position,
        request: ParkedRequest,
    ) -> Result<(), SubscriptionError> {
        for _ in 0..TRIES {
            let pattern = format!("parked.*.*.{position}");
            let entries = self.coordination.read_all::<ParkedEvent>(&pattern).await?;
            let found = entries.into_iter().find_map(|entry| {
                let event = entry.value?;
                Some((entry.key, entry.revision, event))
            });
            let Some((key, revision, mut event)) = found else {
                break;
            };
            event.request = Some(request);
            if self
                .coordination
                .write(&key, &event, revision)
                .await?
                .is_some()
            {
                return Ok(());
            }
        }
        let name = self.name.clone();
        Err(SubscriptionError::NotThere { name, position })
    }
}

impl std::fmt::Debug for ParkedEvents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParkedEvents")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The keys of all parked events.
pub(super) const ALL: &str = "parked.*.*.*";

/// The keys of the parked events of one partition.
pub(super) fn of_partition(partition: u8) -> String {
    format!("parked.{partition:02x}.*.*")
}

/// The partition that a key names.
pub(super) fn partition_of(key: &str) -> Option<u8> {
    let partition = key.split('.').nth(1)?;
    u8::from_str_radix(partition, 16).ok()
}

fn key(event: &ParkedEvent) -> String {
    let id = &event.aggregate_id;
    let partition = partition(id);
    format!("parked.{partition:02x}.{}.{}", token(id), event.position)
}

impl ParkedEvent {
    /// A entry about an event.
    pub(super) fn new(event: &StoredEvent, reason: String, attempts: u32) -> Self {
        let reason = cut(reason);
        Self {
            position: event.position,
            cid: event.cid,
            event_type: event.event_type().to_owned(),
            aggregate_id: event.envelope.aggregate_id.clone(),
            sequence: event.envelope.sequence,
            reason,
            attempts,
            parked_at: SystemClock.now(),
            request: None,
        }
    }

    /// Whether it was never handed over, because another of its aggregate is parked.
    pub(super) fn waits(&self) -> bool {
        self.attempts == 0
    }

    /// Writes it down, over what may be there.
    pub(super) async fn write(
        &self,
        coordination: &Coordination,
    ) -> Result<Entry<Self>, StoreError> {
        self.put(coordination, true).await
    }

    /// Writes it down, unless the event is parked already: then gives what is there.
    pub(super) async fn write_new(
        &self,
        coordination: &Coordination,
    ) -> Result<Entry<Self>, StoreError> {
        self.put(coordination, false).await
    }

    async fn put(
        &self,
        coordination: &Coordination,
        over: bool,
    ) -> Result<Entry<Self>, StoreError> {
        let key = key(self);
        let mut revision = 0;
        loop {
            if let Some(revision) = coordination.write(&key, self, revision).await? {
                let (position, event_type) = (self.position, &self.event_type);
                tracing::warn!(%position, event_type, reason = self.reason, "an event is parked");
                let value = Some(self.clone());
                return Ok(Entry {
                    key,
                    revision,
                    value,
                });
            }
            let there = coordination.read::<Self>(&key).await?;
            if there.value.is_some() && !over {
                return Ok(there);
            }
            if there.value.as_ref() == Some(self) {
                return Ok(there);
            }
            revision = there.revision;
        }
    }

    /// Removes the entry.
    pub(super) async fn remove(&self, coordination: &Coordination) -> Result<(), StoreError> {
        let key = key(self);
        for _ in 0..TRIES {
            let there = coordination.read::<Self>(&key).await?;
            if there.value.is_none() || coordination.remove(&key, there.revision).await? {
                break;
            }
        }
        Ok(())
    }
}

/// The longest reason that is kept, in bytes: an entry must fit into a message.
const LONGEST_REASON: usize = 4_096;

/// A reason without what is past the longest length.
pub(super) fn cut(mut reason: String) -> String {
    if reason.len() > LONGEST_REASON {
        let end = (0..=LONGEST_REASON)
            .rev()
            .find(|at| reason.is_char_boundary(*at));
        reason.truncate(end.unwrap_or(0));
        reason.push('…');
    }
    reason
}

/// A CID as its text.
mod text {
    use cid::Cid;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(cid: &Cid, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(cid)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cid, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}
