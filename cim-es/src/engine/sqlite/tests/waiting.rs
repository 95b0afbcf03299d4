//! What is done for whom.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// A store whose only reading thread waits until it is let go.
fn held(path: &Path) -> (SqliteEventStore, impl FnOnce() + use<>) {
    let store = SqliteEventStore::options().readers(1).open(path);
    let store = store.expect("it opens");
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let (begun, begins) = std::sync::mpsc::channel();
    let holds = store.clone();
    let holding = std::thread::spawn(move || {
        wait(holds.shared.readers.read(move |_| {
            begun.send(()).expect("the test waits");
            // An error as well means that it is let go.
            let _ = gone.recv();
            Ok(())
        }))
    });
    begins.recv().expect("the thread begins");
    let let_go = move || {
        drop(go);
        let held = holding.join().expect("no panic");
        held.expect("it is answered");
    };
    (store, let_go)
}

fn poll_once<T>(future: Pin<&mut (impl Future<Output = T> + ?Sized)>) {
    let mut context = Context::from_waker(Waker::noop());
    assert!(future.poll(&mut context).is_pending(), "it waits");
}

#[test]
fn a_transaction_that_nobody_waits_for_is_not_left_open() {
    let directory = Directory::new();
    let store = SqliteEventStore::open(directory.0.join("left.db")).expect("it opens");
    let used = store.shared.readers.run(|database: &mut Database| {
        let (waits, wanted) = wanted::waiting();
        drop(waits);
        // SQLite looks whether somebody waits once in many statements.
        for _ in 0..1_000 {
            database.current.set(Some(wanted.clone()));
            let _ = database.look(|_| Ok(()));
            let _ = database.read(|_| Ok::<_, StoreError>(()));
            assert!(database.connection.is_autocommit());
        }
        database.current.set(None);
        database.read(|_| Ok::<_, StoreError>(()))
    });
    wait(used).expect("it reads");
}

#[test]
fn a_read_that_nobody_waits_for_is_not_done() {
    let directory = Directory::new();
    let (store, let_go) = held(&directory.0.join("abandoned.db"));
    let done = Arc::new(AtomicUsize::new(0));
    let mut waiting = Vec::new();
    // More than the queue takes.
    for _ in 0..1_000 {
        let (readers, counted) = (&store.shared.readers, done.clone());
        let mut read = Box::pin(readers.read(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }));
        poll_once(read.as_mut());
        waiting.push(read);
    }
    assert_eq!(waiting.len(), 1_000);
    let last = waiting.remove(17);
    drop(waiting);
    let_go();
    wait(last).expect("it reads");
    assert_eq!(done.load(Ordering::Relaxed), 1);
}

#[test]
fn a_read_that_goes_on_for_ever_ends_when_nobody_waits_for_it() {
    let directory = Directory::new();
    let store = SqliteEventStore::open(directory.0.join("long.db")).expect("it opens");
    let endless = |database: &database::Database| {
        let sql = "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c";
        database.first("counting", sql, (), |row| row.get::<_, i64>(0))
    };
    let steps = |database: &database::Database| loop {
        database.data_version()?;
    };
    let mut one = Box::pin(store.shared.readers.read(endless));
    let mut other = Box::pin(store.shared.readers.read::<()>(steps));
    poll_once(one.as_mut());
    poll_once(other.as_mut());
    std::thread::sleep(std::time::Duration::from_millis(50));
    drop((one, other));
    // Waits for the threads.
    drop(store);
}

#[test]
fn long_work_on_the_processor_is_done_on_another_thread() {
    let aside = aside::Aside::new();
    let thread = || std::thread::current().id();
    let here = thread();
    assert_eq!(wait(aside.run(1_000, thread)).expect("it is done"), here);
    assert_ne!(
        wait(aside.run(1_000_000, thread)).expect("it is done"),
        here
    );
}
