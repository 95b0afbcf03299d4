//! Subscriptions of every kind, and what each of them gets.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cim_es::block::StoredEvent;
use cim_es::jetstream::{
    EventHandler, EventSubscriberBuilder, HandlerError, ParkedEvents, Subscription,
};
use cim_es::store::*;
use futures_util::StreamExt;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::program::Program;
use super::record::Record;
use crate::jetstream::random::Random;

/// How a subscription gets its events, and so what it owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `EventStore::follow`.
    Follow,
    Live,
    Durable,
    Group,
    Partitioned,
}

impl Kind {
    pub const NAMED: [Self; 3] = [Self::Durable, Self::Group, Self::Partitioned];

    /// Whether events come in the order of the stream.
    pub fn is_in_order_of_the_stream(self) -> bool {
        matches!(self, Self::Follow | Self::Live | Self::Durable)
    }

    /// Whether the events of an aggregate come in order, one after the other.
    pub fn is_in_order_of_each_aggregate(self) -> bool {
        self != Self::Group
    }
}

/// One event as a handler got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub position: u64,
    pub aggregate: usize,
    pub sequence: u64,
}

/// What the handlers of one subscription got.
#[derive(Debug, Default)]
pub struct Log {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    handled: Vec<Seen>,
    positions: HashSet<u64>,
    aggregates: HashMap<String, usize>,
    busy: HashSet<usize>,
    overlaps: Vec<String>,
    failed: HashSet<u64>,
}

/// Marks an aggregate as being handled until it is dropped, also by a crash.
struct Busy<'a>(&'a Log, usize);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.state().busy.remove(&self.1);
    }
}

impl Log {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self, event: &StoredEvent) -> Seen {
        let envelope = &event.envelope;
        let name = format!("{} {}", envelope.aggregate, envelope.aggregate_id);
        let mut state = self.state();
        let next = state.aggregates.len();
        Seen {
            position: event.position.0,
            aggregate: *state.aggregates.entry(name).or_insert(next),
            sequence: envelope.sequence,
        }
    }

    fn begin(&self, seen: &Seen) -> Busy<'_> {
        let mut state = self.state();
        if !state.busy.insert(seen.aggregate) {
            let at = seen.position;
            state
                .overlaps
                .push(format!("two events of an aggregate at once, one at {at}"));
        }
        Busy(self, seen.aggregate)
    }

    pub fn handle(&self, seen: Seen) {
        let mut state = self.state();
        state.positions.insert(seen.position);
        state.handled.push(seen);
    }

    /// Whether the handler fails on an event that it gets for the first time.
    fn fails(&self, position: u64) -> bool {
        self.state().failed.insert(position)
    }

    fn count(&self) -> usize {
        self.state().positions.len()
    }

    /// Everything that is wrong with what came, where all of that was to come.
    pub fn violations(&self, kind: Kind, events: &[u64]) -> Vec<String> {
        let state = self.state();
        let mut wrong = Vec::new();
        let missing: Vec<_> = events
            .iter()
            .filter(|it| !state.positions.contains(it))
            .collect();
        if let Some(first) = missing.first() {
            let (count, of) = (missing.len(), events.len());
            wrong.push(format!(
                "{kind:?} missed {count} of {of} events, the first at {first}"
            ));
        }
        if kind.is_in_order_of_each_aggregate() {
            let mut last: HashMap<usize, u64> = HashMap::new();
            for seen in &state.handled {
                let last = last.entry(seen.aggregate).or_default();
                if seen.sequence > *last + 1 {
                    let Seen {
                        position, sequence, ..
                    } = seen;
                    wrong.push(format!(
                        "{kind:?} got version {sequence} (position {position}) behind version {last}"
                    ));
                }
                *last = seen.sequence.max(*last);
            }
            wrong.extend(
                state
                    .overlaps
                    .iter()
                    .map(|overlap| format!("{kind:?}: {overlap}")),
            );
        }
        if kind.is_in_order_of_the_stream() {
            let (mut last, mut known) = (0, HashSet::new());
            for Seen { position, .. } in &state.handled {
                if known.insert(*position) && *position < last {
                    wrong.push(format!(
                        "{kind:?} got position {position} first behind {last}"
                    ));
                }
                last = last.max(*position);
            }
        }
        wrong
    }

    /// How many events were handled, and how many of them more than once.
    pub fn counts(&self) -> (usize, usize) {
        let state = self.state();
        let again = state.handled.len() - state.positions.len();
        (state.handled.len(), again)
    }
}

/// Writes down what it gets, and fails now and then on an event that it sees for the first time.
struct Recorder {
    log: Arc<Log>,
    random: Random,
}

#[async_trait]
impl EventHandler for Recorder {
    async fn handle(&self, event: StoredEvent) -> Result<(), HandlerError> {
        let seen = self.log.seen(&event);
        let _busy = self.log.begin(&seen);
        if self.random.once_in(10) {
            sleep(Duration::from_millis(self.random.within(1..10))).await;
        }
        if self.random.once_in(100) && self.log.fails(seen.position) {
            return Err(HandlerError::new("it fails now and then"));
        }
        self.log.handle(seen);
        Ok(())
    }
}

/// All subscriptions on a stream.
pub struct Readers {
    programs: Vec<Arc<Program>>,
    record: Arc<Record>,
    random: Random,
    logs: BTreeMap<&'static str, (Kind, Arc<Log>)>,
    members: Vec<Member>,
    following: JoinHandle<()>,
}

struct Member {
    kind: Kind,
    subscription: Subscription,
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Follow => "follow",
        Kind::Live => "live",
        Kind::Durable => "durable",
        Kind::Group => "group",
        Kind::Partitioned => "partitioned",
    }
}

impl Readers {
    /// Starts them; nothing is written before they run.
    pub async fn start(programs: Vec<Arc<Program>>, record: Arc<Record>, random: Random) -> Self {
        let kinds = [
            Kind::Follow,
            Kind::Live,
            Kind::Durable,
            Kind::Group,
            Kind::Partitioned,
        ];
        let logs: BTreeMap<_, _> = kinds
            .into_iter()
            .map(|kind| (name(kind), (kind, Arc::default())))
            .collect();
        let (_, log) = &logs[name(Kind::Follow)];
        let store = programs[0].store.clone();
        let following = tokio::spawn(follow(store, Arc::clone(log), Arc::clone(&record)));
        let mut readers = Self {
            programs,
            record,
            random,
            logs,
            members: Vec::new(),
            following,
        };
        readers.add(Kind::Live).await;
        for kind in Kind::NAMED {
            for _ in 0..3 {
                readers.add(kind).await;
            }
        }
        readers
    }

    /// Adds a member in one of the programs.
    async fn add(&mut self, kind: Kind) {
        let (_, log) = &self.logs[name(kind)];
        let program = self.random.one_of(&self.programs);
        let recorder = Recorder {
            log: Arc::clone(log),
            random: self.random.of(self.random.next()),
        };
        let name = format!("{}-{}", program.store.stream_name(), name(kind));
        let builder = EventSubscriberBuilder::new()
            .client(program.connection.clone())
            .store(&program.store)
            .subject("contract.>")
            .handler(recorder);
        let builder = match kind {
            Kind::Live | Kind::Follow => builder.name(name),
            Kind::Durable => builder.durable(name),
            Kind::Group => builder.group(name),
            Kind::Partitioned => builder.partitioned(name),
        };
        let subscriber = builder.build().unwrap();
        let end = Instant::now() + Duration::from_secs(120);
        let subscription = loop {
            match subscriber.subscribe().await {
                Ok(subscription) => break subscription,
                Err(error) => {
                    self.record.count(&format!("{kind:?} cannot start yet"), 1);
                    if Instant::now() > end {
                        return self
                            .record
                            .wrong(format!("{kind:?} does not start: {error}"));
                    }
                }
            }
            sleep(Duration::from_millis(500)).await;
        };
        self.members.push(Member { kind, subscription });
    }

    /// Ends a member in the middle of what it does, as a crash would, and starts another.
    pub async fn crash_one(&mut self) {
        let kind = *self.random.one_of(&Kind::NAMED);
        let members = self.members.iter().enumerate();
        let of_kind: Vec<_> = members
            .filter(|(_, it)| it.kind == kind)
            .map(|(at, _)| at)
            .collect();
        if !of_kind.is_empty() {
            let member = self.members.swap_remove(*self.random.one_of(&of_kind));
            self.ended(&member);
            member.subscription.abort();
        }
        self.add(kind).await;
    }

    fn ended(&self, member: &Member) {
        if member.subscription.is_over() {
            let kind = member.kind;
            self.record
                .wrong(format!("a member of {kind:?} ended by itself"));
        }
    }

    /// Waits until all have seen everything, or as long as they may take.
    pub async fn catch_up(&self, count: usize, limit: Duration) {
        let end = Instant::now() + limit;
        let logs = || self.logs.values();
        while Instant::now() < end && logs().any(|(_, log)| log.count() < count) {
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Stops them all, and gives what is wrong with what they got.
    pub async fn end(mut self, events: &[u64]) -> Vec<String> {
        let mut wrong = Vec::new();
        self.following.abort();
        for member in std::mem::take(&mut self.members) {
            let kind = member.kind;
            self.ended(&member);
            let stopping =
                tokio::time::timeout(Duration::from_secs(60), member.subscription.stop());
            match stopping.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => wrong.push(format!("a member of {kind:?} ended: {error}")),
                Err(_) => wrong.push(format!("a member of {kind:?} does not stop")),
            }
        }
        for (name, (kind, log)) in &self.logs {
            wrong.extend(log.violations(*kind, events));
            let (handled, again) = log.counts();
            println!("  {name}: {handled} events handled, {again} of them again");
        }
        let program = &self.programs[0];
        for kind in [Kind::Live, Kind::Durable, Kind::Group, Kind::Partitioned] {
            let name = format!("{}-{}", program.store.stream_name(), name(kind));
            let parked = async {
                let parked = ParkedEvents::open(program.connection.clone(), &name).await?;
                parked.list().await
            };
            match parked.await {
                // Each event fails a handler once at most, and is handed over more often than that.
                Ok(parked) => wrong.extend(parked.iter().map(|event| {
                    let (at, reason) = (event.position, &event.reason);
                    format!("{kind:?} parked the event at {at}: {reason}")
                })),
                Err(error) => wrong.push(format!("what {kind:?} parked cannot be read: {error}")),
            }
        }
        wrong
    }
}

async fn follow(store: impl EventStore, log: Arc<Log>, record: Arc<Record>) {
    let mut after = Position::START;
    loop {
        let mut events = store.subscribe(after);
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    after = event.position;
                    log.handle(log.seen(&event));
                }
                Err(error) => record.cannot_read("follow", &error),
            }
        }
        record.count("follow began again", 1);
        sleep(Duration::from_millis(200)).await;
    }
}
