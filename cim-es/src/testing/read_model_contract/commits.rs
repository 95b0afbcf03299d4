//! What one commit writes, and when it is seen.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::Poll;

use futures_util::future::join_all;

use super::Provider;
use super::sample::*;
use crate::store::read_model::{
    DocumentChange, IndexEntry, Page, ReadModelError, ReadModelStorage, ReadModelStorageExt,
    ViewChanges,
};

/// What a commit writes is there once it returns: documents by key, by index and in the list, and the position.
pub async fn a_commit_writes_documents_index_and_position_together(provider: impl Provider) {
    let storage = provider.open().await;
    let view = id("cards", 1);
    let holder = held(&storage, &view).await;
    let documents = vec![
        DocumentChange::put("dune", "one").indexed("reader", "ann"),
        DocumentChange::put("emma", "two").indexed("reader", "bob"),
    ];
    commit(&storage, &view, holder, (0, 7), documents)
        .await
        .expect("it is stored");
    let dune = storage
        .get(&view, "dune")
        .await
        .expect("it can be asked for");
    assert_eq!(dune.value.as_deref(), Some(&b"one"[..]));
    assert_eq!(dune.position, at(7).position);
    let ann = IndexEntry::new("reader", "ann");
    let of_ann = storage.find(&view, &ann, &Page::default()).await;
    let of_ann = of_ann.expect("it can be asked for");
    assert_eq!(of_ann.position, at(7).position);
    assert_eq!(of_ann.value.next, None);
    let [card] = &of_ann.value.documents[..] else {
        panic!("one document has the entry: {of_ann:?}");
    };
    assert_eq!((card.key.as_str(), &card.value[..]), ("dune", &b"one"[..]));
    let all = storage.list(&view, &Page::default()).await;
    let all = all.expect("it can be asked for");
    assert_eq!(all.position, at(7).position);
    assert_eq!(all.value.documents.len(), 2);
    assert_eq!(all.value.documents[1].value, "two");
    assert_eq!(record(&storage, &view).await.up_to, at(7));
}

/// Events that change no document are counted, too.
pub async fn a_commit_of_no_document_moves_the_position(provider: impl Provider) {
    let storage = provider.open().await;
    let view = id("cards", 1);
    let holder = held(&storage, &view).await;
    for (after, up_to) in [(0, 3), (3, 3), (3, 900)] {
        commit(&storage, &view, holder, (after, up_to), Vec::new())
            .await
            .expect("it is stored");
        assert_eq!(record(&storage, &view).await.up_to, at(up_to));
        let read = storage
            .get(&view, "none")
            .await
            .expect("it can be asked for");
        assert_eq!((read.value, read.position), (None, at(up_to).position));
    }
}

/// A commit that goes on from another event than the last one that is counted is refused, with both, and nothing of it
/// is stored.
pub async fn a_commit_from_another_place_changes_nothing(provider: impl Provider) {
    let storage = provider.open().await;
    let view = id("cards", 1);
    let holder = held(&storage, &view).await;
    let first = vec![DocumentChange::put("dune", "one").indexed("reader", "ann")];
    commit(&storage, &view, holder, (0, 5), first)
        .await
        .expect("it is stored");
    let before = record(&storage, &view).await;
    let by_number = crate::store::Bookmark::from(at(5).position);
    for after in [at(0), at(4), at(6), elsewhere(5), by_number] {
        let documents = vec![
            DocumentChange::put("dune", "wrong").indexed("reader", "bob"),
            DocumentChange::put("new", "wrong"),
        ];
        let changes = ViewChanges::new(holder, after, at(9)).with_documents(documents);
        let refused = storage.commit(&view, changes).await;
        let Err(ReadModelError::Moved {
            expected, actual, ..
        }) = refused
        else {
            panic!("a commit after {after:?} on a view at 5: {refused:?}");
        };
        assert_eq!((*expected, *actual), (after, at(5)));
        assert_eq!(record(&storage, &view).await, before);
        assert_eq!(
            get(&storage, &view, "dune").await.as_deref(),
            Some(&b"one"[..])
        );
        assert_eq!(get(&storage, &view, "new").await, None);
        assert_eq!(found(&storage, &view, "reader", "ann").await, ["dune"]);
        assert_eq!(found(&storage, &view, "reader", "bob").await, [""; 0]);
    }
    commit(&storage, &view, holder, (5, 6), Vec::new())
        .await
        .expect("the right place is still taken");
}

/// What is no well-formed commit is refused, and nothing of it is stored.
pub async fn a_commit_that_is_not_well_formed_changes_nothing(provider: impl Provider) {
    let storage = provider.open().await;
    let view = id("cards", 1);
    let holder = held(&storage, &view).await;
    commit(&storage, &view, holder, (0, 5), Vec::new())
        .await
        .expect("it is stored");
    let good = || DocumentChange::put("good", "one");
    let mut removed = DocumentChange::delete("gone");
    removed.index.push(IndexEntry::new("reader", "ann"));
    let malformed = [
        vec![good(), DocumentChange::put("", "no key")],
        vec![good(), DocumentChange::put("k".repeat(256), "long key")],
        vec![good(), DocumentChange::put("good", "twice")],
        vec![good(), removed],
        vec![
            good(),
            DocumentChange::put("card", "").indexed("", "no field"),
        ],
        vec![
            good(),
            DocumentChange::put("card", "").indexed("reader", "v".repeat(1_025)),
        ],
    ];
    for documents in malformed {
        let shown = format!("{documents:?}");
        let refused = commit(&storage, &view, holder, (5, 6), documents).await;
        let is_refused = matches!(refused, Err(ReadModelError::InvalidChanges { .. }));
        assert!(is_refused, "{shown}: {refused:?}");
    }
    let refused = commit(&storage, &view, holder, (5, 4), vec![good()]).await;
    let is_refused = matches!(refused, Err(ReadModelError::InvalidChanges { .. }));
    assert!(is_refused, "backwards: {refused:?}");
    assert_eq!(get(&storage, &view, "good").await, None);
    assert_eq!(record(&storage, &view).await.up_to, at(5));
}

/// Of commits that go on from one place, one is stored, whoever sends them.
pub async fn of_commits_from_one_place_one_wins(provider: impl Provider) {
    let view = id("cards", 1);
    let storage = provider.open().await;
    let holder = held(&storage, &view).await;
    for round in 0..20_u64 {
        let mut commits = Vec::new();
        for racer in 0..4_u64 {
            // A handle of its own for every other one.
            let storage = match racer % 2 {
                0 => storage.clone(),
                _ => provider.open().await,
            };
            let view = view.clone();
            commits.push(async move {
                let document = DocumentChange::put("card", racer.to_string())
                    .indexed("racer", racer.to_string());
                let own = DocumentChange::put(format!("{round}-{racer}"), "");
                let outcome = commit(
                    &storage,
                    &view,
                    holder,
                    (round, round + 1),
                    vec![document, own],
                )
                .await;
                (racer, outcome)
            });
        }
        let mut won = Vec::new();
        for (racer, outcome) in join_all(commits).await {
            match outcome {
                Ok(()) => won.push(racer),
                Err(ReadModelError::Moved { .. }) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        let [winner] = won[..] else {
            panic!("round {round}: {won:?} were stored from one place");
        };
        let card = get(&storage, &view, "card").await.expect("it is there");
        assert_eq!(card, winner.to_string());
        for racer in 0..4_u64 {
            let own = get(&storage, &view, &format!("{round}-{racer}")).await;
            assert_eq!(
                own.is_some(),
                racer == winner,
                "round {round}, racer {racer}"
            );
            let by_racer = found(&storage, &view, "racer", &racer.to_string()).await;
            assert_eq!(by_racer.len(), usize::from(racer == winner));
        }
    }
}

/// Who asks all the while sees each commit as a whole, with its position, however it asks.
pub async fn nobody_sees_a_part_of_a_commit(provider: impl Provider) {
    const KEYS: usize = 12;
    const COMMITS: u64 = 40;
    /// How many answers each way of asking has to get while commits are written, however slow it is.
    const LOOKS: u32 = 5;
    let view = id("cards", 1);
    let storage = provider.open().await;
    let holder = held(&storage, &view).await;
    let keys: Vec<String> = (0..KEYS).map(|number| format!("{number:02}")).collect();
    let is_over = Arc::new(AtomicBool::new(false));
    let mut readers = Vec::new();
    for way in 0..3 {
        let (storage, view) = (provider.open().await, view.clone());
        let (keys, is_over) = (keys.clone(), is_over.clone());
        let looks = Arc::new(AtomicU32::new(0));
        let seen = looks.clone();
        let reader = tokio::spawn(async move {
            let mut last = 0;
            let all = Page::first(100);
            while !is_over.load(Ordering::SeqCst) {
                let (values, position) = match way {
                    0 => {
                        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
                        let read = storage.read(&view, &keys).await.expect("it is read");
                        let values = read.value.into_iter().flatten().collect::<Vec<_>>();
                        (values, read.position.0)
                    }
                    1 => {
                        let read = storage.list(&view, &all).await.expect("it is read");
                        let documents = read.value.documents.into_iter();
                        let values = documents.map(|document| document.value).collect();
                        (values, read.position.0)
                    }
                    _ => {
                        // Each commit gives all documents another entry: by that of a commit all are found, or none.
                        let entry = IndexEntry::new("commit", last.to_string());
                        let read = storage.find(&view, &entry, &all).await.expect("it is read");
                        let documents = read.value.documents.into_iter();
                        let values: Vec<_> = documents.map(|document| document.value).collect();
                        let is_there = read.position.0 == last && last > 0;
                        assert_eq!(
                            values.len(),
                            if is_there { KEYS } else { 0 },
                            "found by the entry of commit {last} at {}",
                            read.position
                        );
                        last = read.position.0;
                        looks.fetch_add(1, Ordering::SeqCst);
                        continue;
                    }
                };
                let expected = if position == 0 { 0 } else { KEYS };
                assert_eq!(values.len(), expected, "documents at position {position}");
                for value in values {
                    assert_eq!(value, position.to_string(), "a document at {position}");
                }
                assert!(position >= last, "from {last} back to {position}");
                last = position;
                looks.fetch_add(1, Ordering::SeqCst);
            }
        });
        readers.push((reader, seen));
    }
    let mut number = 0;
    while number < COMMITS
        || readers
            .iter()
            .any(|(reader, looks)| looks.load(Ordering::SeqCst) < LOOKS && !reader.is_finished())
    {
        number += 1;
        let documents = keys
            .iter()
            .map(|key| {
                DocumentChange::put(key.as_str(), number.to_string())
                    .indexed("commit", number.to_string())
            })
            .collect();
        commit(&storage, &view, holder, (number - 1, number), documents)
            .await
            .expect("it is stored");
        tokio::task::yield_now().await;
    }
    is_over.store(true, Ordering::SeqCst);
    for (reader, _) in readers {
        reader.await.expect("whole commits are seen");
    }
}

/// The position of an answer is that of the commit that it shows: never a later one, with a document of an earlier one.
pub async fn an_answer_is_as_far_as_it_says(provider: impl Provider) {
    let storage = provider.open().await;
    let view = id("cards", 1);
    let holder = held(&storage, &view).await;
    for number in 1..=10 {
        let card = DocumentChange::put("card", number.to_string()).indexed("all", "yes");
        commit(&storage, &view, holder, (number - 1, number), vec![card])
            .await
            .expect("it is stored");
        let one = storage.get(&view, "card").await.expect("it is read");
        assert_eq!(one.position.0, number);
        assert_eq!(one.value.expect("it is there"), number.to_string());
        let none = storage.get(&view, "none").await.expect("it is read");
        assert_eq!((none.position.0, none.value), (number, None));
        let entry = IndexEntry::new("all", "yes");
        let by_entry = storage.find(&view, &entry, &Page::default()).await;
        let by_entry = by_entry.expect("it is read");
        assert_eq!(by_entry.position.0, number);
        assert_eq!(by_entry.value.documents[0].value, number.to_string());
    }
}

/// A commit whose sender goes away before it is answered is stored as a whole, or not at all, and the view goes on.
pub async fn a_commit_that_is_given_up_is_whole_or_not_there(provider: impl Provider) {
    let view = id("cards", 1);
    let storage = provider.open().await;
    let holder = held(&storage, &view).await;
    let mut at_now = 0;
    for round in 1..=20_u64 {
        let documents = (0..20).map(|number| {
            DocumentChange::put(format!("{number:02}"), round.to_string())
                .indexed("round", round.to_string())
        });
        let changes =
            ViewChanges::new(holder, at(at_now), at(round)).with_documents(documents.collect());
        let mut sent = Box::pin(storage.commit(&view, changes));
        // It is begun, and left at another point each time.
        for _ in 0..round {
            let polled = poll_fn(|context| Poll::Ready(sent.as_mut().poll(context))).await;
            if let Poll::Ready(outcome) = polled {
                outcome.expect("it is stored");
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(sent);
        // What was begun may still be on its way: the next commit stands behind it.
        let mut waited = 0;
        loop {
            let read = storage
                .list(&view, &Page::first(100))
                .await
                .expect("it is read");
            let position = read.position.0;
            let values = read.value.documents.iter().map(|document| &document.value);
            let expected = position.to_string();
            assert!(
                values.clone().all(|value| *value == expected),
                "a part of a commit at {position}: {read:?}"
            );
            assert_eq!(values.len(), if position == 0 { 0 } else { 20 });
            assert!(position == at_now || position == round, "{position}");
            let now = commit(&storage, &view, holder, (position, position), Vec::new()).await;
            at_now = position;
            match now {
                Ok(()) => break,
                Err(ReadModelError::Moved { .. }) if waited < 1_000 => waited += 1,
                Err(error) => panic!("{error:?}"),
            }
        }
    }
}

/// A commit of many documents is whole.
pub async fn many_documents_are_one_commit(provider: impl Provider) {
    const MANY: usize = 1_500;
    let storage = provider.open().await;
    let view = id("cards", 1);
    let holder = held(&storage, &view).await;
    let documents = (0..MANY).map(|number| {
        DocumentChange::put(format!("{number:05}"), format!("value {number}"))
            .indexed("tens", (number / 10).to_string())
    });
    commit(&storage, &view, holder, (0, 1), documents.collect())
        .await
        .expect("it is stored");
    let keys = listed(&storage, &view, 400).await;
    let expected: Vec<String> = (0..MANY).map(|number| format!("{number:05}")).collect();
    assert!(
        keys == expected,
        "{} of {MANY} documents are listed",
        keys.len()
    );
    assert_eq!(found(&storage, &view, "tens", "149").await.len(), 10);
    let last = get(&storage, &view, "01499").await.expect("it is there");
    assert_eq!(last, "value 1499");
}

/// What one handle has committed, another one sees that was open before, and one that is opened after.
pub async fn another_handle_sees_what_was_committed(provider: impl Provider) {
    let (storage, before) = (provider.open().await, provider.open().await);
    let view = id("cards", 1);
    let holder = held(&storage, &view).await;
    let card = DocumentChange::put("card", "one").indexed("reader", "ann");
    commit(&storage, &view, holder, (0, 4), vec![card])
        .await
        .expect("it is stored");
    drop(storage);
    for handle in [before, provider.open().await] {
        assert_eq!(record(&handle, &view).await.up_to, at(4));
        assert_eq!(
            get(&handle, &view, "card").await.expect("it is there"),
            "one"
        );
        assert_eq!(found(&handle, &view, "reader", "ann").await, ["card"]);
        assert_eq!(listed(&handle, &view, 10).await, ["card"]);
    }
}

/// Any position is kept as it is, and with it the event.
pub async fn any_position_is_kept(provider: impl Provider) {
    let storage = provider.open().await;
    let view = id("cards", 1);
    let holder = held(&storage, &view).await;
    const EDGE: u64 = 1 << 53;
    let positions = [
        1,
        1 << 32,
        EDGE,
        EDGE + 1,
        i64::MAX as u64,
        i64::MAX as u64 + 1,
        u64::MAX,
    ];
    let mut after = 0;
    for up_to in positions {
        commit(&storage, &view, holder, (after, up_to), Vec::new())
            .await
            .expect("it is stored");
        assert_eq!(record(&storage, &view).await.up_to, at(up_to));
        let read = storage.get(&view, "none").await.expect("it is read");
        assert_eq!(read.position, at(up_to).position);
        after = up_to;
    }
    // An event that is known by its number alone.
    let other = id("other", 1);
    let holder = held(&storage, &other).await;
    let by_number = crate::store::Bookmark::from(at(3).position);
    let changes = ViewChanges::new(holder, at(0), by_number);
    storage.commit(&other, changes).await.expect("it is stored");
    assert_eq!(record(&storage, &other).await.up_to, by_number);
}
