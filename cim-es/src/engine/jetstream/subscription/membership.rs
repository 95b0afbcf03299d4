//! What the members of a durable or partitioned subscription agree on: where it starts, its partitions, and who has which
//! place.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep};

use super::SubscriptionError;
use super::coordination::Coordination;
use super::feed::Source;
use super::partition_worker::Owner;
use crate::store::subscription::Mode;
use crate::store::{PARTITIONS, Position, StoreError};

/// How many members a subscription may have: one for each partition.
const PLACES: u8 = PARTITIONS;
/// How many heartbeats a lease has room for.
const HEARTBEATS: u32 = 4;
/// The key of what is written down when a subscription is made.
const DEFINITION: &str = "definition";

/// What the members of a subscription have in common.
pub(super) struct Membership {
    pub(super) coordination: Coordination,
    pub(super) source: Source,
    /// Where the subscription starts, if it has not started yet.
    pub(super) first: Position,
    pub(super) lease: Duration,
}

/// What is written down when a subscription is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Definition {
    kind: String,
    /// Its positions mean nothing in another; none in entries of the first versions.
    stream: Option<String>,
    /// When that stream was created.
    #[serde(default)]
    created: Option<String>,
    first: Position,
}

/// A heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Heartbeat {
    pub(super) id: String,
    pub(super) beat: u64,
}

impl Membership {
    pub(super) fn name(&self) -> &str {
        self.source.plan.mode.name()
    }

    pub(super) fn is_partitioned(&self) -> bool {
        matches!(self.source.plan.mode, Mode::Partitioned { .. })
    }

    pub(super) fn kind(&self) -> &'static str {
        match self.is_partitioned() {
            true => "partitioned",
            false => "durable",
        }
    }

    pub(super) fn partitions(&self) -> Vec<Option<u8>> {
        match self.is_partitioned() {
            true => (0..PARTITIONS).map(Some).collect(),
            false => vec![None],
        }
    }

    pub(super) fn beat(&self) -> Duration {
        self.lease / HEARTBEATS
    }

    /// Two thirds of a lease: others wait for a whole one.
    pub(super) fn own_lease(&self) -> Duration {
        self.lease * 2 / 3
    }

    pub(super) async fn take_place(&self) -> Result<(Owner, u64, Instant), SubscriptionError> {
        let id = uuid::Uuid::now_v7().to_string();
        let heartbeat = Heartbeat {
            id: id.clone(),
            beat: 0,
        };
        let mut has_cleared = false;
        loop {
            if let Some(place) = self.free_place(&id, &heartbeat).await? {
                return Ok(place);
            }
            // Programs that crashed leave their places taken, and nobody may be there to notice.
            if has_cleared || !self.clear_silent_places().await? {
                break;
            }
            has_cleared = true;
        }
        Err(SubscriptionError::TooManyMembers {
            name: self.name().to_owned(),
            members: usize::from(PLACES),
        })
    }

    async fn free_place(
        &self,
        id: &str,
        heartbeat: &Heartbeat,
    ) -> Result<Option<(Owner, u64, Instant)>, SubscriptionError> {
        let owner = |place| Owner {
            place,
            id: id.to_owned(),
        };
        for place in 0..PLACES {
            let key = member_key(place);
            let there = self.coordination.read::<Heartbeat>(&key).await?;
            if there.value.is_some() {
                continue;
            }
            let sent = Instant::now();
            if let Some(revision) = self
                .coordination
                .write(&key, heartbeat, there.revision)
                .await?
            {
                return Ok(Some((owner(place), revision, sent)));
            }
            // Another member, or this one and the answer was lost.
            let there = self.coordination.read::<Heartbeat>(&key).await?;
            if there.value.as_ref() == Some(heartbeat) {
                return Ok(Some((owner(place), there.revision, sent)));
            }
        }
        Ok(None)
    }

    /// Empties the places whose heartbeat does not change for a whole lease. Gives whether there were any.
    async fn clear_silent_places(&self) -> Result<bool, SubscriptionError> {
        tracing::warn!(
            name = self.name(),
            "all places are taken: waiting whether their members are still there"
        );
        let before = self.coordination.glance::<Heartbeat>("member.*", 0).await?;
        sleep(self.lease).await;
        let mut has_cleared = false;
        for entry in before.into_iter().filter(|entry| entry.value.is_some()) {
            // Guarded by the revision: a member that was heard meanwhile keeps its place.
            let cleared = self.coordination.clear(&entry.key, entry.revision).await?;
            has_cleared |= cleared.is_some();
        }
        Ok(has_cleared)
    }

    /// Empties the place of a member of this program. What is there is looked up: a heartbeat may have been stored
    /// whose answer was not heard.
    pub(super) async fn leave_place(&self, member: &Owner) -> Result<(), StoreError> {
        let key = member_key(member.place);
        loop {
            let there = self.coordination.read::<Heartbeat>(&key).await?;
            let is_ours = there
                .value
                .is_some_and(|heartbeat| heartbeat.id == member.id);
            if !is_ours
                || self
                    .coordination
                    .clear(&key, there.revision)
                    .await?
                    .is_some()
            {
                return Ok(());
            }
        }
    }

    /// Whether a member that wrote the entry of a partition at a revision has lost its place since.
    ///
    /// A server that was paused takes itself for the leader for a moment longer, so what it says to be there must be
    /// newer than the entry, or is proved by a guarded write.
    pub(super) async fn is_gone(&self, member: &Owner, written: u64) -> Result<bool, StoreError> {
        let key = member_key(member.place);
        let there = self.coordination.read::<Heartbeat>(&key).await?;
        match there.value {
            Some(heartbeat) if heartbeat.id == member.id => Ok(false),
            _ if there.revision > written => Ok(true),
            Some(_) => Ok(false),
            None => Ok(self
                .coordination
                .clear(&key, there.revision)
                .await?
                .is_some()),
        }
    }
}

/// Where a subscription starts and what kind it is: what the first member wrote down.
pub(super) async fn define(
    coordination: &Coordination,
    source: &Source,
    name: &str,
    kind: &'static str,
    first: Position,
) -> Result<Position, SubscriptionError> {
    let wanted = source.api.stream.to_string();
    let own = Definition {
        kind: kind.to_owned(),
        stream: Some(wanted.clone()),
        created: source.api.created.as_deref().map(str::to_owned),
        first,
    };
    let there = loop {
        let there = coordination.read::<Definition>(DEFINITION).await?;
        if let Some(definition) = there.value {
            break definition;
        }
        if coordination
            .write(DEFINITION, &own, there.revision)
            .await?
            .is_some()
        {
            break own.clone();
        }
    };
    if there.kind == kind {
        return match there.stream {
            Some(found) if found != wanted => Err(SubscriptionError::AnotherStream {
                name: name.to_owned(),
                found,
                wanted,
            }),
            _ if there.created.is_some() && there.created != own.created => {
                Err(SubscriptionError::StreamRemade {
                    name: name.to_owned(),
                    location: source.api.location(),
                })
            }
            _ => Ok(there.first),
        };
    }
    let known = ["durable", "partitioned", "a group"];
    Err(SubscriptionError::AnotherKind {
        name: name.to_owned(),
        found: known
            .into_iter()
            .find(|known| *known == there.kind)
            .unwrap_or("of a kind that this program does not know"),
        wanted: kind,
    })
}

/// The key of a member's heartbeat.
pub(super) fn member_key(place: u8) -> String {
    format!("member.{place:02x}")
}

/// Whose partition it is: the same answer for all who know of the same members, and the same as before for most partitions when a
/// member comes or goes.
pub(super) fn owner_of(partition: Option<u8>, members: &[String]) -> Option<&String> {
    let weight = |member: &&String| {
        let digest = Sha256::new()
            .chain_update(member.as_bytes())
            .chain_update([partition.unwrap_or(PARTITIONS)])
            .finalize();
        <[u8; 32]>::from(digest)
    };
    members.iter().max_by_key(weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_spread_over_the_members_and_few_move_when_one_comes() {
        let members: Vec<_> = ["a", "b", "c", "d"].map(str::to_owned).into();
        let owners = |members: &[String]| -> Vec<String> {
            let partitions = (0..PARTITIONS).map(Some);
            partitions
                .filter_map(|partition| owner_of(partition, members).cloned())
                .collect()
        };
        let (three, four) = (owners(&members[..3]), owners(&members));
        for member in &members {
            let count = four.iter().filter(|owner| *owner == member).count();
            assert!(
                (6..=30).contains(&count),
                "{member} has {count} of 64 partitions"
            );
        }
        let moved = three
            .iter()
            .zip(&four)
            .filter(|(before, after)| before != after);
        assert!(moved.into_iter().all(|(_, after)| after == "d"));
    }
}
