//! Several processes on one file.

use std::collections::HashMap;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::account::{Account, AccountCommand};
use crate::sqlite_support::child::{self, Told};
use crate::sqlite_support::{Directory, any, collect, commit, key, note, run};
use cim_es::SqliteEventStore;
use cim_es::prelude::*;
use cim_es::store::{EventStore, EventStoreExt, ExpectedVersion, Position, StoreError};
use futures_util::StreamExt;

/// How often each child counts up.
const COUNTS: u64 = 60;

#[test]
fn two_processes_count_up_one_counter_and_nothing_is_lost_or_forked() {
    let directory = Directory::new();
    let path = directory.file("counter.db");
    let mut children: Vec<_> = (0..2)
        .map(|number| child::start(module_path!(), "a_child_counts", &path, number))
        .collect();
    let told: Vec<Vec<String>> = children
        .iter_mut()
        .map(|child| Told::by(child).collect())
        .collect();
    for child in &mut children {
        assert!(child.wait().expect("the child ends").success());
    }
    let events = run(async {
        let store = SqliteEventStore::open(&path).expect("the file opens");
        store.check().await.expect("the file is whole");
        store
            .get_events(&key("counter"), 1)
            .await
            .expect("it reads")
    });
    assert_eq!(events.len() as u64, 2 * COUNTS);
    let found: HashMap<_, _> = events
        .iter()
        .map(|event| (event.cid.to_string(), event.envelope.sequence))
        .collect();
    for line in told.iter().flatten() {
        let (version, cid) = line.split_once(' ').expect("version and CID");
        assert_eq!(found.get(cid).map(u64::to_string).as_deref(), Some(version));
    }
    assert!(told.iter().all(|told| told.len() as u64 == COUNTS));
}

#[test]
fn a_child_counts() {
    let Some(path) = child::file() else {
        return;
    };
    run(async {
        // Both children may find no file: one makes it.
        let store = SqliteEventStore::open(path).expect("the file opens");
        let mut counted = 0;
        while counted < COUNTS {
            let head = store.last(&key("counter")).await.expect("the head reads");
            let request = match head {
                None => {
                    commit().aggregate(key("counter"), ExpectedVersion::NoStream, vec![note(1)])
                }
                Some(head) => commit().aggregate_at(key("counter"), head.head(), vec![note(1)]),
            };
            match store.append(request).await {
                Ok(events) => {
                    counted += 1;
                    child::tell(&format!(
                        "{} {}",
                        events[0].envelope.sequence, events[0].cid
                    ));
                }
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    });
}

#[test]
fn a_commit_of_another_process_is_read_at_once_and_followed_soon() {
    let directory = Directory::new();
    let path = directory.file("followed.db");
    run(async {
        let store = SqliteEventStore::open(&path).expect("the file opens");
        store
            .append(any("a", vec![note(1)]))
            .await
            .expect("it appends");
        let mut stream = store.subscribe(Position::START);
        assert_eq!(stream.next().await.unwrap().unwrap().position, Position(1));
        let mut child = child::start(module_path!(), "a_child_appends_a_few", &path, 0);
        let mut told = Told::by(&mut child);
        for number in 2..=5 {
            let line = told.next().expect("the child appends");
            let started = Instant::now();
            let last = store.last(&key("a")).await.unwrap().unwrap();
            assert!(
                last.position.0 >= number,
                "a read misses what was acknowledged: {line}"
            );
            let followed = stream.next().await.unwrap().unwrap();
            assert_eq!(followed.position, Position(number));
            assert!(started.elapsed() < Duration::from_secs(5));
        }
        assert!(child.wait().expect("the child ends").success());
        // This process goes on from what the other wrote.
        let stored = store
            .append(any("a", vec![note(9)]))
            .await
            .expect("it appends");
        assert_eq!(stored[0].envelope.sequence, 6);
        assert_eq!(stream.next().await.unwrap().unwrap(), stored[0]);
    });
}

#[test]
fn a_child_appends_a_few() {
    let Some(path) = child::file() else {
        return;
    };
    run(async {
        let store = SqliteEventStore::open(path).expect("the file opens");
        for number in 2..=5 {
            let stored = store
                .append(any("a", vec![note(number)]))
                .await
                .expect("it appends");
            child::tell(&stored[0].cid.to_string());
            std::thread::sleep(Duration::from_millis(20));
        }
    });
}

/// Tries to lock the bytes of a file that SQLite locks to find out whether it is alone there, as it does when it closes.
const LOCK: &str = "
import fcntl, sys
try:
    fcntl.lockf(open(sys.argv[1], 'r+b'), fcntl.LOCK_EX | fcntl.LOCK_NB, 510, 0x40000002)
    print('free')
except OSError:
    print('held')
";

/// A tool that finds itself alone on the file moves the log into it and removes the log, and with it what a process
/// writes there that was overlooked.
#[cfg(unix)]
#[test]
fn a_process_that_opens_a_file_again_keeps_its_hold_on_it() {
    let directory = Directory::new();
    let path = directory.file("twice.db");
    let hold = || {
        let mut python = Command::new("python3");
        python.args(["-c", LOCK]).arg(&path);
        String::from_utf8(python.output().expect("python3 runs").stdout).expect("a text")
    };
    let store = SqliteEventStore::open(&path).expect("the file opens");
    assert_eq!(hold(), "held\n");
    let again = SqliteEventStore::open(&path).expect("the file opens again");
    assert_eq!(hold(), "held\n");
    drop(again);
    assert_eq!(hold(), "held\n");
    drop(store);
    assert_eq!(hold(), "free\n");
}

#[test]
fn an_aggregate_that_another_handle_moved_is_sealed_again() {
    let directory = Directory::new();
    let path = directory.file("two.db");
    run(async {
        let one = SqliteEventStore::open(&path).expect("the file opens");
        let other = SqliteEventStore::open(&path).expect("the file opens");
        for number in 0..20 {
            let store = if number % 2 == 0 { &one } else { &other };
            let stored = store
                .append(any("a", vec![note(number)]))
                .await
                .expect("it appends");
            assert_eq!(stored[0].envelope.sequence, number + 1);
        }
        // What this handle remembers is old, and the expectation holds.
        let right = commit().aggregate(key("a"), ExpectedVersion::Exactly(20), vec![note(20)]);
        one.append(right).await.expect("it appends");
        let wrong = commit().aggregate(key("a"), ExpectedVersion::Exactly(20), vec![note(21)]);
        let error = other.append(wrong).await.expect_err("it has moved");
        assert!(
            matches!(error, StoreError::Conflict { actual: 21, .. }),
            "{error}"
        );
        assert_eq!(
            collect(one.read_all(Position::START)).await.unwrap().len(),
            21
        );
        one.check().await.expect("the file is whole");
    });
}

/// How many processes work on one aggregate, and how many commands each of them sends.
const CROWD: u64 = 8;
const COMMANDS: u64 = 60;

#[test]
fn eight_processes_on_one_aggregate_end_without_a_conflict() {
    let directory = Directory::new();
    let path = directory.file("hot.db");
    let id = Id::<Account>::new();
    run(async {
        let store = SqliteEventStore::open(&path).expect("the file opens");
        let accounts = Repository::<Account>::new(store);
        let identity = MessageIdentity::new_from_user("test");
        let opened = accounts.execute(&id, AccountCommand::Open, &identity).await;
        opened.expect("it opens");
        std::fs::write(directory.file("hot.id"), id.to_string()).expect("the id is written");
    });
    let mut children: Vec<_> = (0..CROWD)
        .map(|number| child::start(module_path!(), "a_child_deposits", &path, number))
        .collect();
    let told: Vec<Vec<String>> = children
        .iter_mut()
        .map(|child| Told::by(child).collect())
        .collect();
    for child in &mut children {
        assert!(child.wait().expect("the child ends").success(), "{told:?}");
    }
    let slowest = told
        .iter()
        .flatten()
        .filter_map(|it| it.parse::<u64>().ok())
        .max();
    println!("the slowest command took {slowest:?} ms");
    run(async {
        let store = SqliteEventStore::open(&path).expect("the file opens");
        let account = Repository::<Account>::new(store).load(&id).await;
        assert_eq!(account.expect("it loads").balance, CROWD * COMMANDS);
    });
}

#[test]
fn a_child_deposits() {
    let Some(path) = child::file() else {
        return;
    };
    let id = std::fs::read_to_string(path.with_extension("id")).expect("the id is there");
    let id: Id<Account> = id.parse().expect("the id is one");
    run(async {
        let store = SqliteEventStore::open(path).expect("the file opens");
        let accounts = Repository::<Account>::new(store);
        for _ in 0..COMMANDS {
            let identity = MessageIdentity::new_from_user("child");
            let deposit = AccountCommand::Deposit { amount: 1 };
            let started = Instant::now();
            let deposited = accounts.execute(&id, deposit, &identity).await;
            deposited.expect("no conflict is left over");
            child::tell(&started.elapsed().as_millis().to_string());
        }
    });
}
