//! What a file has that its stream has not, and what diverged. Another file stands for the stream.

use std::path::Path;
use std::sync::Arc;

use cim_es::hybrid::{HybridOptions, Protocol, RemoteStore};
use cim_es::store::{AggregateKey, EventStore, SealOptions};
use cim_es::{MemoryEventStore, SqliteEventStore};
use serde_json::json;

use super::support::{Directory, about, append, event, lines, run};

/// A file and a stream that went on from one event of a book, and a reader that the stream does not have.
pub async fn apart(field: &Path, there: impl RemoteStore + Clone) {
    let book = ("library.book", "7");
    let file = SqliteEventStore::open(field).unwrap();
    let remote: Arc<dyn RemoteStore> = Arc::new(there.clone());
    append(&there, 1, book, vec![event("book.acquired", "Emma")]).await;
    let options = HybridOptions::new();
    let protocol = Protocol::open(Arc::new(file.clone()), options)
        .await
        .unwrap();
    protocol.level(&remote).await.unwrap();
    append(&there, 2, book, vec![event("book.lent", "Ann")]).await;
    append(&file, 3, book, vec![event("book.lent", "Ben")]).await;
    protocol.level(&remote).await.unwrap();
    let reader = ("library.reader", "1");
    append(&file, 4, reader, vec![event("reader.registered", "Ben")]).await;
    file.close().await;
}

#[test]
fn the_queue_of_a_file_is_told_and_a_divergence_ends_with_the_streams_history() {
    let directory = Directory::new();
    let (field, stream) = (directory.file("field.db"), directory.file("stream.db"));
    run(async {
        let there = SqliteEventStore::open(&stream).unwrap();
        apart(&field, there.clone()).await;
        there.close().await;
    });
    let told = lines(&about(&field, &["--json", "queue"]));
    assert_eq!(told[0]["queue_size"], json!(2));
    let diverged = &told[0]["divergences"][0];
    assert_eq!(
        diverged["aggregate"],
        json!({"kind": "library.book", "id": "7"})
    );
    assert_eq!(diverged["common_version"], json!(1));
    assert_eq!(diverged["ours"][0]["type"], json!("library.book.lent"));
    assert_eq!(diverged["theirs"][0]["version"], json!(2));
    let shown = about(&field, &["queue"]);
    assert!(
        shown.out.contains("2 events are queued") && shown.out.contains("library.book 7 diverged"),
        "{shown:?}"
    );
    let from = stream.to_str().expect("a path");
    let none = about(
        &field,
        &[
            "queue",
            "--keep-theirs",
            "library.book",
            "8",
            "--from",
            from,
        ],
    );
    assert_eq!(none.code, 2, "{none:?}");
    let ended = about(
        &field,
        &[
            "queue",
            "--keep-theirs",
            "library.book",
            "7",
            "--from",
            from,
        ],
    );
    assert_eq!(ended.code, 0, "{ended:?}");
    let told = lines(&about(&field, &["--json", "queue"]));
    assert_eq!(
        (&told[0]["queue_size"], &told[0]["divergences"]),
        (&json!(1), &json!([]))
    );
    run(async {
        let [file, there] = [&field, &stream].map(|path| SqliteEventStore::open(path).unwrap());
        let key = AggregateKey::new("library.book", cim_es::aggregate::IdText::new("7").unwrap());
        let [ours, theirs] = [file.last(&key).await, there.last(&key).await];
        assert_eq!(ours.unwrap().unwrap().cid, theirs.unwrap().unwrap().cid);
    });
}

#[test]
fn a_file_without_a_stream_has_all_its_events_queued_and_is_left_as_it_is() {
    let directory = Directory::new();
    let path = super::support::file(&directory);
    let before = std::fs::read(&path).unwrap();
    let told = lines(&about(&path, &["--json", "queue"]));
    assert!(told[0]["queue_size"].as_u64() > Some(0), "{told:?}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let needs = about(&path, &["queue", "--keep-theirs", "library.book", "7"]);
    assert_eq!(needs.code, 2, "the stream is to be named: {needs:?}");
}

/// A file with a commit that is too large for some streams.
pub fn too_large(field: &Path) {
    run(async {
        let file = SqliteEventStore::open(field).unwrap();
        let book = ("library.book", "7");
        append(&file, 1, book, vec![event("book.acquired", "Emma")]).await;
        append(&file, 2, book, vec![event("book.lent", &"Ann".repeat(50))]).await;
        file.close().await;
    });
}

/// Brings the file to a stream that takes nothing large.
pub fn brought(field: &Path) {
    run(async {
        let file = SqliteEventStore::open(field).unwrap();
        let narrow = MemoryEventStore::with_options(SealOptions {
            max_payload: 64,
            ..SealOptions::default()
        });
        let narrow: Arc<dyn RemoteStore> = Arc::new(narrow);
        let protocol = Protocol::open(Arc::new(file.clone()), HybridOptions::new());
        protocol.await.unwrap().level(&narrow).await.unwrap();
        file.close().await;
    });
}

#[test]
fn what_was_parked_is_sent_again_or_given_up() {
    let directory = Directory::new();
    let field = directory.file("field.db");
    too_large(&field);
    brought(&field);
    let parked = || lines(&about(&field, &["--json", "queue"])).remove(0);
    assert_eq!(parked()["parked"][0]["position"], json!(2));
    let nothing = about(&field, &["queue", "--resend", "99"]);
    assert_eq!(nothing.code, 2, "{nothing:?}");
    assert!(
        nothing.err.contains("99") && nothing.err.contains("cim-es queue"),
        "{nothing:?}"
    );
    let unsaid = about(&field, &["queue", "--discard", "2"]);
    assert_eq!(unsaid.code, 2, "a reason is to be given: {unsaid:?}");
    assert_eq!(parked()["parked"][0]["position"], json!(2));
    // Not past a program that has the queue in mind; it is told all the same.
    run(async {
        let file = SqliteEventStore::open(&field).unwrap();
        let protocol = Protocol::open(Arc::new(file.clone()), HybridOptions::new());
        let protocol = protocol.await.unwrap();
        protocol.claim().await.unwrap();
        for decided in [
            vec!["queue", "--resend", "2"],
            vec!["queue", "--discard", "2", "--reason", "too large"],
        ] {
            let refused = about(&field, &decided);
            assert_ne!(refused.code, 0, "{refused:?}");
            assert!(
                refused.err.contains("another program") && refused.err.contains("end that program"),
                "{refused:?}"
            );
        }
        assert_eq!(parked()["parked"][0]["position"], json!(2));
        drop(protocol);
        file.close().await;
    });
    let resent = about(&field, &["queue", "--resend", "2"]);
    assert_eq!(resent.code, 0, "{resent:?}");
    assert_eq!(
        (&parked()["parked"], &parked()["queue_size"]),
        (&json!([]), &json!(1))
    );
    brought(&field);
    let discarded = about(
        &field,
        &["queue", "--discard", "2", "--reason", "too large"],
    );
    assert_eq!(discarded.code, 0, "{discarded:?}");
    let told = parked();
    assert_eq!(told["parked"], json!([]));
    assert_eq!(told["divergences"][0]["aggregate"]["id"], json!("7"));
}
