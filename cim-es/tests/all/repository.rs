//! What a repository promises beside the contract of stores: turns, time, and who is left alone.

use std::sync::Arc;
use std::time::Duration;

use crate::account::{Account, AccountCommand, AccountEvent};
use cim_es::ErrorChain;
use cim_es::aggregate::IdText;
use cim_es::block::{EventBlock, verify_event_chain};
use cim_es::message::{Clock, FixedClock};
use cim_es::prelude::*;
use cim_es::repository::{ExecuteError, LoadError};
use cim_es::store::{
    AggregateKey, CommitRequest, EventStore, EventStoreExt, ExpectedVersion, NewEvent, Position,
};
use futures_util::StreamExt;
use futures_util::future::join_all;

use AccountCommand::{Deposit, Open};

const NOW: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);
const SECOND: i64 = 1_000_000;

fn someone() -> MessageIdentity {
    MessageIdentity::new_from_user("someone")
}

fn after(seconds: i64) -> Timestamp {
    Timestamp::from_micros(NOW.as_micros() + seconds * SECOND)
}

/// Runs a future on this thread, which sleeps until something wakes it: an executor that knows nothing of any other.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Thread(std::thread::Thread);
    impl std::task::Wake for Thread {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Thread(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        if let std::task::Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return done;
        }
        std::thread::park();
    }
}

mod turns {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn more_aggregates_at_work_than_stay_warm_meet_no_conflict() {
        let accounts = Repository::<Account>::builder(MemoryEventStore::new());
        let accounts = accounts.conflict_retries(0).build();
        let ids: Vec<_> = (0..3_000).map(|_| Id::<Account>::new()).collect();
        let mut tasks = Vec::new();
        for round in 0..12 {
            for id in ids.clone() {
                let accounts = accounts.clone();
                tasks.push(tokio::spawn(async move {
                    let command = match round {
                        0 => Open,
                        _ => Deposit { amount: 1 },
                    };
                    accounts.execute(&id, command, &someone()).await
                }));
            }
        }
        let mut conflicts = 0;
        for task in tasks {
            let outcome = task.await.expect("no task fails");
            conflicts += usize::from(outcome.is_err_and(|error| error.is_conflict()));
        }
        assert_eq!(conflicts, 0);
    }

    #[tokio::test]
    async fn any_number_of_warm_aggregates_can_be_asked_for() {
        for warm in [0, 1, usize::MAX] {
            let accounts = Repository::<Account>::builder(MemoryEventStore::new());
            let accounts = accounts.warm_aggregates(warm).build();
            for id in [Id::new(), Id::new()] {
                accounts.execute(&id, Open, &someone()).await.unwrap();
                accounts
                    .execute(&id, Deposit { amount: 2 }, &someone())
                    .await
                    .unwrap();
                assert_eq!(accounts.load(&id).await.unwrap().balance, 2);
            }
        }
    }

    /// Two repositories on one store, so that each meets the commits of the other.
    async fn race(store: MemoryEventStore, commands: u64) {
        let one = Repository::<Account>::new(store.clone());
        let other = Repository::<Account>::new(store);
        let id = Id::new();
        one.execute(&id, Open, &someone()).await.unwrap();
        let work = |accounts: Repository<Account>| async move {
            for _ in 0..commands {
                let deposit = accounts
                    .execute(&id, Deposit { amount: 1 }, &someone())
                    .await;
                deposit.expect("no conflict is left over");
            }
        };
        let workers = [&one, &other, &one, &other];
        join_all(workers.map(|accounts| work(accounts.clone()))).await;
        assert_eq!(one.load(&id).await.unwrap().balance, 4 * commands);
    }

    #[test]
    fn a_repository_works_under_an_executor_that_is_not_tokio() {
        block_on(race(MemoryEventStore::new(), 100));
    }

    #[tokio::test]
    async fn a_repository_works_under_another_executor_within_tokio() {
        block_on(race(MemoryEventStore::new(), 500));
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn a_conflict_on_a_file_is_decided_again_without_tokio() {
        let folder = std::env::temp_dir().join(format!("cim-es-{}", Uuid::now_v7()));
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("two.db");
        let total = block_on(async {
            let open = || cim_es::SqliteEventStore::open(&path).expect("the file opens");
            let repositories = [open(), open()].map(Repository::<Account>::new);
            let id = Id::new();
            repositories[0]
                .execute(&id, Open, &someone())
                .await
                .unwrap();
            let work = |accounts: Repository<Account>| async move {
                for _ in 0..20 {
                    let deposit = accounts
                        .execute(&id, Deposit { amount: 1 }, &someone())
                        .await;
                    deposit.expect("no conflict is left over");
                }
            };
            join_all(repositories.clone().map(work)).await;
            repositories[0].load(&id).await.unwrap().balance
        });
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(total, 40);
    }
}

mod time {
    use super::*;

    fn at(store: &MemoryEventStore, now: Timestamp) -> Repository<Account> {
        let accounts = Repository::<Account>::builder(store.clone());
        accounts.clock(FixedClock(now)).build()
    }

    async fn times(store: &MemoryEventStore, id: &Id<Account>) -> Vec<Timestamp> {
        let history = at(store, NOW).history(id).await.unwrap();
        history.iter().map(|it| it.stored.timestamp()).collect()
    }

    #[tokio::test]
    async fn a_clock_that_is_behind_by_less_than_a_minute_is_raised_and_by_more_is_kept() {
        let store = MemoryEventStore::new();
        let id = Id::new();
        at(&store, NOW)
            .execute(&id, Open, &someone())
            .await
            .unwrap();
        let year = 365 * 24 * 3_600;
        for (reading, expected) in [(-59, 0), (-61, -61), (-60, -60), (year, year), (1, 1)] {
            let accounts = at(&store, after(reading));
            let deposited = accounts
                .execute(&id, Deposit { amount: 1 }, &someone())
                .await;
            let event = deposited.unwrap().events()[0].clone();
            assert_eq!(event.timestamp(), after(expected), "{reading} s");
        }
        let key = AggregateKey::of::<Account>(&id).unwrap();
        let events = store.get_events(&key, 1).await.unwrap();
        let blocks: Vec<_> = events.iter().map(EventBlock::from).collect();
        assert!(verify_event_chain(&blocks, None).is_ok());
    }

    #[tokio::test]
    async fn a_bare_append_raises_the_clock_within_the_same_bound() {
        let store = MemoryEventStore::new();
        let id = Id::<Account>::new();
        let key = AggregateKey::of::<Account>(&id).unwrap();
        for (now, expected) in [(0, 0), (-30, 0), (-90, -90), (100_000, 100_000), (0, 0)] {
            let opened = NewEvent::of(&AccountEvent::Opened).unwrap();
            let commit = CommitRequest::new(someone(), after(now));
            let commit = commit.aggregate(key.clone(), ExpectedVersion::Any, vec![opened]);
            let stored = store.append(commit).await.unwrap();
            assert_eq!(stored[0].timestamp(), after(expected));
        }
    }

    #[tokio::test]
    async fn a_bound_of_ones_own_counts() {
        let store = MemoryEventStore::new();
        let id = Id::new();
        at(&store, NOW)
            .execute(&id, Open, &someone())
            .await
            .unwrap();
        let accounts = Repository::<Account>::builder(store.clone());
        let accounts = accounts.clock(FixedClock(after(-3_600)));
        let accounts = accounts.clock_skew(Duration::from_secs(7_200)).build();
        accounts
            .execute(&id, Deposit { amount: 1 }, &someone())
            .await
            .unwrap();
        assert_eq!(times(&store, &id).await, [NOW, NOW]);
    }

    #[tokio::test]
    async fn one_wrong_date_hides_nothing_from_a_load_at_a_time() {
        let store = MemoryEventStore::new();
        let id = Id::new();
        let century = 100 * 365 * 24 * 3_600;
        for (second, command) in [
            (0, Open),
            (century, Deposit { amount: 1 }),
            (10, Deposit { amount: 2 }),
            (20, Deposit { amount: 4 }),
        ] {
            let accounts = Repository::<Account>::builder(store.clone());
            let accounts = accounts.clock(FixedClock(after(second)));
            let accounts = accounts.snapshot_threshold(2).build();
            accounts.execute(&id, command, &someone()).await.unwrap();
        }
        let accounts = at(&store, NOW);
        let expected = [
            (-1, 0),
            (0, 0),
            (9, 0),
            (10, 3),
            (19, 3),
            (20, 7),
            (century, 7),
        ];
        for (second, balance) in expected {
            let account = accounts.load_at(&id, after(second)).await.unwrap();
            assert_eq!(account.balance, balance, "at {second} s");
        }
        assert_eq!(accounts.load_at(&id, after(0)).await.unwrap().version(), 1);
    }

    #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    enum LoanState {
        #[state(initial)]
        #[on(Lend / Lent => _)]
        Any,
    }

    #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum LoanEvent {
        Lent {
            at: Timestamp,
            part: Uuid,
            title: String,
        },
    }

    #[derive(Command, Clone, Debug)]
    enum LoanCommand {
        Lend { title: String },
    }

    #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
    #[aggregate(domain = "shop", name = "loan", unique = Loan::names)]
    struct Loan {
        state: LoanState,
        at: Timestamp,
        part: Uuid,
        title: String,
    }

    impl Loan {
        fn names(&self) -> Option<UniqueName> {
            let is_named = !self.title.is_empty();
            is_named.then(|| UniqueName::new("title", &self.title))
        }
    }

    impl Decide for Loan {
        fn decide(&self, command: LoanCommand, context: &Context) -> Decision<Self> {
            let LoanCommand::Lend { title } = command;
            emit(LoanEvent::Lent {
                at: context.now(),
                part: context.id(0),
                title,
            })
        }
    }

    fn loans(store: &MemoryEventStore, now: Timestamp) -> Repository<Loan> {
        let loans = Repository::<Loan>::builder(store.clone());
        loans.clock(FixedClock(now)).build()
    }

    fn lend(title: &str) -> LoanCommand {
        LoanCommand::Lend {
            title: title.to_owned(),
        }
    }

    #[tokio::test]
    async fn a_decision_sees_the_time_that_its_events_get() {
        let store = MemoryEventStore::new();
        let id = Id::new();
        for (second, title) in [(30, "a"), (0, "b"), (-100, "c")] {
            let loans = loans(&store, after(second));
            // One repository that has the aggregate in memory, and one that meets a conflict.
            let stale = loans.clone();
            stale.load(&id).await.unwrap();
            let commit = loans.execute(&id, lend(title), &someone()).await.unwrap();
            let [LoanEvent::Lent { at, .. }] = &commit.typed::<LoanEvent>().unwrap()[..] else {
                panic!("one event");
            };
            assert_eq!(*at, commit.events()[0].timestamp());
        }
        let both = loans(&store, after(-90));
        let commands = [lend("d"), lend("e")];
        let commit = both.execute_all(&id, commands, &someone()).await.unwrap();
        for recorded in commit.recorded::<LoanEvent>().unwrap() {
            let LoanEvent::Lent { at, .. } = recorded.event;
            assert_eq!(at, recorded.stored.timestamp());
        }
    }

    #[tokio::test]
    async fn a_decision_after_a_conflict_sees_the_time_of_the_newer_history() {
        let store = MemoryEventStore::new();
        let id = Id::new();
        let (slow, fast) = (loans(&store, after(0)), loans(&store, after(20)));
        slow.execute(&id, lend("a"), &someone()).await.unwrap();
        fast.execute(&id, lend("b"), &someone()).await.unwrap();
        // What `slow` has in memory is behind.
        let commit = slow.execute(&id, lend("c"), &someone()).await.unwrap();
        let LoanEvent::Lent { at, .. } = &commit.typed::<LoanEvent>().unwrap()[0];
        assert_eq!(
            (*at, commit.events()[0].timestamp()),
            (after(20), after(20))
        );
    }

    #[tokio::test]
    async fn a_name_hands_no_time_on_to_its_next_holder() {
        let store = MemoryEventStore::new();
        let (first, next) = (Id::new(), Id::new());
        let ahead = loans(&store, after(50));
        ahead
            .execute(&first, lend("Emma"), &someone())
            .await
            .unwrap();
        ahead
            .execute(&first, lend("Persuasion"), &someone())
            .await
            .unwrap();
        let commit = loans(&store, NOW)
            .execute(&next, lend("Emma"), &someone())
            .await;
        assert_eq!(commit.unwrap().events()[0].timestamp(), NOW);
    }

    #[tokio::test]
    async fn aggregates_that_decide_under_one_identity_draw_ids_of_their_own() {
        let store = MemoryEventStore::new();
        let loans = loans(&store, NOW);
        let event = loans
            .execute(&Id::new(), lend("a"), &someone())
            .await
            .unwrap();
        let identity = MessageIdentity::caused_once_by(&event.events()[0], "lend_all");
        let mut parts = std::collections::BTreeSet::new();
        for number in 0..50 {
            let id = Id::new();
            let commit = loans
                .execute(&id, lend(&number.to_string()), &identity)
                .await;
            let LoanEvent::Lent { part, .. } = &commit.unwrap().typed::<LoanEvent>().unwrap()[0];
            parts.insert(*part);
        }
        assert_eq!(parts.len(), 50);
        let context = |kind: &'static str| {
            let id = IdText::new("17").unwrap();
            Context::new(identity.clone(), NOW).with_aggregate(kind, id)
        };
        assert_ne!(context("shop.loan").id(0), context("shop.book").id(0));
    }

    #[test]
    fn a_reading_at_either_end_of_time_is_kept() {
        struct End(i64);
        impl Clock for End {
            fn now(&self) -> Timestamp {
                Timestamp::from_micros(self.0)
            }
        }
        for micros in [i64::MIN, i64::MAX] {
            let accounts = Repository::<Account>::builder(MemoryEventStore::new());
            let accounts = accounts.clock(End(micros)).build();
            let id = Id::new();
            let outcome = block_on(async {
                accounts.execute(&id, Open, &someone()).await?;
                accounts
                    .execute(&id, Deposit { amount: 1 }, &someone())
                    .await
            });
            if let Ok(commit) = outcome {
                assert_eq!(commit.events()[0].timestamp().as_micros(), micros);
            }
        }
    }
}

mod neighbours {
    use super::*;

    #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    enum TapState {
        #[state(initial)]
        #[on(Fill / Filled => _)]
        Any,
    }

    #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum TapEvent {
        #[apply(with = Tap::fill)]
        Filled { amount: u32 },
    }

    #[derive(Command, Clone, Debug)]
    enum TapCommand {
        Fill { amount: u32 },
    }

    #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
    #[aggregate(domain = "shop", name = "tap")]
    struct Tap {
        state: TapState,
        level: u32,
    }

    impl Tap {
        fn fill(&mut self, amount: u32) {
            self.level += amount;
            assert!(amount != 13, "thirteen is more than the tap can take");
        }
    }

    impl Decide for Tap {
        fn decide(&self, command: TapCommand, _: &Context) -> Decision<Self> {
            let TapCommand::Fill { amount } = command;
            emit(TapEvent::Filled { amount })
        }
    }

    fn fill(amount: u32) -> TapCommand {
        TapCommand::Fill { amount }
    }

    #[tokio::test]
    async fn a_fold_that_panics_says_what_is_stored_and_holds_up_nobody() {
        let taps = Repository::<Tap>::new(MemoryEventStore::new());
        let (bad, good) = (Id::new(), Id::new());
        taps.execute(&bad, fill(1), &someone()).await.unwrap();
        let stored = taps.execute(&bad, fill(13), &someone()).await;
        let fault = LoadError::FoldPanicked {
            aggregate: Box::new(AggregateKey::of::<Tap>(&bad).unwrap()),
            cid: taps.history(&bad).await.unwrap()[1].stored.cid,
            version: 2,
            event: "Filled",
            reason: "thirteen is more than the tap can take".to_owned(),
        };
        let expected = format!("the command took effect, and the aggregate does not load: {fault}");
        let stored = stored.unwrap_err();
        assert_eq!(ErrorChain(&stored).to_string(), expected);
        for error in [
            taps.load(&bad).await.map(drop).unwrap_err(),
            taps.load_at(&bad, 2).await.map(drop).unwrap_err(),
        ] {
            assert_eq!(error.to_string(), fault.to_string());
        }
        assert_eq!(taps.load_at(&bad, 1).await.unwrap().level, 1);
        let several = taps
            .execute_all(&good, [fill(2), fill(13)], &someone())
            .await;
        let Err(ExecuteError::OneOfSeveral { reason, .. }) = several else {
            panic!("{several:?}");
        };
        assert!(
            reason
                .to_string()
                .ends_with("nothing was stored, correct what the event does to the aggregate")
        );
        taps.execute(&good, fill(3), &someone()).await.unwrap();
        assert_eq!(taps.load(&good).await.unwrap().level, 3);
    }

    #[tokio::test]
    async fn one_aggregate_that_cannot_be_loaded_does_not_hide_the_others() {
        let store = MemoryEventStore::new();
        let taps = Repository::<Tap>::new(store.clone());
        let ids = [Id::new(), Id::new(), Id::new()];
        for id in &ids {
            taps.execute(id, fill(1), &someone()).await.unwrap();
        }
        let key = AggregateKey::of::<Tap>(&ids[1]).unwrap();
        let unknown = NewEvent::from_payload("shop.tap.welded", 1, vec![0xa0]);
        let commit = CommitRequest::new(someone(), NOW);
        let commit = commit.aggregate(key.clone(), ExpectedVersion::Any, vec![unknown]);
        store.append(commit).await.unwrap();
        let alien = AggregateKey::new("shop.tap", IdText::new("the-old-one").unwrap());
        let filled = NewEvent::of(&TapEvent::Filled { amount: 1 }).unwrap();
        let commit = CommitRequest::new(someone(), NOW);
        let commit = commit.aggregate(alien.clone(), ExpectedVersion::Any, vec![filled]);
        store.append(commit).await.unwrap();

        let each = taps.load_each().await.unwrap();
        let found: Vec<_> = each.iter().map(|(key, _)| key.clone()).collect();
        let keys = ids.map(|id| AggregateKey::of::<Tap>(&id).unwrap());
        assert_eq!(found, [&keys[..], &[alien]].concat());
        let is_loaded: Vec<_> = each.iter().map(|(_, loaded)| loaded.is_ok()).collect();
        assert_eq!(is_loaded, [true, false, true, false]);
        let error = taps.load_all().await.map(drop).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("{key}, version 2 (event ")),
            "{error}"
        );
    }

    #[tokio::test]
    async fn an_id_without_events_is_found_to_be_none() {
        let taps = Repository::<Tap>::new(MemoryEventStore::new());
        let id = Id::new();
        assert!(taps.find(&id).await.unwrap().is_none());
        taps.execute(&id, fill(4), &someone()).await.unwrap();
        let found = taps.find(&id).await.unwrap().expect("it has an event");
        assert_eq!((found.version(), found.level), (1, 4));
    }

    #[tokio::test]
    async fn a_commit_gives_its_events_typed_and_beside_what_is_stored() {
        let store = MemoryEventStore::new();
        let taps = Repository::<Tap>::new(store.clone());
        let (id, identity) = (Id::new(), someone());
        for is_repeated in [false, true] {
            let commit = taps.execute(&id, fill(4), &identity).await.unwrap();
            assert_eq!(commit.is_repeated(), is_repeated);
            let expected = [TapEvent::Filled { amount: 4 }];
            assert_eq!(commit.typed::<TapEvent>().unwrap(), expected);
            let recorded = commit.recorded::<TapEvent>().unwrap();
            assert_eq!(recorded, taps.history(&id).await.unwrap());
        }
        assert!(store.read_all(Position::START).next().await.is_some());
    }
}
