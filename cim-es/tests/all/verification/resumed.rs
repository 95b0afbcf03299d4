//! A verification that was interrupted and goes on tells what an uninterrupted one tells.

use cim_es::ErrorChain;
use cim_es::store::{EventStore, StoreError};
use cim_es::verify::{Stage, Step, Verification, VerificationState};
use rusqlite::Connection;

use super::support::{
    Whole, at, change_blob, change_body, flip_last, opened, sql, verified, whole,
};
use crate::sqlite_support::{any, note, run};

/// A file with damages of many kinds: before, within and behind commits, and beside the events.
fn damaged(whole: &Whole) -> std::path::PathBuf {
    whole.damaged("resumed", |file: &Connection| {
        for round in [1, 4, 60] {
            change_body(file, at(round, 2), flip_last);
            change_body(file, at(round, 6), |body| body[12] ^= 1);
            change_body(file, at(round + 1, 4), |body| body.truncate(3));
        }
        sql(
            file,
            "DELETE FROM events WHERE position BETWEEN 140 AND 145",
        );
        sql(
            file,
            "UPDATE events SET previous_of_type = 1 WHERE position IN (604, 605, 606, 613)",
        );
        sql(file, "UPDATE events SET sequence = 1 WHERE position = 614");
        sql(file, "UPDATE aggregates SET version = version + 1");
        sql(file, "DELETE FROM aggregates WHERE id = 'a'");
        sql(file, "UPDATE types SET last = 3");
        sql(
            file,
            "DELETE FROM type_positions WHERE position IN (80, 81, 82)",
        );
        change_blob(file, "objects", "body", "number", 1, flip_last);
        change_blob(file, "snapshots", "state", "number", 2, flip_last);
        sql(file, "UPDATE checkpoints SET position = position + 1");
    })
}

fn texts(step: Step) -> Vec<String> {
    match step {
        Step::Damaged(damages) => damages
            .iter()
            .map(|it| ErrorChain(it).to_string())
            .collect(),
        _ => Vec::new(),
    }
}

fn kept(state: &VerificationState) -> VerificationState {
    let bytes = serde_ipld_dagcbor::to_vec(state).expect("a state is written");
    serde_ipld_dagcbor::from_slice(&bytes).expect("a state is read")
}

#[test]
fn an_interruption_at_any_step_changes_nothing_of_what_is_told() {
    let whole = whole();
    let path = damaged(&whole);
    let (damages, report) = verified(&path, 2);
    let expected: Vec<_> = damages
        .iter()
        .map(|it| ErrorChain(it).to_string())
        .collect();
    assert!(expected.len() > 25, "{expected:#?}");
    let mut stages = Vec::new();
    for threads in [1, 3] {
        let mut interrupted_after = 0;
        loop {
            let is_over = run(async {
                let mut told = Vec::new();
                let mut verification = Verification::of(opened(&path)).threads(threads);
                for _ in 0..interrupted_after {
                    match verification.next().await.expect("it reads") {
                        Some(step) => told.extend(texts(step)),
                        None => return true,
                    }
                }
                let state = kept(&verification.state());
                stages.push(verification.progress().stage);
                drop(verification);
                let mut verification = Verification::of(opened(&path)).resume(state);
                while let Some(step) = verification.next().await.expect("it reads") {
                    told.extend(texts(step));
                }
                assert_eq!(
                    told, expected,
                    "interrupted after {interrupted_after} steps"
                );
                let resumed = verification.report();
                assert_eq!(resumed.events, report.events);
                assert_eq!(resumed.bytes, report.bytes);
                assert_eq!(resumed.others, report.others);
                assert_eq!(resumed.damages, report.damages);
                assert_eq!(resumed.aggregates, report.aggregates);
                false
            });
            if is_over {
                break;
            }
            interrupted_after += 1;
        }
        assert!(interrupted_after > 30);
    }
    for stage in [
        Stage::Events,
        Stage::Aggregates,
        Stage::Types,
        Stage::Beside,
        Stage::Done,
    ] {
        assert!(stages.contains(&stage), "{stage:?}");
    }
}

#[test]
fn a_step_that_is_given_up_while_it_waits_is_taken_again() {
    use futures_util::FutureExt;
    let whole = whole();
    let path = damaged(&whole);
    let (damages, _) = verified(&path, 2);
    run(async {
        let mut told = 0;
        let mut verification = Verification::of(opened(&path)).threads(2);
        loop {
            // It is polled once and dropped, as a `select!` drops what was not first.
            let step = match verification.next().now_or_never() {
                Some(step) => step.expect("it reads"),
                None => {
                    tokio::task::yield_now().await;
                    continue;
                }
            };
            match step {
                Some(step) => told += texts(step).len(),
                None => break,
            }
        }
        assert_eq!(told, damages.len());
    });
}

#[test]
fn what_is_stored_meanwhile_is_no_damage() {
    let whole = whole();
    run(async {
        let store = cim_es::SqliteEventStore::open(&whole.path).expect("the file opens");
        let mut verification = Verification::of(store.clone());
        let mut number = 0;
        let mut steps = 0;
        while let Some(step) = verification.next().await.expect("it reads") {
            assert_eq!(texts(step), [""; 0]);
            steps += 1;
            if steps < 12 {
                for id in ["a", "b", "new"] {
                    number += 1;
                    let events = vec![note(number), note(number)];
                    store.append(any(id, events)).await.expect("it is stored");
                }
            }
        }
        assert!(verification.report().is_sound());
        assert!(steps >= 12);
    });
}

#[test]
fn a_state_of_another_history_is_refused() {
    let (one, other) = (whole(), whole());
    run(async {
        let mut verification = Verification::of(opened(&one.path));
        verification.next().await.expect("it reads");
        let mut resumed = Verification::of(opened(&other.path)).resume(verification.state());
        let refused = resumed.next().await.map(drop);
        assert!(
            matches!(refused, Err(StoreError::AnotherHistory(_))),
            "{refused:?}"
        );
    });
}

#[test]
fn a_state_that_was_changed_is_refused_or_does_no_harm() {
    let whole = whole();
    run(async {
        let mut verification = Verification::of(opened(&whole.path));
        verification.next().await.expect("it reads");
        let bytes = serde_ipld_dagcbor::to_vec(&verification.state()).expect("a state is written");
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 0x11;
            let Ok(state) = serde_ipld_dagcbor::from_slice(&changed) else {
                continue;
            };
            let mut resumed = Verification::of(opened(&whole.path))
                .threads(1)
                .resume(state);
            // It ends, whatever it comes to.
            let _ = resumed.finish(drop).await;
        }
    });
}
