//! Snapshots: what stands in one, and when one is written.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::sync::RwLock;

use serde::{Deserialize, Serialize};

use super::Repository;
use super::loaded::{Known, Loaded};
use crate::block::payload::{NotReadBack, encoded, outline, written_and_read};
use crate::domain::ErrorChain;
use crate::domain::aggregate::Aggregate;
use crate::domain::event::DomainEvent;
use crate::domain::kept::{Plain, Same, Storable, Written};
use crate::domain::machine::StateMachine;
use crate::domain::message::Timestamp;
use crate::store::{AggregateKey, Head, RecentCommits, Snapshot, StoreError};

/// What a snapshot holds beside its place in the history.
#[derive(Serialize)]
#[serde(bound = "T: Storable")]
struct Kept<'a, T> {
    aggregate: Written<'a, T>,
    recent: &'a RecentCommits,
    timestamp: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(bound = "T: Storable")]
struct Opened<T> {
    aggregate: Plain<T>,
    recent: RecentCommits,
    timestamp: Timestamp,
}

/// Which declarations made a snapshot: of the aggregate (with its `fold`), its events and its machine, and of which parts
/// the types of the aggregate's fields are made, down to the last one. A type is looked at once.
pub(crate) fn tag<A: Aggregate>() -> u64 {
    static KNOWN: RwLock<BTreeMap<TypeId, u64>> = RwLock::new(BTreeMap::new());
    let key = TypeId::of::<A>();
    if let Ok(known) = KNOWN.read()
        && let Some(tag) = known.get(&key)
    {
        return *tag;
    }
    let tag = tag_of::<A>();
    if let Ok(mut known) = KNOWN.write() {
        known.insert(key, tag);
    }
    tag
}

fn tag_of<A: Aggregate>() -> u64 {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let parts = [
        A::FINGERPRINT,
        <A::Event as DomainEvent>::FINGERPRINT,
        <A::State as StateMachine>::FINGERPRINT,
        outline::<Plain<A::Value>>().digest,
    ];
    parts.iter().fold(0xcbf2_9ce4_8422_2325, |tag: u64, part| {
        (tag.rotate_left(5) ^ part).wrapping_mul(PRIME)
    })
}

/// The aggregate that a snapshot holds.
pub(super) fn open<A: Aggregate>(snapshot: Snapshot) -> Result<Known<A>, StoreError> {
    let opened: Opened<A::Value> = serde_ipld_dagcbor::from_slice(&snapshot.state)
        .map_err(|error| engine("decoding it", error))?;
    // Fields that its types have gained or lost show here where the tag does not.
    let again = encoded(&opened).map_err(|error| engine("encoding it again", error))?;
    if again != snapshot.state {
        return Err(engine("encoding it again", OtherTypes));
    }
    let head = Head {
        version: snapshot.version,
        cid: snapshot.last_cid,
        position: snapshot.position,
        timestamp: opened.timestamp,
    };
    let loaded = Loaded {
        aggregate: opened.aggregate.0.into_it(),
        head: Some(head),
    };
    let recent = opened.recent;
    Ok(Known { loaded, recent })
}

fn close<A: Aggregate>(known: &Known<A>, head: Head) -> Result<Snapshot, StoreError> {
    let kept = Kept {
        aggregate: Written(A::Value::of_ref(&known.loaded.aggregate)),
        recent: &known.recent,
        timestamp: head.timestamp,
    };
    let (state, read) = written_and_read::<_, Opened<A::Value>>(&kept)
        .map_err(|error| engine("encoding it", error))?;
    check_state(&known.loaded.aggregate, &read.aggregate.0.into_it())
        .map_err(|error| engine("encoding it", error))?;
    Ok(Snapshot {
        tag: tag::<A>(),
        version: head.version,
        last_cid: head.cid,
        position: head.position,
        state: state.into(),
    })
}

/// A snapshot is written otherwise by this program than it was.
#[derive(Debug, thiserror::Error)]
#[error(
    "types in the aggregate have changed since it was written: it is made anew from the events"
)]
struct OtherTypes;

/// The bytes of an aggregate as a snapshot keeps it.
#[cfg(feature = "testing")]
pub(crate) fn encode<A: Aggregate>(aggregate: &A) -> Result<Vec<u8>, NotReadBack> {
    let kept = Written(A::Value::of_ref(aggregate));
    let (bytes, read) = written_and_read::<_, Plain<A::Value>>(&kept)?;
    check_state(aggregate, &read.0.into_it())?;
    Ok(bytes)
}

/// A state that serde writes like another one, or not at all, is read back as that one, and written again to the same
/// bytes: so the states themselves are compared.
fn check_state<A: Aggregate>(aggregate: &A, read: &A) -> Result<(), NotReadBack> {
    let (state, read) = (aggregate.state(), read.state());
    if state.index() == read.index() {
        return Ok(());
    }
    let (state, read) = (state.name(), read.name());
    Err(NotReadBack::at(
        "state",
        format!(
            "`{state}` is read back as `{read}`: let serde write each state under a name of its own"
        ),
    ))
}

fn engine(
    operation: &'static str,
    source: impl std::error::Error + Send + Sync + 'static,
) -> StoreError {
    StoreError::Engine {
        location: "the snapshot".into(),
        operation,
        source: std::sync::Arc::new(source),
    }
}

impl<A: Aggregate> Repository<A> {
    /// Writes a snapshot when a commit passed the threshold; a failure is told and changes nothing.
    pub(super) async fn keep_snapshot(&self, key: &AggregateKey, known: &Known<A>, before: u64) {
        let Some(threshold) = self.inner.options.snapshot_threshold else {
            return;
        };
        let (Some(snapshots), Some(head)) = (&self.inner.snapshots, known.loaded.head) else {
            return;
        };
        if before / threshold == head.version / threshold {
            return;
        }
        let kept = match close(known, head) {
            Ok(snapshot) => snapshots.save(key, snapshot).await,
            Err(error) => Err(error),
        };
        if let Err(error) = kept {
            tracing::warn!(aggregate = %key, version = head.version, error = %ErrorChain(&error), "no snapshot was written");
        }
    }
}
