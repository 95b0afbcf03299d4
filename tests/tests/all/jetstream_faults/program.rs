//! A program that works on ledgers through one connection, and holds each answer against what it has seen before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cim_es::ErrorChain;
use cim_es::block::StoredEvent;
use cim_es::jetstream::{
    Connection, EventStoreConfig, JetStreamEventStore, JetStreamOptions, JetStreamSnapshotStore,
    NatsConfig,
};
use cim_es::prelude::*;
use cim_es::repository::{Commit, ExecuteError, LoadError, Together, TogetherError};
use cim_es::store::*;
use cim_es_tests::nats::User;
use futures_util::StreamExt;
use tokio::time::{Instant, sleep};

use super::ledger::{Ledger, LedgerCommand};
use super::record::{Outcome, Record, Sent};

/// How much longer than its patience something may take on a machine that has other work.
const SLACK: Duration = Duration::from_secs(20);
/// How many times a command is sent.
const ATTEMPTS: u32 = 6;

/// A stream that no other test has.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OwnStream {
    pub name: String,
    pub replicas: usize,
}

impl OwnStream {
    pub fn new(replicas: usize) -> Self {
        let name = format!("t{}", Uuid::now_v7().simple());
        Self { name, replicas }
    }

    async fn open(&self, connection: &Connection) -> Result<JetStreamEventStore, StoreError> {
        let config = EventStoreConfig::new(&self.name, ["contract.>"]).replicas(self.replicas);
        let bucket = config.snapshot_bucket();
        let options = JetStreamOptions::new(config).stored_subjects(self.name.parse().unwrap());
        let snapshots = JetStreamSnapshotStore::open(connection.clone(), &bucket, self.replicas);
        let snapshots = Arc::new(snapshots.await?);
        let store = JetStreamEventStore::open(connection.clone(), options).await?;
        Ok(store.with_snapshots(snapshots))
    }
}

/// One program.
pub struct Program {
    pub store: JetStreamEventStore,
    pub connection: Connection,
    pub ledgers: Repository<Ledger>,
    pub record: Arc<Record>,
    patience: Duration,
    /// The highest version of each aggregate that this program was told or has read.
    seen: Mutex<HashMap<AggregateKey, u64>>,
}

/// What became of a commit, for who sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// The head of each aggregate after it.
    Stored(HashMap<AggregateKey, Head>),
    NotStored,
    Open,
}

/// How long a program tries to begin its work while the network is bad.
const START: Duration = Duration::from_secs(120);

pub async fn connect(urls: Vec<String>, patience: Duration) -> Connection {
    let config = NatsConfig::new(urls)
        .user_and_password("operator", User::Operator.password())
        .max_reconnects(0)
        .reconnect_delay(Duration::from_millis(50))
        .request_timeout(Duration::from_secs(2).min(patience / 2))
        .patience(patience);
    let end = Instant::now() + START;
    loop {
        match config.connect().await {
            Ok(connection) => return connection,
            Err(error) => assert!(Instant::now() < end, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

impl Program {
    /// Starts a program; the servers must be well, or become so.
    pub async fn start(
        urls: Vec<String>,
        stream: &OwnStream,
        patience: Duration,
        record: Arc<Record>,
    ) -> Self {
        let connection = connect(urls, patience).await;
        let end = Instant::now() + START;
        let store = loop {
            match stream.open(&connection).await {
                Ok(store) => break store,
                Err(error) => assert!(Instant::now() < end, "{error}"),
            }
        };
        let ledgers = Repository::<Ledger>::builder(store.clone())
            .snapshot_threshold(25)
            // Few enough that most commands find theirs cold.
            .warm_aggregates(8)
            .build();
        Self {
            store,
            connection,
            ledgers,
            record,
            patience,
            seen: Mutex::default(),
        }
    }

    fn has_seen(&self, key: &AggregateKey) -> u64 {
        self.seen.lock().unwrap().get(key).copied().unwrap_or(0)
    }

    fn sees(&self, key: &AggregateKey, version: u64) {
        let mut seen = self.seen.lock().unwrap();
        let known = seen.entry(key.clone()).or_default();
        *known = version.max(*known);
    }

    /// How long some operations, one after the other, may take together.
    fn limit(&self, operations: u32) -> Duration {
        self.patience * operations + SLACK
    }

    /// Appends once.
    pub async fn append(&self, what: &str, request: CommitRequest, is_alone: bool) -> Told {
        let id = request.identity.message_id();
        let what = what.to_owned();
        self.record.sends(&Sent {
            id,
            what: what.clone(),
            command: None,
        });
        let keys: Vec<_> = request
            .aggregates
            .iter()
            .map(|part| part.aggregate.clone())
            .collect();
        let began = Instant::now();
        let outcome = self.store.append(request).await;
        self.record.took(&what, began, self.limit(1));
        match outcome {
            Ok(events) => {
                let mut heads = HashMap::new();
                for event in &events {
                    let of = |key: &&AggregateKey| {
                        key.kind() == event.envelope.aggregate
                            && key.id().as_str() == event.envelope.aggregate_id
                    };
                    if let Some(key) = keys.iter().find(of) {
                        heads.insert(key.clone(), event.head());
                        self.sees(key, event.envelope.sequence);
                    }
                }
                self.record.told(id, &what, Outcome::stored(&events));
                Told::Stored(heads)
            }
            Err(error) => {
                let outcome = self.record.judge(&what, error, began, is_alone);
                let told = match outcome {
                    Outcome::Unknown => Told::Open,
                    _ => Told::NotStored,
                };
                self.record.told(id, &what, outcome);
                told
            }
        }
    }

    /// Executes a command, and sends it again with the same identity until it is known what came of it.
    pub async fn execute(&self, sent: &Sent, is_alone: bool) -> Told {
        self.execute_open(sent, is_alone, false).await
    }

    /// The same for one that a program was killed with, which may have been stored for it.
    pub async fn execute_again(&self, sent: &Sent) -> Told {
        self.execute_open(sent, true, true).await
    }

    async fn execute_open(&self, sent: &Sent, is_alone: bool, mut is_open: bool) -> Told {
        let (ledger, command) = sent.command.as_ref().expect("a command");
        let (key, what) = (Ledger::key(ledger), sent.what.as_str());
        let identity = MessageIdentity::root(sent.id, Some("test"));
        self.record.sends(sent);
        let mut last = String::new();
        for _ in 0..ATTEMPTS {
            let began = Instant::now();
            let outcome = self
                .ledgers
                .execute(ledger, command.clone(), &identity)
                .await;
            // The snapshot, the history, up to two names, the commit.
            self.record.took(what, began, self.limit(5));
            match outcome {
                Ok(commit) => {
                    self.sees(&key, commit.version());
                    self.record
                        .told(sent.id, what, Outcome::stored(commit.events()));
                    return Told::Stored(HashMap::from([(key, head(&commit))]));
                }
                Err(error) => match self.failed(what, error, began, is_alone) {
                    Outcome::Unknown => is_open = true,
                    Outcome::Refused(reason) => last = reason,
                    outcome @ Outcome::Conflict { .. } if !is_open => {
                        self.record.told(sent.id, what, outcome);
                        return Told::NotStored;
                    }
                    _ => {}
                },
            }
            sleep(Duration::from_millis(100)).await;
        }
        let (told, outcome) = match is_open {
            true => (Told::Open, Outcome::Unknown),
            false => (Told::NotStored, Outcome::Refused(last)),
        };
        self.record.told(sent.id, what, outcome);
        told
    }

    /// Sends a command again that took effect: it gives the same commit.
    pub async fn repeat(&self, sent: &Sent, version: u64) {
        let (ledger, command) = sent.command.as_ref().expect("a command");
        let identity = MessageIdentity::root(sent.id, Some("test"));
        let what = format!("{} again", sent.what);
        match self
            .ledgers
            .execute(ledger, command.clone(), &identity)
            .await
        {
            Ok(commit) if commit.is_repeated() && commit.version() == version => {
                self.record.count(&what, 1);
            }
            Ok(commit) => self.record.wrong(format!(
                "{what}: version {} in place of {version}, repeated: {}",
                commit.version(),
                commit.is_repeated()
            )),
            Err(error) => {
                self.failed(&what, error, Instant::now(), true);
            }
        }
    }

    fn failed<E: std::error::Error + 'static>(
        &self,
        what: &str,
        error: ExecuteError<E>,
        began: Instant,
        is_alone: bool,
    ) -> Outcome {
        let text = ErrorChain(&error).to_string();
        match error {
            ExecuteError::Store(error) => self.record.judge(what, error, began, is_alone),
            ExecuteError::Load(LoadError::Store(error))
            | ExecuteError::MayHaveTakenEffect { source: error, .. } => {
                self.record.cannot_read(what, &error);
                Outcome::Refused(text)
            }
            ExecuteError::NameTaken { .. } if !is_alone => Outcome::Refused(text),
            _ => {
                self.record.wrong(format!("{what}: {text}"));
                Outcome::Refused(text)
            }
        }
    }

    /// Executes two commands on a ledger and one on another, while a third one stays as it is.
    pub async fn together(&self, ledgers: [&Id<Ledger>; 3], number: u64, is_alone: bool) -> Told {
        const WHAT: &str = "together";
        let identity = MessageIdentity::new_from_user("test");
        let id = identity.message_id();
        self.record.sends(&Sent {
            id,
            what: WHAT.to_owned(),
            command: None,
        });
        let enter = || LedgerCommand::Enter { number };
        let [one, other, third] = ledgers;
        let began = Instant::now();
        let seen = match self.ledgers.load(third).await {
            Ok(seen) => seen,
            Err(error) => {
                let outcome = self.failed_together(error.into(), began, is_alone);
                self.record.told(id, WHAT, outcome);
                return Told::NotStored;
            }
        };
        let outcome = Together::new(&identity)
            .execute(&self.ledgers, one, enter())
            .execute(&self.ledgers, one, enter())
            .execute(&self.ledgers, other, enter())
            .unchanged_since(&self.ledgers, third, &seen)
            .commit()
            .await;
        self.record.took(WHAT, began, self.limit(11));
        match outcome {
            Ok(commits) => {
                let events: Vec<_> = commits.iter().flat_map(Commit::events).cloned().collect();
                self.record.told(id, WHAT, Outcome::stored(&events));
                let keys = [one, other].map(Ledger::key);
                let heads: HashMap<_, _> = keys.into_iter().zip(commits.iter().map(head)).collect();
                for (key, head) in &heads {
                    self.sees(key, head.version);
                }
                Told::Stored(heads)
            }
            Err(error) => {
                let outcome = self.failed_together(error, began, is_alone);
                let told = match outcome {
                    Outcome::Unknown => Told::Open,
                    _ => Told::NotStored,
                };
                self.record.told(id, WHAT, outcome);
                told
            }
        }
    }

    fn failed_together(&self, error: TogetherError, began: Instant, is_alone: bool) -> Outcome {
        let text = ErrorChain(&error).to_string();
        match error {
            TogetherError::Store(error) => self.record.judge("together", error, began, is_alone),
            TogetherError::Load(LoadError::Store(error)) => {
                self.record.cannot_read("together", &error);
                Outcome::Refused(text)
            }
            TogetherError::Moved { .. } if !is_alone => Outcome::Refused(text),
            TogetherError::Aggregate { reason, .. } | TogetherError::Command { reason, .. } => {
                match reason.downcast::<ExecuteError<<Ledger as Aggregate>::Error>>() {
                    Ok(error) => self.failed("together", *error, began, is_alone),
                    Err(error) => {
                        self.record.wrong(format!("together: {error}"));
                        Outcome::Refused(text)
                    }
                }
            }
            _ => {
                self.record.wrong(format!("together: {text}"));
                Outcome::Refused(text)
            }
        }
    }

    /// Loads an aggregate. Nothing older than what this program has seen is an answer.
    pub async fn load(&self, id: &Id<Ledger>) -> Option<u64> {
        let key = Ledger::key(id);
        let floor = self.has_seen(&key);
        let began = Instant::now();
        let loaded = self.ledgers.load(id).await;
        self.record.took("load", began, self.limit(3));
        match loaded {
            Ok(loaded) => {
                let version = loaded.version();
                if loaded.entries != version {
                    let entries = loaded.entries;
                    let wrong = format!("load: {key} has version {version} and {entries} entries");
                    self.record.wrong(wrong);
                }
                Some(self.is_new_enough("load", &key, floor, version))
            }
            Err(LoadError::Store(error)) => {
                self.record.cannot_read("load", &error);
                None
            }
            Err(error) => {
                self.record.wrong(format!("load: {error}"));
                None
            }
        }
    }

    /// Reads the history of an aggregate past the repository.
    pub async fn history(&self, id: &Id<Ledger>) -> Option<u64> {
        let key = Ledger::key(id);
        let floor = self.has_seen(&key);
        let began = Instant::now();
        let events = self.store.get_events(&key, 1).await;
        self.record.took("history", began, self.limit(2));
        match events {
            Ok(events) => {
                let versions = events.iter().map(|event| event.envelope.sequence);
                if !versions.eq(1..=events.len() as u64) {
                    self.record.wrong(format!("history: {key} has a hole"));
                }
                Some(self.is_new_enough("history", &key, floor, events.len() as u64))
            }
            Err(error) => {
                self.record.cannot_read("history", &error);
                None
            }
        }
    }

    /// The last event of an aggregate, which the whole stream has as well, behind the event before it.
    pub async fn last(&self, id: &Id<Ledger>) -> Option<Head> {
        let key = Ledger::key(id);
        let floor = self.has_seen(&key);
        let began = Instant::now();
        let last = self.store.last(&key).await;
        self.record.took("last", began, self.limit(1));
        let last = match last {
            Ok(last) => last,
            Err(error) => {
                self.record.cannot_read("last", &error);
                return None;
            }
        };
        let version = last.as_ref().map_or(0, |event| event.envelope.sequence);
        self.is_new_enough("last", &key, floor, version);
        let head = last.as_ref().map(StoredEvent::head);
        if let Some(event) = last {
            let began = Instant::now();
            let mut rest = self.store.read_all(Position(event.position.0 - 1));
            match rest.next().await {
                Some(Ok(found)) if found == event => {}
                Some(Err(error)) => self.record.cannot_read("read", &error),
                found => {
                    let found = found.map(|found| found.map(|event| event.position));
                    let at = event.position;
                    self.record
                        .wrong(format!("read: {found:?} in place of the event at {at}"));
                }
            }
            self.record.took("read", began, self.limit(4));
        }
        head
    }

    /// Who holds a name that this aggregate alone ever takes.
    pub async fn holds(&self, id: &Id<Ledger>, name: &String) {
        let began = Instant::now();
        let holder = self.ledgers.holder(&Ledger::title(name)).await;
        self.record.took("holder", began, self.limit(2));
        match holder {
            Ok(Some(holder)) if holder.id == id.to_string() => {}
            Ok(other) => self.record.wrong(format!(
                "holder: {name} is held by {other:?} and not by {id}"
            )),
            Err(LoadError::Store(error)) => self.record.cannot_read("holder", &error),
            Err(error) => self.record.wrong(format!("holder: {error}")),
        }
    }

    fn is_new_enough(&self, what: &str, key: &AggregateKey, floor: u64, version: u64) -> u64 {
        self.record.count(what, 1);
        if version < floor {
            let wrong = format!("{what}: {key} has version {version}, {floor} was seen before");
            self.record.wrong(wrong);
        }
        self.sees(key, version);
        version
    }
}

/// The head of an aggregate after a commit, which has events.
fn head(commit: &Commit) -> Head {
    commit.events().last().expect("an event").head()
}
