//! Programs with one subscription on one file, which are killed: nothing is lost, and another takes over.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use cim_es::SqliteEventStore;
use cim_es::block::StoredEvent;
use cim_es::store::EventStore;
use cim_es::subscription::{EventSubscriberBuilder, FnEventHandler, Retry};

use super::suite::{Log, Works};
use crate::sqlite_support::child::{self, Told};
use crate::sqlite_support::{Directory, is_long};

/// After how long another takes over.
const LEASE: Duration = Duration::from_secs(1);
/// How many events are handled again after a kill, at most: what may be handled before it is written down.
const AGAIN: u64 = 101;

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build();
    runtime.expect("a runtime starts").block_on(test);
}

fn works(file: &Path) -> Works<SqliteEventStore> {
    Works::new(SqliteEventStore::open(file).expect("the file opens"), ())
}

/// The one subscription of all programs.
fn builder(works: &Works<SqliteEventStore>) -> EventSubscriberBuilder {
    let patient = Retry {
        attempts: 1_000,
        ..Retry::default()
    };
    let builder = works.builder().durable("killed").lease(LEASE);
    builder.retry(patient)
}

/// Writes the position of each event into a file.
fn handler(file: &Path) -> FnEventHandler {
    let file = file.with_extension("handled");
    FnEventHandler::new(move |event: StoredEvent| {
        let mut file = OpenOptions::new().append(true).create(true).open(&file)?;
        file.write_all(format!("{}\n", event.position).as_bytes())?;
        Ok(())
    })
}

#[test]
fn whoever_is_killed_when_each_event_is_handled_in_order_and_none_is_lost() {
    let kills = if is_long() { 200 } else { 10 };
    let directory = Directory::new();
    let file = directory.file("events.db");
    let child = (module_path!(), "a_child_handles_until_it_is_killed");
    // Some have the subscription by then, and some still wait for the one before them.
    child::kill_each(child, &file, kills, 600..2_000, || ());
    run(async {
        let works = works(&file);
        let last = works
            .store
            .last_position()
            .await
            .expect("the store answers");
        let subscriber = builder(&works).handler(handler(&file)).build().unwrap();
        let subscription = subscriber.subscribe().await.unwrap();
        let read = || {
            let text = fs::read_to_string(file.with_extension("handled")).unwrap_or_default();
            let lines = text.lines().map(|line| line.parse().expect("a position"));
            lines.collect::<Vec<u64>>()
        };
        let end = std::time::Instant::now() + Duration::from_secs(60);
        while !read().contains(&last.0) {
            assert!(!subscription.is_over(), "{:?}", subscription.await);
            assert!(std::time::Instant::now() < end, "{last} was not handled");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        subscription.stop().await.unwrap();
        let handled = read();
        let (mut farthest, mut goes_back) = (0, 0);
        for position in &handled {
            assert!(*position <= farthest + 1, "{position} after {farthest}");
            if *position <= farthest {
                goes_back += 1;
                assert!(farthest - position < AGAIN, "{position} after {farthest}");
            }
            farthest = farthest.max(*position);
        }
        let distinct: BTreeSet<_> = handled.iter().collect();
        assert_eq!(distinct.len() as u64, last.0, "each is handled");
        assert!(
            last.0 > kills,
            "only {last} events: the kills came too early"
        );
        let parked = subscriber.parked().await.unwrap().list().await.unwrap();
        assert_eq!(parked, []);
        eprintln!("{kills} kills, {last} events, {goes_back} of them handled again");
    });
}

/// Records values, and handles them, until it is killed.
#[test]
fn a_child_handles_until_it_is_killed() {
    let Some(file) = child::file() else { return };
    run(async {
        let works = works(&file);
        let subscriber = builder(&works).handler(handler(&file)).build().unwrap();
        let _subscription = subscriber.subscribe().await.unwrap();
        for value in 1.. {
            let gauge = format!("g{}", value % 5);
            works.record(&gauge, value).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
}

#[test]
fn a_program_that_waits_takes_over_from_one_that_was_killed() {
    let directory = Directory::new();
    let file = directory.file("events.db");
    run(async {
        let works = works(&file);
        for value in 1..=3 {
            works.record("a", value).await;
        }
        let test = "a_child_tells_what_it_handles";
        let mut child = child::start(module_path!(), test, &file, 0);
        let told: Vec<_> = Told::by(&mut child).take(3).collect();
        assert_eq!(told, ["1", "2", "3"]);
        let log = Log::default();
        let standby = builder(&works).handler(log.handler()).build().unwrap();
        let standby = standby.subscribe().await.unwrap();
        works.record("a", 4).await;
        child.kill().expect("the child can be killed");
        child.wait().expect("the child ends");
        works.record("a", 5).await;
        log.wait_for("what came since", |log| log.values().ends_with(&[5]))
            .await;
        // What was handled shortly before the end may not have been noted.
        let values = log.values();
        let from = values[0];
        assert_eq!(values, (from..=5).collect::<Vec<_>>());
        standby.stop().await.unwrap();
    });
}

#[test]
fn a_child_tells_what_it_handles() {
    let Some(file) = child::file() else { return };
    run(async {
        let works = works(&file);
        let handler = FnEventHandler::new(|event: StoredEvent| {
            child::tell(&event.position.to_string());
            Ok(())
        });
        let subscriber = builder(&works).handler(handler).build().unwrap();
        let _subscription = subscriber.subscribe().await.unwrap();
        std::future::pending::<()>().await;
    });
}
