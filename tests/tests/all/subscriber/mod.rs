//! What the tests of subscribers share: a small domain, a stream of its own for each test, and a log of what handlers got.

/// What a subscription promises on every engine.
#[path = "../../../../cim-es/tests/all/subscriptions/suite.rs"]
pub mod suite;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cim_es::block::StoredEvent;
use cim_es::jetstream::{
    Connection, EventHandler, EventStoreConfig, EventSubscriberBuilder, HandlerError,
    JetStreamEventStore, JetStreamOptions, NatsConfig, Retry,
};
use cim_es::prelude::*;
use cim_es_tests::nats::{Server, User};
use tokio::time::{Instant, sleep};

/// How long a member may be silent in these tests.
pub const LEASE: Duration = Duration::from_secs(2);

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MeterState {
    #[state(initial)]
    #[on(Record / Recorded => _)]
    Running,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum MeterEvent {
    #[event(was = "noted")]
    Recorded { value: u64 },
}

#[derive(Command, Clone, Debug)]
pub enum MeterCommand {
    Record { value: u64 },
}

#[derive(AggregateId, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MeterId(pub String);

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "plant", name = "meter", id = MeterId)]
pub struct Meter {
    state: MeterState,
    value: u64,
}

impl Decide for Meter {
    fn decide(&self, command: MeterCommand, _: &Context) -> Decision<Self> {
        let MeterCommand::Record { value } = command;
        emit(MeterEvent::Recorded { value })
    }
}

/// A stream of its own, with a store and what writes to it.
pub struct Plant {
    pub connection: Connection,
    pub store: JetStreamEventStore,
    pub meters: Repository<Meter>,
    pub name: String,
}

pub async fn connect(urls: Vec<String>, user: User) -> Connection {
    let config = NatsConfig::new(urls)
        .user_and_password(user.name(), user.password())
        .max_reconnects(0)
        .reconnect_delay(Duration::from_millis(50));
    let connection = config.connect().await;
    connection.unwrap_or_else(|error| panic!("{error}"))
}

impl Plant {
    pub async fn new(server: &Server) -> Self {
        Self::on(vec![server.url()], 1).await
    }

    pub async fn on(urls: Vec<String>, replicas: usize) -> Self {
        let name = format!("t{}", Uuid::now_v7().simple());
        let connection = connect(urls, User::Operator).await;
        Self::open(connection, name, replicas).await
    }

    /// The same with another stream of the same name.
    pub async fn made_anew(&self) -> Self {
        let context = self.connection.jetstream();
        context.delete_stream(&self.name).await.unwrap();
        Self::open(self.connection.clone(), self.name.clone(), 1).await
    }

    async fn open(connection: Connection, name: String, replicas: usize) -> Self {
        let config = EventStoreConfig {
            replicas,
            ..EventStoreConfig::new(&name, ["plant.>"])
        };
        let options = JetStreamOptions::new(config).stored_subjects(name.parse().unwrap());
        let end = Instant::now() + Duration::from_secs(20);
        let store = loop {
            match JetStreamEventStore::open(connection.clone(), options.clone()).await {
                Ok(store) => break store,
                // A cluster that has just started may not know all of its servers yet.
                Err(error) => assert!(Instant::now() < end, "{error}"),
            }
            sleep(Duration::from_millis(100)).await;
        };
        let meters = Repository::<Meter>::new(store.clone());
        Self {
            connection,
            store,
            meters,
            name,
        }
    }

    pub async fn record(&self, meter: &str, value: u64) {
        let id = MeterId(meter.to_owned());
        let identity = MessageIdentity::new_from_user("test");
        let command = MeterCommand::Record { value };
        let recorded = self.meters.execute(&id, command, &identity).await;
        recorded.unwrap_or_else(|error| panic!("{error}"));
    }

    pub fn subscriber(&self) -> EventSubscriberBuilder {
        EventSubscriberBuilder::new()
            .client(self.connection.clone())
            .store(&self.store)
            .subject(MeterEvent::subjects())
            .retry(quick())
    }
}

pub fn quick() -> Retry {
    Retry {
        attempts: 3,
        first_pause: Duration::from_millis(50),
        longest_pause: Duration::from_millis(200),
    }
}

/// What one handler call was.
#[derive(Clone, Debug)]
pub struct Call {
    pub meter: String,
    pub value: u64,
    pub sequence: u64,
    pub member: usize,
    pub at: Instant,
}

/// What handlers got, and what went wrong while they did.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    started: Vec<Call>,
    handled: Vec<Call>,
    busy: HashSet<String>,
    overlaps: Vec<String>,
    fails: HashSet<u64>,
    pause: Duration,
}

impl Log {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A handler that writes into this log.
    pub fn handler(&self, member: usize) -> Recorder {
        Recorder {
            log: self.clone(),
            member,
        }
    }

    /// How long each handler call takes.
    pub fn pause(&self, pause: Duration) {
        self.state().pause = pause;
    }

    /// Handlers fail on events with this value.
    pub fn fail(&self, value: u64) {
        self.state().fails.insert(value);
    }

    /// Handlers no longer fail.
    pub fn heal(&self) {
        self.state().fails.clear();
    }

    pub fn started(&self) -> Vec<Call> {
        self.state().started.clone()
    }

    pub fn handled(&self) -> Vec<Call> {
        self.state().handled.clone()
    }

    /// The values that were handled, in order.
    pub fn values(&self) -> Vec<u64> {
        self.state().handled.iter().map(|call| call.value).collect()
    }

    /// The distinct values that were handled.
    pub fn distinct(&self) -> usize {
        self.values().into_iter().collect::<HashSet<_>>().len()
    }

    /// Aggregates of which two events were handled at the same time.
    pub fn overlaps(&self) -> Vec<String> {
        self.state().overlaps.clone()
    }

    /// Each member's number of handled events.
    pub fn members(&self) -> BTreeMap<usize, usize> {
        let mut members = BTreeMap::new();
        for call in &self.state().handled {
            *members.entry(call.member).or_default() += 1;
        }
        members
    }

    /// Events that were handled before one that precedes them in their aggregate.
    pub fn out_of_order(&self) -> Vec<Call> {
        let mut last: BTreeMap<String, u64> = BTreeMap::new();
        let mut wrong = Vec::new();
        for call in self.handled() {
            let last = last.entry(call.meter.clone()).or_default();
            if call.sequence > *last + 1 {
                wrong.push(call.clone());
            }
            *last = (*last).max(call.sequence);
        }
        wrong
    }

    pub async fn wait_for(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        self.wait_at_most(Duration::from_secs(30), what, is_so)
            .await;
    }

    pub async fn wait_at_most(&self, limit: Duration, what: &str, is_so: impl Fn(&Self) -> bool) {
        let end = Instant::now() + limit;
        while !is_so(self) {
            assert!(
                Instant::now() < end,
                "{what}: not after {limit:?}, handled {:?}",
                self.values()
            );
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Writes down what it gets.
pub struct Recorder {
    log: Log,
    member: usize,
}

/// Marks an aggregate as being handled, until it is dropped, also by a crash.
struct Busy<'a>(&'a Log, String);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.state().busy.remove(&self.1);
    }
}

#[async_trait]
impl EventHandler for Recorder {
    async fn handle(&self, event: StoredEvent) -> Result<(), HandlerError> {
        let MeterEvent::Recorded { value } = event.decode()?;
        let call = Call {
            meter: event.envelope.aggregate_id.clone(),
            value,
            sequence: event.envelope.sequence,
            member: self.member,
            at: Instant::now(),
        };
        let pause = {
            let mut state = self.log.state();
            state.started.push(call.clone());
            if !state.busy.insert(call.meter.clone()) {
                state.overlaps.push(call.meter.clone());
            }
            state.pause
        };
        let _busy = Busy(&self.log, call.meter.clone());
        sleep(pause).await;
        let mut state = self.log.state();
        if state.fails.contains(&value) {
            return Err(HandlerError::new(format!("{value} is not welcome")));
        }
        state.handled.push(call);
        Ok(())
    }
}
