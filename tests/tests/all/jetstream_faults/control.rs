//! Whether the checks find what they are there to find: writers that break the rules, and histories made wrong by hand.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::{Client, HeaderMap};
use cim_es::block::StoredEvent;
use cim_es::jetstream::JetStreamEventStore;
use cim_es::message::{Clock, MessageIdentity, SystemClock};
use cim_es::prelude::*;
use cim_es::store::*;
use cim_es_tests::nats::{Cluster, Server, User};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::checks;
use super::ledger::{Ledger, RESERVED, entries};
use super::program::{OwnStream, Program};
use super::readers::{Kind, Log, Seen};
use super::record::{Operation, Outcome, Record};
use crate::jetstream::proxy::Proxy;

const TYPE: &str = "contract.ledger.entered";

fn commit() -> CommitRequest {
    CommitRequest::new(MessageIdentity::new_from_user("test"), SystemClock.now())
}

fn operation(request: &CommitRequest, outcome: Outcome) -> Operation {
    Operation {
        id: request.identity.message_id(),
        what: "commit".to_owned(),
        outcome,
    }
}

/// A client that writes whole, well sealed events by itself.
struct Raw {
    client: Client,
    store: JetStreamEventStore,
}

/// The guard that a message carries.
enum Guard<'a> {
    Right,
    Another(&'a str),
    None,
}

impl Raw {
    /// Publishes a commit of one event behind a head. Gives the position, or that it was refused.
    async fn publish(
        &self,
        request: &CommitRequest,
        head: Option<Head>,
        guard: Guard<'_>,
    ) -> Option<StoredEvent> {
        let key = request.aggregates[0].aggregate.clone();
        let sealed = seal(request.clone(), &[head], &SealOptions::default());
        let sealed = sealed.unwrap().remove(0);
        let right = self.store.subjects().guard(key.id());
        let mut headers = HeaderMap::new();
        headers.insert("Cid", sealed.cid.to_string());
        headers.insert("Nats-Msg-Id", sealed.cid.to_string());
        let subject = match guard {
            Guard::Right => Some(right.as_str()),
            Guard::Another(subject) => Some(subject),
            Guard::None => None,
        };
        if let Some(subject) = subject {
            let at = head.map_or(0, |head| head.position.0);
            headers.insert("Nats-Expected-Last-Subject-Sequence", at.to_string());
            headers.insert("Nats-Expected-Last-Subject-Sequence-Subject", subject);
        }
        let subject = self.store.subjects().stored(key.id(), TYPE);
        let context = async_nats::jetstream::new(self.client.clone());
        let body = sealed.body().clone();
        // The same bytes again until somebody answers.
        loop {
            let sent = context.publish_with_headers(subject.clone(), headers.clone(), body.clone());
            let Ok(Ok(answer)) = timeout(Duration::from_secs(2), sent).await else {
                continue;
            };
            match timeout(Duration::from_secs(2), answer.into_future()).await {
                Ok(Ok(ack)) => return Some(sealed.into_stored(Position(ack.sequence))),
                Ok(Err(error)) if error.to_string().contains("wrong last sequence") => return None,
                _ => sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

/// Honest programs on one aggregate, until they are told to stop. They pause, so that another comes between them.
fn honest(program: &Arc<Program>, key: &AggregateKey, stop: &Arc<AtomicBool>) -> JoinSet<()> {
    let mut writers = JoinSet::new();
    for number in 0..3 {
        let (program, key, stop) = (Arc::clone(program), key.clone(), Arc::clone(stop));
        writers.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let request =
                    commit().aggregate(key.clone(), ExpectedVersion::Any, entries(number, 1));
                program.append("honest", request, false).await;
                sleep(Duration::from_millis(50)).await;
            }
        });
    }
    writers
}

async fn program(urls: Vec<String>, stream: &OwnStream) -> Arc<Program> {
    let record = Arc::new(Record::default());
    Arc::new(Program::start(urls, stream, Duration::from_secs(20), record).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_checks_find_a_writer_without_the_guard() {
    let cluster = Cluster::shared();
    let stream = OwnStream::new(3);
    let program = program(cluster.urls(), &stream).await;
    let key = Ledger::key(&Id::new());
    let stop = Arc::default();
    let mut writers = honest(&program, &key, &stop);
    let raw = Raw {
        client: cluster.connect(User::Operator).await,
        store: program.store.clone(),
    };
    let (mut written, mut first) = (0, None);
    while written < 6 {
        let Some(last) = raw.store.last(&key).await.unwrap() else {
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        let first = *first.get_or_insert(last.head());
        let request = commit().aggregate(key.clone(), ExpectedVersion::Any, entries(7, 1));
        // A guard of its own, which the servers accept beside guarded writes; and none at all behind an event that others
        // have followed long since, which is a fork however fast the servers are.
        let subject = raw.store.subjects().stored(key.id(), TYPE);
        let (head, guard) = match written {
            5 => (first, Guard::None),
            _ => (last.head(), Guard::Another(&subject)),
        };
        if let Some(event) = raw.publish(&request, Some(head), guard).await {
            let outcome = Outcome::stored(&[event]);
            program
                .record
                .told(request.identity.message_id(), "rogue", outcome);
            written += 1;
        }
    }
    stop.store(true, Ordering::Relaxed);
    while writers.join_next().await.is_some() {}
    let events = checks::everything(&program.store).await;
    let operations = program.record.operations();
    let wrong = checks::violations(&raw.client, &program.store, &events, &operations).await;
    let finds = |what: &str| wrong.iter().any(|wrong| wrong.contains(what));
    assert!(finds("fork") || finds("gap"), "{wrong:?}");
    assert!(finds("another guard") && finds("no guard"), "{wrong:?}");
}

/// Stores one event, and when that is refused takes it for not stored and seals it again behind what it finds then.
async fn believe(raw: &Raw, record: &Record, request: &CommitRequest) {
    let key = &request.aggregates[0].aggregate;
    loop {
        let Ok(last) = raw.store.last(key).await else {
            continue;
        };
        let head = last.map(|last| last.head());
        if let Some(event) = raw.publish(request, head, Guard::Right).await {
            let outcome = Outcome::stored(&[event]);
            return record.told(request.identity.message_id(), "believer", outcome);
        }
    }
}

async fn what_is_wrong(program: &Program, client: &Client) -> Vec<String> {
    let events = checks::everything(&program.store).await;
    let operations = program.record.operations();
    checks::violations(client, &program.store, &events, &operations).await
}

#[tokio::test]
async fn the_checks_find_a_client_that_believes_a_false_refusal() {
    let server = Server::shared();
    let stream = OwnStream::new(1);
    let program = program(vec![server.url()], &stream).await;
    let proxy = Proxy::to(server.address()).await;
    let raw = Raw {
        client: User::Operator.options().connect(proxy.url()).await.unwrap(),
        store: program.store.clone(),
    };
    let key = Ledger::key(&Id::new());
    let request = || commit().aggregate(key.clone(), ExpectedVersion::Any, entries(1, 1));
    believe(&raw, &program.record, &request()).await;
    assert_eq!(what_is_wrong(&program, &raw.client).await, [""; 0]);
    proxy.refuse_what_is_stored(10071);
    believe(&raw, &program.record, &request()).await;
    let wrong = what_is_wrong(&program, &raw.client).await;
    assert!(
        wrong.iter().any(|it| it.contains("a second time")),
        "{wrong:?}"
    );
}

/// The reason for looking at refusals: the servers refuse what they store while their leader is parted from the others.
/// Not every partition shows it, so it has its time in the long form alone; a refusal that is made up is found in each.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_checks_find_a_client_that_believes_refusals_when_a_leader_was_cut_off() {
    const WRITERS: u64 = 24;
    const PARTITIONS: usize = 30;
    if std::env::var_os("CIM_ES_LONG").is_none() {
        println!("only with CIM_ES_LONG=1");
        return;
    }
    let cluster = tokio::task::block_in_place(|| Cluster::start_apart(3));
    let stream = OwnStream::new(3);
    let program = program(cluster.urls(), &stream).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        let server = &cluster.servers()[number as usize % 3];
        let raw = Raw {
            client: server.connect(User::Operator).await,
            store: program.store.clone(),
        };
        let (stop, record) = (Arc::clone(&stop), Arc::clone(&program.record));
        writers.spawn(async move {
            let key = Ledger::key(&Id::new());
            while !stop.load(Ordering::Relaxed) {
                let request =
                    commit().aggregate(key.clone(), ExpectedVersion::Any, entries(number, 1));
                believe(&raw, &record, &request).await;
                sleep(Duration::from_millis(20)).await;
            }
        });
    }
    let operator = cluster.connect(User::Operator).await;
    let mut found = false;
    for _ in 0..PARTITIONS {
        sleep(Duration::from_secs(1)).await;
        let leader = cluster.leader(&operator, program.store.stream_name()).await;
        let network = cluster.network();
        for other in (0..3).filter(|other| *other != leader) {
            network.hold(leader, other);
            network.hold(other, leader);
        }
        sleep(Duration::from_secs(9)).await;
        network.heal();
        sleep(Duration::from_secs(4)).await;
        let wrong = checks::of_events(&checks::everything(&program.store).await, &[]);
        found = wrong.iter().any(|it| it.contains("a second time"));
        if found {
            break;
        }
    }
    stop.store(true, Ordering::Relaxed);
    while writers.join_next().await.is_some() {}
    assert!(
        found,
        "no server refused what it stored, so nothing was shown"
    );
}

/// A history of a few commits on one store in memory, with what their programs were told.
async fn sample() -> (Vec<StoredEvent>, Vec<Operation>) {
    let store = MemoryEventStore::new();
    let keys = [Ledger::key(&Id::new()), Ledger::key(&Id::new())];
    let mut operations = Vec::new();
    for number in 0..6 {
        let [one, other] = &keys;
        let request = commit()
            .aggregate(one.clone(), ExpectedVersion::Any, entries(number, 2))
            .aggregate(other.clone(), ExpectedVersion::Any, entries(number, 1));
        let stored = store.append(request.clone()).await.unwrap();
        operations.push(operation(&request, Outcome::stored(&stored)));
    }
    let events = store.get_events_by_type(TYPE, Position::START, 100).await;
    (events.unwrap(), operations)
}

#[tokio::test]
async fn the_checks_find_each_kind_of_wrong_history() {
    let (events, operations) = sample().await;
    assert_eq!(checks::of_events(&events, &operations), [""; 0]);
    let finds = |events: &[StoredEvent], operations: &[Operation], what: &str| {
        let wrong = checks::of_events(events, operations);
        assert!(
            wrong.iter().any(|wrong| wrong.contains(what)),
            "{what}: {wrong:?}"
        );
    };
    // The last commit, a part of it, one in the middle.
    finds(&events[..15], &operations, "are lost");
    finds(&events[..17], &operations, "is there in part");
    finds(
        &[&events[..3], &events[4..]].concat(),
        &operations,
        "begins in the middle",
    );
    finds(&[&events[..3], &events[6..]].concat(), &operations, "gap");
    finds(
        &[&events[..], &events[15..]].concat(),
        &operations,
        "again at",
    );
    finds(&events, &operations[1..], "no program made it");
    let told = |outcome: Outcome| {
        let mut operations = operations.clone();
        operations[5].outcome = outcome;
        operations
    };
    finds(
        &events,
        &told(Outcome::Refused("busy".to_owned())),
        "was refused",
    );
    let aggregate = Outcome::aggregate(&Ledger::key(&Id::new()));
    let conflict = |expected, actual| Outcome::Conflict {
        aggregate: aggregate.clone(),
        expected,
        actual,
    };
    finds(
        &events,
        &told(conflict(Some(1), 2)),
        "was a conflict, and is there",
    );
    let mut more = operations.clone();
    let never = commit();
    more.push(operation(&never, conflict(Some(1), 2)));
    finds(&events, &more, "was told of version 2, and there are 0");
    let unknown: Vec<_> = operations
        .iter()
        .map(|it| Operation {
            outcome: Outcome::Unknown,
            ..it.clone()
        })
        .collect();
    assert_eq!(checks::of_events(&events[..15], &unknown), [""; 0]);
}

#[tokio::test]
async fn the_checks_find_a_command_that_took_effect_twice_and_a_name_with_two_holders() {
    let store = MemoryEventStore::new();
    let key = Ledger::key(&Id::new());
    let request = commit().aggregate(key, ExpectedVersion::Any, entries(1, 1));
    let sealed = |head| seal(request.clone(), &[head], &SealOptions::default()).unwrap();
    let once = sealed(None).remove(0).into_stored(Position(1));
    let twice = sealed(Some(once.head())).remove(0).into_stored(Position(2));
    let name = AggregateKey::new("contract.title", cim_es::subject::Token::new("n").unwrap());
    for holder in ["one", "other"] {
        let fields = [("holder_id", holder), ("name", "n")];
        let payload = serde_ipld_dagcbor::to_vec(&std::collections::BTreeMap::from(fields));
        let event = NewEvent::from_payload(RESERVED, 1, payload.unwrap());
        let request = commit().aggregate(name.clone(), ExpectedVersion::Any, vec![event]);
        store.append(request).await.unwrap();
    }
    let mut events = checks::everything(&store).await;
    events.extend([once, twice]);
    let wrong = checks::of_events(&events, &[]);
    for what in ["a second time", "a name of one goes to"] {
        assert!(
            wrong.iter().any(|wrong| wrong.contains(what)),
            "{what}: {wrong:?}"
        );
    }
}

#[test]
fn the_checks_find_what_a_subscription_missed_or_got_out_of_order() {
    let seen = |position, aggregate, sequence| Seen {
        position,
        aggregate,
        sequence,
    };
    let whole = [seen(1, 0, 1), seen(2, 1, 1), seen(3, 0, 2)];
    let wrong = |kind: Kind, handled: &[Seen]| {
        let log = Log::default();
        handled.iter().for_each(|seen| log.handle(seen.clone()));
        log.violations(kind, &[1, 2, 3]).join("; ")
    };
    let kinds = [
        Kind::Follow,
        Kind::Live,
        Kind::Durable,
        Kind::Group,
        Kind::Partitioned,
    ];
    for kind in kinds {
        assert_eq!(wrong(kind, &whole), "");
        // Again is not wrong, skipped is.
        assert_eq!(wrong(kind, &[&whole[..], &whole[1..]].concat()), "");
        assert!(wrong(kind, &whole[1..]).contains("missed 1 of 3"));
    }
    let exchanged = [whole[1].clone(), whole[0].clone(), whole[2].clone()];
    assert!(wrong(Kind::Durable, &exchanged).contains("first behind 2"));
    assert_eq!(wrong(Kind::Partitioned, &exchanged), "");
    let backwards = [whole[2].clone(), whole[1].clone(), whole[0].clone()];
    assert!(wrong(Kind::Partitioned, &backwards).contains("behind version 0"));
    assert_eq!(wrong(Kind::Group, &backwards), "");
}

#[tokio::test]
async fn the_record_finds_answers_that_cannot_be() {
    let record = Record::default();
    let busy = || StoreError::Busy {
        location: "here".into(),
        reason: "others".to_owned(),
    };
    let now = tokio::time::Instant::now();
    let conflict = || StoreError::Conflict {
        aggregate: Ledger::key(&Id::new()),
        expected: ExpectedVersion::Exactly(1),
        actual: 2,
    };
    let full = || StoreError::Full {
        location: "here".into(),
        reason: "limit".to_owned(),
    };
    record.judge("commit", busy(), now, true);
    record.judge("commit", conflict(), now, false);
    record.limit(true);
    record.judge("commit", full(), now, true);
    assert_eq!(record.violations(), [""; 0]);
    let other = Record::default();
    other.judge("commit", conflict(), now, true);
    other.judge("commit", full(), now, true);
    other.took(
        "commit",
        now - Duration::from_secs(9),
        Duration::from_secs(8),
    );
    let closed = StoreError::Closed {
        reason: "test".to_owned(),
    };
    other.cannot_read("load", &closed);
    let kinds: HashSet<_> = other.violations().into_iter().collect();
    assert_eq!(kinds.len(), 4, "{kinds:?}");
}
