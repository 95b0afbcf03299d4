//! Views beside each other, and what is known of each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use futures_util::future::join_all;
use uuid::Uuid;

use super::Provider;
use super::sample::*;
use crate::domain::message::Timestamp;
use crate::store::Position;
use crate::store::read_model::{
    DocumentChange, IndexEntry, Page, Parked, ReadModelError, ReadModelStorage,
    ReadModelStorageExt, Skipped, ViewChanges, ViewDeclaration, ViewRecord,
};

/// A view that is opened again, also by several at once, is as it was made.
pub async fn a_view_is_opened_as_it_was_made(provider: impl Provider) {
    let storage = provider.open().await;
    let view = id("cards", 3);
    let declaration = declared(&view).settled_up_to(Position(12));
    let mut opens = Vec::new();
    for _ in 0..4 {
        let (storage, declaration) = (provider.open().await, declaration.clone());
        opens.push(async move { storage.open_view(&declaration).await });
    }
    for made in join_all(opens).await {
        assert_eq!(made.expect("it opens"), ViewRecord::new(&declaration));
    }
    let holder = held(&storage, &view).await;
    commit(&storage, &view, holder, (0, 5), Vec::new())
        .await
        .expect("it is stored");
    storage
        .release(&view, holder)
        .await
        .expect("it is released");
    // What is settled is said when it is made.
    let again = storage
        .open_view(&declared(&view).settled_up_to(Position(99)))
        .await;
    let again = again.expect("it opens");
    assert_eq!((again.up_to, again.settled), (at(5), Position(12)));
    assert_eq!(again, record(&provider.open().await, &view).await);
    assert_eq!(
        storage.views("cards").await.expect("they are known"),
        [again]
    );
}

/// Another fingerprint under the same version is refused with both, and changes nothing.
pub async fn another_declaration_of_a_version_is_refused(provider: impl Provider) {
    let storage = provider.open().await;
    let view = id("cards", 1);
    storage.open_view(&declared(&view)).await.expect("it opens");
    for fingerprint in [
        0,
        1,
        FINGERPRINT + 1,
        FINGERPRINT & 0xffff_ffff,
        FINGERPRINT >> 1,
        u64::MAX,
    ] {
        let other = ViewDeclaration::new(view.clone(), fingerprint);
        let refused = storage.open_view(&other).await;
        let Err(ReadModelError::DeclarationChanged { kept, declared, .. }) = refused else {
            panic!("fingerprint {fingerprint:x}: {refused:?}");
        };
        assert_eq!((kept, declared), (FINGERPRINT, fingerprint));
    }
    assert_eq!(record(&storage, &view).await.fingerprint, FINGERPRINT);
    let next = ViewDeclaration::new(id("cards", 2), 1);
    storage
        .open_view(&next)
        .await
        .expect("another version has its own");
}

/// Views of other names and versions are others, however alike their names are.
pub async fn views_do_not_mix(provider: impl Provider) {
    let storage = provider.open().await;
    let views = [
        id("a", 1),
        id("a", 2),
        id("a", 11),
        id("a", 12),
        id("a", u32::MAX),
        id("a", 1).rebuilt(),
        id("a", 1).rebuilt().rebuilt(),
        id("a", u32::MAX).rebuilt(),
        id("a1", 1),
        id("a-1", 1),
        id("a_1", 1),
        id("a-1-1", 1),
        id("ab", 1),
    ];
    for (number, view) in views.iter().enumerate() {
        let holder = held(&storage, view).await;
        let value = number.to_string();
        let card = DocumentChange::put("card", value.clone()).indexed("number", value.clone());
        let own = DocumentChange::put(format!("own {value}"), "").indexed("all", "yes");
        let up_to = number as u64 + 1;
        commit(&storage, view, holder, (0, up_to), vec![card, own])
            .await
            .expect("it is stored");
    }
    for (number, view) in views.iter().enumerate() {
        let value = number.to_string();
        assert_eq!(record(&storage, view).await.up_to, at(number as u64 + 1));
        assert_eq!(
            get(&storage, view, "card").await.expect("it is there"),
            value
        );
        let own = format!("own {number}");
        assert_eq!(listed(&storage, view, 10).await, ["card", own.as_str()]);
        assert_eq!(found(&storage, view, "all", "yes").await, [own]);
        for other in 0..views.len() {
            let keys = found(&storage, view, "number", &other.to_string()).await;
            assert_eq!(keys.len(), usize::from(other == number));
        }
    }
    let versions = storage.views("a").await.expect("they are known");
    let versions: Vec<(u32, u32)> = versions
        .iter()
        .map(|record| (record.view.version(), record.view.build()))
        .collect();
    let (last, again) = (u32::MAX, 1);
    let wanted = [
        (1, 0),
        (1, 1),
        (1, 2),
        (2, 0),
        (11, 0),
        (12, 0),
        (last, 0),
        (last, again),
    ];
    assert_eq!(versions, wanted);
    for unknown in ["b", "", "A", "a ", "%"] {
        assert_eq!(
            storage.views(unknown).await.expect("they are known"),
            [],
            "{unknown:?}"
        );
    }
}

/// A version that is built again stands beside its former build, which answers until the other serves, and is removed
/// without it.
pub async fn a_version_is_built_again_beside_its_former_build(provider: impl Provider) {
    let storage = provider.open().await;
    let former = id("cards", 7);
    let again = former.rebuilt();
    let put = |value| vec![DocumentChange::put("card", value).indexed("is", "there")];
    let mut holders = Vec::new();
    for (view, value, up_to) in [(&former, "former", 9), (&again, "again", 4)] {
        let holder = held(&storage, view).await;
        commit(&storage, view, holder, (0, up_to), put(value))
            .await
            .expect("it is stored");
        holders.push(holder);
        if view == &former {
            storage.serve(view).await.expect("it serves");
        }
    }
    let card = |view| {
        let storage = storage.clone();
        async move { get(&storage, view, "card").await.expect("it is there") }
    };
    assert_eq!(
        (card(&former).await, card(&again).await),
        ("former".into(), "again".into())
    );
    let known = |records: Vec<ViewRecord>| {
        let known = records
            .into_iter()
            .map(|it| (it.view, it.up_to, it.is_serving));
        known.collect::<Vec<_>>()
    };
    for storage in [storage.clone(), provider.open().await] {
        let views = known(storage.views("cards").await.expect("they are known"));
        let wanted = [(former.clone(), at(9), true), (again.clone(), at(4), false)];
        assert_eq!(views, wanted);
        let serving = storage.serving("cards").await.expect("it is known");
        assert_eq!(serving.map(|record| record.view), Some(former.clone()));
    }

    commit(&storage, &again, holders[1], (4, 9), Vec::new())
        .await
        .expect("it is stored");
    storage.serve(&again).await.expect("it serves");
    let serving = storage.serving("cards").await.expect("it is known");
    assert_eq!(serving.map(|record| record.view), Some(again.clone()));
    assert_eq!(card(&former).await, "former");
    storage.remove_view(&former).await.expect("it is removed");
    assert_eq!(card(&again).await, "again");
    assert_eq!(found(&storage, &again, "is", "there").await, ["card"]);
    let views = known(storage.views("cards").await.expect("they are known"));
    assert_eq!(views, [(again, at(9), true)]);
}

/// Where a view stands still is kept until it goes on, and what it passed over for ever.
pub async fn where_a_view_stands_still_and_what_it_passed_over_is_kept(provider: impl Provider) {
    let storage = provider.open().await;
    let view = id("cards", 1);
    let holder = held(&storage, &view).await;
    let parked = |position| Parked {
        bookmark: at(position),
        event_type: "library.book.lent".to_owned(),
        reason: format!("no card \"{position}\"\n – not one"),
        since: Timestamp::from_micros(-7),
    };
    let skipped = |position| Skipped {
        bookmark: at(position),
        event_type: "library.book.lent".to_owned(),
        reason: "known, see the log".to_owned(),
        at: Timestamp::from_micros(1_700_000_000_000_001),
        by: "Ann \u{1f600}".to_owned(),
    };
    let card = DocumentChange::put("card", "one");
    let changes = ViewChanges::new(holder, at(0), at(4))
        .with_documents(vec![card])
        .parked(parked(5));
    storage.commit(&view, changes).await.expect("it is stored");
    for storage in [storage.clone(), provider.open().await] {
        let record = record(&storage, &view).await;
        assert_eq!((record.up_to, record.parked), (at(4), Some(parked(5))));
    }
    let changes = ViewChanges::new(holder, at(4), at(5)).skipping(skipped(5));
    storage.commit(&view, changes).await.expect("it is stored");
    let record_now = record(&storage, &view).await;
    assert_eq!(record_now.parked, None);
    assert_eq!(record_now.skipped, [skipped(5)]);
    let changes = ViewChanges::new(holder, at(5), at(8))
        .skipping(skipped(7))
        .skipping(skipped(8));
    storage.commit(&view, changes).await.expect("it is stored");
    commit(&storage, &view, holder, (8, 9), Vec::new())
        .await
        .expect("it is stored");
    storage
        .release(&view, holder)
        .await
        .expect("it is released");
    let record = record(&provider.open().await, &view).await;
    assert_eq!(record.skipped, [skipped(5), skipped(7), skipped(8)]);
}

/// At most one version of a name serves, none before it is said, and the change from one to another is one step.
pub async fn one_version_serves_at_a_time(provider: impl Provider) {
    let storage = provider.open().await;
    let versions = [id("cards", 1), id("cards", 2), id("cards", 3)];
    let other = id("readers", 1);
    for view in versions.iter().chain([&other]) {
        storage.open_view(&declared(view)).await.expect("it opens");
    }
    assert_eq!(storage.serving("cards").await.expect("it is known"), None);
    storage.serve(&other).await.expect("it serves");
    storage.serve(&versions[0]).await.expect("it serves");
    let is_over = Arc::new(AtomicBool::new(false));
    let looks = Arc::new(AtomicU32::new(0));
    let watches = {
        let (storage, is_over) = (provider.open().await, is_over.clone());
        let looks = looks.clone();
        tokio::spawn(async move {
            while !is_over.load(Ordering::SeqCst) {
                let records = storage.views("cards").await.expect("they are known");
                assert_eq!(records.len(), 3);
                let serving = records.iter().filter(|record| record.is_serving).count();
                assert_eq!(serving, 1, "{records:?}");
                looks.fetch_add(1, Ordering::SeqCst);
            }
        })
    };
    let mut round = 0;
    // However slow the one who watches is, it has to look a few times while versions change.
    while round < 30 || (looks.load(Ordering::SeqCst) < 5 && !watches.is_finished()) {
        round += 1;
        let view = &versions[round % 3];
        storage.serve(view).await.expect("it serves");
        let serving = storage.serving("cards").await.expect("it is known");
        assert_eq!(serving.expect("one serves").view, *view);
        tokio::task::yield_now().await;
    }
    is_over.store(true, Ordering::SeqCst);
    watches.await.expect("one version serves");
    let serving = provider.open().await.serving("readers").await;
    assert_eq!(
        serving.expect("it is known").expect("it serves").view,
        other
    );
}

/// A removed view is gone with all that it had, no other is, and opened again it is empty.
pub async fn a_removed_view_is_gone_and_begins_anew(provider: impl Provider) {
    let storage = provider.open().await;
    let (gone, stays, other) = (id("cards", 1), id("cards", 2), id("cards-1", 1));
    let mut holders = Vec::new();
    for view in [&gone, &stays, &other] {
        let holder = held(&storage, view).await;
        let documents = (0..30)
            .map(|number| DocumentChange::put(number.to_string(), "old").indexed("reader", "ann"));
        commit(&storage, view, holder, (0, 5), documents.collect())
            .await
            .expect("it is stored");
        storage.serve(view).await.expect("it serves");
        holders.push(holder);
    }
    storage.serve(&gone).await.expect("it serves");
    storage.remove_view(&gone).await.expect("it is removed");
    storage
        .remove_view(&gone)
        .await
        .expect("there is nothing to remove");
    assert_eq!(storage.view(&gone).await.expect("it is known"), None);
    assert_eq!(storage.serving("cards").await.expect("it is known"), None);
    let late = commit(&storage, &gone, holders[0], (5, 6), Vec::new()).await;
    assert!(
        matches!(late, Err(ReadModelError::NoSuchView { .. })),
        "{late:?}"
    );
    let declaration = ViewDeclaration::new(gone.clone(), 77);
    let anew = storage.open_view(&declaration).await.expect("it opens");
    assert_eq!(anew, ViewRecord::new(&declaration));
    let late = commit(&storage, &gone, holders[0], (5, 6), Vec::new()).await;
    assert!(
        matches!(late, Err(ReadModelError::NotHeld { .. })),
        "{late:?}"
    );
    assert_eq!(listed(&storage, &gone, 10).await, [""; 0]);
    assert_eq!(found(&storage, &gone, "reader", "ann").await, [""; 0]);
    assert_eq!(get(&storage, &gone, "7").await, None);
    let holder = Uuid::now_v7();
    storage
        .hold(&gone, holder, LONG)
        .await
        .expect("it is asked");
    let card = DocumentChange::put("7", "new").indexed("reader", "bob");
    commit(&storage, &gone, holder, (0, 1), vec![card])
        .await
        .expect("it is stored");
    assert_eq!(listed(&storage, &gone, 10).await, ["7"]);
    assert_eq!(found(&storage, &gone, "reader", "ann").await, [""; 0]);
    for view in [&stays, &other] {
        assert_eq!(listed(&storage, view, 10).await.len(), 30);
        assert_eq!(found(&storage, view, "reader", "ann").await.len(), 30);
        assert_eq!(record(&storage, view).await.up_to, at(5));
    }
}

/// What is asked of a view that nobody has opened is an error that names it.
pub async fn a_view_that_is_not_there_is_an_error(provider: impl Provider) {
    let storage = provider.open().await;
    storage
        .open_view(&declared(&id("cards", 1)))
        .await
        .expect("it opens");
    let view = id("cards", 2);
    let holder = Uuid::now_v7();
    let names_it = |error: ReadModelError| match error {
        ReadModelError::NoSuchView { view: named, .. } => assert_eq!(named, view),
        error => panic!("{error:?}"),
    };
    let (page, entry) = (Page::default(), IndexEntry::new("reader", "ann"));
    names_it(
        storage
            .get(&view, "card")
            .await
            .expect_err("it is not there"),
    );
    names_it(
        storage
            .list(&view, &page)
            .await
            .expect_err("it is not there"),
    );
    names_it(
        storage
            .find(&view, &entry, &page)
            .await
            .expect_err("it is not there"),
    );
    names_it(storage.serve(&view).await.expect_err("it is not there"));
    names_it(
        storage
            .hold(&view, holder, LONG)
            .await
            .expect_err("it is not there"),
    );
    let late = commit(&storage, &view, holder, (0, 1), Vec::new()).await;
    names_it(late.expect_err("it is not there"));
    storage
        .release(&view, holder)
        .await
        .expect("there is nothing to release");
    storage
        .remove_view(&view)
        .await
        .expect("there is nothing to remove");
    let known: Option<ViewRecord> = storage.view(&view).await.expect("it is known");
    assert_eq!(known, None);
}
