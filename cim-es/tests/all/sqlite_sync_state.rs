//! What a file knows of a stream stands in a table of its own, made when it is first needed, and checked like the rest.

use cim_es::store::{EventStore, StateChange, StoreError, SyncState};
use cim_es::{ErrorChain, SqliteEventStore};
use rusqlite::Connection;

use crate::sqlite_support::{Directory, any, damages, note, run, version};

/// A file with an event and a value, closed.
async fn filled(directory: &Directory) -> std::path::PathBuf {
    let path = directory.file("events.db");
    let store = SqliteEventStore::open(&path).expect("the file opens");
    store.append(any("a", vec![note(1)])).await.unwrap();
    assert_eq!(store.get_state("up").await.unwrap(), None);
    assert_eq!(version(&path), 3, "asking makes no table");
    let change = StateChange::put("up", vec![0x01]);
    store.change_state(vec![change]).await.unwrap();
    store.append(any("a", vec![note(2)])).await.unwrap();
    store.close().await;
    path
}

#[test]
fn a_file_gets_its_table_and_its_version_when_something_is_first_known() {
    let directory = Directory::new();
    run(async {
        let path = filled(&directory).await;
        assert_eq!(version(&path), 5);
        let store = SqliteEventStore::open(&path).expect("the file opens");
        let kept = store.get_state("up").await.unwrap();
        assert_eq!(kept.as_deref(), Some(&[0x01][..]));
        assert_eq!(store.check().await.unwrap().events, 2);
        assert_eq!(damages(store).await, Vec::<String>::new());
    });
}

#[test]
fn a_value_that_was_changed_is_an_error_and_a_finding() {
    let directory = Directory::new();
    run(async {
        let path = filled(&directory).await;
        let file = Connection::open(&path).expect("it opens");
        file.execute("UPDATE sync_state SET value = x'02'", ())
            .unwrap();
        drop(file);
        let store = SqliteEventStore::open(&path).expect("the file opens");
        for error in [
            store.get_state("up").await.unwrap_err(),
            store.list_state("").await.unwrap_err(),
            store.check().await.unwrap_err(),
        ] {
            assert!(matches!(error, StoreError::Damaged(_)), "{error:?}");
            let said = ErrorChain(&error).to_string();
            assert!(said.contains("`up`"), "{said}");
        }
        let told = damages(store).await;
        assert_eq!(told.len(), 1, "{told:?}");
    });
}
