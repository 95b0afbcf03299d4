//! A file that was damaged on the disk: each answer is the true one or an error.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use crate::sqlite_support::truth::{self, Truth};
use crate::sqlite_support::{Directory, Numbers, any, collect, is_long, note, run};
use cim_es::SqliteEventStore;
use cim_es::store::{EventStore, EventStoreExt, Position, StoreError};

/// No question about a file of this size takes this long, damaged or not.
const PATIENCE: Duration = Duration::from_secs(60);

/// Compares a damaged copy, on a thread so that an answer that never comes is noticed.
fn compare(truth: &Arc<Truth>, path: &Path, what: &str) -> usize {
    let (done, finished) = mpsc::channel();
    let (truth, path) = (truth.clone(), path.to_owned());
    std::thread::spawn(move || done.send(run(truth.compare(&path))));
    finished
        .recv_timeout(PATIENCE)
        .unwrap_or_else(|_| panic!("{what}: an answer is wrong or missing"))
}

fn copy(directory: &Directory, name: &str, bytes: &[u8]) -> std::path::PathBuf {
    let path = directory.file(name);
    for suffix in ["", "-wal", "-shm"] {
        // Only what an earlier copy left needs to go.
        let _ = std::fs::remove_file(directory.file(&format!("{name}{suffix}")));
    }
    std::fs::write(&path, bytes).expect("the copy is written");
    path
}

/// The pages that hold no events but say where they are, by number from 0.
fn pages_that_lead(path: &Path) -> Vec<u64> {
    let file = rusqlite::Connection::open(path).expect("the file opens");
    let mut pages = file
        .prepare("SELECT pageno - 1 FROM dbstat WHERE name NOT IN ('events', 'snapshots')")
        .expect("SQLite tells its pages");
    pages
        .query_map((), |row| row.get::<_, i64>(0))
        .and_then(|pages| pages.map(|page| page.map(i64::unsigned_abs)).collect())
        .expect("SQLite tells its pages")
}

/// The place of a bit to flip: anywhere, where a page says how to read the rest of it, or on a page that leads to
/// events.
fn place(numbers: &mut Numbers, length: u64, leading: &[u64]) -> u64 {
    match numbers.below(4) {
        0 => numbers.below(length),
        1 => numbers.below(length / 4096) * 4096 + numbers.below(64),
        _ => leading[numbers.below(leading.len() as u64) as usize] * 4096 + numbers.below(4096),
    }
}

#[test]
fn a_flipped_bit_gives_an_error_or_the_true_answer() {
    let directory = Arc::new(Directory::new());
    let path = directory.file("whole.db");
    let truth = Arc::new(run(truth::fill(&path)));
    let leading = Arc::new(pages_that_lead(&path));
    let bytes = Arc::new(std::fs::read(&path).expect("the file reads"));
    assert_eq!(compare(&truth, &path, "the whole file"), 0);
    let flips = if is_long() { 4_000 } else { 320 };
    let noticed = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = (0..2)
        .map(|thread| {
            let (directory, truth, bytes) = (directory.clone(), truth.clone(), bytes.clone());
            let (noticed, leading) = (noticed.clone(), leading.clone());
            std::thread::spawn(move || {
                let mut numbers = Numbers::new(100 + thread);
                for _ in 0..flips / 2 {
                    let place = place(&mut numbers, bytes.len() as u64, &leading);
                    let bit = numbers.below(8);
                    let mut damaged = bytes.to_vec();
                    damaged[place as usize] ^= 1 << bit;
                    let copy = copy(&directory, &format!("flipped-{thread}.db"), &damaged);
                    let what = format!("bit {bit} of byte {place}");
                    if compare(&truth, &copy, &what) > 0 {
                        noticed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("every answer is true or an error");
    }
    let noticed = noticed.load(Ordering::Relaxed);
    assert!(
        noticed > flips / 4,
        "only {noticed} of {flips} flips were noticed: do they hit what is read?"
    );
}

#[test]
fn a_file_that_is_cut_off_gives_an_error_or_the_true_answer() {
    let directory = Directory::new();
    let path = directory.file("whole.db");
    let truth = Arc::new(run(truth::fill(&path)));
    let bytes = std::fs::read(&path).expect("the file reads");
    let mut numbers = Numbers::new(9);
    let mut lengths: Vec<u64> = (0..40).map(|_| numbers.below(bytes.len() as u64)).collect();
    lengths.extend((0..20).map(|_| numbers.below(bytes.len() as u64 / 4096) * 4096));
    lengths.extend([
        0,
        1,
        15,
        16,
        99,
        100,
        511,
        512,
        4095,
        4096,
        bytes.len() as u64 - 1,
    ]);
    for length in lengths {
        let copy = copy(&directory, "cut.db", &bytes[..length as usize]);
        let errors = compare(&truth, &copy, &format!("cut off after {length} bytes"));
        assert!(
            errors > 0,
            "nothing noticed that the file ends after {length} bytes"
        );
    }
}

#[test]
fn a_small_damaged_file_is_refused_when_it_is_opened() {
    let directory = Directory::new();
    let path = directory.file("whole.db");
    run(truth::fill(&path));
    let mut bytes = std::fs::read(&path).expect("the file reads");
    // The header of the last page: what it holds, and where.
    let page = bytes.len() - 4096;
    bytes[page] ^= 0xff;
    let copy = copy(&directory, "damaged.db", &bytes);
    let error = SqliteEventStore::open(&copy).expect_err("it is damaged");
    assert!(matches!(error, StoreError::Damaged(_)), "{error}");
    assert!(error.to_string().contains("damaged.db"), "{error}");
}

#[test]
fn a_log_that_is_cut_off_or_damaged_gives_an_error_or_a_whole_shorter_history() {
    let directory = Directory::new();
    let path = directory.file("live.db");
    let store = SqliteEventStore::open(&path).expect("the file opens");
    let events = run(async {
        for number in 0..60 {
            let events = (0..=number % 3).map(note).collect();
            store
                .append(any(number % 5, events))
                .await
                .expect("it appends");
        }
        collect(store.read_all(Position::START)).await.unwrap()
    });
    let main = std::fs::read(&path).expect("the file reads");
    let log = std::fs::read(directory.file("live.db-wal")).expect("the log reads");
    assert!(log.len() > 100_000, "the commits are still in the log");
    let mut numbers = Numbers::new(21);
    for round in 0..40 {
        let mut damaged = log.clone();
        let place = numbers.below(log.len() as u64) as usize;
        if round % 2 == 0 {
            damaged.truncate(place);
        } else {
            damaged[place] ^= 1 << numbers.below(8);
        }
        let copy = copy(&directory, "copy.db", &main);
        std::fs::write(directory.file("copy.db-wal"), &damaged).expect("the log is written");
        let found = run(async {
            let store = truth::unchecked().open(&copy)?;
            store.check().await?;
            collect(store.read_all(Position::START)).await
        });
        let found = match found {
            Ok(found) => found,
            // SQLite may also notice that the log is not what it says of itself.
            Err(StoreError::Damaged(_)) => continue,
            Err(error) => panic!("round {round}: {error}"),
        };
        assert_eq!(found, events[..found.len()], "round {round}");
        let ends_a_commit = found
            .last()
            .is_none_or(|event| event.envelope.commit.is_last_of_whole());
        assert!(ends_a_commit, "round {round}");
    }
}
