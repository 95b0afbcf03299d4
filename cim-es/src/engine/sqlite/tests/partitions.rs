//! Reading some partitions: the events of others are not proved, and none is taken for one of another.

use futures_util::TryStreamExt;

use super::kinds::append;
use super::*;
use crate::domain::subject::Subjects;
use crate::store::partition;

const IDS: [&str; 12] = [
    "a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9", "a10", "a11",
];
const ROUNDS: usize = 90;

/// Half of the partitions, in which some of the ids are and others not.
fn half(selection: Selection) -> Selection {
    selection.in_partitions(0..32)
}

fn is_wanted(id: &str) -> bool {
    partition(id) < 32
}

/// The selections that go through the events in another way each.
fn selections() -> [Selection; 3] {
    [
        half(Selection::everything()),
        half(Selection::subjects("test.>")),
        half(Selection::kinds(["test.note", "test.book"])),
    ]
}

/// Events of each id in turn, of two types, and behind each round one that nobody wants.
fn filled(path: &Path) -> SqliteEventStore {
    let options = SqliteEventStore::options().readers(1);
    let store = options.open(path).expect("it opens");
    for round in 0..ROUNDS {
        for id in IDS {
            match round % 3 {
                0 => append(&store, "test.book", id, "test.book.printed"),
                _ => append(&store, "test.note", id, "test.note.written"),
            }
        }
        append(&store, "other.shelf", &elsewhere(), "other.shelf.built");
    }
    store
}

/// An id in a partition that is not wanted.
fn elsewhere() -> String {
    let mut ids = (0..).map(|number| format!("s{number}"));
    ids.find(|id| !is_wanted(id)).unwrap_or_default()
}

fn positions(store: &SqliteEventStore, selection: Selection) -> Result<Vec<u64>, StoreError> {
    let events = store.read(selection, Bookmark::START);
    wait(events.map_ok(|event| event.position.0).try_collect())
}

/// The positions of the events of ids, by whether they are wanted.
fn of_ids(wanted: bool) -> Vec<u64> {
    let round = IDS.len() + 1;
    let positions = (0..round * ROUNDS).filter(|place| {
        let id = IDS.get(place % round);
        id.is_some_and(|id| is_wanted(id) == wanted)
    });
    positions.map(|place| place as u64 + 1).collect()
}

#[test]
fn reading_some_partitions_proves_no_event_of_another() {
    let directory = Directory::new();
    let path = directory.0.join("partitions.db");
    let store = filled(&path);
    let (wanted, others) = (of_ids(true), of_ids(false));
    assert!(wanted.len() > 256 && others.len() > 256, "more than a page");
    // The payload of one event: a map with one entry where it had none.
    let tampered = |position: u64| {
        format!(
            "UPDATE events SET body = unhex(substr(hex(body), 1, 2 * length(body) - 2) || 'A1') \
             WHERE position = {position}"
        )
    };
    for position in &others {
        tamper(&path, &tampered(*position));
    }
    for selection in selections() {
        let read = positions(&store, selection.clone()).expect("it reads");
        assert_eq!(read, wanted, "{selection}");
    }
    tamper(&path, &tampered(wanted[260]));
    for selection in selections() {
        let read = positions(&store, selection.clone());
        assert!(matches!(read, Err(StoreError::Damaged(_))), "{selection}");
    }
}

#[test]
fn where_all_types_are_wanted_their_lists_are_not_needed() {
    let directory = Directory::new();
    let path = directory.0.join("all.db");
    let store = filled(&path);
    tamper(&path, "DELETE FROM type_positions WHERE position > 7");
    let subjects: Subjects = ["test.>", "other.>"]
        .map(Subjects::from)
        .into_iter()
        .collect();
    let all = half(Selection::subjects(subjects));
    assert_eq!(positions(&store, all).expect("it reads"), of_ids(true));
}

#[test]
fn an_event_whose_column_says_another_aggregate_is_not_passed_over() {
    let directory = Directory::new();
    let path = directory.0.join("columns.db");
    let store = filled(&path);
    let (wanted, others) = (of_ids(true), of_ids(false));
    let of = |position: u64| format!("(SELECT aggregate FROM events WHERE position = {position})");
    let sql = format!(
        "UPDATE events SET aggregate = {} WHERE position = {}",
        of(others[40]),
        wanted[40]
    );
    tamper(&path, &sql);
    for selection in selections() {
        let read = positions(&store, selection.clone()).expect("it reads");
        assert_eq!(read, wanted, "{selection}");
    }
}

#[test]
fn an_event_whose_body_says_another_id_is_damaged_and_not_passed_over() {
    let directory = Directory::new();
    let path = directory.0.join("bodies.db");
    let store = filled(&path);
    let position = of_ids(true)[40];
    let id = IDS[(position - 1) as usize % (IDS.len() + 1)];
    let same_length = |other: &&&str| other.len() == id.len() && !is_wanted(other);
    let other = IDS.iter().find(same_length).expect("an id elsewhere");
    let hex = |id: &str| -> String { id.bytes().map(|byte| format!("{byte:02x}")).collect() };
    let sql = format!(
        "UPDATE events SET body = unhex(replace(hex(body), upper('6c6167677265676174655f69646{0}{1}'), \
         upper('6c6167677265676174655f69646{0}{2}'))) WHERE position = {position}",
        id.len(),
        hex(id),
        hex(other),
    );
    tamper(&path, &sql);
    for selection in selections() {
        let read = positions(&store, selection.clone());
        assert!(matches!(read, Err(StoreError::Damaged(_))), "{selection}");
    }
}

#[test]
fn a_list_of_a_type_that_lost_an_event_is_damaged_whichever_partition_it_was_of() {
    for wanted in [true, false] {
        let directory = Directory::new();
        let path = directory.0.join("lists.db");
        let store = filled(&path);
        let position = of_ids(wanted)[40];
        tamper(
            &path,
            &format!("DELETE FROM type_positions WHERE position = {position}"),
        );
        for selection in &selections()[1..] {
            let read = positions(&store, selection.clone());
            assert!(matches!(read, Err(StoreError::Damaged(_))), "{selection}");
        }
    }
}

#[test]
fn a_type_that_says_it_ended_earlier_is_damaged() {
    let directory = Directory::new();
    let path = directory.0.join("ends.db");
    let store = filled(&path);
    tamper(&path, "UPDATE types SET last = 1 WHERE kind = 'test.book'");
    for selection in &selections()[1..] {
        let read = positions(&store, selection.clone());
        assert!(matches!(read, Err(StoreError::Damaged(_))), "{selection}");
    }
}
