//! Reading by kind and by type: what is read of the file, and what is not.

use futures_util::TryStreamExt;

use super::*;

/// Appends one event of a type to an aggregate of a kind.
pub(super) fn append(store: &SqliteEventStore, kind: &str, id: &str, event_type: &str) {
    let identity = MessageIdentity::new_from_user("test");
    let key = AggregateKey::new(kind.to_owned(), Token::new(id).expect("a token"));
    let event = NewEvent::from_payload(event_type, 1, vec![0xa0]);
    let commit = CommitRequest::new(identity, Timestamp::from_micros(1));
    let commit = commit.aggregate(key, ExpectedVersion::Any, vec![event]);
    wait(store.append(commit)).expect("it appends");
}

/// The positions of the events of some kinds.
pub(super) fn positions(store: &SqliteEventStore, kinds: &[&str]) -> Result<Vec<u64>, StoreError> {
    let selection = Selection::kinds(kinds.iter().copied());
    let events = store.read(selection, Bookmark::START);
    wait(events.map_ok(|event| event.position.0).try_collect())
}

/// Two kinds that share a type, and one that has it alone.
fn filled(path: &Path) -> SqliteEventStore {
    let options = SqliteEventStore::options().readers(1);
    let store = options.open(path).expect("it opens");
    for round in 0..100 {
        let id = format!("a{}", round % 3);
        append(&store, "test.note", &id, "test.note.written");
        append(&store, "test.book", &id, "test.note.written");
        append(&store, "test.book", &id, "test.book.printed");
        append(&store, "other.shelf", "s", "other.shelf.built");
    }
    store
}

#[test]
fn a_kind_has_all_of_its_events_whatever_their_types() {
    let directory = Directory::new();
    let store = filled(&directory.0.join("kinds.db"));
    let every = |remainders: &[u64]| -> Vec<u64> {
        let all = 1..=400;
        all.filter(|position| remainders.contains(&(position % 4)))
            .collect()
    };
    let read = |kinds: &[&str]| positions(&store, kinds).expect("it reads");
    assert_eq!(read(&["test.note"]), every(&[1]));
    assert_eq!(read(&["test.book"]), every(&[2, 3]));
    assert_eq!(read(&["test.note", "other.shelf"]), every(&[1, 0]));
    assert!(read(&["test.notes"]).is_empty());
    let report = wait(store.check()).expect("it is whole");
    assert_eq!((report.events, report.types), (400, 4));
}

#[test]
fn reading_a_kind_reads_no_event_of_another() {
    let directory = Directory::new();
    let path = directory.0.join("alone.db");
    let store = filled(&path);
    tamper(
        &path,
        "UPDATE events SET body = x'00' WHERE position % 4 != 1",
    );
    assert_eq!(
        positions(&store, &["test.note"]).expect("it reads").len(),
        100
    );
    let other = positions(&store, &["test.book"]);
    assert!(matches!(other, Err(StoreError::Damaged(_))), "{other:?}");
}

#[test]
fn an_event_of_another_kind_in_the_list_of_a_kind_is_damage() {
    let directory = Directory::new();
    let path = directory.0.join("wrong.db");
    let store = filled(&path);
    tamper(
        &path,
        "UPDATE types SET last = CASE last WHEN 397 THEN 398 ELSE 397 END WHERE last IN (397, 398)",
    );
    let wrong = positions(&store, &["test.note"]);
    assert!(matches!(wrong, Err(StoreError::Damaged(_))), "{wrong:?}");
}

#[test]
fn a_page_by_type_reads_of_the_types_what_was_added_alone() {
    let directory = Directory::new();
    let path = directory.0.join("types.db");
    let store = filled(&path);
    let read = |subject: &'static str| {
        let events = store.read(Selection::subjects(subject), Bookmark::START);
        wait(events.try_collect::<Vec<_>>()).map(|events| events.len())
    };
    assert_eq!(read("test.note.*").expect("it reads"), 200);
    tamper(
        &path,
        "UPDATE types SET digest = 7 WHERE kind = 'other.shelf'",
    );
    append(&store, "test.note", "late", "test.note.read");
    assert_eq!(read("test.note.*").expect("it reads"), 201);
    let reopened = wait(store.check());
    assert!(
        matches!(reopened, Err(StoreError::Damaged(_))),
        "{reopened:?}"
    );
}
