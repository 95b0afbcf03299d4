//! What stands beside the objects of a file has a table of its own, made with the first object, and checked like the rest.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use cim_es::block::{Cid, HashCode};
use cim_es::store::{ContentType, EventStore, ObjectStore, StoreError};
use cim_es::{ErrorChain, SqliteEventStore};
use rusqlite::Connection;

use crate::sqlite_support::{Directory, any, damages, note, run, version};

const PICTURE: ContentType = ContentType::DAG_CBOR;

fn change(path: &Path, sql: &str) {
    let file = Connection::open(path).expect("it opens");
    file.execute_batch(sql).expect("it changes");
}

fn object(number: u8) -> Bytes {
    Bytes::from(vec![0x81, number])
}

fn cid(number: u8) -> Cid {
    HashCode::default().cid(&object(number))
}

/// A file with an event and three objects, closed.
async fn filled(directory: &Directory) -> PathBuf {
    let path = directory.file("events.db");
    let store = SqliteEventStore::open(&path).expect("the file opens");
    store.append(any("a", vec![note(1)])).await.unwrap();
    assert_eq!(store.object_info(&cid(1)).await.unwrap(), None);
    assert_eq!(version(&path), 3, "asking makes no table");
    for number in 1..=3 {
        store.put_object_as(object(number), PICTURE).await.unwrap();
    }
    store.append(any("a", vec![note(2)])).await.unwrap();
    store.close().await;
    path
}

/// Makes of it what a release wrote that kept nothing beside objects.
fn age(path: &Path) {
    change(
        path,
        "DROP TABLE object_details; DROP TABLE epochs; DROP TABLE sync_state; DROP TABLE entries;
         DROP TABLE documents; DROP TABLE views; PRAGMA user_version = 3;",
    );
}

#[test]
fn a_file_gets_its_table_and_its_version_with_the_first_object() {
    let directory = Directory::new();
    run(async {
        let path = filled(&directory).await;
        assert_eq!(version(&path), 7);
        let store = SqliteEventStore::open(&path).expect("the file opens");
        assert_eq!(store.check().await.unwrap().objects, 3);
        assert_eq!(damages(store).await, Vec::<String>::new());
    });
}

#[test]
fn objects_of_an_earlier_release_are_there_without_a_type_and_a_time() {
    let directory = Directory::new();
    run(async {
        let path = filled(&directory).await;
        age(&path);
        let store = SqliteEventStore::open(&path).expect("the file opens");
        for is_brought_up in [false, true] {
            if is_brought_up {
                store.put_object_as(object(4), PICTURE).await.unwrap();
                // It was there before, and nothing more is known of it.
                store.put_object_as(object(2), PICTURE).await.unwrap();
            }
            assert_eq!(version(&path), if is_brought_up { 7 } else { 3 });
            let listed = store.objects(0, 10).await.unwrap();
            assert_eq!(listed.len(), 3 + usize::from(is_brought_up));
            for (entry, number) in listed.into_iter().zip(1..) {
                let info = store.object_info(&cid(number)).await.unwrap();
                let info = info.expect("it is there");
                assert_eq!(entry.info, info);
                assert_eq!((info.cid, info.size), (cid(number), 2));
                let is_known = (info.content_type.is_some(), info.stored_at.is_some());
                assert_eq!(is_known, (number == 4, number == 4), "object {number}");
            }
        }
        let listed = store.objects(1, 1).await.unwrap();
        assert_eq!((listed[0].info.cid, listed.len()), (cid(2), 1));
        assert_eq!(store.check().await.unwrap().objects, 4);
        assert_eq!(damages(store).await, Vec::<String>::new());
    });
}

#[test]
fn a_file_of_an_earlier_release_that_may_not_be_written_is_read_as_it_is() {
    let directory = Directory::new();
    run(async {
        let path = filled(&directory).await;
        age(&path);
        let store = SqliteEventStore::options().read_only().open(&path);
        let store = store.expect("the file opens");
        let info = store.object_info(&cid(1)).await.unwrap();
        assert_eq!(
            info.map(|info| (info.size, info.content_type)),
            Some((2, None))
        );
        assert_eq!(store.check().await.unwrap().objects, 3);
    });
}

#[test]
fn details_that_were_changed_are_an_error_and_a_finding_and_the_object_reads() {
    for sql in [
        "UPDATE object_details SET content_type = 'text/plain' WHERE number = 2",
        "UPDATE object_details SET content_type = NULL WHERE number = 2",
        "UPDATE object_details SET content_type = 'nothing' WHERE number = 2",
        "UPDATE object_details SET stored_at = stored_at + 1 WHERE number = 2",
        "UPDATE object_details SET stored_at = NULL WHERE number = 2",
        "UPDATE object_details SET size = 3 WHERE number = 2",
        "UPDATE object_details SET digest = x'00' WHERE number = 2",
        "DELETE FROM object_details WHERE number = 2",
    ] {
        let directory = Directory::new();
        run(async {
            let path = filled(&directory).await;
            change(&path, sql);
            let store = SqliteEventStore::open(&path).expect("the file opens");
            for error in [
                store.object_info(&cid(2)).await.expect_err(sql),
                store.objects(0, 10).await.expect_err(sql),
                store.check().await.expect_err(sql),
            ] {
                assert!(matches!(error, StoreError::Damaged(_)), "{sql}: {error:?}");
                let said = ErrorChain(&error).to_string();
                assert!(said.contains(&cid(2).to_string()), "{sql}: {said}");
            }
            let kept = store.get_object(&cid(2)).await.unwrap();
            assert_eq!(kept, Some(object(2)), "{sql}");
            assert!(store.object_info(&cid(3)).await.unwrap().is_some(), "{sql}");
            let told = damages(store).await;
            assert_eq!(told.len(), 1, "{sql}: {told:?}");
        });
    }
}

#[test]
fn details_of_two_objects_that_changed_places_are_found() {
    let directory = Directory::new();
    run(async {
        let path = filled(&directory).await;
        change(
            &path,
            "UPDATE object_details SET number = -1 WHERE number = 1;
             UPDATE object_details SET number = 1 WHERE number = 2;
             UPDATE object_details SET number = 2 WHERE number = -1;",
        );
        let store = SqliteEventStore::open(&path).expect("the file opens");
        let swapped = store.object_info(&cid(1)).await;
        assert!(
            matches!(swapped, Err(StoreError::Damaged(_))),
            "{swapped:?}"
        );
        assert_eq!(damages(store).await.len(), 2);
    });
}

#[test]
fn details_without_an_object_are_a_finding() {
    let directory = Directory::new();
    run(async {
        let path = filled(&directory).await;
        change(&path, "DELETE FROM objects WHERE number = 2");
        let store = SqliteEventStore::open(&path).expect("the file opens");
        let refused = store.check().await;
        assert!(
            matches!(refused, Err(StoreError::Damaged(_))),
            "{refused:?}"
        );
        let told = damages(store).await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("details of object 2"), "{told:?}");
    });
}
