//! What has to hold once all nodes have joined.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use cim_es::block::{Cid, CommitVerifier, StoredEvent};
use cim_es::hybrid::{Noticed, Protocol};
use cim_es::store::{AggregateKey, Bookmark, EventStore, Selection, TryStreamExt};

use super::plan::Waiting;
use super::world::World;

/// What a store has, with the last event of each aggregate.
pub struct History {
    pub events: Vec<StoredEvent>,
    pub heads: BTreeMap<String, Cid>,
}

pub async fn history(store: &dyn EventStore) -> History {
    let events = store.read(Selection::everything(), Bookmark::START);
    let events: Vec<_> = events.try_collect().await.expect("it reads");
    let heads = events.iter().map(|event| (id(event), event.cid)).collect();
    History { events, heads }
}

fn id(event: &StoredEvent) -> String {
    event.envelope.aggregate_id.to_string()
}

/// The stream has whole commits, and each event once.
pub fn is_whole(stream: &History) {
    let mut commits = CommitVerifier::new();
    let mut seen = HashSet::new();
    let mut versions: HashMap<String, u64> = HashMap::new();
    for event in &stream.events {
        commits.accept(event).expect("the stream has whole commits");
        assert!(seen.insert(event.cid), "{} is there twice", event.cid);
        let version = versions.entry(id(event)).or_default();
        *version += 1;
        assert_eq!(event.envelope.sequence, *version, "of {}", id(event));
    }
    commits.finish().expect("the last commit is whole");
}

/// A node and the stream: nothing is lost, all that did not diverge is the same, and what did is told once.
pub async fn is_level(world: &World, number: usize, stream: &History, expected: &Waiting) {
    let node = &world.nodes[number];
    let held = is_the_same(world, number, stream).await;
    for root in &held.roots {
        assert!(
            expected.diverged.contains(root),
            "node {number}: {root} did not diverge"
        );
    }
    for id in &expected.all {
        assert!(
            held.all.contains(id),
            "node {number} did not notice what became of {id}"
        );
    }
    assert_eq!(
        held.commits,
        node.commits.len(),
        "node {number} lost a commit"
    );
    assert_eq!(
        held.notices,
        held.roots.len(),
        "what was told at node {number}"
    );
}

/// What a node keeps back, and what it has told.
pub struct Held {
    /// The aggregates that diverged.
    pub roots: BTreeSet<String>,
    /// These, and those that wait with them.
    pub all: HashSet<String>,
    /// How many commits in the file are of this node.
    pub commits: usize,
    /// How many things were told.
    pub notices: usize,
    /// How many times that the file was restored.
    pub restored: usize,
}

/// The file is whole and has all that the stream has, and the stream all that the file has, except where an aggregate
/// diverged or hangs together with one that did; and that was told once.
pub async fn is_the_same(world: &World, number: usize, stream: &History) -> Held {
    let node = &world.nodes[number];
    let (file, protocol) = node.protocol().await;
    file.check().await.expect("the file is whole");
    let here = history(&file).await;
    let (roots, held) = held(&protocol);
    is_told_once(&protocol, &roots);
    assert!(protocol.parked().is_empty(), "{:?}", protocol.parked());

    let commits: Vec<Vec<&StoredEvent>> = commits(&here.events);
    let there: HashSet<Cid> = stream.events.iter().map(|event| event.cid).collect();
    let own = commits.iter().filter(|commit| is_of(commit, number));
    for commit in own.clone() {
        let is_there = commit.iter().all(|event| there.contains(&event.cid));
        let is_held = commit.iter().all(|event| held.contains(&id(event)));
        assert!(
            is_there || is_held,
            "node {number}: {} is lost",
            commit[0].cid
        );
    }
    for id in here.heads.keys().chain(stream.heads.keys()) {
        if !held.contains(id) {
            let (ours, theirs) = (here.heads.get(id), stream.heads.get(id));
            assert_eq!(ours, theirs, "node {number} and the stream: {id}");
        }
    }
    let waiting = here
        .events
        .iter()
        .filter(|it| !there.contains(&it.cid))
        .count();
    assert_eq!(
        protocol.queue_size().await.unwrap(),
        waiting as u64,
        "node {number}"
    );
    for root in &roots {
        let one_side = |one: &History, other: &HashSet<Cid>| {
            one.events
                .iter()
                .any(|it| id(it) == *root && !other.contains(&it.cid))
        };
        let cids = here.events.iter().map(|event| event.cid).collect();
        let is_apart = one_side(&here, &there) && one_side(stream, &cids);
        assert!(
            is_apart,
            "node {number}: {root} did not go on on both sides"
        );
    }
    let notices = protocol.notices();
    let restored = notices
        .iter()
        .filter(|it| matches!(it.what, Noticed::FileRestored { .. }));
    let held = Held {
        commits: own.count(),
        notices: notices.len(),
        restored: restored.count(),
        roots,
        all: held,
    };
    file.close().await;
    held
}

/// The aggregates that diverged, and those that wait with them.
fn held(protocol: &Protocol) -> (BTreeSet<String>, HashSet<String>) {
    let text = |key: &AggregateKey| key.id().to_string();
    let open = protocol.recorded_divergences();
    let open: Vec<_> = open.iter().filter(|it| it.is_open()).collect();
    let roots: BTreeSet<String> = open.iter().map(|it| text(&it.aggregate)).collect();
    assert_eq!(roots.len(), open.len(), "a divergence is recorded twice");
    let tied = open.iter().flat_map(|it| it.tied.iter().map(text));
    (roots.clone(), roots.into_iter().chain(tied).collect())
}

fn is_told_once(protocol: &Protocol, roots: &BTreeSet<String>) {
    let mut told: BTreeMap<String, usize> = BTreeMap::new();
    for notice in protocol.notices() {
        if let Noticed::Diverged { aggregate, .. } = notice.what {
            *told.entry(aggregate.id().to_string()).or_default() += 1;
        }
    }
    let expected: BTreeMap<String, usize> = roots.iter().map(|it| (it.clone(), 1)).collect();
    assert_eq!(told, expected, "what was told of divergences");
}

/// What a store has, commit by commit.
pub fn commits(events: &[StoredEvent]) -> Vec<Vec<&StoredEvent>> {
    let mut commits: Vec<Vec<&StoredEvent>> = Vec::new();
    for event in events {
        match commits.last_mut() {
            Some(commit) if !event.envelope.commit.is_first_of_whole() => commit.push(event),
            _ => commits.push(vec![event]),
        }
    }
    commits
}

/// Whether a node has written a commit.
pub fn is_of(commit: &[&StoredEvent], node: usize) -> bool {
    let actor = format!("node-{node}");
    commit[0].envelope.source.as_deref() == Some(&actor)
}

/// A person has the stream's history count everywhere: then all have the same of everything, and what was done apart
/// can still be read.
pub async fn is_one_in_the_end(world: &World, number: usize) {
    let (file, protocol) = world.protocol(number).await;
    let before = history(&file).await;
    // What waited with another may have diverged itself, which shows once that one has ended.
    loop {
        let mut open = protocol.recorded_divergences().into_iter();
        let Some(next) = open.find(|it| it.is_open()) else {
            break;
        };
        let ended = protocol
            .keep_theirs(&world.remote, &next.aggregate, "a test")
            .await;
        ended.expect("the stream's history counts");
        protocol.level(&world.remote).await.expect("it is level");
    }
    // What waited without having diverged has been sent meanwhile.
    let (after, stream) = (history(&file).await, history(&*world.remote).await);
    is_whole(&stream);
    assert_eq!(after.heads, stream.heads, "node {number}");
    let mut told: BTreeMap<String, i64> = BTreeMap::new();
    for notice in protocol.notices() {
        match notice.what {
            Noticed::Diverged { aggregate, .. } => {
                *told.entry(aggregate.to_string()).or_default() += 1
            }
            Noticed::Resolved { aggregate, .. } => {
                *told.entry(aggregate.to_string()).or_default() -= 1
            }
            _ => {}
        }
    }
    assert!(
        told.values().all(|it| *it == 0),
        "node {number}: what ended was told: {told:?}"
    );
    assert_eq!(protocol.queue_size().await.unwrap(), 0, "node {number}");
    let there: HashSet<Cid> = after.events.iter().map(|event| event.cid).collect();
    for event in before.events.iter().filter(|it| !there.contains(&it.cid)) {
        let object = cim_es::store::ObjectStore::get_object(&file, &event.cid).await;
        assert!(
            object.unwrap().is_some(),
            "{} cannot be read any more",
            event.cid
        );
    }
    file.close().await;
}
