//! Running the program, and stores for it to look into.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use cim_es::SqliteEventStore;
use cim_es::aggregate::IdText;
use cim_es::message::{MessageIdentity, Timestamp};
use cim_es::store::{AggregateKey, CommitRequest, EventStore, ExpectedVersion, NewEvent};
use uuid::Uuid;

#[path = "../shared/directory.rs"]
mod directory;

pub use directory::Directory;

/// Runs what asks a store.
pub fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime starts")
        .block_on(work)
}

/// A key that signs, as everybody may have it.
pub const KEY: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f
-----END PRIVATE KEY-----
";

/// What the program said.
#[derive(Debug)]
pub struct Answer {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Answer {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("it ends by itself"),
            out: String::from_utf8(output.stdout).expect("it prints UTF-8"),
            err: String::from_utf8(output.stderr).expect("it prints UTF-8"),
        }
    }
}

/// The program, in an environment in which no store is named.
pub fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_cim-es"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CIM_ES_") {
            program.env_remove(name);
        }
    }
    program.stdin(Stdio::null());
    program
}

/// What it says to some arguments.
pub fn ask<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Answer {
    let output = program().args(arguments).output();
    output.expect("the program starts").into()
}

/// What it says about a store.
pub fn about(store: impl AsRef<OsStr>, arguments: &[&str]) -> Answer {
    let output = program().arg("-s").arg(store).args(arguments).output();
    output.expect("the program starts").into()
}

/// The values that the lines of an answer hold.
pub fn lines(answer: &Answer) -> Vec<serde_json::Value> {
    let values = answer.out.lines().map(serde_json::from_str);
    values.collect::<Result<_, _>>().expect("each line is JSON")
}

/// A number for an identity, so that the same commits are made in every store.
fn identity(number: u128) -> MessageIdentity {
    let id = Uuid::from_u128(0x0197_a3e0_0000_7000_8000_0000_0000_0000 + number);
    MessageIdentity::root(id, Some("ann"))
}

/// Midnight, and so many minutes.
pub fn at(minutes: i64) -> Timestamp {
    let midnight: Timestamp = "2026-01-31T00:00:00Z".parse().expect("a time");
    Timestamp::from_micros(midnight.as_micros() + minutes * 60_000_000)
}

/// An event with the title of a book.
pub fn event(operation: &str, title: &str) -> NewEvent {
    let mut payload = b"\xa1\x65title".to_vec();
    payload.extend([0x78, u8::try_from(title.len()).expect("a short title")]);
    payload.extend(title.as_bytes());
    if title.len() < 24 {
        // In its shortest form.
        payload.remove(7);
        payload[7] |= 0x60;
    }
    NewEvent::from_payload(format!("library.{operation}"), 1, payload)
}

/// Appends events to one aggregate as one commit.
pub async fn append(
    store: &dyn EventStore,
    number: u128,
    key: (&'static str, &str),
    events: Vec<NewEvent>,
) {
    let id = IdText::new(key.1).expect("an id");
    let time = at(i64::try_from(number).expect("a small number"));
    let commit = CommitRequest::new(identity(number), time).aggregate(
        AggregateKey::new(key.0, id),
        ExpectedVersion::Any,
        events,
    );
    store.append(commit).await.expect("it is stored");
}

/// Two books and a reader.
pub async fn library(store: &dyn EventStore) {
    let book = ("library.book", "4711");
    append(store, 1, book, vec![event("book.acquired", "Emma")]).await;
    append(
        store,
        2,
        ("library.book", "4712"),
        vec![event("book.acquired", "Ulysses")],
    )
    .await;
    append(
        store,
        3,
        ("library.reader", "ann"),
        vec![event("reader.registered", "Ann")],
    )
    .await;
    append(
        store,
        4,
        book,
        vec![event("book.lent", "Emma"), event("book.renewed", "Emma")],
    )
    .await;
}

/// A file with the library.
pub fn file(directory: &Directory) -> PathBuf {
    let path = directory.file("library.db");
    fill(&path, async |store| library(store).await);
    path
}

/// Writes over a text that stands in a file, the last one.
pub fn damage(file: &Path, text: &str, with: &str) {
    let mut bytes = std::fs::read(file).expect("the file");
    let places = bytes.windows(text.len());
    let place = places.into_iter().rposition(|it| it == text.as_bytes());
    let place = place.expect("it stands there");
    bytes[place..place + text.len()].copy_from_slice(with.as_bytes());
    std::fs::write(file, bytes).expect("the file");
}

/// Writes to a file, which is made if it is not there, and closes it.
pub fn fill<T>(path: &Path, work: impl AsyncFnOnce(&SqliteEventStore) -> T) -> T {
    run(async {
        let store = SqliteEventStore::open(path).expect("a new file");
        let done = work(&store).await;
        store.close().await;
        done
    })
}
