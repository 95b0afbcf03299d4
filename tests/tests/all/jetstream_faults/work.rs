//! What programs do all the while: alone on aggregates of their own, and on aggregates that many share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cim_es::message::{Clock, MessageIdentity, SystemClock};
use cim_es::prelude::*;
use cim_es::store::*;
use tokio::time::sleep;

use super::ledger::{Ledger, LedgerCommand, entries};
use super::program::{Program, Told};
use super::record::Sent;
use crate::jetstream::random::Random;

/// The pause between two pieces of work, in milliseconds: at random, up to this.
const PAUSE: u64 = 60;

fn commit() -> CommitRequest {
    CommitRequest::new(MessageIdentity::new_from_user("test"), SystemClock.now())
}

fn command(id: &Id<Ledger>, what: &str, command: LedgerCommand) -> Sent {
    Sent {
        id: MessageIdentity::new_from_user("test").message_id(),
        what: what.to_owned(),
        command: Some((*id, command)),
    }
}

/// A ledger to which one worker alone writes.
struct Own {
    id: Id<Ledger>,
    key: AggregateKey,
    /// Its version; none while a commit is open that may still be stored.
    version: Option<u64>,
    /// Its last event, where that is known.
    head: Option<Head>,
    /// The name that it took last, as far as is known.
    name: Option<String>,
    names: u64,
}

/// A worker that nobody else gets in the way of: it never sees a conflict.
pub struct Alone {
    program: Arc<Program>,
    own: Vec<Own>,
    random: Random,
    number: u64,
}

impl Alone {
    pub fn new(program: Arc<Program>, ids: Vec<Id<Ledger>>, random: Random, is_new: bool) -> Self {
        let own = |id: Id<Ledger>| Own {
            key: Ledger::key(&id),
            id,
            version: is_new.then_some(0),
            head: None,
            name: None,
            names: 0,
        };
        Self {
            program,
            own: ids.into_iter().map(own).collect(),
            random,
            number: 0,
        }
    }

    pub async fn run(mut self, stop: Arc<AtomicBool>) {
        while !stop.load(Ordering::Relaxed) {
            self.step().await;
            sleep(Duration::from_millis(self.random.within(0..PAUSE))).await;
        }
    }

    async fn step(&mut self) {
        self.number += 100;
        let at = self.random.within(0..self.own.len() as u64) as usize;
        match self.random.within(0..12) {
            0..=3 => self.append(at).await,
            4 => self.append_to_two(at).await,
            5..=7 => self.execute(at).await,
            8 => self.rename(at).await,
            9 => self.together(at).await,
            _ => self.read(at).await,
        }
    }

    /// What is left of the version of an aggregate once it was told what became of a commit.
    fn settle(&mut self, at: usize, told: &Told, count: u64) {
        let own = &mut self.own[at];
        let version = match told {
            Told::Stored(heads) => {
                own.head = heads.get(&own.key).copied();
                own.head.map(|head| head.version)
            }
            Told::NotStored => own.version,
            Told::Open => None,
        };
        if let (Some(before), Some(version), Told::Stored(_)) = (own.version, version, told)
            && before + count != version
        {
            let key = &own.key;
            self.program.record.wrong(format!(
                "{key} went from version {before} to {version} by {count} events, and nobody else writes to it"
            ));
        }
        own.version = version;
    }

    /// Adds events of an aggregate to a commit: behind what it is known to have, at its version, or behind whatever it has.
    fn add(&self, request: CommitRequest, at: usize, count: u64) -> (CommitRequest, &'static str) {
        let Own {
            key, version, head, ..
        } = &self.own[at];
        let (key, events) = (key.clone(), entries(self.number, count));
        let head = head.filter(|head| Some(head.version) == *version);
        match (head, version, self.random.within(0..4)) {
            (Some(head), _, 0 | 1) => (request.aggregate_at(key, head, events), "at its head"),
            (_, Some(0), 0..=2) => (
                request.aggregate(key, ExpectedVersion::NoStream, events),
                "first",
            ),
            (_, Some(version), 0..=2) => {
                let expected = ExpectedVersion::Exactly(*version);
                (request.aggregate(key, expected, events), "exactly")
            }
            _ => (request.aggregate(key, ExpectedVersion::Any, events), "any"),
        }
    }

    async fn append(&mut self, at: usize) {
        let count = if self.random.once_in(3) {
            self.random.within(2..6)
        } else {
            1
        };
        let (request, how) = self.add(commit(), at, count);
        let what = if count == 1 { "append" } else { "batch" };
        let what = &format!("{what} {how}");
        let told = self.program.append(what, request, true).await;
        self.settle(at, &told, count);
    }

    async fn append_to_two(&mut self, at: usize) {
        let other = (at + 1) % self.own.len();
        let (request, _) = self.add(commit(), at, 2);
        let (request, _) = self.add(request, other, 1);
        let told = self.program.append("append to two", request, true).await;
        self.settle(at, &told, 2);
        self.settle(other, &told, 1);
    }

    async fn execute(&mut self, at: usize) {
        let number = self.number;
        let sent = command(&self.own[at].id, "command", LedgerCommand::Enter { number });
        self.send(at, &sent).await;
    }

    /// Takes a name that no other aggregate ever takes; the one before is free again.
    async fn rename(&mut self, at: usize) {
        let own = &mut self.own[at];
        own.names += 1;
        let name = format!("{}-{}", own.id, own.names % 3);
        let rename = LedgerCommand::Rename { name: name.clone() };
        let sent = command(&own.id, "command with a name", rename);
        own.name = None;
        if let Told::Stored(_) = self.send(at, &sent).await {
            self.own[at].name = Some(name);
        }
    }

    async fn send(&mut self, at: usize, sent: &Sent) -> Told {
        let told = self.program.execute(sent, true).await;
        // A command that was sent several times may have been stored by any of them, and counts once.
        self.settle(at, &told, 1);
        if let Told::Stored(heads) = &told
            && self.random.once_in(6)
        {
            let version = heads[&self.own[at].key].version;
            self.program.repeat(sent, version).await;
        }
        told
    }

    async fn together(&mut self, at: usize) {
        let [other, third] = [1, 2].map(|step| (at + step) % self.own.len());
        // What is to stay unchanged may still move by itself while a commit on it is open.
        if self.own[third].version.is_none() {
            return self.append(third).await;
        }
        let ids = [at, other, third].map(|at| &self.own[at].id);
        let told = self.program.together(ids, self.number, true).await;
        self.settle(at, &told, 2);
        self.settle(other, &told, 1);
    }

    async fn read(&mut self, at: usize) {
        let Own {
            id, version, name, ..
        } = &self.own[at];
        if let Some(name) = name {
            self.program.holds(id, name).await;
        }
        let found = match self.random.within(0..3) {
            0 => self.program.load(id).await,
            1 => self.program.history(id).await,
            _ => self.program.last(id).await.map(|head| head.version),
        };
        if let (Some(version), Some(found)) = (version, found)
            && *version != found
        {
            let key = &self.own[at].key;
            let wrong =
                format!("{key} is read with version {found}, its only writer left {version}");
            self.program.record.wrong(wrong);
        }
    }
}

/// A worker on aggregates that others write to as well.
pub struct Shared {
    pub program: Arc<Program>,
    pub ids: Vec<Id<Ledger>>,
    pub random: Random,
    pub number: Arc<AtomicU64>,
}

impl Shared {
    pub async fn run(self, stop: Arc<AtomicBool>) {
        while !stop.load(Ordering::Relaxed) {
            self.step().await;
            sleep(Duration::from_millis(self.random.within(0..PAUSE))).await;
        }
    }

    async fn step(&self) {
        let number = self.number.fetch_add(100, Ordering::Relaxed);
        let program = &self.program;
        let ids = [(); 3].map(|()| self.random.one_of(&self.ids));
        let keys = ids.map(Ledger::key);
        let is_two = ids[0] != ids[1];
        match self.random.within(0..10) {
            0 | 1 => {
                let count = self.random.within(1..4);
                let request = commit().aggregate(
                    keys[0].clone(),
                    ExpectedVersion::Any,
                    entries(number, count),
                );
                program.append("shared append any", request, false).await;
            }
            2 | 3 => {
                if let Some(head) = program.last(ids[0]).await {
                    let key = keys[0].clone();
                    let request = match self.random.once_in(2) {
                        true => commit().aggregate_at(key, head, entries(number, 1)),
                        false => {
                            let expected = ExpectedVersion::Exactly(head.version);
                            commit().aggregate(key, expected, entries(number, 1))
                        }
                    };
                    program
                        .append("shared append exactly", request, false)
                        .await;
                }
            }
            4 if is_two => {
                let [one, other, _] = keys;
                let request = commit()
                    .aggregate(one, ExpectedVersion::Any, entries(number, 2))
                    .aggregate(other, ExpectedVersion::Any, entries(number, 1));
                program.append("shared append to two", request, false).await;
            }
            5 if is_two && ids[2] != ids[0] && ids[2] != ids[1] => {
                program.together(ids, number, false).await;
            }
            6 => {
                // Few names for many who want them.
                let name = format!("shared-{}", self.random.within(0..8));
                let rename = LedgerCommand::Rename { name };
                let sent = command(ids[0], "shared command with a name", rename);
                program.execute(&sent, false).await;
            }
            7 => {
                program.load(ids[0]).await;
            }
            8 => {
                program.history(ids[0]).await;
            }
            _ => {
                let enter = LedgerCommand::Enter { number };
                program
                    .execute(&command(ids[0], "shared command", enter), false)
                    .await;
            }
        }
    }
}
