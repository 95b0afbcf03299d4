//! What an import takes of memory does not grow with the file.

use std::path::Path;

use cim_es::bundle::Import;
use cim_es::store::EventStore;
use cim_es::{MemoryEventStore, SqliteEventStore};

use super::{exporting, filled};
use crate::sqlite_support::{Directory, child, is_long, large, run};

/// The bytes of an event: a batch of what is read ahead holds several.
const EVENT: u32 = 100_000;
/// By how many KiB one import may differ from another by chance, and by how far its packs were filled; far less than the
/// bytes by which the files differ.
const SLACK: u64 = 40 * 1024;

/// The most memory, in KiB, that a child took to import so many events.
async fn peak(events: usize) -> u64 {
    let directory = Directory::new();
    let file = directory.file("store.db");
    let store = MemoryEventStore::new();
    for number in 0..events {
        let commit = filled(&format!("n{}", number % 7), large(EVENT));
        store.append(commit).await.expect("it is stored");
    }
    let export = exporting(&store).bundle_to(file.with_extension("car"));
    export.await.expect("it is exported");
    drop(store);
    tokio::task::block_in_place(|| {
        let test = "a_child_imports_and_tells_its_memory";
        child::told_memory(module_path!(), test, &file, events as u64)
    })
}

#[test]
fn an_import_of_a_larger_file_takes_no_more_memory() {
    // More than all that is read ahead and on its way.
    let (small, large) = if is_long() {
        (1_000, 8_000)
    } else {
        (700, 1_400)
    };
    run(async move {
        let (of_small, of_large) = (peak(small).await, peak(large).await);
        eprintln!("{small} events took {of_small} KiB, {large} took {of_large} KiB");
        assert!(
            of_large < of_small + SLACK,
            "{small} events took {of_small} KiB, {large} took {of_large} KiB"
        );
    });
}

#[test]
fn a_child_imports_and_tells_its_memory() {
    let Some(file) = child::file() else { return };
    let stored = run(import(file));
    assert_eq!(stored, child::number());
    child::tell(&child::most_memory().to_string());
}

async fn import(file: impl AsRef<Path>) -> u64 {
    let file = file.as_ref();
    let store = SqliteEventStore::open(file).expect("the file opens");
    let import = Import::bundle(file.with_extension("car"));
    let imported = import.into_store(&store).await.expect("it is imported");
    store.close().await;
    imported.stored
}
