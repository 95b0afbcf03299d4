//! An import and an export that are killed, again and again: the store has whole commits, and in the end all of them.

use std::path::{Path, PathBuf};

use cim_es::SqliteEventStore;
use cim_es::bundle::{Export, Import};
use cim_es::store::{EventStore, SealedCommit};

use super::{CREATED, cids, commit, events, import};
use crate::sqlite_support::{Directory, child, is_long, run};

/// The file that a bundle beside a store has.
fn bundle_of(store: &Path) -> PathBuf {
    store.with_extension("car")
}

async fn many(directory: &Directory, commits: usize) -> cim_es::MemoryEventStore {
    let store = cim_es::MemoryEventStore::new();
    for number in 0..commits {
        let ids = [0, 1].map(|it| format!("n{}", (number + it) % 7));
        commit(&store, &[(&ids[0], 1 + number % 3), (&ids[1], 1)]).await;
    }
    let file = bundle_of(&directory.file("store.db"));
    Export::new(store.clone())
        .bundle_to(file)
        .await
        .expect("it is exported");
    store
}

#[test]
fn an_import_that_is_killed_goes_on_when_it_is_repeated() {
    let kills = if is_long() { 200 } else { 30 };
    run(async move {
        let directory = Directory::new();
        let file = directory.file("store.db");
        let store = many(&directory, 3_000).await;
        let all = cids(&store).await;
        let mut stored_before = 0;
        let mut died_between = 0;
        let mut starts = 0;
        // A child that came to the end is followed by one that begins anew.
        child::kill_each(
            (module_path!(), "a_child_imports_until_it_is_killed"),
            &file,
            kills,
            10..400,
            || {
                let has = tokio::task::block_in_place(|| run_apart(&file));
                assert!(all.starts_with(&has), "it has what is not in the bundle");
                if has.len() < stored_before {
                    starts += 1;
                }
                died_between += usize::from(!has.is_empty() && has.len() < all.len());
                stored_before = has.len();
                if has.len() == all.len() {
                    for name in ["store.db", "store.db-wal", "store.db-shm"] {
                        let _ = std::fs::remove_file(directory.file(name));
                    }
                }
            },
        );
        let other = SqliteEventStore::open(&file).expect("the file opens");
        import(&bundle_of(&file), &other)
            .await
            .expect("it is imported");
        assert_eq!(cids(&other).await, all);
        eprintln!("{kills} kills, {died_between} of them within the import, {starts} new starts");
    });
}

/// What a file has, every commit of it whole.
fn run_apart(file: &Path) -> Vec<String> {
    if !file.exists() {
        return Vec::new();
    }
    std::thread::scope(|scope| {
        let read = scope.spawn(|| {
            run(async {
                let store = SqliteEventStore::open(file).expect("the file opens");
                let events = events(&store).await;
                SealedCommit::split(&events).expect("every commit is whole");
                cids(&store).await
            })
        });
        read.join().expect("it reads")
    })
}

#[test]
fn a_child_imports_until_it_is_killed() {
    let Some(file) = child::file() else { return };
    run(async {
        let store = SqliteEventStore::open(&file).expect("the file opens");
        let import = Import::bundle(bundle_of(&file));
        import.into_store(&store).await.expect("it is imported");
        // Until it is killed.
        std::future::pending::<()>().await;
    });
}

#[test]
fn an_export_that_is_killed_leaves_the_file_that_was_there() {
    let kills = if is_long() { 200 } else { 30 };
    let directory = Directory::new();
    let file = directory.file("store.db");
    run(async {
        let store = SqliteEventStore::open(&file).expect("the file opens");
        for number in 0..40 {
            let name = format!("n{number}");
            commit(&store, &[(&name, 500)]).await;
        }
        export(&store, &bundle_of(&file)).await;
    });
    let before = std::fs::read(bundle_of(&file)).unwrap();
    let child = (module_path!(), "a_child_exports_until_it_is_killed");
    child::kill_each(child, &file, kills, 5..150, || {
        let now = std::fs::read(bundle_of(&file)).expect("it is there");
        assert!(now == before, "the file was changed");
    });
}

async fn export(store: &SqliteEventStore, file: &Path) {
    let export = Export::new(store.clone()).source("a test").created(CREATED);
    export.bundle_to(file).await.expect("it is exported");
}

#[test]
fn a_child_exports_until_it_is_killed() {
    let Some(file) = child::file() else { return };
    run(async {
        let store = SqliteEventStore::open(&file).expect("the file opens");
        loop {
            export(&store, &bundle_of(&file)).await;
            store.last_position().await.expect("the store answers");
        }
    });
}
