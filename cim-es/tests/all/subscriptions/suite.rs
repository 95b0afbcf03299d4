//! What a subscription promises on every engine, by the one builder; each test gets a store of its own.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cim_es::block::StoredEvent;
use cim_es::prelude::*;
use cim_es::store::read_model::ReadModelStorage;
use cim_es::store::{AggregateKey, CommitRequest, EventStore, ExpectedVersion, NewEvent, Position};
use cim_es::subject::Subjects;
use cim_es::subscription::{
    EventHandler, EventSubscriberBuilder, FnEventHandler, HandlerError, ParkedEvent, ParkedEvents,
    Retry, SubscriptionError, SubscriptionStart,
};
use tokio::time::{Instant, sleep};

/// After how long another takes over, where that is not what is tested.
const LONG: Duration = Duration::from_secs(20);
/// After how long another takes over, where somebody waits for it.
const SHORT: Duration = Duration::from_secs(2);
/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(60);

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GaugeState {
    #[state(initial)]
    #[on(Record / Recorded => _)]
    Running,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum GaugeEvent {
    Recorded { value: u64 },
}

#[derive(Command, Clone, Debug)]
pub enum GaugeCommand {
    Record { value: u64 },
}

#[derive(AggregateId, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GaugeId(pub String);

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "plant", name = "gauge", id = GaugeId)]
pub struct Gauge {
    state: GaugeState,
    value: u64,
}

impl Decide for Gauge {
    fn decide(&self, command: GaugeCommand, _: &Context) -> Decision<Self> {
        let GaugeCommand::Record { value } = command;
        emit(GaugeEvent::Recorded { value })
    }
}

/// A store, what writes to it, and a name for a subscription.
pub struct Works<S> {
    pub store: S,
    gauges: Repository<Gauge>,
    pub name: String,
    /// Where subscriptions are kept, in place of beside the events.
    storage: Option<Arc<dyn ReadModelStorage>>,
    /// What must outlive the test.
    _kept: Box<dyn Send + Sync>,
}

impl<S: EventStore + Clone> Works<S> {
    pub fn new(store: S, kept: impl Send + Sync + 'static) -> Self {
        Self {
            gauges: Repository::new(store.clone()),
            store,
            name: format!("s{}", Uuid::now_v7().simple()),
            storage: None,
            _kept: Box::new(kept),
        }
    }

    /// The same with subscriptions that are kept in a storage.
    pub fn kept_in(self, storage: impl ReadModelStorage) -> Self {
        Self {
            storage: Some(Arc::new(storage)),
            ..self
        }
    }

    pub async fn record(&self, gauge: &str, value: u64) -> Position {
        let id = GaugeId(gauge.to_owned());
        let identity = MessageIdentity::new_from_user("test");
        let command = GaugeCommand::Record { value };
        let recorded = self.gauges.execute(&id, command, &identity).await;
        recorded
            .unwrap_or_else(|error| panic!("{error}"))
            .position()
    }

    /// A live one.
    pub fn builder(&self) -> EventSubscriberBuilder {
        self.listener(GaugeEvent::subjects())
    }

    fn listener(&self, subjects: impl Into<Subjects>) -> EventSubscriberBuilder {
        let builder = EventSubscriberBuilder::new().store(&self.store);
        let builder = match &self.storage {
            Some(storage) => builder.kept_in(Arc::clone(storage)),
            None => builder,
        };
        builder.subject(subjects).retry(Retry {
            attempts: 3,
            first_pause: Duration::from_millis(50),
            longest_pause: Duration::from_millis(200),
        })
    }

    pub fn durable(&self) -> EventSubscriberBuilder {
        self.builder().durable(&self.name).lease(LONG)
    }

    async fn parked(&self) -> ParkedEvents {
        let parked = match &self.storage {
            Some(storage) => ParkedEvents::kept_in(Arc::clone(storage), &self.name),
            None => ParkedEvents::of(&self.store, &self.name).await,
        };
        parked.unwrap_or_else(|error| panic!("{error}"))
    }

    /// What is parked, once it is what is waited for.
    async fn parked_when(&self, is_so: impl Fn(&[ParkedEvent]) -> bool) -> Vec<ParkedEvent> {
        let end = Instant::now() + LIMIT;
        // On NATS nothing can be parked before a subscription of the account has begun.
        let parked = self.parked().await;
        loop {
            let list = parked.list().await.unwrap();
            if is_so(&list) {
                return list;
            }
            assert!(Instant::now() < end, "parked is {list:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// What handlers got.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    started: Vec<(u64, Instant)>,
    handled: Vec<u64>,
    failed: Vec<u64>,
    busy: usize,
    most_busy: usize,
    fails: HashSet<u64>,
    hangs: HashSet<u64>,
    pause: Duration,
}

impl Log {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn handler(&self) -> Recorder {
        Recorder(self.clone())
    }

    pub fn fail(&self, value: u64) {
        self.state().fails.insert(value);
    }

    pub fn hang(&self, value: u64) {
        self.state().hangs.insert(value);
    }

    pub fn heal(&self) {
        let mut state = self.state();
        state.fails.clear();
        state.hangs.clear();
    }

    pub fn pause(&self, pause: Duration) {
        self.state().pause = pause;
    }

    /// When a value was handed over.
    fn attempts(&self, value: u64) -> Vec<Instant> {
        let state = self.state();
        let started = state.started.iter().filter(|it| it.0 == value);
        started.map(|it| it.1).collect()
    }

    /// How many times a handler failed on a value.
    fn failures(&self, value: u64) -> usize {
        let state = self.state();
        state.failed.iter().filter(|it| **it == value).count()
    }

    /// The values that were handled, in order.
    pub fn values(&self) -> Vec<u64> {
        self.state().handled.clone()
    }

    pub async fn wait_for(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let end = Instant::now() + LIMIT;
        while !is_so(self) {
            assert!(Instant::now() < end, "{what}: handled {:?}", self.values());
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn wait_for_values(&self, values: &[u64]) {
        let what = format!("{values:?}");
        self.wait_for(&what, |log| log.values() == values).await;
    }
}

/// Writes down what it gets.
pub struct Recorder(Log);

/// Counts a handler that is at work, until it ends, also by a crash.
struct Busy<'a>(&'a Log);

impl<'a> Busy<'a> {
    fn new(log: &'a Log) -> Self {
        let mut state = log.state();
        state.busy += 1;
        state.most_busy = state.most_busy.max(state.busy);
        Self(log)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.state().busy -= 1;
    }
}

#[async_trait]
impl EventHandler for Recorder {
    async fn handle(&self, event: StoredEvent) -> Result<(), HandlerError> {
        let GaugeEvent::Recorded { value } = event.decode()?;
        let _busy = Busy::new(&self.0);
        let (pause, hangs) = {
            let mut state = self.0.state();
            state.started.push((value, Instant::now()));
            (state.pause, state.hangs.contains(&value))
        };
        if hangs {
            std::future::pending::<()>().await;
        }
        sleep(pause).await;
        let mut state = self.0.state();
        if state.fails.contains(&value) {
            state.failed.push(value);
            return Err(HandlerError::new(format!("{value} is not welcome")));
        }
        state.handled.push(value);
        Ok(())
    }
}

async fn subscribe(builder: EventSubscriberBuilder) -> cim_es::subscription::Subscription {
    let subscriber = builder.build().unwrap_or_else(|error| panic!("{error}"));
    let subscribed = subscriber.subscribe().await;
    subscribed.unwrap_or_else(|error| panic!("{error}"))
}

pub async fn a_live_subscription_gets_what_is_appended_from_now_on<S: EventStore + Clone>(
    works: Works<S>,
) {
    works.record("a", 1).await;
    let log = Log::default();
    let subscription = subscribe(works.builder().handler(log.handler())).await;
    for value in 2..=20 {
        let gauge = if value % 2 == 0 { "a" } else { "b" };
        works.record(gauge, value).await;
    }
    log.wait_for_values(&(2..=20).collect::<Vec<_>>()).await;
    subscription.stop().await.unwrap();
}

pub async fn a_durable_subscription_goes_on_where_it_left_off<S: EventStore + Clone>(
    works: Works<S>,
) {
    let log = Log::default();
    let subscriber = works.durable().handler(log.handler()).build().unwrap();
    for value in 1..=10 {
        works.record("a", value).await;
    }
    let subscription = subscriber.subscribe().await.unwrap();
    log.wait_for("the first ten", |log| log.values().len() == 10)
        .await;
    subscription.stop().await.unwrap();
    for value in 11..=20 {
        works.record("a", value).await;
    }
    let subscription = subscriber.subscribe().await.unwrap();
    log.wait_for("the next ten", |log| log.values().len() == 20)
        .await;
    for value in 21..=30 {
        works.record("b", value).await;
    }
    log.wait_for_values(&(1..=30).collect::<Vec<_>>()).await;
    subscription.stop().await.unwrap();
}

pub async fn a_durable_subscription_can_start_now_and_behind_a_position<S: EventStore + Clone>(
    works: Works<S>,
) {
    let first = works.record("a", 1).await;
    works.record("a", 2).await;
    let now = Log::default();
    let starting = |name: &str, start| {
        let name = format!("{}{name}", works.name);
        works.builder().durable(name).lease(LONG).starting(start)
    };
    let builder = starting("n", SubscriptionStart::Now).handler(now.handler());
    let subscriber = builder.build().unwrap();
    subscriber.subscribe().await.unwrap().stop().await.unwrap();
    works.record("a", 3).await;
    // Where it starts is known from the first time on.
    let _now = subscriber.subscribe().await.unwrap();
    let behind = Log::default();
    let builder = starting("b", SubscriptionStart::After(first)).handler(behind.handler());
    let _behind = subscribe(builder).await;
    now.wait_for_values(&[3]).await;
    behind.wait_for_values(&[2, 3]).await;
}

pub async fn another_takes_over_from_one_that_crashed_and_never_works_beside_it<
    S: EventStore + Clone,
>(
    works: Works<S>,
) {
    let log = Log::default();
    log.pause(Duration::from_millis(2));
    let member = || works.builder().durable(&works.name).lease(SHORT);
    let first = subscribe(member().handler(log.handler())).await;
    works.record("a", 1).await;
    log.wait_for("the first", |log| !log.values().is_empty())
        .await;
    let second = subscribe(member().handler(log.handler())).await;
    for value in 2..=100 {
        works.record("a", value).await;
    }
    first.abort();
    log.wait_for("the rest", |log| {
        log.values().into_iter().collect::<HashSet<_>>().len() == 100
    })
    .await;
    second.stop().await.unwrap();
    assert_eq!(log.state().most_busy, 1);
    // What comes again comes from one place on, in order.
    let mut last = 0;
    for value in log.values() {
        assert!(value <= last + 1, "{value} after {last}");
        last = value;
    }
}

pub async fn an_event_that_fails_for_good_is_parked_and_its_aggregate_waits_behind_it<
    S: EventStore + Clone,
>(
    works: Works<S>,
) {
    let log = Log::default();
    log.fail(2);
    for (gauge, value) in [("a", 1), ("a", 2), ("b", 3), ("a", 4), ("b", 5), ("a", 6)] {
        works.record(gauge, value).await;
    }
    let subscription = subscribe(works.durable().handler(log.handler())).await;
    log.wait_for("the other aggregate", |log| log.values().contains(&5))
        .await;
    let found = works.parked_when(|parked| parked.len() == 3).await;
    assert_eq!(log.values(), [1, 3, 5]);
    assert_eq!(found[0].reason, "2 is not welcome");
    assert_eq!((found[0].attempts, found[0].sequence), (3, 2));
    assert_eq!(found[0].event_type, "plant.gauge.recorded");
    assert_eq!(found[0].aggregate_id, "a");
    let waits = format!(
        "it waits behind the event at position {} of its aggregate",
        found[0].position
    );
    assert_eq!((found[1].reason.as_str(), found[1].attempts), (&*waits, 0));
    let attempts = log.attempts(2);
    assert_eq!(attempts.len(), 3);
    assert!(attempts[1] - attempts[0] >= Duration::from_millis(50));
    assert!(attempts[2] - attempts[1] >= Duration::from_millis(100));

    // It still fails, and is parked again.
    let parked = works.parked().await;
    parked.resend(found[0].position).await.unwrap();
    log.wait_for("three more attempts", |log| log.attempts(2).len() == 6)
        .await;
    works
        .parked_when(|parked| parked.len() == 3 && parked[0].request.is_none())
        .await;
    assert_eq!(log.values(), [1, 3, 5]);

    log.heal();
    parked.resend(found[0].position).await.unwrap();
    log.wait_for_values(&[1, 3, 5, 2, 4, 6]).await;
    works.record("a", 7).await;
    log.wait_for_values(&[1, 3, 5, 2, 4, 6, 7]).await;
    works.parked_when(<[_]>::is_empty).await;
    subscription.stop().await.unwrap();
}

pub async fn what_is_asked_for_while_nobody_runs_is_done_by_the_next_who_does<
    S: EventStore + Clone,
>(
    works: Works<S>,
) {
    let log = Log::default();
    log.fail(1);
    log.fail(3);
    for (gauge, value) in [("a", 1), ("a", 2), ("b", 3), ("b", 4)] {
        works.record(gauge, value).await;
    }
    let subscriber = works.durable().handler(log.handler()).build().unwrap();
    let subscription = subscriber.subscribe().await.unwrap();
    let found = works.parked_when(|parked| parked.len() == 4).await;
    subscription.stop().await.unwrap();
    let parked = subscriber.parked().await.unwrap();
    parked.discard(found[0].position).await.unwrap();
    parked.resend(found[2].position).await.unwrap();
    log.heal();
    let subscription = subscriber.subscribe().await.unwrap();
    log.wait_for("what waited", |log| log.values().len() == 3)
        .await;
    works.parked_when(<[_]>::is_empty).await;
    subscription.stop().await.unwrap();
    assert_eq!(log.values(), [2, 3, 4]);
    let error = parked.resend(Position(999)).await.unwrap_err();
    assert!(
        matches!(error, SubscriptionError::NotThere { .. }),
        "{error}"
    );
    let error = parked.discard(found[0].position).await.unwrap_err();
    assert!(
        matches!(error, SubscriptionError::NotThere { .. }),
        "{error}"
    );
}

pub async fn an_aggregate_goes_on_past_what_is_parked_where_that_is_asked_for<
    S: EventStore + Clone,
>(
    works: Works<S>,
) {
    let log = Log::default();
    log.fail(1);
    works.record("a", 1).await;
    works.record("a", 2).await;
    let builder = works.durable().go_on_past_parked();
    let _subscription = subscribe(builder.handler(log.handler())).await;
    log.wait_for_values(&[2]).await;
    works.parked_when(|parked| parked.len() == 1).await;
}

pub async fn a_live_subscription_parks_too_and_goes_on<S: EventStore + Clone>(works: Works<S>) {
    let log = Log::default();
    log.fail(1);
    let builder = works.builder().name(&works.name).handler(log.handler());
    let subscription = subscribe(builder).await;
    works.record("a", 1).await;
    works.record("a", 2).await;
    log.wait_for_values(&[2]).await;
    let found = works.parked_when(|parked| parked.len() == 1).await;
    assert_eq!(found[0].reason, "1 is not welcome");
    subscription.stop().await.unwrap();
}

pub async fn what_a_live_subscription_parked_is_handed_over_again_where_that_is_asked_for<
    S: EventStore + Clone,
>(
    works: Works<S>,
) {
    let log = Log::default();
    log.fail(1);
    let by = || works.builder().name(&works.name).handler(log.handler());
    let (one, other) = (subscribe(by()).await, subscribe(by()).await);
    let failed = works.record("a", 1).await;
    works.record("a", 2).await;
    log.wait_for_values(&[2, 2]).await;
    assert_eq!(works.parked().await.list().await.unwrap().len(), 1);
    // One of the two hands it over again; it fails again, and stays parked.
    let parked = works.parked().await;
    parked.resend(failed).await.unwrap();
    let failed_again = |log: &Log| log.failures(1) == 9;
    log.wait_for("three more failures", failed_again).await;
    log.heal();
    parked.resend(failed).await.unwrap();
    works.parked_when(<[_]>::is_empty).await;
    log.wait_for_values(&[2, 2, 1]).await;
    parked.resend(failed).await.unwrap_err();
    one.stop().await.unwrap();
    other.stop().await.unwrap();

    // What is asked for while nobody runs is done by the next who does.
    log.fail(3);
    let one = subscribe(by()).await;
    let failed = works.record("a", 3).await;
    works.parked_when(|parked| parked.len() == 1).await;
    one.stop().await.unwrap();
    log.heal();
    parked.resend(failed).await.unwrap();
    let next = subscribe(by()).await;
    works.parked_when(<[_]>::is_empty).await;
    log.wait_for_values(&[2, 2, 1, 3]).await;
    next.stop().await.unwrap();
}

pub async fn what_a_live_subscription_parked_is_left_to_one_that_takes_such_events<
    S: EventStore + Clone,
>(
    works: Works<S>,
) {
    let (log, other) = (Log::default(), Log::default());
    let values = [1, 2, 3, 4, 5, 6];
    values.iter().for_each(|value| log.fail(*value));
    // Of the same name and store, and of other subjects.
    let of_others = || {
        works
            .listener("plant.pump.>")
            .name(&works.name)
            .handler(other.handler())
    };
    let others = subscribe(of_others()).await;
    let builder = works.builder().name(&works.name).handler(log.handler());
    let subscription = subscribe(builder).await;
    for value in values {
        works.record("a", value).await;
    }
    let found = works.parked_when(|parked| parked.len() == 6).await;
    // Begun when there is something to look after.
    let later = subscribe(of_others()).await;
    log.heal();
    for event in found {
        works.parked().await.resend(event.position).await.unwrap();
    }
    works.parked_when(<[_]>::is_empty).await;
    log.wait_for_values(&values).await;
    assert_eq!(other.values(), [0; 0]);
    for subscription in [subscription, others, later] {
        subscription.stop().await.unwrap();
    }
}

pub async fn a_handler_that_panics_or_takes_too_long_has_failed<S: EventStore + Clone>(
    works: Works<S>,
) {
    let handler = FnEventHandler::typed(|(event, _): (GaugeEvent, StoredEvent)| async move {
        let GaugeEvent::Recorded { value } = event;
        match value {
            1 => panic!("no {value}"),
            2 => std::future::pending().await,
            3 => return Err(HandlerError::permanent("never")),
            _ => {}
        }
        Ok(())
    });
    for (gauge, value) in [("a", 1), ("b", 2), ("c", 3)] {
        works.record(gauge, value).await;
    }
    let builder = works.durable().handler(handler);
    let builder = builder.handler_time_limit(Duration::from_millis(100));
    let subscription = subscribe(builder).await;
    let found = works.parked_when(|parked| parked.len() == 3).await;
    let reasons: Vec<_> = found
        .iter()
        .map(|it| (it.reason.as_str(), it.attempts))
        .collect();
    let expected = [
        ("the handler panicked: no 1", 3),
        ("not done after 100 ms", 3),
        ("never", 1),
    ];
    assert_eq!(reasons, expected);
    subscription.stop().await.unwrap();
}

pub async fn an_event_of_an_unknown_type_is_parked_and_others_go_on<S: EventStore + Clone>(
    works: Works<S>,
) {
    let key = AggregateKey::of::<Gauge>(&GaugeId("a".into())).unwrap();
    let exploded = NewEvent::from_payload("plant.gauge.exploded", 1, vec![0xa0]);
    let time = cim_es::message::Clock::now(&cim_es::message::SystemClock);
    let commit = CommitRequest::new(MessageIdentity::new_from_user("test"), time).aggregate(
        key,
        ExpectedVersion::NoStream,
        vec![exploded],
    );
    works.store.append(commit).await.unwrap();
    works.record("b", 2).await;
    let (send, mut given) = tokio::sync::mpsc::unbounded_channel();
    let handler = FnEventHandler::typed(move |(event, _): (GaugeEvent, StoredEvent)| {
        send.send(event)?;
        Ok(())
    });
    let _subscription = subscribe(works.durable().handler(handler)).await;
    let found = works.parked_when(|parked| parked.len() == 1).await;
    assert_eq!(found[0].event_type, "plant.gauge.exploded");
    assert_eq!(found[0].attempts, 1);
    let reason = &found[0].reason;
    assert!(reason.contains("is unknown to this program"), "{reason}");
    assert_eq!(given.recv().await, Some(GaugeEvent::Recorded { value: 2 }));
}

pub async fn stopping_finishes_the_event_at_hand_and_leaves_the_name_to_the_next_at_once<
    S: EventStore + Clone,
>(
    works: Works<S>,
) {
    let log = Log::default();
    log.pause(Duration::from_millis(300));
    works.record("a", 1).await;
    works.record("a", 2).await;
    // Nobody waits for as long.
    let builder = works.durable().lease(Duration::from_secs(3_600));
    let subscriber = builder.handler(log.handler()).build().unwrap();
    let subscription = subscriber.subscribe().await.unwrap();
    log.wait_for("the start", |log| !log.attempts(1).is_empty())
        .await;
    assert!(!subscription.is_over());
    subscription.stop().await.unwrap();
    assert_eq!(log.values(), [1]);
    log.pause(Duration::ZERO);
    let _subscription = subscriber.subscribe().await.unwrap();
    log.wait_for_values(&[1, 2]).await;
}

pub async fn a_dropped_subscription_stops<S: EventStore + Clone>(works: Works<S>) {
    let log = Log::default();
    let subscriber = works.durable().handler(log.handler()).build().unwrap();
    drop(subscriber.subscribe().await.unwrap());
    // The next one works, as soon as the first has left.
    let next = Log::default();
    let _next = subscribe(works.durable().handler(next.handler())).await;
    works.record("a", 1).await;
    next.wait_for_values(&[1]).await;
    assert_eq!(log.values(), [0; 0]);
}

pub async fn an_event_on_which_programs_end_again_and_again_is_parked<S: EventStore + Clone>(
    works: Works<S>,
) {
    let log = Log::default();
    log.hang(2);
    for (gauge, value) in [("a", 1), ("a", 2), ("b", 3)] {
        works.record(gauge, value).await;
    }
    let builder = works.builder().durable(&works.name).lease(SHORT);
    let subscriber = builder.handler(log.handler()).build().unwrap();
    let mut ended = 0;
    // It is known to be the event once a program that was careful ended in the middle of it.
    let subscription = loop {
        let subscription = subscriber.subscribe().await.unwrap();
        let end = Instant::now() + LIMIT;
        while log.attempts(2).len() == ended && !log.values().contains(&3) {
            assert!(Instant::now() < end, "nothing goes on after {ended} ends");
            sleep(Duration::from_millis(10)).await;
        }
        if log.values().contains(&3) {
            break subscription;
        }
        ended = log.attempts(2).len();
        subscription.abort();
    };
    let found = works.parked_when(|parked| parked.len() == 1).await;
    assert_eq!(
        found[0].reason,
        "the program ended 3 times in the middle of it"
    );
    assert!((3..=4).contains(&ended), "{ended}");
    subscription.stop().await.unwrap();
}

pub async fn several_subjects_and_texts_choose_the_events<S: EventStore + Clone>(works: Works<S>) {
    let log = Log::default();
    let builder = EventSubscriberBuilder::new()
        .store(&works.store)
        .subject(subject!(GaugeEvent, "plant.gauge.recorded"))
        .subject("plant.>")
        .handler(log.handler());
    let _subscription = subscribe(builder).await;
    works.record("a", 1).await;
    works.record("a", 2).await;
    log.wait_for_values(&[1, 2]).await;
}

/// One test for each promise, on the stores that `$works` opens.
macro_rules! subscription_tests {
    ($works:path) => {
        subscription_tests! { $works:
            a_live_subscription_gets_what_is_appended_from_now_on
            a_durable_subscription_goes_on_where_it_left_off
            a_durable_subscription_can_start_now_and_behind_a_position
            another_takes_over_from_one_that_crashed_and_never_works_beside_it
            an_event_that_fails_for_good_is_parked_and_its_aggregate_waits_behind_it
            what_is_asked_for_while_nobody_runs_is_done_by_the_next_who_does
            an_aggregate_goes_on_past_what_is_parked_where_that_is_asked_for
            a_live_subscription_parks_too_and_goes_on
            what_a_live_subscription_parked_is_handed_over_again_where_that_is_asked_for
            what_a_live_subscription_parked_is_left_to_one_that_takes_such_events
            a_handler_that_panics_or_takes_too_long_has_failed
            an_event_of_an_unknown_type_is_parked_and_others_go_on
            stopping_finishes_the_event_at_hand_and_leaves_the_name_to_the_next_at_once
            a_dropped_subscription_stops
            an_event_on_which_programs_end_again_and_again_is_parked
            several_subjects_and_texts_choose_the_events
        }
    };
    ($works:path: $($promise:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $promise() {
            suite::$promise($works().await).await;
        }
    )*};
}

pub(crate) use subscription_tests;
