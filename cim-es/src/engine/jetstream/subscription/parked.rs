//! The entries about parked events, one a key.

use async_trait::async_trait;

use super::coordination::{Coordination, Entry};
use super::failure::named;
use crate::engine::jetstream::buckets::name::token;
use crate::store::subscription::{KeepsParked, ParkedEvent, ParkedRequest, SubscriptionError};
use crate::store::{Position, StoreError, partition};

/// How often a write that others came before is tried again.
const TRIES: usize = 10;

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
    /// Writes it down, over what may be there.
    pub(super) async fn write(
        &self,
        coordination: &Coordination,
    ) -> Result<Entry<Self>, StoreError> {
        self.put(coordination, true).await
    }

    /// Writes it down, unless this event is parked already: then gives what is there.
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
            let is_there = |it: &Self| it.position == self.position && it.cid == self.cid;
            if there.value.as_ref().is_some_and(is_there) && !over {
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

/// The parked events of one subscription.
pub(super) struct Parked {
    pub(super) coordination: Coordination,
}

#[async_trait]
impl KeepsParked for Parked {
    async fn is_known(&self) -> Result<bool, SubscriptionError> {
        let any = self.coordination.has_any().await;
        any.map_err(|error| named(error.into()))
    }

    async fn list(&self) -> Result<Vec<ParkedEvent>, SubscriptionError> {
        let entries = self.coordination.read_all::<ParkedEvent>(ALL).await;
        let entries = entries.map_err(|error| named(error.into()))?;
        let mut events: Vec<_> = entries
            .into_iter()
            .filter_map(|entry| entry.value)
            .collect();
        events.sort_by_key(|event| event.position);
        Ok(events)
    }

    async fn request(
        &self,
        position: Position,
        request: ParkedRequest,
    ) -> Result<bool, SubscriptionError> {
        let requested = request_of(&self.coordination, position, request).await;
        requested.map_err(|error| named(error.into()))
    }
}

async fn request_of(
    coordination: &Coordination,
    position: Position,
    request: ParkedRequest,
) -> Result<bool, StoreError> {
    for _ in 0..TRIES {
        let pattern = format!("parked.*.*.{position}");
        let entries = coordination.read_all::<ParkedEvent>(&pattern).await?;
        let found = entries.into_iter().find_map(|entry| {
            let event = entry.value?;
            Some((entry.key, entry.revision, event))
        });
        let Some((key, revision, mut event)) = found else {
            break;
        };
        event.request = Some(request);
        if coordination.write(&key, &event, revision).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}
