//! Files that were damaged by raw SQL, in every way that there is.

use std::fmt::Write;

use cim_es::block::Fault;
use cim_es::store::{Damage, EventStore, EventStoreExt, ExpectedVersion, Position, SealedCommit};
use cim_es::verify::Verification;
use cim_es::{ErrorChain, SqliteOptions};
use rusqlite::Connection;

use super::support::{
    AGGREGATES, EVENTS, Whole, at, change_blob, change_body, cid_at, flip_last, opened, sql,
    verified, whole,
};
use crate::sqlite_support::{Numbers, collect, commit, is_long, key, note, run};

/// What is to be told: at which position, if any, and in which words.
type Told = (Option<u64>, &'static str);

fn text(damage: &Damage) -> String {
    ErrorChain(damage).to_string()
}

/// Compares what is told of a damaged copy with what is to be told, neither more nor less.
fn assert_told(whole: &Whole, name: &str, damage: impl FnOnce(&Connection), expected: &[Told]) {
    let path = whole.damaged(name, damage);
    for threads in [1, 2] {
        let (damages, _) = verified(&path, threads);
        let mut left: Vec<_> = damages.iter().collect();
        let mut wrong = String::new();
        for (position, words) in expected {
            let fits = |damage: &&Damage| {
                damage.position().map(|position| position.0) == *position
                    && text(damage).contains(words)
            };
            match left.iter().position(fits) {
                Some(at) => drop(left.remove(at)),
                None => writeln!(wrong, "not told: {position:?} {words}").expect("a string"),
            }
        }
        for damage in left {
            let position = damage.position();
            writeln!(wrong, "told as well: {position:?} {}", text(damage)).expect("a string");
        }
        assert!(wrong.is_empty(), "{name}, {threads} threads:\n{wrong}");
    }
}

#[test]
fn a_whole_file_is_sound_and_everything_in_it_is_counted() {
    let whole = whole();
    for threads in [1, 2, 5] {
        let (damages, report) = verified(&whole.path, threads);
        assert_eq!(damages, []);
        assert!(report.is_sound());
        assert_eq!(report.events, EVENTS);
        assert_eq!(report.aggregates, AGGREGATES);
        assert_eq!(report.position, Position(EVENTS));
        // Rows of aggregates and types, 512 indexed positions, objects, snapshots, checkpoints.
        assert_eq!(report.others, AGGREGATES + 2 + 512 + 2 + 2 + 2);
    }
}

#[test]
fn a_flipped_payload_is_told_where_it_is_and_the_history_goes_on() {
    let whole = whole();
    for place in 1..=7 {
        let position = at(1, place);
        let flip = |file: &Connection| change_body(file, position, flip_last);
        let told = (Some(position), "the payload does not hash");
        assert_told(&whole, &format!("payload-{place}"), flip, &[told]);
    }
}

#[test]
fn a_flipped_envelope_is_told_where_it_is_and_the_history_goes_on_behind_it() {
    let whole = whole();
    for place in 1..=7 {
        for round in [0, 1, 99] {
            let position = at(round, place);
            let flip = |file: &Connection| change_body(file, position, |body| body[12] ^= 1);
            let told = (Some(position), "the envelope does not hash");
            let name = format!("envelope-{round}-{place}");
            assert_told(&whole, &name, flip, &[told]);
        }
    }
}

#[test]
fn a_flipped_cid_is_told_where_it_is_and_the_history_goes_on_behind_it() {
    let whole = whole();
    for place in 1..=7 {
        let position = at(1, place);
        let flip =
            |file: &Connection| change_blob(file, "events", "cid", "position", position, flip_last);
        let told = (Some(position), "the envelope does not hash");
        assert_told(&whole, &format!("cid-{place}"), flip, &[told]);
        let cut = |file: &Connection| {
            change_blob(file, "events", "cid", "position", position, |cid| {
                cid.truncate(9)
            });
        };
        let told = (Some(position), "a CID has 36 bytes");
        assert_told(&whole, &format!("cid-cut-{place}"), cut, &[told]);
    }
}

#[test]
fn a_body_that_is_cut_off_is_told() {
    let whole = whole();
    let position = at(2, 1);
    for (length, words) in [
        (0, "no array"),
        (1, "cannot be told"),
        (40, "cannot be told"),
    ] {
        let cut = |file: &Connection| change_body(file, position, |body| body.truncate(length));
        assert_told(
            &whole,
            &format!("cut-{length}"),
            cut,
            &[(Some(position), words)],
        );
    }
}

#[test]
fn a_removed_event_is_told_with_the_gap_that_it_leaves() {
    let whole = whole();
    let removed = at(3, 1);
    let remove = |file: &Connection| {
        sql(
            file,
            &format!("DELETE FROM events WHERE position = {removed}"),
        );
    };
    let told = [
        (Some(removed), "the event is missing"),
        (
            Some(removed + 1),
            "leaves a gap: sequence 10 was to follow, found 11",
        ),
    ];
    assert_told(&whole, "removed", remove, &told);
    let many = |file: &Connection| {
        sql(
            file,
            "DELETE FROM events WHERE position BETWEEN 100 AND 399",
        );
    };
    let told = [
        (
            Some(100),
            "the events from here to position 399 are missing",
        ),
        (Some(400), "leaves a gap"),
        (Some(403), "leaves a gap"),
        (Some(405), "leaves a gap"),
        (Some(256), "index of types"),
    ];
    // The row of version 256 leads to nothing only where that event is gone.
    assert_told(&whole, "removed-many", many, &told[..4]);
}

#[test]
fn a_tail_that_the_types_still_name_is_missed() {
    let whole = whole();
    let remove = |file: &Connection| sql(file, "DELETE FROM events WHERE position = 700");
    let told = [
        (Some(700), "the event is missing"),
        (Some(700), "test.note c"),
    ];
    assert_told(&whole, "tail", remove, &told);
}

#[test]
fn two_events_that_changed_places_are_told_at_both() {
    let whole = whole();
    let path = whole.damaged("swapped", |file| {
        sql(file, "UPDATE events SET position = -8 WHERE position = 8");
        sql(file, "UPDATE events SET position = 8 WHERE position = 9");
        sql(file, "UPDATE events SET position = 9 WHERE position = -8");
    });
    let (damages, _) = verified(&path, 2);
    let faults = |position| {
        let at = |damage: &&Damage| damage.position() == Some(Position(position));
        let mut found = damages.iter().filter(at);
        found.any(|damage| {
            matches!(
                damage.verdict().map(|it| &it.fault),
                Some(Fault::Gap { .. })
            )
        })
    };
    assert!(faults(8) && faults(9), "{damages:?}");
    let is_near = |damage: &Damage| damage.position().is_some_and(|at| (8..=10).contains(&at.0));
    assert!(damages.iter().all(is_near), "{damages:?}");
}

#[test]
fn half_of_the_last_commit_is_told() {
    let whole = whole();
    let halve = |file: &Connection| {
        let cid = cid_at(file, 699).to_bytes();
        sql(file, "DELETE FROM events WHERE position = 700");
        sql(file, "UPDATE types SET last = 699 WHERE last = 700");
        let changed = file.execute(
            "UPDATE aggregates SET version = version - 1, position = 699, cid = ?1 WHERE id = 'c'",
            [cid],
        );
        assert_eq!(changed.expect("the row is written"), 1);
    };
    let told = (Some(699), "event 2 of a commit of 3");
    assert_told(&whole, "half", halve, &[told]);
}

#[test]
fn a_commit_of_which_an_event_is_of_another_is_told() {
    let whole = whole();
    // The second event of `c` in one commit stands in the place of that of another.
    let path = whole.damaged("exchanged", |file| {
        for column in ["cid", "body", "sequence"] {
            sql(
                file,
                &format!(
                    "UPDATE events SET {column} = (SELECT {column} FROM events WHERE position = 14)
                     WHERE position = 21"
                ),
            );
        }
    });
    let (damages, _) = verified(&path, 2);
    let texts: Vec<_> = damages.iter().map(text).collect();
    assert!(
        texts
            .iter()
            .any(|it| it.contains("position 21") && it.contains("gap")),
        "{texts:#?}"
    );
}

#[test]
fn an_end_of_a_history_that_lies_is_told() {
    let whole = whole();
    for (name, change) in [
        ("version", "version = version + 1"),
        ("version-less", "version = version - 1"),
        ("position", "position = position - 1"),
        ("timestamp", "timestamp = timestamp + 1"),
        ("cid", "cid = (SELECT cid FROM events WHERE position = 3)"),
    ] {
        let lie = |file: &Connection| {
            sql(
                file,
                &format!("UPDATE aggregates SET {change} WHERE id = 'b'"),
            );
        };
        let position = if name == "position" { 697 } else { 698 };
        let told = (Some(position), "the row of the aggregate says");
        assert_told(&whole, &format!("head-{name}"), lie, &[told]);
    }
    let behind = |file: &Connection| {
        sql(file, "UPDATE aggregates SET position = 9000 WHERE id = 'b'");
    };
    let told = (Some(9000), "leads behind the last event");
    assert_told(&whole, "head-behind", behind, &[told]);
    let cut = |file: &Connection| sql(file, "UPDATE aggregates SET cid = x'01' WHERE id = 'b'");
    assert_told(&whole, "head-cut", cut, &[(Some(698), "has no CID")]);
}

#[test]
fn an_end_of_a_history_that_is_missing_or_another_s_is_told() {
    let whole = whole();
    let remove = |file: &Connection| sql(file, "DELETE FROM aggregates WHERE id = 'b'");
    let told = (Some(698), "test.note b has its last event here, and no row");
    assert_told(&whole, "head-removed", remove, &[told]);
    let rename = |file: &Connection| sql(file, "UPDATE aggregates SET id = 'z' WHERE id = 'b'");
    let told = [
        (Some(698), "does not belong under key"),
        (Some(698), "test.note b has its last event here, and no row"),
    ];
    assert_told(&whole, "head-renamed", rename, &told);
}

/// Another event for the version of the last one, as another store with the same past has it.
fn forked(whole: &Whole) -> (Vec<u8>, Vec<u8>, i64) {
    run(async {
        let past = collect(opened(&whole.path).read_all(Position::START)).await;
        let mut past = past.expect("the file reads");
        past.truncate(697);
        let other = cim_es::MemoryEventStore::new();
        let commits = SealedCommit::split(&past).expect("whole commits");
        other.append_sealed(commits).await.expect("it is stored");
        let events = vec![note(8), note(9)];
        let events = commit().aggregate(key("c"), ExpectedVersion::Any, events);
        let stored = other.append(events).await.expect("it is stored");
        let event = &stored[1];
        let time = event.timestamp().as_micros();
        (event.cid.to_bytes(), event.body().to_vec(), time)
    })
}

#[test]
fn a_second_event_for_a_version_is_told() {
    let whole = whole();
    let again = |file: &Connection| {
        sql(
            file,
            "INSERT INTO events SELECT 701, aggregate, previous_of_aggregate, type, 700, sequence, timestamp, cid, body
             FROM events WHERE position = 700",
        );
        sql(file, "UPDATE types SET last = 701 WHERE last = 700");
    };
    let told = [
        (
            Some(701),
            "leaves a gap: sequence 201 was to follow, found 200",
        ),
        (Some(701), "event 3 of a commit of 3"),
    ];
    assert_told(&whole, "again", again, &told);
    let (cid, body, time) = forked(&whole);
    let fork = |file: &Connection| {
        let inserted = file.execute(
            "INSERT INTO events SELECT 701, aggregate, 700, type, 700, 200, ?3, ?1, ?2
             FROM events WHERE position = 700",
            (cid, body, time),
        );
        assert_eq!(inserted.expect("the row is written"), 1);
        sql(file, "UPDATE types SET last = 701 WHERE last = 700");
    };
    let told = [
        (Some(701), "forks the history"),
        (Some(701), "event 2 of a commit of 2"),
    ];
    assert_told(&whole, "fork", fork, &told);
}

#[test]
fn a_row_of_a_type_that_lies_is_told() {
    let whole = whole();
    let rename = |file: &Connection| {
        sql(
            file,
            "UPDATE types SET name = 'test.note.other' WHERE name = 'test.note.written'",
        );
    };
    let told = (Some(700), "is not what was written");
    assert_told(&whole, "type-renamed", rename, &[told]);
    let back = |file: &Connection| sql(file, "UPDATE types SET last = 699 WHERE last = 700");
    let told = (Some(699), "that one is at position 700");
    assert_told(&whole, "type-back", back, &[told]);
    let remove = |file: &Connection| sql(file, "DELETE FROM types WHERE last < 700");
    let told = [
        (Some(698), "has no row in the table of types"),
        (Some(4), "index of types"),
    ];
    let path = whole.damaged("type-removed", remove);
    let (damages, _) = verified(&path, 2);
    for (position, words) in told {
        let is_told = |damage: &Damage| {
            damage.position() == position.map(Position) && text(damage).contains(words)
        };
        assert!(damages.iter().any(is_told), "{words}");
    }
    let add = |file: &Connection| {
        sql(
            file,
            "INSERT INTO types SELECT 3, kind, name, digest, last FROM types WHERE number = 2",
        );
    };
    let told = (Some(698), "has two rows");
    assert_told(&whole, "type-twice", add, &[told]);
}

#[test]
fn columns_that_lie_are_told_where_they_stand() {
    let whole = whole();
    for (column, words) in [
        ("sequence = sequence + 1", "the columns say sequence"),
        ("timestamp = timestamp + 1", "the columns say sequence"),
        ("aggregate = aggregate + 99", "does not belong"),
        (
            "aggregate = (SELECT key FROM aggregates WHERE id = 'b')",
            "does not belong",
        ),
        ("previous_of_aggregate = 1", "event before is at position 1"),
        (
            "previous_of_type = 1",
            "of its type before is at position 1",
        ),
    ] {
        let lie = |file: &Connection| {
            sql(
                file,
                &format!("UPDATE events SET {column} WHERE position = 604"),
            );
        };
        let name = format!(
            "column-{}",
            column.replace(|it: char| !it.is_alphabetic(), "-")
        );
        assert_told(&whole, &name, lie, &[(Some(604), words)]);
    }
    let of_type = |file: &Connection| {
        sql(file, "UPDATE events SET type = 2 WHERE position = 604");
    };
    let path = whole.damaged("column-type", of_type);
    let (damages, _) = verified(&path, 2);
    assert_eq!(damages[0].position(), Some(Position(604)));
    assert!(
        text(&damages[0]).contains("says type 2"),
        "{}",
        text(&damages[0])
    );
}

#[test]
fn indexes_that_do_not_lead_to_the_events_are_told() {
    let whole = whole();
    let version = |file: &Connection| sql(file, "DELETE FROM versions");
    let told = (
        None,
        "the positions of 0 versions of test.note a are kept, 1 belong there",
    );
    assert_told(&whole, "versions", version, &[told]);
    let astray = |file: &Connection| sql(file, "UPDATE versions SET position = 300");
    let told = (
        Some(300),
        "says that version 256 of an aggregate stands here",
    );
    assert_told(&whole, "versions-astray", astray, &[told]);
    let types = |file: &Connection| sql(file, "DELETE FROM type_positions WHERE position = 77");
    let told = [
        (Some(77), "does not have the event under its type"),
        (None, "the index of types has 511 rows, 512 belong there"),
    ];
    assert_told(&whole, "type-positions", types, &told);
    let moved = |file: &Connection| {
        sql(
            file,
            "UPDATE type_positions SET type = 3 - type WHERE position = 77",
        );
    };
    let told = [
        (Some(77), "which it is not of"),
        (Some(77), "does not have the event under its type"),
    ];
    assert_told(&whole, "type-positions-moved", moved, &told);
    let flip = |file: &Connection| {
        change_blob(file, "cid_segments", "entries", "number", 1 << 8, flip_last);
    };
    let told = (None, "row 256 of the index of CIDs does not hash");
    assert_told(&whole, "cids", flip, &[told]);
    let remove = |file: &Connection| sql(file, "DELETE FROM cid_segments WHERE number = 0");
    let told = [
        (None, "row 0 of the index of CIDs is missing"),
        (None, "the index of CIDs has 1 rows, 2 belong there"),
    ];
    assert_told(&whole, "cids-removed", remove, &told);
    let before = |file: &Connection| {
        sql(
            file,
            "INSERT INTO events SELECT 0, aggregate, 0, type, 0, sequence, timestamp, cid, body
             FROM events WHERE position = 1",
        );
    };
    let told = (None, "before its first position, has 1 rows");
    assert_told(&whole, "before", before, &[told]);
}

#[test]
fn each_damaged_object_snapshot_and_checkpoint_is_told() {
    let whole = whole();
    let damage = |file: &Connection| {
        for row in [1, 2] {
            change_blob(file, "objects", "body", "number", row, flip_last);
            change_blob(file, "snapshots", "state", "number", row, flip_last);
        }
        sql(file, "UPDATE checkpoints SET position = position + 1");
    };
    let told = [
        (None, "the object does not hash to its CID"),
        (None, "the object does not hash to its CID"),
        (None, "the snapshot of test.note a is not what was written"),
        (None, "the snapshot of test.note a is not what was written"),
        (None, "the checkpoint of reader `one`"),
        (None, "the checkpoint of reader `another`"),
    ];
    assert_told(&whole, "beside", damage, &told);
}

#[test]
fn many_damages_at_once_are_all_told() {
    let whole = whole();
    let positions: Vec<u64> = (1..EVENTS).step_by(9).collect();
    let path = whole.damaged("many", |file| {
        for position in &positions {
            change_body(file, *position, flip_last);
        }
        sql(file, "UPDATE aggregates SET version = version + 1");
    });
    let (damages, report) = verified(&path, 2);
    let told: Vec<_> = damages.iter().filter_map(Damage::position).collect();
    let expected = positions.iter().copied().chain([696, 698, 700]);
    let mut expected: Vec<_> = expected.map(Position).collect();
    let mut told = told;
    told.sort();
    expected.sort();
    assert_eq!(told, expected);
    assert_eq!(report.events, EVENTS);
}

#[test]
fn a_damaged_page_hides_nothing_but_what_was_on_it() {
    let whole = whole();
    let truth = run(async { collect(opened(&whole.path).read_all(Position::START)).await });
    let truth = truth.expect("the file reads");
    let bytes = std::fs::read(&whole.path).expect("the file reads");
    let mut numbers = Numbers::new(7);
    for _ in 0..if is_long() { 1_000 } else { 60 } {
        let place = numbers.below(bytes.len() as u64 - 100) + 100;
        let mut damaged = bytes.clone();
        damaged[place as usize] ^= 1 << numbers.below(8);
        let path = whole.directory.file("page.db");
        std::fs::write(&path, damaged).expect("the copy is written");
        let options = SqliteOptions::default().even_if_damaged();
        let Ok(store) = options.open(&path) else {
            continue;
        };
        run(async {
            let mut verification = Verification::of(store.clone());
            let report = verification.finish(drop).await;
            let report = match report {
                Ok(report) => report,
                Err(error) => panic!("byte {place}: {error}"),
            };
            if report.is_sound() {
                let events = collect(store.read_all(Position::START)).await;
                assert_eq!(events.expect("it reads"), truth, "byte {place}");
            }
        });
    }
}

/// Two files whose one aggregate has other first events: the second event of one in the place of the other's links to an
/// event that is not there, and is right in all else.
#[test]
fn an_event_that_links_to_another_than_the_one_before_it_is_told() {
    let directory = crate::sqlite_support::Directory::new();
    let filled = |name: &str, first: u64| {
        let path = directory.file(name);
        run(async {
            let store = opened_new(&path);
            for number in [first, 7] {
                let events = vec![note(number)];
                let request = commit().aggregate(key("a"), ExpectedVersion::Any, events);
                store.append(request).await.expect("it is stored");
            }
            store.close().await;
        });
        path
    };
    let (path, other) = (filled("one.db", 1), filled("other.db", 2));
    let other = Connection::open(&other).expect("it opens");
    let row = "SELECT cid, body, timestamp FROM events WHERE position = 2";
    let (cid, body, time): (Vec<u8>, Vec<u8>, i64) = other
        .query_row(row, (), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .expect("it is there");
    let file = Connection::open(&path).expect("it opens");
    let changed = file.execute(
        "UPDATE events SET cid = ?1, body = ?2, timestamp = ?3 WHERE position = 2",
        (&cid, &body, time),
    );
    assert_eq!(changed.expect("it changes"), 1);
    let changed = file.execute(
        "UPDATE aggregates SET cid = ?1, timestamp = ?2",
        (&cid, time),
    );
    assert_eq!(changed.expect("it changes"), 1);
    drop(file);
    for threads in [1, 2] {
        let (damages, report) = verified(&path, threads);
        assert_eq!((damages.len(), report.events), (1, 2), "{damages:?}");
        let fault = damages[0].verdict().map(|verdict| &verdict.fault);
        assert!(
            matches!(fault, Some(Fault::PreviousMismatch { .. })),
            "{damages:?}"
        );
        assert_eq!(damages[0].position(), Some(Position(2)));
    }
}

fn opened_new(path: &std::path::Path) -> cim_es::SqliteEventStore {
    cim_es::SqliteEventStore::open(path).expect("a new file")
}
