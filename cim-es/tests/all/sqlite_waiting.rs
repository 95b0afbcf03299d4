//! Who waits, who no longer does, and that nobody waits for ever.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use crate::sqlite_support::{Directory, any, collect, key, large, note, run};
use cim_es::SqliteEventStore;
use cim_es::store::{EventStore, EventStoreExt, ObjectStore, Position};
use futures_util::FutureExt;
use futures_util::future::join_all;
use rusqlite::Connection;

/// Long enough for everything that happens at all.
const EVER: Duration = Duration::from_secs(120);

/// Runs a test that must end.
fn ends(test: impl FnOnce() + Send + 'static) {
    let (ended, end) = channel();
    let tested = std::thread::spawn(move || {
        test();
        ended.send(()).expect("the test waits");
    });
    if end.recv_timeout(EVER) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
        panic!("it does not end");
    }
    tested.join().expect("no panic");
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits on this thread, as `block_on` of any simple executor does.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => std::thread::park(),
        }
    }
}

async fn ask_everything(store: &SqliteEventStore, number: u64) {
    store
        .append(any("a", vec![note(number)]))
        .await
        .expect("it appends");
    store
        .append(any("b", vec![large(300_000)]))
        .await
        .expect("it appends");
    store
        .put_object(vec![0; 300_000].into())
        .await
        .expect("it is kept");
    store.last(&key("a")).await.expect("it reads");
    store.get_events(&key("a"), number).await.expect("it reads");
    let all = collect(store.read_all(Position(2 * number))).await;
    assert_eq!(all.expect("it reads").len(), 2);
}

#[test]
fn waiting_by_another_executor_within_a_task_of_tokio_ends() {
    for workers in [0, 1, 2] {
        ends(move || {
            let mut builder = match workers {
                0 => tokio::runtime::Builder::new_current_thread(),
                _ => tokio::runtime::Builder::new_multi_thread(),
            };
            let runtime = builder.worker_threads(workers.max(1)).build();
            let directory = Directory::new();
            let store = SqliteEventStore::open(directory.file("store.db"));
            let store = store.expect("the file opens");
            runtime.expect("a runtime starts").block_on(async move {
                let task = tokio::spawn(async move {
                    // More often than a task may go on without giving way.
                    for number in 0..70 {
                        block_on(ask_everything(&store, number));
                    }
                });
                task.await.expect("no panic");
            });
        });
    }
}

#[test]
fn a_store_is_dropped_at_once_while_another_process_holds_the_file() {
    ends(|| {
        let directory = Directory::new();
        let path = directory.file("store.db");
        let store = SqliteEventStore::options()
            .busy_timeout(Duration::MAX)
            .open(&path)
            .expect("the file opens");
        let other = Connection::open(&path).expect("the file opens");
        other
            .execute_batch("BEGIN IMMEDIATE")
            .expect("the other writes");
        let answer = store.append(any("a", vec![note(1)])).now_or_never();
        assert!(answer.is_none(), "the other still writes: {answer:?}");
        drop(store);
        other.execute_batch("COMMIT").expect("it ends");
        let store = SqliteEventStore::open(&path).expect("the file opens");
        let events = run(store.get_events(&key("a"), 1)).expect("it reads");
        assert!(events.is_empty(), "nobody waited for it");
    });
}

#[test]
fn the_log_stays_short_under_reads_that_overlap() {
    const MIB: u64 = 1024 * 1024;
    let directory = Directory::new();
    let path = directory.file("store.db");
    let log = directory.file("store.db-wal");
    let store = SqliteEventStore::open(&path).expect("the file opens");
    run(store.append(any("a", vec![note(1)]))).expect("it appends");
    let stop = Arc::new(());
    let readers: Vec<_> = (0..3)
        .map(|number| {
            let (path, running) = (path.clone(), Arc::downgrade(&stop));
            std::thread::spawn(move || {
                let reader = Connection::open(path).expect("the file opens");
                std::thread::sleep(Duration::from_millis(5 * number));
                while running.strong_count() > 0 {
                    reader
                        .execute_batch("BEGIN; SELECT count(*) FROM types;")
                        .expect("it reads");
                    std::thread::sleep(Duration::from_millis(15));
                    reader.execute_batch("COMMIT").expect("it ends");
                }
            })
        })
        .collect();
    let mut longest = 0;
    for _ in 0..180 {
        run(store.append(any("a", vec![large(900_000)]))).expect("it appends");
        longest = longest.max(std::fs::metadata(&log).expect("the log is there").len());
    }
    drop(stop);
    for reader in readers {
        reader.join().expect("no panic");
    }
    assert!(longest < 110 * MIB, "the log grew to {} MiB", longest / MIB);
    // Nobody reads any more: the log begins anew, and is cut.
    for _ in 0..30 {
        run(store.append(any("a", vec![large(900_000)]))).expect("it appends");
    }
    let last = std::fs::metadata(&log).expect("the log is there").len();
    assert!(last < 32 * MIB, "the log stays at {} MiB", last / MIB);
}

#[test]
fn a_store_opens_with_settings_at_their_limits() {
    ends(|| {
        let options = SqliteEventStore::options;
        for (what, options) in [
            (
                "busy_timeout, longest",
                options().busy_timeout(Duration::MAX),
            ),
            (
                "busy_timeout, shortest",
                options().busy_timeout(Duration::ZERO),
            ),
            (
                "poll_interval, longest",
                options().poll_interval(Duration::MAX),
            ),
            (
                "poll_interval, shortest",
                options().poll_interval(Duration::ZERO),
            ),
            ("readers, most", options().readers(usize::MAX)),
            ("readers, least", options().readers(0)),
            ("max_file_bytes, most", options().max_file_bytes(u64::MAX)),
            (
                "check_on_open_up_to, most",
                options().check_on_open_up_to(u64::MAX),
            ),
            (
                "check_on_open_up_to, least",
                options().check_on_open_up_to(0),
            ),
            ("max_payload, most", options().max_payload(usize::MAX)),
        ] {
            let directory = Directory::new();
            let store = options.open(directory.file("store.db"));
            let store = store.unwrap_or_else(|error| panic!("{what}: {error}"));
            run(async {
                let mut stream = store.subscribe(Position::START);
                let appended = store.append(any("a", vec![note(1)])).await;
                appended.unwrap_or_else(|error| panic!("{what}: {error}"));
                let seen = futures_util::StreamExt::next(&mut stream).await;
                assert!(matches!(seen, Some(Ok(_))), "{what}: {seen:?}");
            });
        }
        let directory = Directory::new();
        let store = options().max_file_bytes(0).open(directory.file("store.db"));
        let store = store.expect("the file opens");
        let refused = run(store.append(any("a", vec![large(90_000)])));
        assert!(refused.is_err(), "{refused:?}");
    });
}

#[test]
fn while_another_process_holds_the_file_a_commit_that_is_alone_waits_in_line() {
    ends(|| {
        let directory = Directory::new();
        let path = directory.file("store.db");
        let store = SqliteEventStore::options()
            .longest_block(EVER)
            .busy_timeout(EVER)
            .open(&path)
            .expect("it opens");
        run(store.append(any("a", vec![note(1)]))).expect("it appends");
        let other = Connection::open(&path).expect("it opens");
        other.execute_batch("BEGIN IMMEDIATE").expect("it begins");
        run(async {
            let mut appending = pin!(store.append(any("a", vec![note(2)])));
            for _ in 0..20 {
                assert!(
                    appending.as_mut().now_or_never().is_none(),
                    "nothing can be stored"
                );
                tokio::task::yield_now().await;
            }
            other.execute_batch("ROLLBACK").expect("it ends");
            let stored = appending.await.expect("it appends");
            assert_eq!(stored[0].envelope.sequence, 2);
        });
    });
}

#[test]
fn writers_on_one_thread_share_transactions() {
    const WRITERS: u64 = 64;
    const COMMITS: u64 = 15;
    ends(|| {
        let directory = Directory::new();
        let path = directory.file("store.db");
        let store = SqliteEventStore::options()
            .longest_block(EVER)
            .open(&path)
            .expect("it opens");
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let local = async {
            let write = |writer: u64, numbers: std::ops::Range<u64>| {
                let store = &store;
                async move {
                    for number in numbers {
                        let commit = any(format!("writer{writer}"), vec![note(number)]);
                        store.append(commit).await.expect("it appends");
                    }
                }
            };
            // What is known of an aggregate lets a commit on it be stored at once.
            for writer in 0..WRITERS {
                write(writer, 0..1).await;
            }
            join_all((0..WRITERS).map(|writer| write(writer, 1..COMMITS))).await;
        };
        runtime.expect("a runtime starts").block_on(local);
        // A commit of its own writes three pages at least, with a header of 24 bytes each.
        let alone = WRITERS * COMMITS * 3 * (4096 + 24);
        let log = std::fs::metadata(path.with_extension("db-wal")).expect("the log is there");
        assert!(log.len() < alone / 2, "{} bytes of {alone}", log.len());
    });
}
