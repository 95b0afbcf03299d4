//! Bundles between engines and between libraries: every block has the same CID wherever it goes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use cim_es::aggregate::IdText;
use cim_es::block::{HashCode, StoredEvent};
use cim_es::bundle::{Export, Import};
use cim_es::car::CarReader;
use cim_es::message::{Clock, MessageIdentity, SystemClock};
use cim_es::prelude::Ipld;
use cim_es::store::{
    AggregateKey, Bookmark, CommitRequest, EventStore, EventStoreExt, ExpectedVersion, NewEvent,
    Position, Selection, TryStreamExt,
};
use cim_es::{MemoryEventStore, SqliteEventStore};
use cim_es_tests::directory::Directory;
use cim_es_tests::nats::{Server, User};

use crate::jetstream::{open, options};

fn key(id: &str) -> AggregateKey {
    AggregateKey::new("contract.note", IdText::new(id).unwrap())
}

/// A payload with every kind of value.
fn payload(number: i128) -> NewEvent {
    let entries = [
        ("bytes", Ipld::Bytes(vec![0, 0xff, 7])),
        ("float", Ipld::Float(0.1 + number as f64)),
        ("link", Ipld::Link(HashCode::Sha2_256.cid(b"\xa0"))),
        (
            "list",
            Ipld::List(vec![Ipld::Null, Ipld::Bool(true), Ipld::Integer(-number)]),
        ),
        ("number", Ipld::Integer(number)),
        ("text", Ipld::String("ünï\u{1f600}".to_owned())),
    ];
    let map = entries.map(|(key, value)| (key.to_owned(), value));
    let block = serde_ipld_dagcbor::to_vec(&Ipld::Map(map.into())).unwrap();
    NewEvent::from_payload("contract.note.written", 1, block)
}

/// Commits of one event and of several, over one aggregate and over two.
async fn fill(store: &dyn EventStore) {
    for number in 0..30_i128 {
        let ids = [number % 4, 4 + number % 3].map(|it| format!("n{it}"));
        let mut commit =
            CommitRequest::new(MessageIdentity::new_from_user("test"), SystemClock.now());
        let events = (0..1 + number % 3).map(|event| payload(10 * number + event));
        commit = commit.aggregate(key(&ids[0]), ExpectedVersion::Any, events.collect());
        if number % 5 == 0 {
            commit = commit.aggregate(key(&ids[1]), ExpectedVersion::Any, vec![payload(number)]);
        }
        store.append(commit).await.unwrap();
    }
}

async fn events(store: &dyn EventStore) -> Vec<StoredEvent> {
    let events = store.read(Selection::everything(), Bookmark::START);
    events.try_collect().await.unwrap()
}

/// The CIDs and the bytes of all events, whatever their positions.
async fn blocks(store: &dyn EventStore) -> Vec<(String, Vec<u8>)> {
    let events = events(store).await;
    let block = |event: &StoredEvent| (event.cid.to_string(), event.body().to_vec());
    events.iter().map(block).collect()
}

#[tokio::test]
async fn events_that_travel_from_sqlite_to_nats_and_back_are_the_same_blocks() {
    let directory = Directory::new();
    let origin = SqliteEventStore::open(directory.file("origin.db")).unwrap();
    fill(&origin).await;
    let there = directory.file("there.car");
    let exported = Export::new(origin.clone()).bundle_to(&there).await.unwrap();

    let client = Server::shared().connect(User::Operator).await;
    let stream = open(client, &options(1)).await;
    let imported = Import::bundle(&there).into_store(&stream).await.unwrap();
    assert_eq!(imported.stored, exported.manifest.events());
    assert_eq!(blocks(&stream).await, blocks(&origin).await);
    let again = Import::bundle(&there).into_store(&stream).await.unwrap();
    assert_eq!((again.stored, again.there), (0, exported.manifest.events()));

    // The stream goes on, and what is new there comes back.
    let last = stream.last_position().await.unwrap();
    for number in 0..3 {
        let commit = CommitRequest::new(MessageIdentity::new_from_user("test"), SystemClock.now());
        let commit = commit
            .aggregate(
                key("n0"),
                ExpectedVersion::Any,
                vec![payload(number), payload(7)],
            )
            .aggregate(key("n5"), ExpectedVersion::Any, vec![payload(number)]);
        stream.append(commit).await.unwrap();
    }
    for (name, since) in [("since.car", Some(last)), ("all.car", None)] {
        let back = directory.file(name);
        let export = Export::new(stream.clone());
        let export = match since {
            Some(last) => export.since(last),
            None => export.since(Position::START),
        };
        let exported = export.bundle_to(&back).await.unwrap();
        if since.is_some() {
            assert_eq!(exported.manifest.events(), 9);
        }
        Import::bundle(&back).into_store(&origin).await.unwrap();
        assert_eq!(blocks(&origin).await, blocks(&stream).await, "{name}");
    }
    let copy = MemoryEventStore::new();
    let all = directory.file("all.car");
    Import::bundle(&all).into_store(&copy).await.unwrap();
    assert_eq!(blocks(&copy).await, blocks(&origin).await);
    let of_one = copy.get_events(&key("n5"), 1).await.unwrap();
    assert!(!of_one.is_empty());
}

/// Libraries of other languages.
struct Others {
    python: PathBuf,
    node: PathBuf,
    modules: PathBuf,
}

/// Found or installed by `tests/find-ipld` once a process.
fn others() -> &'static Others {
    static FOUND: OnceLock<Others> = OnceLock::new();
    FOUND.get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/find-ipld");
        let answer = Command::new("python3")
            .arg(script)
            .stderr(Stdio::inherit())
            .output();
        let answer = answer.unwrap_or_else(|error| panic!("python3 {script}: {error}"));
        assert!(
            answer.status.success(),
            "{script} found no libraries of IPLD"
        );
        let text = String::from_utf8(answer.stdout).unwrap();
        let lines: Vec<_> = text.lines().map(PathBuf::from).collect();
        let [python, node, modules] = <[PathBuf; 3]>::try_from(lines).unwrap();
        Others {
            python,
            node,
            modules,
        }
    })
}

/// What a program says, which reads one file and writes another.
fn said(mut program: Command, from: &Path, to: &Path) -> String {
    let output = program.arg(from).arg(to).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// The roots and blocks of a file as ours sees them, in the words of the other programs.
fn seen(file: &Path) -> String {
    let bytes = std::fs::read(file).unwrap();
    let car = CarReader::new(&bytes[..]).unwrap();
    let roots: Vec<_> = car.roots().iter().map(ToString::to_string).collect();
    let blocks = car.map(|block| {
        let block = block.unwrap();
        format!("block {} {}\n", block.cid, block.bytes.len())
    });
    format!("roots {}\n{}", roots.join(" "), blocks.collect::<String>())
}

/// Has a program read our file, compares what it saw, and imports the file that it wrote.
async fn reads_ours_and_writes_its_own(program: impl Fn(&Others) -> Command) {
    let directory = Directory::new();
    let store = MemoryEventStore::new();
    fill(&store).await;
    let ours = directory.file("ours.car");
    let exported = Export::new(store.clone()).bundle_to(&ours).await.unwrap();
    let theirs = directory.file("theirs.car");
    assert_eq!(said(program(others()), &ours, &theirs), seen(&ours));

    let copy = MemoryEventStore::new();
    let imported = Import::bundle(&theirs).into_store(&copy).await.unwrap();
    assert_eq!(imported.stored, exported.manifest.events());
    assert_eq!(blocks(&copy).await, blocks(&store).await);
    assert_eq!(
        std::fs::read(&theirs).unwrap(),
        std::fs::read(&ours).unwrap()
    );

    // What they would not take either.
    let mut changed = std::fs::read(&ours).unwrap();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    std::fs::write(&ours, changed).unwrap();
    let refused = program(others()).arg(&ours).arg(&theirs).output().unwrap();
    assert!(
        !refused.status.success(),
        "a block that was changed is not noticed"
    );
}

#[tokio::test]
async fn a_bundle_is_read_and_written_by_the_libraries_of_javascript() {
    reads_ours_and_writes_its_own(|others| {
        let mut node = Command::new(&others.node);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/ipld/car.mjs");
        // A module that comes by the standard input finds its packages in the present directory.
        node.current_dir(&others.modules)
            .args(["--input-type=module", "-"])
            .stdin(std::fs::File::open(script).unwrap());
        node
    })
    .await;
}

#[tokio::test]
async fn a_bundle_is_read_and_written_by_the_libraries_of_python() {
    reads_ours_and_writes_its_own(|others| {
        let mut python = Command::new("python3");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/ipld/car.py");
        python.env("PYTHONPATH", &others.python).arg(script);
        python
    })
    .await;
}
