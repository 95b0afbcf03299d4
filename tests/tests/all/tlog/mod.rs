//! Checkpoints and proofs that a second implementation checks, and that check what it makes (aics-tlog, in Python).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cim_es::MemoryEventStore;
use cim_es::block::StoredEvent;
use cim_es::message::{MessageIdentity, Timestamp};
use cim_es::proof::{
    CheckpointLog, ConsistencyProof, InclusionProof, Reading, SignedCheckpoint, SigningKey, Tiles,
    Trust, Witness,
};
use cim_es::store::{
    AggregateKey, CommitRequest, EventStore, EventStoreExt, ExpectedVersion, NewEvent, Position,
};
use cim_es::subject::Token;
use futures_util::TryStreamExt;

const ORIGIN: &str = "example.org/library";
const WITNESS: &str = "example.net/witness";
/// How many events the older checkpoint covers, and how many the newer one.
const SIZES: (u64, u64) = (300, 66_000);

/// Made for these tests by `openssl genpkey -algorithm ed25519`.
const LOG_PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n\
    -----END PRIVATE KEY-----\n";
const WITNESS_PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
    -----END PRIVATE KEY-----\n";

/// A directory that is gone with the value.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("cim-es-tlog-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory for the test");
        Self(path)
    }

    fn write(&self, name: &str, text: impl ToString) {
        fs::write(self.0.join(name), text.to_string()).expect("it can be written");
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).expect("it was written")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What remains is in the directory for temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Where the other implementation is, found or installed by `tests/find-wheels` once a process.
fn python_path() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/find-wheels");
        let answer = Command::new("python3")
            .args([script, "tlog"])
            .stderr(Stdio::inherit())
            .output()
            .unwrap_or_else(|error| panic!("python3 {script}: {error}"));
        assert!(answer.status.success(), "{script} found no aics-tlog");
        PathBuf::from(String::from_utf8_lossy(&answer.stdout).trim())
    })
}

/// Lets the other implementation do its part; what it says is part of the failure.
fn other(task: &str, directory: &Directory) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/all/tlog/other.py");
    let answer = Command::new("python3")
        .args([script, task])
        .arg(&directory.0)
        .env("PYTHONPATH", python_path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap_or_else(|error| panic!("python3 {script}: {error}"));
    let said = String::from_utf8_lossy(&answer.stderr);
    assert!(answer.status.success(), "{task}: {said}");
}

/// Adds events to a store until it has so many.
async fn fill(store: &MemoryEventStore, from: u64, to: u64) {
    let event = || NewEvent::from_payload("library.book.lent", 1, vec![0xa0]);
    let mut at = from;
    while at < to {
        let id = Token::new(&format!("b{}", at % 7)).expect("it is a token");
        let key = AggregateKey::new("library.book", id);
        let count = (to - at).min(1_000);
        let events = (0..count).map(|_| event()).collect();
        let identity = MessageIdentity::new_from_user("test");
        let commit = CommitRequest::new(identity, Timestamp::from_micros(1));
        let commit = commit.aggregate(key, ExpectedVersion::Any, events);
        store.append(commit).await.expect("it is stored");
        at += count;
    }
}

async fn all(store: &MemoryEventStore) -> Vec<StoredEvent> {
    let events = store.read_all(Position::START);
    events.try_collect().await.expect("the store is whole")
}

fn write_cids(events: &[StoredEvent], directory: &Directory) {
    let hex = |byte: u8| format!("{byte:02x}");
    let line = |event: &StoredEvent| -> String {
        event
            .cid
            .to_bytes()
            .into_iter()
            .map(hex)
            .collect::<String>()
            + "\n"
    };
    directory.write("cids", events.iter().map(line).collect::<String>());
}

fn log_key() -> SigningKey {
    SigningKey::parse(ORIGIN, LOG_PEM).expect("it is a key")
}

fn witness_key() -> SigningKey {
    let key = SigningKey::parse(WITNESS, WITNESS_PEM).expect("it is a key");
    key.for_witness()
}

#[tokio::test]
async fn a_second_implementation_takes_our_checkpoints_proofs_cosignatures_and_tiles() {
    let directory = Directory::new("ours");
    let store = MemoryEventStore::new();
    let tiles = Tiles::in_directory(directory.0.join("tiles"));
    let log = CheckpointLog::new(store.clone(), ORIGIN, tiles);
    let key = log_key();
    let trust = Trust::new([key.verifying_key()]);

    fill(&store, 0, SIZES.0).await;
    let old = log
        .checkpoint(&key, Reading::New)
        .await
        .expect("it is made");
    fill(&store, SIZES.0, SIZES.1).await;
    let new = log
        .checkpoint(&key, Reading::New)
        .await
        .expect("it is made");

    let witness = Witness::new(witness_key(), trust.clone()).expect("it is that of a witness");
    let seen = old.verify(&trust).expect("it is ours");
    let offered = log
        .prove_consistency(&seen, &new)
        .await
        .expect("it goes on");
    let time = Timestamp::from_micros(1_767_000_000_000_000);
    let new = witness
        .cosign(Some(&seen), &offered, time)
        .expect("it goes on");

    let events = all(&store).await;
    write_cids(&events, &directory);
    directory.write("log.vkey", key.verifying_key());
    directory.write("witness.vkey", witness_key().verifying_key());
    directory.write("old", &old);
    directory.write("new", &new);
    let continuation = log
        .prove_consistency(&seen, &new)
        .await
        .expect("it goes on");
    directory.write("continuation", continuation);
    for index in (0..events.len()).step_by(3_001) {
        let proof = log
            .prove(&events[index].cid, &new)
            .await
            .expect("it is among them");
        directory.write(&format!("{index}.tlog-proof"), proof);
    }
    other("check", &directory);

    // What is not so is refused there: the check is one.
    let text = directory.read("continuation").replace("old 300", "old 301");
    directory.write("continuation", text);
    let refused = std::panic::catch_unwind(|| other("check", &directory));
    assert!(refused.is_err());
}

#[tokio::test]
async fn we_take_the_checkpoints_proofs_cosignatures_and_tiles_of_a_second_implementation() {
    let directory = Directory::new("theirs");
    let store = MemoryEventStore::new();
    fill(&store, 0, 1_500).await;
    let events = all(&store).await;
    write_cids(&events, &directory);
    directory.write("log.pem", LOG_PEM);
    directory.write("witness.pem", WITNESS_PEM);
    other("make", &directory);

    assert_eq!(
        directory.read("log.vkey"),
        log_key().verifying_key().to_string()
    );
    let keys = format!(
        "{}\n{}\n",
        directory.read("log.vkey"),
        directory.read("witness.vkey")
    );
    let trust = Trust::parse(&keys).expect("they are keys").quorum(1);
    let signed = |name| {
        directory
            .read(name)
            .parse::<SignedCheckpoint>()
            .expect("it is one")
    };
    let old = signed("old")
        .verify(&trust)
        .expect("it is signed and cosigned");
    let new = signed("new")
        .verify(&trust)
        .expect("it is signed and cosigned");
    let proof: ConsistencyProof = directory
        .read("continuation")
        .parse()
        .expect("it is a proof");
    assert_eq!(proof.verify(&old, &trust), Ok(new.clone()));
    for index in (0..events.len()).step_by(37) {
        let proof = directory.read(&format!("{index}.tlog-proof"));
        let proof: InclusionProof = proof.parse().expect("it is a proof");
        assert_eq!(proof.verify(&events[index].cid, &trust), Ok(new.clone()));
        assert!(proof.verify(&events[index + 1].cid, &trust).is_err());
    }

    // The log goes on from the hashes and the checkpoint that they left.
    let tiles = Tiles::in_directory(directory.0.join("tiles"));
    let log = CheckpointLog::new(store.clone(), ORIGIN, tiles);
    log.audit(&new).await.expect("the store has these events");
    let proof = log
        .prove(&events[777].cid, &signed("new"))
        .await
        .expect("it is among them");
    assert_eq!(proof.verify(&events[777].cid, &trust), Ok(new.clone()));
    fill(&store, 1_500, 1_600).await;
    let next = log
        .checkpoint(&log_key(), Reading::New)
        .await
        .expect("it goes on");
    assert_eq!(next.unverified().size(), 1_600);
    let proof = log
        .prove_consistency(&new, &next)
        .await
        .expect("it goes on");
    let without_witness = Trust::new([log_key().verifying_key()]);
    assert!(proof.verify(&new, &without_witness).is_ok());
}

#[test]
fn the_seed_of_every_kind_of_nkey_that_signs_is_the_key_that_nats_knows() {
    let kinds = [
        nkeys::KeyPairType::User,
        nkeys::KeyPairType::Account,
        nkeys::KeyPairType::Operator,
        nkeys::KeyPairType::Server,
        nkeys::KeyPairType::Cluster,
        nkeys::KeyPairType::Module,
        nkeys::KeyPairType::Service,
    ];
    for kind in kinds {
        let pair = nkeys::KeyPair::new(kind);
        let seed = pair.seed().expect("it has one");
        let key = SigningKey::parse(ORIGIN, &seed).expect("it is the seed of a key that signs");
        // The public text of both holds the same 32 bytes.
        let text = key.verifying_key().to_string();
        let ours = text
            .splitn(3, '+')
            .nth(2)
            .expect("a verifier key has three parts");
        let ours = STANDARD.decode(ours).expect("it is base64");
        let theirs = base32(&pair.public_key());
        assert_eq!(
            ours[1..],
            theirs[1..33],
            "the kind of {}",
            pair.public_key()
        );
    }
}

/// The bytes of base32 without padding.
fn base32(text: &str) -> Vec<u8> {
    let digit = |it: u8| {
        u64::from(if it >= b'A' {
            it - b'A'
        } else {
            it - b'2' + 26
        })
    };
    let of_group = |group: &[u8]| {
        let bits = group.iter().fold(0, |bits, it| bits << 5 | digit(*it));
        bits.to_be_bytes()[3..].to_vec()
    };
    text.as_bytes().chunks_exact(8).flat_map(of_group).collect()
}
