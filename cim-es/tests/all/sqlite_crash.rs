//! A process that is killed while it writes: what was acknowledged is there, whole, and every chain verifies.

use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Duration;

use crate::sqlite_support::child::{self, Told};
use crate::sqlite_support::{Directory, Numbers, collect, is_long, key, large, note, run};
use cim_es::SqliteEventStore;
use cim_es::block::{Cid, StoredEvent};
use cim_es::message::{Clock, MessageIdentity, SystemClock};
use cim_es::store::{
    CommitRequest, EventStore, EventStoreExt, ExpectedVersion, Position, StoreError,
};

/// The tasks of the child that write at the same time.
const TASKS: u64 = 6;
const AGGREGATES: u64 = 5;

#[test]
fn every_acknowledged_commit_survives_the_death_of_its_process() {
    let kills = if is_long() { 1_000 } else { 200 };
    let directory = Directory::new();
    let path = directory.file("crash.db");
    let mut numbers = Numbers::new(std::process::id().into());
    let mut known = Known::default();
    let mut acknowledged = 0;
    for round in 0..kills {
        let acknowledgements = live_and_die(&path, round, &mut numbers);
        acknowledged += acknowledgements.len();
        if !path.exists() {
            assert!(
                acknowledgements.is_empty(),
                "the file of an acknowledged commit is gone"
            );
            continue;
        }
        run(known.verify(&path, &acknowledgements));
    }
    let report = run(async {
        let store = SqliteEventStore::open(&path).expect("the file opens");
        store.check().await.expect("the file is whole")
    });
    assert_eq!(report.events, known.last);
    assert!(
        acknowledged > kills as usize,
        "only {acknowledged} commits were acknowledged in {kills} lives: the kills came too early"
    );
    eprintln!(
        "{kills} kills, {acknowledged} acknowledged commits, {} events",
        report.events
    );
}

/// One life of the child: its acknowledgements up to its death.
fn live_and_die(path: &Path, round: u64, numbers: &mut Numbers) -> Vec<String> {
    let mut child = child::start(
        module_path!(),
        "a_child_writes_until_it_is_killed",
        path,
        round,
    );
    let told = Told::by(&mut child);
    let reader = std::thread::spawn(move || told.collect::<Vec<_>>());
    // Most children die while they write, some while they open the file.
    let life = match numbers.below(8) {
        0 => numbers.below(20_000),
        _ => 15_000 + numbers.below(120_000),
    };
    std::thread::sleep(Duration::from_micros(life));
    child.kill().expect("the child can be killed");
    let status = child.wait().expect("the child ends");
    assert_eq!(
        status.signal(),
        Some(9),
        "the child failed before it was killed"
    );
    reader.join().expect("the child's output reads")
}

/// What was found so far.
#[derive(Default)]
struct Known {
    last: u64,
    cids: Vec<Cid>,
    heads: HashMap<String, StoredEvent>,
}

impl Known {
    async fn verify(&mut self, path: &Path, acknowledgements: &[String]) {
        let store = SqliteEventStore::options()
            .check_on_open_up_to(1024 * 1024)
            .open(path)
            .expect("the file opens");
        let events = collect(store.read_all(Position(self.last)))
            .await
            .expect("every event verifies");
        let mut commits: HashMap<_, Vec<&StoredEvent>> = HashMap::new();
        for event in &events {
            let envelope = &event.envelope;
            let previous = self.heads.get(&envelope.aggregate_id);
            assert_eq!(envelope.previous, previous.map(|previous| previous.cid));
            let version = previous.map_or(0, |previous| previous.envelope.sequence);
            assert_eq!(envelope.sequence, version + 1, "a fork or a gap");
            self.heads
                .insert(envelope.aggregate_id.clone(), event.clone());
            self.cids.push(event.cid);
            self.last = event.position.0;
            commits
                .entry(envelope.causation_id)
                .or_default()
                .push(event);
        }
        for commit in commits.values() {
            whole(commit);
        }
        for line in acknowledgements {
            for place in line.split(' ') {
                let (position, cid) = place.split_once(':').expect("position:cid");
                let position: usize = position.parse().expect("a position");
                let found = self.cids.get(position - 1).map(Cid::to_string);
                assert_eq!(found.as_deref(), Some(cid), "position {position} is lost");
            }
        }
        for (id, head) in &self.heads {
            let last = store.last(&key(id)).await.expect("the head reads");
            assert_eq!(last.as_ref(), Some(head));
        }
    }
}

/// Every part of a commit has as many events as it says, and the parts are those that were written: the payload of a
/// mixed commit's events is their count.
fn whole(commit: &[&StoredEvent]) {
    let mut parts: HashMap<&str, u32> = HashMap::new();
    for event in commit {
        *parts.entry(&event.envelope.aggregate_id).or_default() += 1;
    }
    for event in commit {
        let part = event.envelope.commit;
        assert_eq!(parts[event.envelope.aggregate_id.as_str()], part.of);
        assert_eq!(commit.len() as u32, part.whole_of);
    }
    let source = commit[0]
        .envelope
        .source
        .as_deref()
        .expect("it has a source");
    let expected: usize = source.parse().expect("the source is the number of events");
    assert_eq!(commit.len(), expected, "a commit is there in part");
}

#[test]
fn a_child_writes_until_it_is_killed() {
    let Some(path) = child::file() else {
        return;
    };
    run(async {
        let store = SqliteEventStore::options()
            .check_on_open_up_to(0)
            .open(path)
            .expect("the file opens");
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| tokio::spawn(write(store.clone(), task)))
            .collect();
        for task in tasks {
            task.await.expect("the task writes for ever");
        }
    });
}

async fn write(store: SqliteEventStore, task: u64) {
    let mut numbers = Numbers::new(child::number() * TASKS + task);
    loop {
        let request = request(&store, &mut numbers).await;
        match store.append(request).await {
            Ok(events) => {
                let places: Vec<_> = events
                    .iter()
                    .map(|event| format!("{}:{}", event.position, event.cid))
                    .collect();
                child::tell(&places.join(" "));
            }
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// A commit of one event, of several, over several aggregates, or all of it; with and without an expectation.
async fn request(store: &SqliteEventStore, numbers: &mut Numbers) -> CommitRequest {
    let parts = 1 + numbers.below(3);
    let first = numbers.below(AGGREGATES);
    let events: Vec<Vec<_>> = (0..parts)
        .map(|_| match numbers.below(12) {
            0 => vec![large(9_000)],
            shape => (0..=shape % 3).map(|_| note(numbers.next())).collect(),
        })
        .collect();
    let total: usize = events.iter().map(Vec::len).sum();
    let identity = MessageIdentity::new_from_user(total.to_string());
    let mut request = CommitRequest::new(identity, SystemClock.now());
    for (part, events) in (0..).zip(events) {
        let aggregate = key((first + part) % AGGREGATES);
        let head = store.last(&aggregate).await.expect("the head reads");
        request = match (head, numbers.below(2)) {
            (_, 0) => request.aggregate(aggregate, ExpectedVersion::Any, events),
            (None, _) => request.aggregate(aggregate, ExpectedVersion::NoStream, events),
            (Some(head), _) => request.aggregate_at(aggregate, head.head(), events),
        };
    }
    request
}
