//! What programs were told, and what they saw that was wrong.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cim_es::ErrorChain;
use cim_es::jetstream::ApiFailure;
use cim_es::prelude::*;
use cim_es::store::{AggregateKey, Position, StoreError};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::ledger::LedgerCommand;
use cim_es::block::{Cid, StoredEvent};

/// What a line of a program to its parent starts with; the test harness prints lines of its own.
pub const MARK: &str = "=> ";
/// How long a stream that was full may still be found full.
const LIFTED: Duration = Duration::from_secs(5);

/// One commit that a program tried, by its message id.
#[derive(Clone, Debug)]
pub struct Operation {
    pub id: Uuid,
    pub what: String,
    pub outcome: Outcome,
}

/// What the program was told.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// These events are stored; of a command, those of its own aggregate.
    Stored(Vec<(Position, Cid)>),
    /// Refused, with the word that nothing is stored.
    Refused(String),
    /// Refused, because an aggregate has another version than the one that was expected.
    Conflict {
        aggregate: String,
        expected: Option<u64>,
        actual: u64,
    },
    Unknown,
}

impl Outcome {
    pub fn stored(events: &[StoredEvent]) -> Self {
        let places = events.iter().map(|event| (event.position, event.cid));
        Self::Stored(places.collect())
    }

    /// The name of an aggregate, as conflicts have it.
    pub fn aggregate(key: &AggregateKey) -> String {
        format!("{} {}", key.kind(), key.id().as_str())
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Stored(_) => "stored",
            Self::Refused(_) => "refused",
            Self::Conflict { .. } => "conflict",
            Self::Unknown => "unknown",
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Stored(places) => {
                let places = places
                    .iter()
                    .map(|(at, cid)| json!([at.0, cid.to_string()]));
                json!({ "stored": places.collect::<Vec<_>>() })
            }
            Self::Refused(reason) => json!({ "refused": reason }),
            Self::Conflict {
                aggregate,
                expected,
                actual,
            } => json!({ "conflict": [aggregate, expected, actual] }),
            Self::Unknown => json!("unknown"),
        }
    }

    fn from_json(value: &Value) -> Self {
        if let Some(places) = value["stored"].as_array() {
            let place = |place: &Value| {
                let cid = place[1].as_str().unwrap().parse().unwrap();
                (Position(place[0].as_u64().unwrap()), cid)
            };
            return Self::Stored(places.iter().map(place).collect());
        }
        if let Some(reason) = value["refused"].as_str() {
            return Self::Refused(reason.to_owned());
        }
        match value["conflict"].as_array() {
            Some(conflict) => Self::Conflict {
                aggregate: conflict[0].as_str().unwrap().to_owned(),
                expected: conflict[1].as_u64(),
                actual: conflict[2].as_u64().unwrap(),
            },
            None => Self::Unknown,
        }
    }
}

/// A command that may be sent again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sent {
    pub id: Uuid,
    pub what: String,
    /// Of a command on one aggregate; none for a bare commit, which is sent once.
    pub command: Option<(Id<super::ledger::Ledger>, LedgerCommand)>,
}

/// Where all programs write down what they were told.
#[derive(Debug, Default)]
pub struct Record {
    told: Mutex<Told>,
    full: Mutex<Full>,
    /// Prints each line for the parent, whose record it belongs into.
    is_told_to_a_parent: bool,
}

#[derive(Debug, Default)]
struct Told {
    operations: Vec<Operation>,
    counts: BTreeMap<String, u64>,
    wrong: Vec<String>,
    slowest: BTreeMap<String, Duration>,
}

/// Whether the stream has a limit that can be reached.
#[derive(Debug, Default)]
struct Full {
    is_limited: bool,
    lifted: Option<Instant>,
}

impl Record {
    /// The record of a program that was started by another one.
    pub fn for_a_parent() -> Self {
        Self {
            is_told_to_a_parent: true,
            ..Self::default()
        }
    }

    fn state(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, line: &Value) {
        let mut out = std::io::stdout().lock();
        let told = out.write_all(format!("\n{MARK}{line}\n").as_bytes());
        if told.and_then(|()| out.flush()).is_err() {
            // Nobody listens any more.
            std::process::exit(0);
        }
    }

    /// Notes what is about to be sent.
    pub fn sends(&self, sent: &Sent) {
        if self.is_told_to_a_parent {
            self.tell(&json!({ "sends": sent }));
        }
    }

    /// Notes what a program was told of a commit.
    pub fn told(&self, id: Uuid, what: &str, outcome: Outcome) {
        if self.is_told_to_a_parent {
            self.tell(&json!({ "told": outcome.to_json(), "id": id, "what": what }));
            return;
        }
        self.count(&format!("{what}: {}", outcome.word()), 1);
        let what = what.to_owned();
        self.state()
            .operations
            .push(Operation { id, what, outcome });
    }

    pub fn count(&self, what: &str, times: u64) {
        if self.is_told_to_a_parent {
            self.tell(&json!({ "count": what, "times": times }));
            return;
        }
        *self.state().counts.entry(what.to_owned()).or_default() += times;
    }

    /// Notes something that no promise allows.
    pub fn wrong(&self, what: impl Into<String>) {
        let what = what.into();
        if self.is_told_to_a_parent {
            self.tell(&json!({ "wrong": what }));
            return;
        }
        println!("WRONG {what}");
        self.state().wrong.push(what);
    }

    /// Notes how long something took, and that it was too long.
    pub fn took(&self, what: &str, since: Instant, limit: Duration) {
        let time = since.elapsed();
        if time > limit {
            self.wrong(format!("{what} took {time:?}, and may take {limit:?}"));
        }
        if !self.is_told_to_a_parent {
            let mut state = self.state();
            let slowest = state.slowest.entry(what.to_owned()).or_default();
            *slowest = time.max(*slowest);
        }
    }

    /// Takes a line of a program that tells its parent; gives what it is about to send.
    pub fn hear(&self, line: &Value) -> Option<Sent> {
        if let Ok(sent) = serde_json::from_value(line["sends"].clone()) {
            return Some(sent);
        }
        if let Some(what) = line["wrong"].as_str() {
            self.wrong(format!("a program that is killed at times: {what}"));
        } else if let Some(what) = line["count"].as_str() {
            self.count(what, line["times"].as_u64().unwrap_or(1));
        } else if let Ok(id) = serde_json::from_value(line["id"].clone()) {
            let what = line["what"].as_str().unwrap_or_default();
            self.told(id, what, Outcome::from_json(&line["told"]));
        }
        None
    }

    /// From now on, or no longer, the stream has a limit.
    pub fn limit(&self, is_limited: bool) {
        *self.full.lock().unwrap() = Full {
            is_limited,
            lifted: (!is_limited).then(Instant::now),
        };
    }

    /// Whether something that began then may have found the stream full.
    pub fn may_be_full(&self, began: Instant) -> bool {
        let full = self.full.lock().unwrap();
        // Another process knows nothing of the limits.
        self.is_told_to_a_parent
            || full.is_limited
            || full.lifted.is_some_and(|lifted| lifted + LIFTED > began)
    }

    /// What an error of a store says of a commit: whether it may be so, and what it means.
    pub fn judge(&self, what: &str, error: StoreError, began: Instant, is_alone: bool) -> Outcome {
        let text = ErrorChain(&error).to_string();
        match error {
            StoreError::OutcomeUnknown { .. } => Outcome::Unknown,
            StoreError::Busy { .. } => Outcome::Refused(text),
            StoreError::Full { .. } => {
                self.count(&format!("{what}: full"), 1);
                if !self.may_be_full(began) {
                    self.wrong(format!("{what}: {text}, though nothing has a limit"));
                }
                Outcome::Refused(text)
            }
            StoreError::Conflict {
                aggregate,
                expected,
                actual,
            } => {
                if is_alone {
                    self.wrong(format!("{what}: {text}, though nobody else writes to it"));
                }
                Outcome::Conflict {
                    aggregate: Outcome::aggregate(&aggregate),
                    expected: match expected {
                        cim_es::store::ExpectedVersion::Exactly(version) => Some(version),
                        cim_es::store::ExpectedVersion::NoStream => Some(0),
                        cim_es::store::ExpectedVersion::Any => None,
                    },
                    actual,
                }
            }
            _ => {
                self.wrong(format!("{what}: {text}"));
                Outcome::Refused(text)
            }
        }
    }

    /// Whether a read may fail so: the servers could not be reached for as long as the program waits.
    pub fn cannot_read(&self, what: &str, error: &StoreError) {
        match error {
            StoreError::Busy { .. } => self.count(&format!("{what}: busy"), 1),
            StoreError::Engine { source, .. } => {
                let failure = source.downcast_ref::<ApiFailure>();
                let kind = match failure {
                    Some(ApiFailure::NoResponders) => "nobody answers",
                    Some(ApiFailure::TimedOut(_)) => "no answer",
                    Some(ApiFailure::Stale) => "no answer that is new enough",
                    Some(ApiFailure::Refused { code: 503, .. }) => "not available",
                    _ => return self.wrong(format!("{what}: {error}")),
                };
                self.count(&format!("{what}: {kind}"), 1);
            }
            _ => self.wrong(format!("{what}: {error}")),
        }
    }

    pub fn operations(&self) -> Vec<Operation> {
        self.state().operations.clone()
    }

    pub fn violations(&self) -> Vec<String> {
        self.state().wrong.clone()
    }

    /// How many commits were acknowledged.
    pub fn acknowledged(&self) -> usize {
        let state = self.state();
        let operations = state.operations.iter();
        let stored = operations.filter(|it| matches!(it.outcome, Outcome::Stored(_)));
        stored.count()
    }

    /// What was counted, and the longest time of each kind of work.
    pub fn report(&self) -> String {
        let state = self.state();
        let counts = state
            .counts
            .iter()
            .map(|(what, count)| format!("  {what}: {count}"));
        let slowest =
            (state.slowest.iter()).map(|(what, time)| format!("  slowest {what}: {time:?}"));
        counts.chain(slowest).collect::<Vec<_>>().join("\n")
    }
}
