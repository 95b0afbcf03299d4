//! Bundles: what is exported from one store is imported into another, or nothing is.

mod damaged;
mod diverged;
#[cfg(feature = "encrypt")]
mod encrypted;
mod export;
mod import;
mod killed;
mod lines;
mod manifest;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(feature = "proof")]
mod signed;
mod sneakernet;

use std::path::{Path, PathBuf};

use cim_es::MemoryEventStore;
use cim_es::block::StoredEvent;
use cim_es::bundle::{BundleError, BundleFault, Export, Exported, Import, Imported};
use cim_es::message::{MessageIdentity, Timestamp};
use cim_es::store::{
    AggregateKey, CommitRequest, EventStore, EventStoreExt, ExpectedVersion, NewEvent, Position,
    SealedCommit,
};

use crate::sqlite_support::{Directory, collect, key, large, note};

/// When the bundles of the tests were made.
const CREATED: Timestamp = Timestamp::from_micros(1_769_860_800_000_000);

fn request() -> CommitRequest {
    CommitRequest::new(MessageIdentity::new_from_user("test"), CREATED)
}

/// Appends events to some aggregates as one commit.
async fn commit(store: &dyn EventStore, parts: &[(&str, usize)]) {
    let mut commit = request();
    for (number, (id, events)) in parts.iter().enumerate() {
        let events = (0..*events).map(|event| note((100 * number + event) as u64));
        commit = commit.aggregate(key(id), ExpectedVersion::Any, events.collect());
    }
    store.append(commit).await.expect("the commit is stored");
}

/// A store with commits of one event and of several, over one aggregate and over two: `a` and `b` have one in common,
/// `c` and `d` have none with others.
async fn sample() -> MemoryEventStore {
    let store = MemoryEventStore::new();
    commit(&store, &[("a", 1)]).await;
    commit(&store, &[("c", 2)]).await;
    commit(&store, &[("a", 2), ("b", 1)]).await;
    commit(&store, &[("d", 1)]).await;
    let filled = request().aggregate(key("c"), ExpectedVersion::Any, vec![large(300)]);
    store.append(filled).await.expect("the commit is stored");
    commit(&store, &[("b", 3)]).await;
    commit(&store, &[("a", 1)]).await;
    store
}

async fn events(store: &dyn EventStore) -> Vec<StoredEvent> {
    collect(store.read_all(Position::START))
        .await
        .expect("the store reads")
}

/// The CIDs of a store in its order.
async fn cids(store: &dyn EventStore) -> Vec<String> {
    let events = events(store).await;
    events.iter().map(|event| event.cid.to_string()).collect()
}

/// A store that has what another has.
async fn copy(store: &dyn EventStore) -> MemoryEventStore {
    let copy = MemoryEventStore::new();
    let commits = SealedCommit::split(&events(store).await).expect("its commits are whole");
    copy.append_sealed(commits).await.expect("they are taken");
    copy
}

fn exporting(store: &MemoryEventStore) -> Export {
    Export::new(store.clone()).source("a test").created(CREATED)
}

/// A bundle of everything.
async fn bundle(store: &MemoryEventStore, directory: &Directory) -> (PathBuf, Exported) {
    let file = directory.file("all.car");
    let exported = exporting(store).bundle_to(&file).await;
    (file, exported.expect("it is exported"))
}

async fn import(file: &Path, store: &dyn EventStore) -> Result<Imported, BundleError> {
    Import::bundle(file).into_store(store).await
}

/// Why a file is refused, by an import that stores nothing.
async fn fault(file: &Path) -> BundleFault {
    let store = MemoryEventStore::new();
    let refused = import(file, &store).await;
    assert_eq!(
        cids(&store).await,
        Vec::<String>::new(),
        "something was stored"
    );
    match refused {
        Err(BundleError::Refused { fault, .. }) => *fault,
        other => panic!("{other:?}"),
    }
}

fn filled(id: &str, event: NewEvent) -> CommitRequest {
    request().aggregate(key(id), ExpectedVersion::Any, vec![event])
}

fn names(keys: &[AggregateKey]) -> Vec<&str> {
    keys.iter().map(|key| key.id().as_str()).collect()
}
