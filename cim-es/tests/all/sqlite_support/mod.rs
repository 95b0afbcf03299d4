//! What the tests of the SQLite engine share.

pub mod child;
#[path = "../../shared/directory.rs"]
mod directory;
#[cfg(target_os = "linux")]
#[path = "../../shared/disk.rs"]
mod disk;
pub mod truth;

pub use directory::Directory;
#[cfg(target_os = "linux")]
pub use disk::Disk;

use std::path::Path;

use cim_es::SqliteEventStore;
use cim_es::block::StoredEvent;
use cim_es::message::{MessageIdentity, Timestamp};
use cim_es::store::{
    AggregateKey, CommitRequest, EventStream, ExpectedVersion, NewEvent, StoreError,
};
use cim_es::subject::Token;
use cim_es::verify::{Step, Verification};
use futures_util::StreamExt;
use rusqlite::Connection;

/// Runs a test that asks a store.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("a runtime starts")
        .block_on(test)
}

/// The version of the format that a file says.
pub fn version(path: &Path) -> i32 {
    let file = Connection::open(path).expect("it opens");
    let version = file.pragma_query_value(None, "user_version", |row| row.get(0));
    version.expect("it has a version")
}

/// What the check of the whole store tells.
pub async fn damages(store: SqliteEventStore) -> Vec<String> {
    let mut verification = Verification::of(store);
    let mut told = Vec::new();
    while let Some(step) = verification.next().await.expect("it reads") {
        if let Step::Damaged(damages) = step {
            told.extend(damages.iter().map(ToString::to_string));
        }
    }
    told
}

/// An aggregate by a name.
pub fn key(id: impl std::fmt::Display) -> AggregateKey {
    AggregateKey::new(
        "test.note",
        Token::new(&id.to_string()).expect("the id is a token"),
    )
}

/// An event that holds a number: the dag-cbor map `{"number": number}`.
pub fn note(number: u64) -> NewEvent {
    typed("test.note.written", number)
}

/// An event of a type that holds a number.
pub fn typed(event_type: &str, number: u64) -> NewEvent {
    let mut payload = vec![0xa1, 0x66];
    payload.extend_from_slice(b"number");
    head(0x00, number, &mut payload);
    NewEvent::from_payload(event_type, 1, payload)
}

/// An event whose payload is a map with one byte string of this length.
pub fn large(bytes: u32) -> NewEvent {
    let mut payload = vec![0xa1, 0x65];
    payload.extend_from_slice(b"bytes");
    head(0x40, bytes.into(), &mut payload);
    payload.resize(payload.len() + bytes as usize, 7);
    NewEvent::from_payload("test.note.filled", 1, payload)
}

/// A number or a length as dag-cbor writes it: in the shortest form.
fn head(major: u8, number: u64, out: &mut Vec<u8>) {
    let bytes = number.to_be_bytes();
    match number {
        0..24 => out.push(major | number as u8),
        24..=0xff => out.extend_from_slice(&[major | 24, number as u8]),
        0x100..=0xffff => {
            out.push(major | 25);
            out.extend_from_slice(&bytes[6..]);
        }
        0x1_0000..=0xffff_ffff => {
            out.push(major | 26);
            out.extend_from_slice(&bytes[4..]);
        }
        _ => {
            out.push(major | 27);
            out.extend_from_slice(&bytes);
        }
    }
}

/// A commit without aggregates, a microsecond after the epoch.
pub fn commit() -> CommitRequest {
    CommitRequest::new(
        MessageIdentity::new_from_user("test"),
        Timestamp::from_micros(1),
    )
}

/// A commit of events for one aggregate, whatever its version.
pub fn any(id: impl std::fmt::Display, events: Vec<NewEvent>) -> CommitRequest {
    commit().aggregate(key(id), ExpectedVersion::Any, events)
}

/// All events of a stream that ends.
pub async fn collect(mut stream: EventStream) -> Result<Vec<StoredEvent>, StoreError> {
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event?);
    }
    Ok(events)
}

/// Numbers that look random and are the same in each run: xorshift.
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below a bound.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// Whether the long forms of the tests are asked for.
pub fn is_long() -> bool {
    std::env::var_os("CIM_ES_LONG").is_some_and(|value| value != "0")
}
