//! Checkpoints and proofs of a large store, with the hashes in a directory, each beside the bare work under it.
//!
//! | variable | what it says | default |
//! |---|---|---|
//! | `CIM_ES_BENCH_EVENTS` | how many events the store has | 1,000,000 |
//! | `CIM_ES_BENCH_ROUNDS` | how many checkpoints are measured, each after 1,000 new events | 20 |
//! | `CIM_ES_BENCH_DIRECTORY` | where the file of events is made, and stays for the next run | a temporary one |
#![allow(missing_docs, reason = "a program, not a library")]

use std::fs::{self, File};
use std::hint::black_box;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cim_es::SqliteEventStore;
use cim_es::block::StoredEvent;
use cim_es::message::{Clock, MessageIdentity, SystemClock};
use cim_es::proof::{CheckpointLog, InclusionProof, Reading, SigningKey, Tiles, Trust};
use cim_es::store::{
    AggregateKey, Bookmark, CommitRequest, EventStore, EventStoreExt, ExpectedVersion, NewEvent,
    Position, Selection, TryStreamExt,
};
use cim_es::subject::Token;
use cim_es_benches::{HostEvent, registration};
use sha2::{Digest, Sha256};

const ORIGIN: &str = "example.org/bench";
const PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n\
    -----END PRIVATE KEY-----\n";
/// How many events come between two checkpoints.
const NEW: u64 = 1_000;
const PROOFS: u64 = 500;

fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} is a number")),
        Err(_) => default,
    }
}

async fn append(store: &SqliteEventStore, from: u64, count: u64) {
    let id = Token::new(&format!("host-{}", from / NEW % 100)).expect("it is a token");
    let key = AggregateKey::new("infrastructure.host", id);
    let event = |n| NewEvent::of(&HostEvent::Registered(registration(n))).expect("it encodes");
    let events = (from..from + count).map(event).collect();
    let commit = CommitRequest::new(MessageIdentity::new_from_user("bench"), SystemClock.now());
    let commit = commit.aggregate(key, ExpectedVersion::Any, events);
    store.append(commit).await.expect("it is stored");
}

/// The median and the longest of some times.
struct Times(Vec<Duration>);

impl Times {
    fn show(mut self, what: &str) {
        self.0.sort();
        let (median, longest) = (self.0[self.0.len() / 2], self.0[self.0.len() - 1]);
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        println!(
            "{what:<58} {:>9.3} ms   longest {:>9.3} ms",
            milliseconds(median),
            milliseconds(longest)
        );
    }
}

fn write_durably(path: &Path) {
    let mut file = File::create(path).expect("it can be made");
    file.write_all(&[7; 200]).expect("it can be written");
    file.sync_all().expect("it can be kept");
}

#[tokio::main]
async fn main() {
    let (events, rounds) = (
        number("CIM_ES_BENCH_EVENTS", 1_000_000),
        number("CIM_ES_BENCH_ROUNDS", 20).max(1),
    );
    let named = std::env::var_os("CIM_ES_BENCH_DIRECTORY").map(PathBuf::from);
    let temporary = std::env::temp_dir().join(format!("cim-es-proof-{}", std::process::id()));
    let directory = named.clone().unwrap_or_else(|| temporary.clone());
    fs::create_dir_all(&directory).expect("a directory for the bench");
    let store = SqliteEventStore::open(directory.join("proof.db")).expect("the file opens");
    let mut size = store.last_position().await.expect("it answers").0;
    while size < events {
        append(&store, size, NEW.min(events - size)).await;
        size += NEW.min(events - size);
    }

    let key = SigningKey::parse(ORIGIN, PEM).expect("it is a key");
    let tiles = directory.join("proof.tiles");
    let log = CheckpointLog::new(store.clone(), ORIGIN, Tiles::in_directory(&tiles));
    let started = Instant::now();
    log.checkpoint(&key, Reading::All)
        .await
        .expect("it is made");
    println!("{size} events");
    Times(vec![started.elapsed()]).show("a checkpoint of all events");
    let started = Instant::now();
    let read = store
        .read_all(Position::START)
        .try_fold(0, async |count, event| {
            black_box(event.cid);
            Ok(count + 1)
        });
    black_box(read.await.expect("the store is whole"));
    Times(vec![started.elapsed()]).show("  bare: reading all events");

    let mut made = [const { Vec::new() }; 4];
    for _ in 0..rounds {
        let last = store.last_position().await.expect("it answers");
        append(&store, size, NEW).await;
        size += NEW;
        let started = Instant::now();
        log.checkpoint(&key, Reading::New)
            .await
            .expect("it goes on");
        made[0].push(started.elapsed());

        let started = Instant::now();
        let new = store.read(Selection::everything(), Bookmark::from(last));
        let new: Vec<StoredEvent> = new.try_collect().await.expect("the store is whole");
        made[1].push(started.elapsed());
        let started = Instant::now();
        for event in &new {
            black_box(Sha256::digest(event.cid.to_bytes()));
        }
        made[2].push(started.elapsed());
        let started = Instant::now();
        write_durably(&directory.join("durable"));
        made[3].push(started.elapsed());
    }
    let [checkpoints, reads, hashes, writes] = made;
    Times(checkpoints).show("a checkpoint after 1,000 new events");
    Times(reads).show("  bare: reading them");
    Times(hashes).show("  bare: hashing their CIDs");
    Times(writes).show("  bare: writing a file of 200 bytes durably");

    let signed = log.last().await.expect("it is kept").expect("it is kept");
    let trust = Trust::new([key.verifying_key()]);
    let (mut proved, mut found, mut verified) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..PROOFS {
        let at = Position(n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % size);
        let next = store
            .read(Selection::everything(), at.into())
            .try_next()
            .await;
        let event = next.expect("the store is whole").expect("there is one");
        let started = Instant::now();
        let proof = log
            .prove(&event.cid, &signed)
            .await
            .expect("it is among them");
        proved.push(started.elapsed());
        let started = Instant::now();
        black_box(store.find(&event.cid).await.expect("the store is whole"));
        found.push(started.elapsed());
        let text = proof.to_string();
        let started = Instant::now();
        let proof: InclusionProof = text.parse().expect("it is a proof");
        proof.verify(&event.cid, &trust).expect("it is among them");
        verified.push(started.elapsed());
    }
    Times(proved).show("an inclusion proof");
    Times(found).show("  bare: finding the event by its CID");
    Times(verified).show("checking an inclusion proof from its text");
    store.close().await;
    if named.is_none() {
        // What remains is in the directory for temporary files.
        let _ = fs::remove_dir_all(&temporary);
    }
}
