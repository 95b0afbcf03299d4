//! Replays: from a place or a time, bounded, cancelled, in parallel, with failures and progress.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cim_es::MemoryEventStore;
use cim_es::block::StoredEvent;
use cim_es::prelude::*;
use cim_es::replay::{EventReplayService, ReplayEnd, ReplayError, ReplayFrom, ReplayStats};
use cim_es::store::*;

use crate::account::{Account, AccountCommand, AccountEvent};

const SECOND: Duration = Duration::from_secs(1);

/// What was deposited in each account.
#[derive(Projection, Debug, Default, PartialEq)]
#[projection(name = "deposits", version = 1, events = [AccountEvent])]
struct Deposits {
    accounts: BTreeMap<String, u64>,
}

impl Project<AccountEvent> for Deposits {
    fn project(&mut self, event: AccountEvent, at: &Source<'_, Account>) {
        if let AccountEvent::Deposited { amount } = event {
            assert_ne!(amount, 13, "thirteen is not counted");
            *self.accounts.entry(at.id_text().to_owned()).or_default() += amount;
        }
    }
}

fn begin() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

/// Accounts, each with an event a second for itself and one behind another: a hundred seconds of them.
async fn fill(store: &impl EventStore, accounts: u64, seconds: u64) {
    for second in 0..seconds {
        for account in 0..accounts {
            let id = Id::<Account>::from_uuid(Uuid::from_u128(u128::from(account) + 1));
            let key = AggregateKey::of::<Account>(&id).unwrap();
            let time = begin().after(SECOND * u32::try_from(second).unwrap());
            let event = match second {
                0 => AccountEvent::Opened,
                _ => AccountEvent::Deposited { amount: 1 },
            };
            let commit = CommitRequest::new(MessageIdentity::new_from_user("test"), time);
            let commit = commit.aggregate(
                key,
                ExpectedVersion::Any,
                vec![NewEvent::of(&event).unwrap()],
            );
            store.append(commit).await.unwrap();
        }
    }
}

/// Replays, and gives what was handed on, in order.
async fn handed(
    store: &(impl EventStore + Clone),
    from: impl Into<ReplayFrom>,
) -> (Vec<StoredEvent>, ReplayStats) {
    let events = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&events);
    let replay = EventReplayService::new(store.clone()).replay_all_events(from);
    let stats = replay
        .each(move |event| {
            kept.lock().unwrap().push(event);
            async { Ok(()) }
        })
        .await
        .unwrap();
    let events = std::mem::take(&mut *events.lock().unwrap());
    (events, stats)
}

async fn it_begins_where_it_is_told(store: impl EventStore + Clone) {
    fill(&store, 2, 200).await;
    let all: Vec<_> = store.read_all(Position::START).try_collect().await.unwrap();

    let (events, stats) = handed(&store, ReplayFrom::Start).await;
    assert_eq!(events, all);
    assert_eq!((stats.events_processed, stats.aggregates_rebuilt), (400, 2));
    assert_eq!((stats.errors, stats.end), (0, ReplayEnd::Complete));
    assert!(stats.events_per_second() > 0.0);

    let (events, _) = handed(&store, all[99].bookmark()).await;
    assert_eq!(events, all[100..]);
    let (events, _) = handed(&store, Some(Position(399))).await;
    assert_eq!(events, all[399..]);

    // At each time: exactly those that happened then or later.
    for second in [0, 1, 59, 60, 61, 62, 120, 198, 199, 200, 1_000] {
        let time = begin().after(SECOND * second);
        let wanted: Vec<_> = all
            .iter()
            .filter(|event| event.timestamp() >= time)
            .cloned()
            .collect();
        let (events, stats) = handed(&store, time).await;
        assert_eq!(events, wanted, "from second {second}");
        assert_eq!(stats.events_processed, wanted.len() as u64);
    }
    let before_all = begin().to_datetime().unwrap() - chrono::Duration::days(400);
    assert_eq!(handed(&store, Some(before_all)).await.0, all);
}

#[tokio::test]
async fn a_replay_begins_at_the_place_or_the_time_that_it_is_told() {
    it_begins_where_it_is_told(MemoryEventStore::new()).await;
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_replay_of_a_file_begins_at_the_place_or_the_time_that_it_is_told() {
    let directory = crate::sqlite_support::Directory::new();
    let store = cim_es::SqliteEventStore::open(directory.file("replayed.db")).unwrap();
    it_begins_where_it_is_told(store).await;
}

#[tokio::test]
async fn finding_a_time_reads_a_few_events_and_not_all_before_it() {
    let store = Counting::new();
    fill(&store.inner, 1, 2_000).await;
    let time = begin().after(SECOND * 1_990);
    let (events, _) = handed(&store, time).await;
    assert_eq!(events.len(), 10);
    // A minute and a second for clocks that differ, the ten themselves, and the steps.
    let read = store.read.load(Ordering::Relaxed);
    assert!(read < 100, "{read} events were read");
}

#[tokio::test]
async fn a_replay_ends_where_it_is_told() {
    let store = MemoryEventStore::new();
    fill(&store, 2, 50).await;
    let replays = EventReplayService::new(store.clone());
    let count = |replay: cim_es::replay::Replay| replay.each(|_| async { Ok(()) });

    let stats = count(
        replays
            .replay_all_events(ReplayFrom::Start)
            .until(Position(30)),
    )
    .await
    .unwrap();
    assert_eq!(
        (stats.events_processed, stats.end),
        (30, ReplayEnd::Complete)
    );
    let stats = count(replays.replay_all_events(Position(10)).limit(25))
        .await
        .unwrap();
    assert_eq!((stats.events_processed, stats.end), (25, ReplayEnd::Limit));
    let of_all = replays.replay_all_events(Position(10)).limit(90);
    assert_eq!(count(of_all).await.unwrap().end, ReplayEnd::Complete);

    // What is appended meanwhile is not waited for.
    let (writer, handed) = (store.clone(), Arc::new(AtomicU64::new(0)));
    let counter = Arc::clone(&handed);
    let stats = replays
        .replay_all_events(ReplayFrom::Start)
        .each(move |_| {
            let (writer, counter) = (writer.clone(), Arc::clone(&counter));
            async move {
                counter.fetch_add(1, Ordering::Relaxed);
                fill(&writer, 1, 1).await;
                Ok(())
            }
        })
        .await
        .unwrap();
    assert_eq!(stats.events_processed, 100);
}

#[tokio::test]
async fn a_replay_is_cancelled_behind_the_event_that_it_is_at() {
    let store = MemoryEventStore::new();
    fill(&store, 1, 100).await;
    let replay = EventReplayService::new(store).replay_all_events(ReplayFrom::Start);
    let canceller = replay.canceller();
    let stats = replay
        .each(move |event| {
            if event.position == Position(40) {
                canceller.cancel();
            }
            async { Ok(()) }
        })
        .await
        .unwrap();
    assert_eq!(
        (stats.events_processed, stats.end),
        (40, ReplayEnd::Cancelled)
    );
    assert!(stats.to_string().ends_with("cancelled"), "{stats}");
}

#[tokio::test]
async fn a_failure_ends_a_replay_unless_it_is_tolerated() {
    let store = MemoryEventStore::new();
    fill(&store, 1, 10).await;
    let replays = EventReplayService::new(store);
    let fails = |event: StoredEvent| async move {
        match event.position.0 {
            3 => Err("no".into()),
            5 => panic!("five"),
            _ => Ok(()),
        }
    };
    let ended = replays
        .replay_all_events(ReplayFrom::Start)
        .each(fails)
        .await;
    let Err(ReplayError::Failed { failure }) = ended else {
        panic!("{ended:?}");
    };
    assert_eq!((failure.position, &*failure.reason), (Position(3), "no"));
    let ended = replays
        .replay_all_events(ReplayFrom::Start)
        .tolerate(1)
        .each(fails)
        .await;
    assert!(
        matches!(ended, Err(ReplayError::Failed { .. })),
        "{ended:?}"
    );
    let stats = replays
        .replay_all_events(ReplayFrom::Start)
        .tolerate(2)
        .each(fails)
        .await
        .unwrap();
    assert_eq!((stats.events_processed, stats.errors), (10, 2));
    let reasons: Vec<_> = stats.failures.iter().map(ToString::to_string).collect();
    assert!(
        reasons[0].starts_with("`bank.account.deposited` at position 3 ("),
        "{}",
        reasons[0]
    );
    assert!(
        reasons[1].ends_with("): it panicked: five"),
        "{}",
        reasons[1]
    );
}

/// By three workers, whatever is selected: the versions of each account that were handed on, in that order.
async fn shared_by_three(
    replays: &EventReplayService,
    selection: &Selection,
    from: impl Into<ReplayFrom>,
) -> (BTreeMap<String, Vec<u64>>, ReplayStats) {
    let seen = Arc::new(Mutex::new(BTreeMap::<String, Vec<u64>>::new()));
    let kept = Arc::clone(&seen);
    let replay = replays.replay_all_events(from).selection(selection.clone());
    let stats = replay
        .in_parallel(3)
        .each(move |event| {
            let mut seen = kept.lock().unwrap();
            let versions = seen.entry(event.envelope.aggregate_id.clone()).or_default();
            versions.push(event.envelope.sequence);
            async { Ok(()) }
        })
        .await
        .unwrap();
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    (seen, stats)
}

async fn workers_share(store: impl EventStore + Clone) {
    fill(&store, 40, 100).await;
    let replays = EventReplayService::new(store.clone());
    let everything = Selection::everything();
    let (seen, stats) = shared_by_three(&replays, &everything, ReplayFrom::Start).await;
    assert_eq!(
        (stats.events_processed, stats.aggregates_rebuilt),
        (4_000, 40)
    );
    assert_eq!(seen.len(), 40);
    for (id, versions) in seen {
        assert_eq!(versions, (1..=100).collect::<Vec<_>>(), "{id}");
    }

    // What is rare, what is of some partitions, what is of one aggregate, what stands behind a place.
    let opened = Selection::subjects("bank.account.opened");
    let (seen, stats) = shared_by_three(&replays, &opened, ReplayFrom::Start).await;
    assert_eq!((seen.len(), stats.events_processed), (40, 40));
    let low = Selection::everything().in_partitions(0..PARTITIONS / 2);
    let wanted: Vec<StoredEvent> = store
        .read(low.clone(), Bookmark::START)
        .try_collect()
        .await
        .unwrap();
    let (_, stats) = shared_by_three(&replays, &low, ReplayFrom::Start).await;
    assert_eq!(stats.events_processed, wanted.len() as u64);
    let one = Id::<Account>::from_uuid(Uuid::from_u128(7));
    let one = Selection::aggregate(AggregateKey::of::<Account>(&one).unwrap());
    let (seen, _) = shared_by_three(&replays, &one, ReplayFrom::Start).await;
    assert_eq!(
        seen.into_values().collect::<Vec<_>>(),
        [(1..=100).collect::<Vec<u64>>()]
    );
    let (seen, stats) = shared_by_three(&replays, &everything, Position(3_970)).await;
    assert_eq!((seen.len(), stats.events_processed), (30, 30));
    assert!(seen.values().all(|versions| versions == &[100]));
    let (seen, _) = shared_by_three(&replays, &everything, Position(4_000)).await;
    assert!(seen.is_empty());

    let (whole, _) = replays
        .replay_all_events(ReplayFrom::Start)
        .project::<Deposits>()
        .await
        .unwrap();
    let parts = replays.replay_all_events(ReplayFrom::Start).in_parallel(3);
    let (parts, stats) = parts.project_parts::<Deposits>().await.unwrap();
    assert_eq!((parts.len(), stats.events_processed), (3, 4_000));
    let mut together = Deposits::default();
    for part in parts {
        for (account, amount) in part.accounts {
            assert_eq!(together.accounts.insert(account, amount), None);
        }
    }
    assert_eq!(together, whole);
    assert!(whole.accounts.values().all(|amount| *amount == 99));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn workers_share_the_events_and_keep_each_aggregate_in_order() {
    workers_share(MemoryEventStore::new()).await;
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn workers_share_the_events_of_a_file_and_keep_each_aggregate_in_order() {
    let directory = crate::sqlite_support::Directory::new();
    let store = cim_es::SqliteEventStore::open(directory.file("shared.db")).unwrap();
    workers_share(store).await;
}

#[tokio::test]
async fn workers_of_an_engine_that_reads_no_pages_read_their_partitions_each() {
    let store = Counting::new();
    fill(&store.inner, 40, 5).await;
    let replays = EventReplayService::new(store.clone());
    let everything = Selection::everything();
    let (seen, stats) = shared_by_three(&replays, &everything, ReplayFrom::Start).await;
    assert_eq!((seen.len(), stats.events_processed), (40, 200));
    assert!(seen.values().all(|versions| versions == &[1, 2, 3, 4, 5]));
}

#[tokio::test]
async fn several_workers_end_where_they_are_told() {
    let store = MemoryEventStore::new();
    fill(&store, 20, 200).await;
    let replays = EventReplayService::new(store);
    let by_three = || replays.replay_all_events(ReplayFrom::Start).in_parallel(3);
    let stats = by_three()
        .limit(1_234)
        .each(|_| async { Ok(()) })
        .await
        .unwrap();
    assert_eq!(
        (stats.events_processed, stats.end),
        (1_234, ReplayEnd::Limit)
    );
    let until = by_three().until(Position(1_500));
    let stats = until.each(|_| async { Ok(()) }).await.unwrap();
    assert_eq!(
        (stats.events_processed, stats.end),
        (1_500, ReplayEnd::Complete)
    );

    let replay = by_three();
    let canceller = replay.canceller();
    let cancelled = replay.each(move |event| {
        if event.position == Position(2_000) {
            canceller.cancel();
        }
        async { Ok(()) }
    });
    assert_eq!(cancelled.await.unwrap().end, ReplayEnd::Cancelled);

    let fails = |event: StoredEvent| async move {
        match event.position.0 {
            3_000 => Err("no".into()),
            _ => Ok(()),
        }
    };
    let error = by_three().each(fails).await.unwrap_err().to_string();
    assert!(error.contains("at position 3000 ("), "{error}");
    let stats = by_three().tolerate(1).each(fails).await.unwrap();
    assert_eq!((stats.events_processed, stats.errors), (4_000, 1));
}

#[tokio::test]
async fn a_projection_that_panics_ends_its_replay_with_the_event() {
    let store = MemoryEventStore::new();
    fill(&store, 1, 5).await;
    let id = Id::<Account>::from_uuid(Uuid::from_u128(1));
    let identity = MessageIdentity::new_from_user("test");
    let bad = [AccountEvent::Deposited { amount: 13 }];
    store
        .append_events(&id, ExpectedVersion::Any, &bad, &identity)
        .await
        .unwrap();
    let replay = EventReplayService::new(store)
        .replay_all_events(ReplayFrom::Start)
        .tolerate(9);
    let error = replay.project::<Deposits>().await.unwrap_err().to_string();
    assert!(
        error.starts_with("`bank.account.deposited` at position 6 ("),
        "{error}"
    );
    assert!(error.contains("it panicked: "), "{error}");
    assert!(error.contains("thirteen is not counted"), "{error}");
}

#[tokio::test]
async fn progress_ends_with_all_of_it() {
    let store = MemoryEventStore::new();
    fill(&store, 2, 100).await;
    let replay = EventReplayService::new(store).replay_all_events(Position(100));
    let progress = replay.progress();
    let replaying = replay.each(|_| async {
        tokio::time::sleep(Duration::from_millis(2)).await;
        Ok(())
    });
    let (stats, told) = tokio::join!(replaying, progress.collect::<Vec<_>>());
    assert_eq!(stats.unwrap().events_processed, 100);
    assert!(told.len() > 2, "{} values", told.len());
    assert!(
        told.windows(2)
            .all(|two| two[0].fraction() <= two[1].fraction())
    );
    let last = told.last().unwrap();
    assert_eq!(
        (last.start, last.reached, last.end),
        (Position(100), Position(200), Position(200))
    );
    assert_eq!((last.events_processed, last.fraction()), (100, 1.0));
    assert_eq!(last.remaining(), Some(Duration::ZERO));
}

#[tokio::test]
async fn an_aggregate_is_replayed_from_its_events_alone() {
    let store = MemoryEventStore::new();
    let accounts = Repository::<Account>::new(store.clone());
    let id = Id::new();
    let identity = || MessageIdentity::new_from_user("test");
    accounts
        .execute(&id, AccountCommand::Open, &identity())
        .await
        .unwrap();
    for _ in 0..3 {
        accounts
            .execute(&id, AccountCommand::Deposit { amount: 7 }, &identity())
            .await
            .unwrap();
    }
    let replays = EventReplayService::new(store);
    let account = replays.replay_aggregate::<Account>(&id).await.unwrap();
    assert_eq!((account.version(), account.balance), (4, 21));
    assert_eq!(*account, *accounts.load(&id).await.unwrap());
    let unknown = replays
        .replay_aggregate::<Account>(&Id::new())
        .await
        .unwrap();
    assert_eq!(unknown.version(), 0);
}

#[tokio::test]
async fn what_cannot_be_replayed_is_told() {
    let store = MemoryEventStore::new();
    fill(&store, 1, 5).await;
    let replays = EventReplayService::new(store);
    for workers in [1, 3] {
        let nothing = replays
            .replay_all_events(ReplayFrom::Start)
            .in_parallel(workers)
            .selection(Selection::subjects("a.>.b"));
        let error = nothing.each(|_| async { Ok(()) }).await.unwrap_err();
        assert!(
            matches!(error, ReplayError::Store(StoreError::NothingSelected(_))),
            "{error:?}"
        );
        let ahead = replays
            .replay_all_events(Position(6))
            .in_parallel(workers)
            .each(|_| async { Ok(()) });
        let error = ahead.await.unwrap_err();
        assert!(
            matches!(error, ReplayError::Store(StoreError::AnotherHistory(_))),
            "{error:?}"
        );
    }
}

/// Counts the events that are read.
#[derive(Clone)]
pub(crate) struct Counting {
    pub(crate) inner: MemoryEventStore,
    pub(crate) read: Arc<AtomicU64>,
}

impl Counting {
    pub(crate) fn new() -> Self {
        Self {
            inner: MemoryEventStore::new(),
            read: Arc::default(),
        }
    }
}

#[async_trait::async_trait]
impl EventStore for Counting {
    async fn append(&self, commit: CommitRequest) -> Result<Vec<StoredEvent>, StoreError> {
        self.inner.append(commit).await
    }

    async fn append_sealed(
        &self,
        commits: Vec<SealedCommit>,
    ) -> Result<Vec<AppendedCommit>, StoreError> {
        self.inner.append_sealed(commits).await
    }

    fn history(&self, aggregate: &AggregateKey, versions: Versions) -> EventStream {
        self.inner.history(aggregate, versions)
    }

    async fn last(&self, aggregate: &AggregateKey) -> Result<Option<StoredEvent>, StoreError> {
        self.inner.last(aggregate).await
    }

    async fn kinds(&self, id: &cim_es::aggregate::IdText) -> Result<Vec<String>, StoreError> {
        self.inner.kinds(id).await
    }

    async fn find(&self, cid: &cim_es::block::Cid) -> Result<Option<StoredEvent>, StoreError> {
        self.inner.find(cid).await
    }

    async fn last_position(&self) -> Result<Position, StoreError> {
        self.inner.last_position().await
    }

    fn read(&self, selection: Selection, after: Bookmark) -> EventStream {
        let read = Arc::clone(&self.read);
        let counted = move |_: &Result<StoredEvent, StoreError>| {
            read.fetch_add(1, Ordering::Relaxed);
        };
        Box::pin(self.inner.read(selection, after).inspect(counted))
    }

    fn follow(&self, selection: Selection, after: Bookmark) -> EventStream {
        self.inner.follow(selection, after)
    }

    fn settings(&self) -> EngineSettings {
        EngineSettings::default().with_cid_index()
    }
}
