//! Aggregates whose history went on differently in the file and in the stream: the record, and what either side did since.

use serde::{Deserialize, Serialize};

use crate::block::{Cid, StoredEvent};
use crate::domain::message::Timestamp;
use crate::repository::{is_of_a_name, name_and_holder};
use crate::store::{AggregateKey, EventStore, StoreError, StreamExt, TryStreamExt, Versions};

/// How many events of a branch are told at most.
const MOST_TOLD: usize = 100;

/// An aggregate whose history went on differently here and in the stream. It takes no command here until that is resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Divergence {
    /// The aggregate.
    pub aggregate: AggregateKey,
    /// Why the two sides differ.
    pub cause: DivergenceCause,
    /// The last event that both sides have; none where they have none in common.
    pub common: Option<CommonEvent>,
    /// The aggregates that are tied to it by a commit over several: they wait with it, and take no command either.
    pub tied: Vec<AggregateKey>,
    /// What was done here since.
    pub ours: Branch,
    /// What was done in the stream since, as it was last seen.
    pub theirs: Branch,
    /// When it was noticed, by the clock of this node.
    pub noticed: Timestamp,
    /// When and how it was resolved; none as long as it is open.
    pub resolved: Option<Resolved>,
}

/// Why two sides of an aggregate differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum DivergenceCause {
    /// Both went on from one event.
    WentOnApart,
    /// A person discarded a commit of this side, so that nothing behind it can reach the stream.
    Discarded {
        /// Why.
        reason: String,
    },
}

/// The last event that two sides have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommonEvent {
    /// The version that it gave the aggregate.
    pub version: u64,
    /// Its CID.
    pub cid: Cid,
    /// When it happened.
    pub time: Timestamp,
}

/// What one side has behind the last common event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Branch {
    /// The version of the aggregate on this side.
    pub version: u64,
    /// The last event on this side; none where the aggregate has none.
    pub head: Option<Cid>,
    /// The first events, 100 at most.
    pub events: Vec<BranchEvent>,
}

/// An event of a branch, as a person wants to see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BranchEvent {
    /// The version that it gave the aggregate.
    pub version: u64,
    /// Its type, which names the operation.
    pub event_type: String,
    /// Its CID, by which it is read.
    pub cid: Cid,
    /// When it happened.
    pub time: Timestamp,
    /// Who or what issued the command.
    pub actor: Option<String>,
    /// For an event of a unique name: the name, which its aggregate has no readable id for, and who took it or gave it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique_name: Option<TakenName>,
}

/// A unique name, and the aggregate that took it or gave it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenName {
    /// The name as its author gave it.
    pub name: String,
    /// The kind and the id of the aggregate.
    pub holder: String,
}

/// How a divergence ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// When, by the clock of this node.
    pub at: Timestamp,
    /// How, in words.
    pub how: String,
    /// What was done here and is not part of the history any more: it was not taken again, and is read by its CID.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
}

/// An event that was written here, and was not taken again on the stream's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Its aggregate.
    pub aggregate: AggregateKey,
    /// The version that it gave the aggregate here.
    pub version: u64,
    /// Its type, which names the operation.
    pub event_type: String,
    /// Its CID, by which it is read.
    pub cid: Cid,
    /// Why it was not taken again.
    pub reason: String,
}

impl Divergence {
    /// The version of the last event that both sides have; 0 where they have none in common.
    pub fn common_version(&self) -> u64 {
        self.common.map_or(0, |common| common.version)
    }

    /// The unique name that it is about, where it is about one: both sides took it, or gave it back.
    pub fn unique_name(&self) -> Option<&str> {
        let mut events = self.ours.events.iter().chain(&self.theirs.events);
        events.find_map(|event| event.unique_name.as_ref().map(|taken| &*taken.name))
    }

    /// Whether it is still to be resolved.
    pub fn is_open(&self) -> bool {
        self.resolved.is_none()
    }
}

impl From<&StoredEvent> for CommonEvent {
    fn from(event: &StoredEvent) -> Self {
        Self {
            version: event.envelope.sequence,
            cid: event.cid,
            time: event.timestamp(),
        }
    }
}

impl From<&StoredEvent> for BranchEvent {
    fn from(event: &StoredEvent) -> Self {
        Self {
            version: event.envelope.sequence,
            event_type: event.envelope.event_type.clone(),
            cid: event.cid,
            time: event.timestamp(),
            actor: event.envelope.source.clone(),
            unique_name: is_of_a_name(event)
                .then(|| name_and_holder(event))
                .flatten()
                .map(|(name, holder)| TakenName {
                    name,
                    holder: holder.to_string(),
                }),
        }
    }
}

/// The last event that two stores have in common of an aggregate: a predecessor is part of what an event's CID is of, so that
/// where one event is the same, all before it are.
pub(super) async fn common(
    ours: &dyn EventStore,
    theirs: &dyn EventStore,
    aggregate: &AggregateKey,
) -> Result<Option<CommonEvent>, StoreError> {
    let (our_last, their_last) = (ours.last(aggregate).await?, theirs.last(aggregate).await?);
    let version = |last: &Option<StoredEvent>| last.as_ref().map_or(0, |it| it.envelope.sequence);
    let mut same = None;
    let (mut low, mut high) = (0, version(&our_last).min(version(&their_last)));
    // The shorter history is most often the beginning of the longer one, or differs at its end.
    let mut middle = high;
    while low < high {
        let our = event_at(ours, aggregate, middle).await?;
        let their = event_at(theirs, aggregate, middle).await?;
        match (our, their) {
            (Some(our), Some(their)) if our.cid == their.cid => {
                low = middle;
                same = Some(CommonEvent::from(&our));
            }
            _ => high = middle - 1,
        }
        middle = low + (high - low).div_ceil(2);
    }
    Ok(same)
}

/// The event that gave an aggregate a version.
pub(super) async fn event_of(
    store: &dyn EventStore,
    aggregate: &AggregateKey,
    version: u64,
) -> Result<Option<CommonEvent>, StoreError> {
    match version {
        0 => Ok(None),
        version => {
            let found = event_at(store, aggregate, version).await?;
            Ok(found.as_ref().map(CommonEvent::from))
        }
    }
}

async fn event_at(
    store: &dyn EventStore,
    aggregate: &AggregateKey,
    version: u64,
) -> Result<Option<StoredEvent>, StoreError> {
    let mut found = store.history(aggregate, Versions::from(version..=version));
    found.next().await.transpose()
}

/// What a store has of an aggregate behind a version.
pub(super) async fn branch(
    store: &dyn EventStore,
    aggregate: &AggregateKey,
    behind: u64,
) -> Result<Branch, StoreError> {
    let last = store.last(aggregate).await?;
    let events = store.history(aggregate, Versions::starting_at(behind + 1));
    let events: Vec<_> = events.take(MOST_TOLD).try_collect().await?;
    Ok(Branch {
        version: last.as_ref().map_or(0, |last| last.envelope.sequence),
        head: last.map(|last| last.cid),
        events: events.iter().map(BranchEvent::from).collect(),
    })
}
