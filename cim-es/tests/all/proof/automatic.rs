//! Checkpoints that are made by themselves.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cim_es::MemoryEventStore;
use cim_es::proof::{AutomaticCheckpoints, CheckpointError, CheckpointStatus, Tiles};

use super::{events, fill, import, key, log, sqlite, trust};
use crate::sqlite_support::Directory;

const MOMENT: Duration = Duration::from_millis(2);
const NEVER: Duration = Duration::from_secs(100_000);

/// Runs a test with timers.
fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime starts")
        .block_on(test)
}

fn covers(size: u64) -> impl Fn(&CheckpointStatus) -> bool {
    move |status| status.last.unverified().size() >= size
}

#[test]
fn a_checkpoint_is_made_at_the_start_and_after_so_many_events() {
    run(async {
        let directory = Directory::new();
        let store = sqlite(&directory, "library.db");
        fill(&store, 0, 10).await;
        let copy = directory.file("copy");
        let log = log(&store, Tiles::in_directory(directory.file("tiles")))
            .with_copy(&copy)
            .with_objects(store.clone());
        let made = AutomaticCheckpoints::new(log, key())
            .every_events(5)
            .every(NEVER);
        let mut running = made
            .look_every(MOMENT)
            .start()
            .await
            .expect("the history is whole");
        assert_eq!(running.status().last.unverified().size(), 10);
        let mut stored = 10;
        for size in [15, 21, 60] {
            let before = running.status().last.unverified().size();
            // A checkpoint may be of fewer than are stored.
            fill(&store, stored, size).await;
            stored = size;
            let status = running.wait_for(covers(size - 4)).await;
            let checkpoint = status.last.verify(&trust()).expect("it is ours");
            assert!(checkpoint.size() > before && checkpoint.size() <= size);
        }
        let status = running.stop().await;
        assert!(status.has_ended && status.failure.is_none());
        let kept = std::fs::read_to_string(&copy).expect("it is kept");
        assert_eq!(kept, status.last.to_string());
    });
}

#[test]
fn a_checkpoint_is_made_after_some_time_when_something_is_new() {
    run(async {
        let store = MemoryEventStore::new();
        let log = log(&store, Tiles::in_memory());
        let made = AutomaticCheckpoints::new(log, key())
            .every_events(1_000)
            .every(MOMENT);
        let mut running = made
            .look_every(MOMENT)
            .start()
            .await
            .expect("nothing is there");
        fill(&store, 0, 1).await;
        let status = running.wait_for(covers(1)).await;
        assert_eq!(status.last.unverified().size(), 1);
    });
}

#[test]
fn nothing_is_started_and_nothing_signed_on_a_history_that_was_changed() {
    run(async {
        let directory = Directory::new();
        let tiles = Tiles::in_directory(directory.file("tiles"));
        let store = MemoryEventStore::new();
        fill(&store, 0, 600).await;
        let made = AutomaticCheckpoints::new(log(&store, tiles.clone()), key());
        let signed = made
            .start()
            .await
            .expect("it is the first")
            .stop()
            .await
            .last;
        let other = MemoryEventStore::new();
        let mut all = events(&store).await;
        all.swap(100, 101);
        import(&other, &all).await;
        let made = AutomaticCheckpoints::new(log(&other, tiles.clone()), key());
        let refused = made.start().await.map(|_| ());
        let is_changed = matches!(refused, Err(CheckpointError::HistoryChanged(_)));
        assert!(is_changed, "{refused:?}");
        assert_eq!(
            log(&other, tiles).last().await.expect("it is kept"),
            Some(signed)
        );
    });
}

/// A store that others can put another one in place of.
#[derive(Clone)]
struct Replaced(Arc<std::sync::RwLock<MemoryEventStore>>);

impl Replaced {
    fn now(&self) -> MemoryEventStore {
        self.0.read().expect("no test panics with it").clone()
    }
}

mod port {
    use cim_es::aggregate::IdText;
    use cim_es::block::{Cid, StoredEvent};
    use cim_es::store::*;

    use super::{Replaced, async_trait};

    #[async_trait]
    impl EventStore for Replaced {
        async fn append(&self, commit: CommitRequest) -> Result<Vec<StoredEvent>, StoreError> {
            self.now().append(commit).await
        }
        async fn append_sealed(
            &self,
            commits: Vec<SealedCommit>,
        ) -> Result<Vec<AppendedCommit>, StoreError> {
            self.now().append_sealed(commits).await
        }
        fn history(&self, aggregate: &AggregateKey, versions: Versions) -> EventStream {
            self.now().history(aggregate, versions)
        }
        async fn last(&self, aggregate: &AggregateKey) -> Result<Option<StoredEvent>, StoreError> {
            self.now().last(aggregate).await
        }
        async fn kinds(&self, id: &IdText) -> Result<Vec<String>, StoreError> {
            self.now().kinds(id).await
        }
        async fn find(&self, cid: &Cid) -> Result<Option<StoredEvent>, StoreError> {
            self.now().find(cid).await
        }
        async fn last_position(&self) -> Result<Position, StoreError> {
            self.now().last_position().await
        }
        fn read(&self, selection: Selection, after: Bookmark) -> EventStream {
            self.now().read(selection, after)
        }
        fn follow(&self, selection: Selection, after: Bookmark) -> EventStream {
            self.now().follow(selection, after)
        }
        fn settings(&self) -> EngineSettings {
            self.now().settings()
        }
    }
}

#[test]
fn a_history_that_is_changed_meanwhile_ends_the_checkpoints_with_what_differs() {
    type Change = fn(&mut Vec<cim_es::block::StoredEvent>);
    let cases: [(&str, Duration, Change); 3] = [
        ("the tail is cut", NEVER, |all| all.truncate(590)),
        ("the tail is another one", NEVER, |all| all.swap(598, 599)),
        (
            "an old event is moved, and an audit is due",
            MOMENT,
            |all| all.swap(100, 101),
        ),
    ];
    for (what, audit, change) in cases {
        run(async {
            let store = MemoryEventStore::new();
            fill(&store, 0, 600).await;
            let replaced = Replaced(Arc::new(std::sync::RwLock::new(store.clone())));
            let log = log(&replaced, Tiles::in_memory());
            let made = AutomaticCheckpoints::new(log, key())
                .every_events(1)
                .audit_every(audit);
            let mut running = made
                .look_every(MOMENT)
                .start()
                .await
                .expect("it is the first");
            let signed = running.status().last;

            let other = MemoryEventStore::new();
            let mut all = events(&store).await;
            change(&mut all);
            import(&other, &all).await;
            if what == "the tail is another one" {
                fill(&other, 600, 610).await;
            }
            *replaced.0.write().expect("no test panics with it") = other;
            let status = running.wait_for(|status| status.failure.is_some()).await;
            let failure = status.failure.expect("it is found");
            let is_changed = matches!(*failure, CheckpointError::HistoryChanged(_));
            assert!(is_changed, "{what}: {failure:?}");
            let status = running.stop().await;
            assert!(status.has_ended, "{what}");
            assert_eq!(status.last, signed, "{what}");
        });
    }
}

#[test]
fn a_store_that_fails_for_a_while_is_asked_again() {
    run(async {
        let directory = Directory::new();
        let store = MemoryEventStore::new();
        fill(&store, 0, 3).await;
        let folder = directory.file("elsewhere");
        std::fs::create_dir_all(&folder).expect("it can be made");
        let copy = folder.join("copy");
        let log = log(&store, Tiles::in_memory()).with_copy(&copy);
        let made = AutomaticCheckpoints::new(log, key()).every_events(1);
        let mut running = made
            .look_every(MOMENT)
            .start()
            .await
            .expect("it is the first");
        // A folder stands in the place of the copy: it can be neither read nor written there.
        std::fs::remove_file(&copy).expect("it is there");
        std::fs::create_dir_all(copy.join("in the way")).expect("it can be made");
        fill(&store, 3, 6).await;
        let status = running.wait_for(|status| status.failure.is_some()).await;
        assert!(!status.has_ended, "{:?}", status.failure);
        std::fs::remove_dir_all(&copy).expect("it is there");
        let status = running
            .wait_for(|status| status.failure.is_none() && covers(6)(status))
            .await;
        assert_eq!(
            (status.last.unverified().size(), status.has_ended),
            (6, false)
        );
        let kept = std::fs::read_to_string(&copy).expect("it is kept");
        assert_eq!(kept, status.last.to_string());
    });
}
