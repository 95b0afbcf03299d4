//! The port for branches: what one side wrote is taken out of the history, and what the other side wrote stands in its
//! place.

use std::collections::HashSet;

use async_trait::async_trait;
use cid::Cid;
#[cfg(feature = "sqlite")]
use serde::{Deserialize, Serialize};

use super::{
    AggregateKey, Bookmark, Damage, Location, ObjectStore, Position, SealedCommit, StateChange,
    StoreError,
};
use crate::block::{StoredEvent, read_envelope};
use crate::domain::aggregate::IdText;

/// Where a branch of the history can be replaced: two sides went on from one event, and one of them gives way.
///
/// The events of the branch are taken out of the history and stay as objects: the envelope under the CID of the event,
/// the payload under its own, so that every link that leads to them still does ([`taken_out`]). The events behind them
/// move up, and what takes their place stands at the end. Each replacement begins another [`Epoch`]: up to one event the
/// history is what it was, and a reader behind that is told [`StoreError::AnotherHistory`] by the CID in its
/// [`Bookmark`]. Streams that are open are told the same, or go on where what they gave still stands.
///
/// Snapshots of events that moved are dropped. Views that had counted one of them are built again, from the start.
///
/// ```
/// # use cim_es::prelude::*;
/// use cim_es::store::{Branch, BranchError, BranchReplacement, BranchStore, SealedCommit};
/// # use cim_es::store::AggregateKey;
///
/// /// Has one aggregate go on as it went on elsewhere.
/// async fn take_theirs(
///     store: &dyn BranchStore,
///     ours: Branch,
///     theirs: Vec<SealedCommit>,
/// ) -> Result<(), BranchError> {
///     let replaced = store
///         .replace_branches(BranchReplacement::new([ours], theirs))
///         .await?;
///     println!("nothing changed up to position {}", replaced.epoch.unchanged.position);
///     Ok(())
/// }
/// ```
#[async_trait]
pub trait BranchStore: Send + Sync + 'static {
    /// Replaces branches of one or several aggregates: all of it or nothing, whatever ends the program meanwhile.
    ///
    /// # Errors
    /// [`BranchError`]; nothing was changed then, unless it is [`StoreError::OutcomeUnknown`].
    async fn replace_branches(
        &self,
        replacement: BranchReplacement,
    ) -> Result<ReplacedBranches, BranchError>;

    /// The epochs that replacements began, oldest first; none where nothing was replaced yet.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] and the engine's failures.
    async fn epochs(&self) -> Result<Vec<Epoch>, StoreError>;
}

/// The end of the history of one aggregate: all events from a version on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// The aggregate.
    pub aggregate: AggregateKey,
    /// The version of its first event, from 1.
    pub from: u64,
    /// The CID of its last event, which is the aggregate's last.
    pub head: Cid,
}

/// What is to be taken out, and what is to stand in its place.
#[derive(Clone, Debug)]
pub struct BranchReplacement {
    /// The branches to take out, each of another aggregate.
    pub branches: Vec<Branch>,
    /// The commits that follow what is left, as they were sealed elsewhere; none leaves the aggregates as they were
    /// before the branches.
    pub commits: Vec<SealedCommit>,
    /// What is written down about it in the same transaction, see [`SyncState`](super::SyncState).
    pub changes: Vec<StateChange>,
}

/// What became of a replacement.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplacedBranches {
    /// The epoch that it began.
    pub epoch: Epoch,
    /// The events of the commits at their places.
    pub events: Vec<StoredEvent>,
}

/// A time of a store in which its history only grew: a replacement ends one and begins the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// Its number, from 1; the time before the first replacement has 0.
    pub number: u64,
    /// The last event before the replaced ones: up to it the replacement changed nothing.
    pub unchanged: Bookmark,
    /// What was taken out when it began.
    pub branches: Vec<Branch>,
}

/// Why branches are not replaced.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BranchError {
    /// No branch is named.
    #[error("no branch is named: name the aggregates whose events are to be replaced")]
    NoBranch,
    /// An aggregate is named twice.
    #[error("{aggregate} is named twice: name one branch of it, from its earliest version on")]
    NamedTwice {
        /// The aggregate.
        aggregate: Box<AggregateKey>,
    },
    /// The aggregate does not end with the branch: somebody wrote since, or replaced it already.
    #[error(
        "{aggregate} does not end with {expected} at version {from} or later, {}: look at what is here now, and decide again",
        ends_with(found)
    )]
    NotPresent {
        /// The aggregate.
        aggregate: Box<AggregateKey>,
        /// The version from which the branch was to be taken out.
        from: u64,
        /// The last event of the branch that was named.
        expected: Box<Cid>,
        /// The version and the CID of the last event that is here; none where the aggregate has no event.
        found: Option<(u64, Box<Cid>)>,
    },
    /// A part of a commit would be left, or taken out.
    #[error(
        "a commit over several events would be torn: {cid} of {aggregate} belongs to it, and so does version {version} of {other}, which would be left; name the branch of {other} from that version on as well"
    )]
    TornCommit {
        /// An aggregate whose branch was named.
        aggregate: Box<AggregateKey>,
        /// An event of it that is to be taken out.
        cid: Box<Cid>,
        /// The aggregate that has an event of the same commit that would be left.
        other: Box<AggregateKey>,
        /// The version of that event.
        version: u64,
    },
    /// The commits do not fit, or the engine failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn ends_with(found: &Option<(u64, Box<Cid>)>) -> String {
    match found {
        Some((version, cid)) => format!("but with {cid} at version {version}"),
        None => "it has no event".to_owned(),
    }
}

impl BranchReplacement {
    /// Commits in place of branches.
    pub fn new(branches: impl Into<Vec<Branch>>, commits: Vec<SealedCommit>) -> Self {
        Self {
            branches: branches.into(),
            commits,
            changes: Vec::new(),
        }
    }

    /// The same, with what is to be written down in the same transaction.
    pub fn with_changes(self, changes: Vec<StateChange>) -> Self {
        Self { changes, ..self }
    }

    /// Checks what can be said without a store.
    pub(crate) fn check(&self) -> Result<(), BranchError> {
        if self.branches.is_empty() {
            return Err(BranchError::NoBranch);
        }
        let mut named = HashSet::new();
        for branch in &self.branches {
            if !named.insert(&branch.aggregate) {
                return Err(BranchError::NamedTwice {
                    aggregate: Box::new(branch.aggregate.clone()),
                });
            }
        }
        Ok(())
    }
}

impl Branch {
    /// Compares it with the last event of the aggregate.
    pub(crate) fn check(&self, head: Option<(u64, Cid)>) -> Result<(), BranchError> {
        match head {
            Some((version, cid)) if cid == self.head && (1..=version).contains(&self.from) => {
                Ok(())
            }
            found => Err(BranchError::NotPresent {
                aggregate: Box::new(self.aggregate.clone()),
                from: self.from,
                expected: Box::new(self.head),
                found: found.map(|(version, cid)| (version, Box::new(cid))),
            }),
        }
    }
}

/// Checks that events, in the order of their positions, are whole commits; `at` gives the event at a position that is
/// not among them.
pub(crate) fn check_whole(
    taken: &[StoredEvent],
    mut at: impl FnMut(Position) -> Result<StoredEvent, StoreError>,
) -> Result<(), BranchError> {
    let mut rest = taken;
    while let Some(event) = rest.first() {
        let part = event.envelope.commit;
        let first = event
            .position
            .0
            .saturating_sub(u64::from(part.whole_index) - 1);
        let whole = first..first + u64::from(part.whole_of);
        let found = rest.iter().map(|event| event.position.0);
        let mut places = whole
            .clone()
            .zip(found.map(Some).chain(std::iter::repeat(None)));
        if let Some((missing, _)) = places.find(|(place, found)| Some(*place) != *found) {
            let left = at(Position(missing))?;
            return Err(BranchError::TornCommit {
                aggregate: Box::new(key_of(event)),
                cid: Box::new(event.cid),
                other: Box::new(key_of(&left)),
                version: left.envelope.sequence,
            });
        }
        rest = rest.get(part.whole_of as usize..).unwrap_or_default();
    }
    Ok(())
}

/// The aggregate of an event that stood in a store.
pub(crate) fn key_of(event: &StoredEvent) -> AggregateKey {
    let id = IdText::trusted(&event.envelope.aggregate_id);
    AggregateKey::new(event.envelope.aggregate.clone(), id)
}

/// The events of a branch that was taken out, oldest first, each proved; none where its last event is not among the
/// objects. Their position is [`START`](Position::START), since they have none any more.
///
/// # Errors
/// [`StoreError::Damaged`] where a block is missing or is not what its CID says, and the engine's failures.
pub async fn taken_out(
    objects: &dyn ObjectStore,
    branch: &Branch,
) -> Result<Option<Vec<StoredEvent>>, StoreError> {
    let mut events: Vec<StoredEvent> = Vec::new();
    let mut next = Some(branch.head);
    while let Some(cid) = next {
        let Some(envelope) = objects.get_object(&cid).await? else {
            if events.is_empty() {
                return Ok(None);
            }
            return Err(lost(cid));
        };
        let read = read_envelope(&envelope).map_err(|_| lost(cid))?;
        let payload = objects.get_object(&read.payload).await?;
        let payload = payload.ok_or_else(|| lost(read.payload))?;
        let blocks = ((cid, &envelope[..]), (read.payload, &payload[..]));
        let event = StoredEvent::of_blocks(Position::START, blocks.0, blocks.1)
            .map_err(|verdict| verdict.into_damage(Location::from("the objects")))?;
        next = event
            .envelope
            .previous
            .filter(|_| event.envelope.sequence > branch.from);
        events.push(event);
    }
    events.reverse();
    Ok(Some(events))
}

fn lost(cid: Cid) -> StoreError {
    Damage::new(
        Location::from("the objects"),
        None,
        Some(cid),
        "a block of a branch that was taken out is missing, or is not readable",
    )
    .into()
}

/// An epoch as it is written down.
#[cfg(feature = "sqlite")]
#[derive(Serialize, Deserialize)]
struct Written {
    number: u64,
    position: Position,
    cid: Option<Cid>,
    branches: Vec<WrittenBranch>,
}

#[cfg(feature = "sqlite")]
#[derive(Serialize, Deserialize)]
struct WrittenBranch {
    kind: String,
    id: String,
    from: u64,
    head: Cid,
}

impl Epoch {
    /// Whether something of an aggregate was taken out when it began.
    pub(crate) fn concerns(&self, aggregate: &AggregateKey) -> bool {
        self.branches
            .iter()
            .any(|branch| branch.aggregate == *aggregate)
    }

    /// The bytes under which a store keeps it.
    #[cfg(feature = "sqlite")]
    pub(crate) fn encode(&self) -> Result<Vec<u8>, StoreError> {
        let branches = self.branches.iter().map(|branch| WrittenBranch {
            kind: branch.aggregate.kind().to_owned(),
            id: branch.aggregate.id().as_str().to_owned(),
            from: branch.from,
            head: branch.head,
        });
        let written = Written {
            number: self.number,
            position: self.unchanged.position,
            cid: self.unchanged.cid,
            branches: branches.collect(),
        };
        serde_ipld_dagcbor::to_vec(&written).map_err(|error| StoreError::InvalidCommit {
            reason: format!("the replacement cannot be written down: {error}"),
        })
    }

    /// From such bytes; none where they are not an epoch.
    #[cfg(feature = "sqlite")]
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let written: Written = serde_ipld_dagcbor::from_slice(bytes).ok()?;
        let branches = written.branches.into_iter().map(|branch| Branch {
            aggregate: AggregateKey::new(branch.kind, IdText::trusted(&branch.id)),
            from: branch.from,
            head: branch.head,
        });
        Some(Self {
            number: written.number,
            unchanged: Bookmark {
                position: written.position,
                cid: written.cid,
            },
            branches: branches.collect(),
        })
    }
}
