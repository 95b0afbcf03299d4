//! A file that is longer than what the indexes are compared with at a time.

use cim_es::store::{EventStore, ExpectedVersion};
use cim_es::verify::{Step, Verification};
use cim_es::{ErrorChain, SqliteEventStore};
use rusqlite::Connection;

use super::support::{Whole, opened, sql, verified};
use crate::sqlite_support::{Directory, commit, key, note, run};

/// As many events as a chunk has, and some more.
const EVENTS: u64 = 66_000;
/// The events of a commit.
const TOGETHER: u64 = 1_000;

fn long() -> Whole {
    let directory = Directory::new();
    let path = directory.file("long.db");
    run(async {
        let store = SqliteEventStore::open(&path).expect("a new file");
        for first in (0..EVENTS).step_by(TOGETHER as usize) {
            let events = (first..first + TOGETHER).map(note).collect();
            let commit = commit().aggregate(key("a"), ExpectedVersion::Any, events);
            store.append(commit).await.expect("it is stored");
        }
        store.close().await;
    });
    Whole { directory, path }
}

/// What is told by a verification that is interrupted once, after so many steps.
fn told_in_two(path: &std::path::Path, steps: usize) -> (Vec<String>, u64) {
    run(async {
        let mut told = Vec::new();
        let mut take = |step| {
            if let Step::Damaged(damages) = step {
                let damages: Vec<_> = damages;
                told.extend(damages.iter().map(|it| ErrorChain(it).to_string()));
            }
        };
        let mut verification = Verification::of(opened(path)).threads(2);
        for _ in 0..steps {
            let step = verification.next().await.expect("it reads");
            take(step.expect("it goes on"));
        }
        let state = verification.state();
        let mut verification = Verification::of(opened(path)).resume(state);
        while let Some(step) = verification.next().await.expect("it reads") {
            take(step);
        }
        (told, verification.report().others)
    })
}

#[test]
fn indexes_that_are_compared_while_the_events_are_read_are_told_as_by_themselves() {
    let whole = long();
    let (damages, report) = verified(&whole.path, 3);
    assert!(damages.is_empty(), "{damages:?}");
    assert_eq!(report.events, EVENTS);
    // The end of a history and that of a type, the positions that the indexes cover, those of versions apart.
    assert_eq!(report.others, 2 + EVENTS / 256 * 256);
    for steps in [1, 10, 66, 70] {
        let (told, others) = told_in_two(&whole.path, steps);
        assert_eq!((told, others), (Vec::new(), report.others), "after {steps}");
    }

    let path = whole.damaged("long-damaged", |file: &Connection| {
        sql(file, "DELETE FROM type_positions WHERE position = 5000");
        sql(
            file,
            "UPDATE cid_segments SET digest = zeroblob(16)
             WHERE number = (SELECT max(number) FROM cid_segments)",
        );
    });
    let (damages, damaged) = verified(&path, 1);
    let texts: Vec<_> = damages
        .iter()
        .map(|it| ErrorChain(it).to_string())
        .collect();
    let has = |words: &str| texts.iter().filter(|text| text.contains(words)).count();
    assert_eq!(has("position 5000"), 1, "{texts:#?}");
    assert_eq!(
        has("does not hash to the digest beside it"),
        1,
        "{texts:#?}"
    );
    assert_eq!(has("belong there"), 1, "{texts:#?}");
    assert_eq!(texts.len(), 3, "{texts:#?}");
    for steps in [1, 40, 67, 70] {
        let (told, others) = told_in_two(&path, steps);
        assert_eq!(
            (told, others),
            (texts.clone(), damaged.others),
            "after {steps}"
        );
    }
}
