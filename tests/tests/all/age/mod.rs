//! Encrypted files that a second implementation reads, and that are read as it wrote them (pyrage, in Python).

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cim_es::MemoryEventStore;
use cim_es::age::{AgeReader, AgeWriter, Identity};
use cim_es::bundle::{Export, Import};
use cim_es::message::{MessageIdentity, Timestamp};
use cim_es::store::{AggregateKey, CommitRequest, EventStore, ExpectedVersion, NewEvent};
use cim_es::subject::Token;

/// The lengths at which a file of chunks of 64 KiB could be another one.
const LENGTHS: [usize; 6] = [0, 1, 65_535, 65_536, 65_537, 200_000];

/// A directory that is gone with the value.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("cim-es-age-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory for the test");
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What remains is in the directory for temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Lets the other implementation do its part; what it says is part of the failure.
fn other(task: &str, directory: &Directory) {
    let root = env!("CARGO_MANIFEST_DIR");
    let found = Command::new("python3")
        .args([&format!("{root}/find-wheels"), "age"])
        .stderr(Stdio::inherit())
        .output()
        .expect("python3 runs");
    assert!(found.status.success(), "find-wheels found no pyrage");
    let answer = Command::new("python3")
        .args([&format!("{root}/tests/all/age/other.py"), task])
        .arg(&directory.0)
        .env("PYTHONPATH", String::from_utf8_lossy(&found.stdout).trim())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("python3 runs");
    let said = String::from_utf8_lossy(&answer.stderr);
    assert!(answer.status.success(), "{task}: {said}");
}

/// An identity in `ours.identity`, and its recipient beside it.
fn ours(directory: &Directory) -> Identity {
    let identity = Identity::create(directory.file("ours.identity")).expect("it is made");
    let recipient = identity.recipient().to_string();
    fs::write(directory.file("ours.recipient"), recipient).expect("it can be written");
    identity
}

fn decrypted(file: &Path, identities: &[Identity]) -> Vec<u8> {
    let file = File::open(file).expect("it was made");
    let mut inside = Vec::new();
    let mut reader = AgeReader::new(file, identities).expect("it is for us");
    reader.read_to_end(&mut inside).expect("it is whole");
    inside
}

#[test]
fn encrypted_files_are_read_by_another_implementation_and_its_files_by_ours() {
    let directory = Directory::new("files");
    let ours = ours(&directory);
    let stranger = Identity::generate().expect("random bytes").recipient();
    for length in LENGTHS {
        let inside: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        fs::write(directory.file(&format!("plain-{length}")), &inside).expect("it is written");
        let file = File::create(directory.file(&format!("ours-{length}.age")));
        let recipients = [stranger, ours.recipient()];
        let mut file = AgeWriter::new(file.expect("a file"), &recipients).expect("it begins");
        file.write_all(&inside).expect("it is written");
        file.finish().expect("it is ended");
    }
    other("read", &directory);
    other("write", &directory);
    let theirs = Identity::read(directory.file("theirs.identity")).expect("it is one");
    for length in LENGTHS {
        let inside = fs::read(directory.file(&format!("plain-{length}"))).expect("it is there");
        let file = directory.file(&format!("theirs-{length}.age"));
        for identities in [&theirs[..], std::slice::from_ref(&ours)] {
            assert!(decrypted(&file, identities) == inside, "{length} bytes");
        }
    }
}

#[tokio::test]
async fn a_bundle_that_another_implementation_encrypted_is_imported_and_the_other_way_round() {
    let directory = Directory::new("bundles");
    let ours = ours(&directory);
    let store = MemoryEventStore::new();
    let key = AggregateKey::new("library.book", Token::new("b1").expect("a token"));
    let event = || NewEvent::from_payload("library.book.lent", 1, vec![0xa0]);
    let commit = CommitRequest::new(
        MessageIdentity::new_from_user("test"),
        Timestamp::from_micros(1),
    );
    let events = (0..1_000).map(|_| event()).collect();
    let commit = commit.aggregate(key, ExpectedVersion::NoStream, events);
    store.append(commit).await.expect("it is stored");
    let export = || Export::new(store.clone()).created(Timestamp::from_micros(2));
    let plain = directory.file("plain-bundle");
    export().bundle_to(&plain).await.expect("it is exported");
    let file = directory.file("ours-bundle.age");
    let encrypting = export().encrypted_to([ours.recipient()]);
    encrypting.bundle_to(&file).await.expect("it is exported");
    other("read", &directory);
    other("write", &directory);
    let import = Import::bundle(directory.file("theirs-bundle.age")).decrypted_with([ours]);
    let into = MemoryEventStore::new();
    let imported = import.into_store(&into).await.expect("it is whole");
    assert_eq!(imported.stored, 1_000);
}
