//! Parts of long histories, and pages of large events.

use super::*;
use crate::store::TryStreamExt;
use futures_util::StreamExt;

/// A file with 700 events of each of two aggregates, in turns.
fn long_histories(path: &Path) -> SqliteEventStore {
    let store = SqliteEventStore::open(path).expect("it opens");
    for _ in 0..10 {
        let mut request = CommitRequest::new(
            MessageIdentity::new_from_user("test"),
            Timestamp::from_micros(1),
        );
        for id in ["a", "b"] {
            let event = || NewEvent::from_payload("test.note.written", 1, vec![0xa0]);
            let events = (0..70).map(|_| event()).collect();
            request = request.aggregate(key(id), ExpectedVersion::Any, events);
        }
        wait(store.append(request)).expect("it appends");
    }
    store
}

#[test]
fn any_part_of_a_long_history_is_read_as_it_was_written() {
    let directory = Directory::new();
    let store = long_histories(&directory.0.join("long.db"));
    let all = wait(store.get_events(&key("a"), 1)).expect("it reads");
    let found: Vec<u64> = all.iter().map(|event| event.envelope.sequence).collect();
    assert_eq!(found, (1..=700).collect::<Vec<_>>());
    for (first, last) in [
        (1, 1),
        (1, 256),
        (2, 255),
        (255, 258),
        (256, 513),
        (512, 512),
        (690, 900),
    ] {
        let versions = Versions::starting_at(first).up_to(last);
        let part = wait(store.get_versions(&key("a"), versions)).expect("it reads");
        let end = last.min(700) as usize;
        assert_eq!(part, all[first as usize - 1..end], "{first} to {last}");
    }
    let none = wait(store.get_versions(&key("a"), Versions::starting_at(701)));
    assert!(none.expect("it reads").is_empty());
    for after in [0, 1, 69, 70, 139, 700, 1_399, 1_400] {
        let selection = Selection::aggregate(key("a"));
        let read = store.read(selection, Position(after).into());
        let part: Result<Vec<_>, _> = wait(read.try_collect());
        let expected = all.iter().filter(|event| event.position.0 > after);
        assert!(part.expect("it reads").iter().eq(expected), "after {after}");
    }
}

#[test]
fn reading_up_to_a_version_reads_nothing_behind_its_page() {
    let directory = Directory::new();
    let path = directory.0.join("bound.db");
    let store = long_histories(&path);
    let all = wait(store.get_events(&key("a"), 1)).expect("it reads");
    let late = all[599].position;
    tamper(
        &path,
        &format!("UPDATE events SET body = x'80' WHERE position = {late}"),
    );
    for last in [10, 300, 512] {
        let part = wait(store.get_versions(&key("a"), Versions::ALL.up_to(last)));
        assert_eq!(part.expect("it reads"), all[..last as usize]);
    }
    let hit = wait(store.get_events(&key("a"), 1));
    assert!(matches!(hit, Err(StoreError::Damaged(_))), "{hit:?}");
}

#[test]
fn a_position_of_a_version_that_was_changed_is_noticed() {
    for sql in [
        "DELETE FROM versions WHERE version = 256",
        "UPDATE versions SET position = position + 1 WHERE version = 256",
        "UPDATE versions SET version = 257 WHERE version = 256",
        "DELETE FROM versions WHERE version = 512",
        "UPDATE versions SET position = position - 1 WHERE version = 512",
        "UPDATE events SET previous_of_aggregate = previous_of_aggregate - 1 WHERE sequence = 257",
    ] {
        let directory = Directory::new();
        let path = directory.0.join("versions.db");
        let store = long_histories(&path);
        wait(store.check()).expect("it is whole");
        tamper(&path, sql);
        let check = wait(store.check());
        assert!(
            matches!(check, Err(StoreError::Damaged(_))),
            "{sql}: {check:?}"
        );
        let read = wait(store.get_events(&key("a"), 1));
        assert!(
            matches!(read, Err(StoreError::Damaged(_))),
            "{sql}: {read:?}"
        );
    }
}

#[test]
fn nothing_comes_after_an_error_although_later_parts_are_whole() {
    let directory = Directory::new();
    let path = directory.0.join("ends.db");
    let store = long_histories(&path);
    let all = wait(store.get_events(&key("a"), 1)).expect("it reads");
    tamper(
        &path,
        &format!(
            "UPDATE events SET body = x'80' WHERE position = {}",
            all[299].position
        ),
    );
    let items: Vec<_> = wait(store.history(&key("a"), Versions::ALL).collect());
    assert!(matches!(items.last(), Some(Err(StoreError::Damaged(_)))));
    let read: Vec<_> = items.iter().flatten().collect();
    assert_eq!(items.len(), read.len() + 1);
    assert!(read.into_iter().eq(&all[..256]));
}

#[test]
fn a_page_holds_a_bounded_number_of_bytes() {
    let directory = Directory::new();
    let store = SqliteEventStore::open(directory.0.join("bytes.db")).expect("it opens");
    let mut payload = vec![0xa1, 0x61, b'b', 0x5a, 0x00, 0x06, 0x1a, 0x80];
    payload.resize(payload.len() + 400_000, 7);
    for _ in 0..10 {
        let event = NewEvent::from_payload("test.note.filled", 1, payload.clone());
        let mut request = commit(&[], ExpectedVersion::Any);
        request = request.aggregate(key("a"), ExpectedVersion::Any, vec![event]);
        wait(store.append(request)).expect("it appends");
    }
    let all = wait(store.read_all(Position::START).try_collect::<Vec<_>>());
    assert_eq!(all.expect("it reads").len(), 10);
    let digest = store.shared.digest;
    let pages = store.shared.readers.read(move |database| {
        let everything = Selection::everything();
        let typed = Selection::subjects("test.note.filled");
        let one = Selection::aggregate(key("a"));
        let page = |selection| select::page(database, selection, 0, u64::MAX, 256, digest);
        let sizes = [&everything, &typed, &one]
            .map(|selection| page(selection).map(|page| page.events.len()));
        let mut walk = history::Walk::new(key("a"), 1, u64::MAX);
        let walked = walk.page(database, digest)?.len();
        let [everything, typed, one] = sizes;
        Ok([everything?, typed?, one?, walked])
    });
    assert_eq!(wait(pages).expect("it reads"), [3; 4]);
}
