//! A store with known contents, and the comparison of what a copy of its file answers with what is true.

use std::path::Path;

use bytes::Bytes;
use cim_es::block::{Cid, HashCode, StoredEvent};
use cim_es::store::{
    Bookmark, CheckpointStore, EventStore, EventStoreExt, ExpectedVersion, ObjectInfo, ObjectStore,
    PARTITIONS, Position, Selection, Snapshot, SnapshotStore, StoreError,
};
use cim_es::subject::Subjects;
use cim_es::{SqliteEventStore, SqliteOptions};

use super::{Numbers, collect, commit, key, typed};

/// More than two segments of the index of CIDs, and some events behind them.
const EVENTS: usize = 560;
/// More than fit on one page of the table of aggregates.
const AGGREGATES: u64 = 61;
const TYPES: [&str; 3] = ["test.note.written", "test.note.moved", "other.thing.seen"];

/// What the store holds.
pub struct Truth {
    events: Vec<StoredEvent>,
    object: (Cid, Bytes),
    info: ObjectInfo,
    snapshot: Snapshot,
}

/// Fills a file and closes it, so that everything is in the main file.
pub async fn fill(path: &Path) -> Truth {
    let store = SqliteEventStore::open(path).expect("the file opens");
    let mut numbers = Numbers::new(7);
    let mut written = 0;
    while written < EVENTS {
        let mut request = commit();
        let first = numbers.below(AGGREGATES);
        let parts = 1 + numbers.below(3);
        for part in 0..parts {
            let events: Vec<_> = (0..=numbers.below(3))
                .map(|_| typed(TYPES[numbers.below(3) as usize], numbers.next()))
                .collect();
            written += events.len();
            let aggregate = key((first + part) % AGGREGATES);
            request = request.aggregate(aggregate, ExpectedVersion::Any, events);
        }
        store.append(request).await.expect("it appends");
    }
    let object = Bytes::from_static(b"\xa1\x61a\x01");
    let cid = store.put_object(object.clone()).await.expect("it is kept");
    let info = store.object_info(&cid).await.expect("it reads");
    let info = info.expect("it is kept");
    let head = store.last(&key(3)).await.unwrap().expect("it has events");
    let snapshot = Snapshot {
        tag: 1,
        version: head.envelope.sequence,
        last_cid: head.cid,
        position: head.position,
        state: Bytes::from(vec![5; 3_000]),
    };
    store
        .save_snapshot(&key(3), snapshot.clone())
        .await
        .expect("it is saved");
    for reader in ["one", "two"] {
        store
            .save_checkpoint(reader, Position(17).into())
            .await
            .expect("it is saved");
    }
    let events = collect(store.read_all(Position::START)).await.unwrap();
    store.check().await.expect("the file is whole");
    store.close().await;
    Truth {
        events,
        object: (cid, object),
        info,
        snapshot,
    }
}

/// The options under which the answers themselves must notice damage: nothing is checked when the file is opened.
pub fn unchecked() -> SqliteOptions {
    SqliteEventStore::options()
        .check_on_open_up_to(0)
        .readers(1)
}

impl Truth {
    /// Asks everything that can be asked of a file; each answer must be the true one or an error. Gives the number of
    /// errors.
    pub async fn compare(&self, path: &Path) -> usize {
        match unchecked().open(path) {
            Ok(store) => self.ask(&store).await,
            Err(error) => {
                clear(&error);
                1
            }
        }
    }

    async fn ask(&self, store: &SqliteEventStore) -> usize {
        let mut errors = 0;
        let mut judge = |what: &str, is_true: Result<bool, StoreError>| match is_true {
            Ok(true) => {}
            Ok(false) => panic!("{what}: the answer is wrong"),
            Err(error) => {
                clear(&error);
                errors += 1;
            }
        };
        for number in 0..AGGREGATES {
            let key = key(number);
            let mine = |event: &&StoredEvent| event.envelope.aggregate_id == key.id().as_str();
            let events: Vec<_> = self.events.iter().filter(mine).cloned().collect();
            let half = events.len() as u64 / 2;
            for from in [0, half, events.len() as u64 + 1] {
                let answer = store.get_events(&key, from).await;
                let skipped = (from.max(1) - 1) as usize;
                judge(
                    "get_events",
                    answer.map(|answer| answer == events[skipped..]),
                );
            }
            let answer = store.last(&key).await;
            judge(
                "last",
                answer.map(|answer| answer.as_ref() == events.last()),
            );
        }
        let answer = store.get_events(&key("absent"), 1).await;
        judge("get_events, absent", answer.map(|answer| answer.is_empty()));
        for event_type in TYPES {
            for after in [0, 300, EVENTS as u64] {
                let mine = |event: &&StoredEvent| {
                    event.event_type() == event_type && event.position.0 > after
                };
                let events: Vec<_> = self.events.iter().filter(mine).cloned().collect();
                for limit in [5, usize::MAX] {
                    let answer = store
                        .get_events_by_type(event_type, Position(after), limit)
                        .await;
                    let expected = &events[..events.len().min(limit)];
                    judge(
                        "get_events_by_type",
                        answer.map(|answer| answer == expected),
                    );
                }
            }
        }
        let answer = store
            .get_events_by_type("test.note.absent", Position::START, 9)
            .await;
        judge(
            "get_events_by_type, absent",
            answer.map(|answer| answer.is_empty()),
        );
        for event in self.events.iter().step_by(23).chain(self.events.last()) {
            let answer = store.get_by_cid(&event.cid).await;
            judge(
                "get_by_cid",
                answer.map(|answer| answer.as_ref() == Some(event)),
            );
        }
        let absent = HashCode::default().cid(b"absent");
        let answer = store.get_by_cid(&absent).await;
        judge("get_by_cid, absent", answer.map(|answer| answer.is_none()));
        for after in [0, 300] {
            let answer = collect(store.read_all(Position(after))).await;
            let expected = &self.events[after as usize..];
            judge("read_all", answer.map(|answer| answer == expected));
        }
        for (what, selection) in some_partitions() {
            let wanted = |event: &&StoredEvent| selection.includes(event);
            let expected: Vec<_> = self.events.iter().filter(wanted).cloned().collect();
            let answer = collect(store.read(selection.clone(), Bookmark::START)).await;
            judge(what, answer.map(|answer| answer == expected));
        }
        let answer = store.get_object(&self.object.0).await;
        let object = Some(&self.object.1);
        judge("get_object", answer.map(|answer| answer.as_ref() == object));
        let answer = store.object_info(&self.object.0).await;
        let info = Some(&self.info);
        judge("object_info", answer.map(|answer| answer.as_ref() == info));
        let answer = store.get_object(&absent).await;
        judge("get_object, absent", answer.map(|answer| answer.is_none()));
        let answer = store.get_checkpoint("two").await;
        judge(
            "get_checkpoint",
            answer.map(|answer| answer == Some(Position(17).into())),
        );
        let answer = store.get_checkpoint("three").await;
        judge(
            "get_checkpoint, absent",
            answer.map(|answer| answer.is_none()),
        );
        // A snapshot is a cache: it may be gone, and may not be another.
        let answer = store.get_latest_snapshot(&key(3), 1).await;
        let snapshot = &self.snapshot;
        judge(
            "get_latest_snapshot",
            answer.map(|answer| answer.is_none_or(|answer| answer == *snapshot)),
        );
        errors
    }
}

/// Of everything and of two types, the events of some partitions: of each that are not, others stand in between.
fn some_partitions() -> [(&'static str, Selection); 2] {
    let of_types: Subjects = TYPES[..2].iter().copied().map(Subjects::from).collect();
    [
        ("read, partitions", Selection::everything()),
        ("read, types in partitions", Selection::subjects(of_types)),
    ]
    .map(|(what, selection)| (what, selection.in_partitions((0..PARTITIONS).step_by(2))))
}

/// An error about a damaged file names the file and is none that would make a caller try again.
fn clear(error: &StoreError) {
    let is_clear = matches!(
        error,
        StoreError::Damaged(_)
            | StoreError::Incompatible { .. }
            | StoreError::Engine { .. }
            | StoreError::ReadOnly { .. }
    );
    assert!(is_clear, "an unclear error: {error:?}");
}
