//! What is particular about subscriptions that follow a store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use cim_es::aggregate::IdText;
use cim_es::block::{Cid, StoredEvent};
use cim_es::prelude::*;
use cim_es::store::{
    AggregateKey, AppendedCommit, Bookmark, CommitRequest, EngineSettings, EventStore, EventStream,
    Position, SealedCommit, Selection, StoreError, StreamExt, Versions,
};
use cim_es::subscription::{
    EventSubscriberBuilder, FnEventHandler, ParkedEvents, SubscriptionError,
};
use cim_es::{ErrorChain, MemoryReadModels};

use super::suite::{GaugeEvent, Log, Works};
use crate::projections::storage_that_errs::Failing;

fn nothing() -> FnEventHandler {
    FnEventHandler::new(|_: StoredEvent| Ok(()))
}

fn in_memory() -> Works<MemoryEventStore> {
    Works::new(MemoryEventStore::new(), ())
}

#[test]
fn what_needs_several_machines_is_refused_with_what_to_take_in_its_place() {
    let works = in_memory();
    let builders = [
        (works.builder().group("g"), "a group subscription"),
        (
            works.builder().partitioned("p"),
            "a partitioned subscription",
        ),
        (
            works.builder().group("g").kept_in(MemoryReadModels::new()),
            "a group subscription",
        ),
    ];
    for (builder, what) in builders {
        let error = builder.handler(nothing()).build().unwrap_err();
        assert!(matches!(error, SubscriptionError::NeedsServers { .. }));
        let said = error.to_string();
        assert!(
            said.starts_with(what) && said.contains("`durable(…)`"),
            "{said}"
        );
    }
}

#[test]
fn what_makes_no_subscriber_is_refused_with_what_to_do() {
    let works = in_memory();
    let refused = |builder: EventSubscriberBuilder| builder.build().unwrap_err().to_string();
    let store = || EventSubscriberBuilder::new().store(&works.store);
    assert!(refused(EventSubscriberBuilder::new()).contains("`store(…)`"));
    assert!(refused(store()).contains("`handler(…)`"));
    assert!(refused(store().handler(nothing())).contains("`subject(…)`"));
    assert!(refused(store().subject("a..b")).contains("`a..b` is not a filter"));
    assert!(refused(store().durable("")).contains("is no name"));
    let nowhere = EventSubscriberBuilder::new().kept_in(MemoryReadModels::new());
    assert!(refused(nowhere).contains("call `store(…)` as well"));
    let lease = works
        .builder()
        .lease(Duration::from_secs(60))
        .handler(nothing());
    assert!(refused(lease).contains("leave `lease` out"));
    #[cfg(feature = "jetstream")]
    assert!(
        refused(works.builder().stream("EVENTS").handler(nothing())).contains("for NATS servers")
    );
}

#[tokio::test]
async fn a_store_with_nothing_beside_its_events_has_durable_subscriptions_where_it_is_told() {
    let works = Works::new(Bare::default(), ());
    let durable = || works.durable().handler(nothing());
    let error = durable().build().unwrap_err();
    assert!(matches!(error, SubscriptionError::NowhereKept), "{error}");
    assert!(error.to_string().contains("`kept_in(…)`"), "{error}");
    let error = ParkedEvents::of(&works.store, &works.name)
        .await
        .unwrap_err();
    assert!(matches!(error, SubscriptionError::NowhereKept), "{error}");

    let (storage, log) = (MemoryReadModels::new(), Log::default());
    let builder = works
        .durable()
        .kept_in(storage.clone())
        .handler(log.handler());
    let subscriber = builder.build().unwrap();
    for value in 1..=2 {
        works.record("a", value).await;
        let subscription = subscriber.subscribe().await.unwrap();
        log.wait_for("it", |log| log.values().contains(&value))
            .await;
        subscription.stop().await.unwrap();
    }
    assert_eq!(log.values(), [1, 2]);
    let parked = ParkedEvents::kept_in(storage, &works.name).unwrap();
    assert_eq!(parked.list().await.unwrap(), []);

    // A live one needs nothing: what it parks is known as long as its subscriber.
    let failing = FnEventHandler::new(|_: StoredEvent| {
        Err(cim_es::subscription::HandlerError::permanent("never"))
    });
    let live = works.builder().handler(failing).build().unwrap();
    let _live = live.subscribe().await.unwrap();
    works.record("a", 3).await;
    let parked = live.parked().await.unwrap();
    let end = tokio::time::Instant::now() + Duration::from_secs(30);
    while parked.list().await.unwrap().is_empty() {
        assert!(tokio::time::Instant::now() < end, "nothing is parked");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let position = parked.list().await.unwrap()[0].position;
    parked.resend(position).await.unwrap();
    parked.discard(position).await.unwrap();
    assert_eq!(parked.list().await.unwrap(), []);
}

#[tokio::test]
async fn a_store_that_is_away_for_a_while_costs_time_and_no_event() {
    let (store, log) = (Bare::default(), Log::default());
    let works = Works::new(store.clone(), ());
    let builder = works.durable().kept_in(MemoryReadModels::new());
    let subscription = builder.handler(log.handler()).build().unwrap();
    let subscription = subscription.subscribe().await.unwrap();
    works.record("a", 1).await;
    log.wait_for("the first", |log| log.values() == [1]).await;
    store.is_away.store(true, Ordering::SeqCst);
    works.record("a", 2).await;
    // The stream errs once it is asked.
    tokio::time::sleep(Duration::from_millis(100)).await;
    store.is_away.store(false, Ordering::SeqCst);
    works.record("a", 3).await;
    log.wait_for("the rest", |log| log.values().ends_with(&[3]))
        .await;
    let mut values = log.values();
    values.dedup();
    let last = values.iter().rposition(|value| *value == 1).unwrap();
    assert_eq!(values[last..], [1, 2, 3]);
    subscription.stop().await.unwrap();
}

#[tokio::test]
async fn a_storage_that_fails_before_or_after_it_has_stored_costs_time_and_no_event() {
    let storage = Arc::new(Failing::new(usize::MAX));
    let (works, log) = (in_memory(), Log::default());
    log.fail(2);
    for value in 1..=5 {
        works
            .record(if value % 2 == 0 { "a" } else { "b" }, value)
            .await;
    }
    let builder = works.durable().kept_in(Arc::clone(&storage));
    let subscriber = builder.handler(log.handler()).build().unwrap();
    // Where it starts is written at once, and the storage is away.
    let subscription = loop {
        match subscriber.subscribe().await {
            Ok(subscription) => break subscription,
            Err(error) => assert!(matches!(error, SubscriptionError::Kept(_)), "{error}"),
        }
    };
    log.wait_for("the others", |log| log.values().contains(&5))
        .await;
    let parked = subscriber.parked().await.unwrap();
    let list = async |count| loop {
        let list = parked.list().await.unwrap();
        if list.len() == count {
            return list;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let found = list(2).await;
    log.heal();
    while parked.resend(found[0].position).await.is_err() {}
    list(0).await;
    let mut handled = log.values();
    handled.sort_unstable();
    handled.dedup();
    assert_eq!(handled, [1, 2, 3, 4, 5]);
    subscription.request_stop();
    subscription.await.unwrap();
}

#[tokio::test(flavor = "current_thread")]
async fn a_subscription_with_much_to_catch_up_leaves_the_thread_to_others() {
    let (works, handled) = (in_memory(), Arc::new(AtomicU64::new(0)));
    for value in 1..=200 {
        works.record("a", value).await;
    }
    let count = Arc::clone(&handled);
    let handler = FnEventHandler::new(move |_: StoredEvent| {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    let subscriber = works.durable().handler(handler).build().unwrap();
    let _subscription = subscriber.subscribe().await.unwrap();
    // This task has its turn after each event.
    let mut seen = Vec::new();
    while seen.last() != Some(&200) {
        seen.push(handled.load(Ordering::SeqCst));
        tokio::task::yield_now().await;
    }
    seen.dedup();
    assert!(seen.len() > 100, "{seen:?}");
}

#[tokio::test]
async fn a_store_of_another_history_ends_the_subscription_and_says_so() {
    let storage = MemoryReadModels::new();
    let works = in_memory();
    for value in 1..=3 {
        works.record("a", value).await;
    }
    let log = Log::default();
    let named = |works: &Works<MemoryEventStore>| {
        let builder = works.builder().durable("d").kept_in(storage.clone());
        builder.handler(log.handler()).build().unwrap()
    };
    let subscription = named(&works).subscribe().await.unwrap();
    log.wait_for("all", |log| log.values().len() == 3).await;
    subscription.stop().await.unwrap();

    let shorter = in_memory();
    shorter.record("a", 1).await;
    let error = named(&shorter)
        .subscribe()
        .await
        .unwrap()
        .await
        .unwrap_err();
    let expected = "the subscription `d` goes on behind position 3 of the store in memory, which ends at 1: it was made anew \
                    or restored since; take another name, and start it where the handler is to go on";
    assert_eq!(ErrorChain(&error).to_string(), expected);

    let other = in_memory();
    for value in 1..=4 {
        other.record("a", value).await;
    }
    let error = named(&other).subscribe().await.unwrap().await.unwrap_err();
    assert!(
        matches!(error, SubscriptionError::StreamRemade { .. }),
        "{error}"
    );
    assert_eq!(log.values(), [1, 2, 3]);
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn what_is_known_of_the_subscriptions_on_a_file_stands_in_a_file_beside_it() {
    use crate::sqlite_support::Directory;
    use cim_es::{SqliteEventStore, SqliteReadModels};

    let directory = Directory::new();
    let path = directory.file("events.db");
    let works = Works::new(SqliteEventStore::open(&path).unwrap(), ());
    works.record("a", 1).await;
    let beside = directory.file("events.db-subscriptions");
    let log = Log::default();
    let live = works.builder().handler(log.handler()).build().unwrap();
    live.subscribe().await.unwrap().stop().await.unwrap();
    assert!(!beside.exists(), "a live subscription keeps nothing");
    let durable = works.builder().durable("d").handler(log.handler());
    let durable = durable.build().unwrap();
    let subscription = durable.subscribe().await.unwrap();
    log.wait_for("it", |log| log.values() == [1]).await;
    subscription.stop().await.unwrap();
    assert!(beside.exists());
    // Whoever opens the file by itself finds the same.
    let storage = SqliteReadModels::open(&beside).unwrap();
    let builder = works.builder().durable("d").kept_in(storage);
    let again = Log::default();
    let subscription = builder.handler(again.handler()).build().unwrap();
    let subscription = subscription.subscribe().await.unwrap();
    works.record("a", 2).await;
    again.wait_for("the next", |log| log.values() == [2]).await;
    subscription.stop().await.unwrap();

    let read_only = SqliteEventStore::options().read_only().open(&path).unwrap();
    let builder = EventSubscriberBuilder::new().store(&read_only);
    let builder = builder.subject(GaugeEvent::subjects()).durable("d");
    let error = builder
        .handler(nothing())
        .build()
        .unwrap()
        .subscribe()
        .await;
    let error = ErrorChain(&error.unwrap_err()).to_string();
    assert!(error.contains("is read-only"), "{error}");
}

/// A store of another library: it keeps events and nothing beside them.
#[derive(Clone, Default)]
struct Bare {
    events: MemoryEventStore,
    is_away: Arc<AtomicBool>,
}

impl Bare {
    fn disturbed(&self, events: EventStream) -> EventStream {
        let is_away = Arc::clone(&self.is_away);
        Box::pin(
            events.map(move |event| match is_away.load(Ordering::SeqCst) {
                true => Err(StoreError::Busy {
                    location: "the store of the test".into(),
                    reason: "it is away".to_owned(),
                }),
                false => event,
            }),
        )
    }
}

#[async_trait]
impl EventStore for Bare {
    async fn append(&self, commit: CommitRequest) -> Result<Vec<StoredEvent>, StoreError> {
        self.events.append(commit).await
    }

    async fn append_sealed(
        &self,
        commits: Vec<SealedCommit>,
    ) -> Result<Vec<AppendedCommit>, StoreError> {
        self.events.append_sealed(commits).await
    }

    fn history(&self, aggregate: &AggregateKey, versions: Versions) -> EventStream {
        self.events.history(aggregate, versions)
    }

    async fn last(&self, aggregate: &AggregateKey) -> Result<Option<StoredEvent>, StoreError> {
        self.events.last(aggregate).await
    }

    async fn kinds(&self, id: &IdText) -> Result<Vec<String>, StoreError> {
        self.events.kinds(id).await
    }

    async fn find(&self, cid: &Cid) -> Result<Option<StoredEvent>, StoreError> {
        self.events.find(cid).await
    }

    async fn last_position(&self) -> Result<Position, StoreError> {
        self.events.last_position().await
    }

    fn read(&self, selection: Selection, after: Bookmark) -> EventStream {
        self.disturbed(self.events.read(selection, after))
    }

    fn follow(&self, selection: Selection, after: Bookmark) -> EventStream {
        self.disturbed(self.events.follow(selection, after))
    }

    fn settings(&self) -> EngineSettings {
        EngineSettings::default()
    }
}
