//! Where a view cannot be read or written, the commits are stored without it, and it says so.

use cim_es::SqliteEventStore;
use cim_es::message::{Clock, SystemClock};
use cim_es::prelude::*;
use cim_es::projection::{ProjectDocuments, ProjectionError, ProjectionManager, ViewState};
use cim_es::store::{CommitRequest, EventStore, ExpectedVersion, Position};
use rusqlite::Connection;

use super::{Kept, folded, held};
use crate::account::{Account, AccountEvent};
use crate::projections::{Cards, LIMIT, deposit, event, key, until};
use crate::sqlite_support::Directory;

fn tool(kept: &Kept, sql: &str) {
    let connection = Connection::open(kept.path()).unwrap();
    connection.execute_batch(sql).unwrap();
}

#[tokio::test]
async fn a_document_that_a_person_changed_holds_up_its_view_and_no_commit() {
    let kept = Kept::new().await;
    let (ann, ben) = (Id::new(), Id::new());
    deposit(&kept.store, ann, 5).await;
    tool(&kept, "UPDATE documents SET value = zeroblob(9)");
    kept.store.check().await.unwrap_err();
    let before = deposit(&kept.store, ben, 1).await;
    let last = deposit(&kept.store, ann, 1).await;
    until(|| matches!(kept.cards.status().state, ViewState::Waiting { .. })).await;
    let status = kept.cards.status();
    assert_eq!(status.up_to.position, before);
    assert!(
        status.to_string().contains("is not what was written"),
        "{status}"
    );
    deposit(&kept.store, ben, 1).await;
    kept.cards.rebuild().await.unwrap();
    kept.cards.wait_for(last, LIMIT).await.unwrap();
    until(|| kept.cards.status().state == ViewState::Live).await;
    let last = deposit(&kept.store, ben, 1).await;
    assert_eq!(kept.cards.get(&ben).await.unwrap().position, last);
    assert_eq!(held(&kept.cards).await, folded(&kept.store).await);
    kept.store.check().await.unwrap();
}

#[tokio::test]
async fn a_row_of_a_view_that_a_person_changed_holds_up_its_view_and_no_commit() {
    let kept = Kept::new().await;
    let ann = Id::new();
    deposit(&kept.store, ann, 5).await;
    tool(&kept, "UPDATE views SET position = 9");
    deposit(&kept.store, ann, 1).await;
    until(|| matches!(kept.cards.status().state, ViewState::Waiting { .. })).await;
    kept.store.check().await.unwrap_err();
    tool(&kept, "DELETE FROM views");
    deposit(&kept.store, ann, 1).await;
    until(|| matches!(kept.cards.status().state, ViewState::Stopped { .. })).await;
    let manager = ProjectionManager::new(kept.store.clone());
    let cards = manager.inline::<Cards>(&kept.store).await.unwrap();
    cards.wait_for(Position(3), LIMIT).await.unwrap();
    assert_eq!(held(&cards).await, folded(&kept.store).await);
    kept.store.check().await.unwrap();
}

#[tokio::test]
async fn tables_of_others_are_refused_beside_those_of_views_too() {
    let kept = Kept::new().await;
    deposit(&kept.store, Id::new(), 5).await;
    tool(
        &kept,
        "CREATE TRIGGER greedy AFTER INSERT ON documents BEGIN DELETE FROM events; END",
    );
    let request = CommitRequest::new(MessageIdentity::new_from_user("test"), SystemClock.now());
    let events = vec![event(AccountEvent::Opened)];
    let request = request.aggregate(key(&Id::new()), ExpectedVersion::Any, events);
    let error = kept.store.append(request).await.unwrap_err();
    assert!(
        error.to_string().contains("DROP TRIGGER \"greedy\""),
        "{error}"
    );
    tool(&kept, "DROP TRIGGER greedy");
    deposit(&kept.store, Id::new(), 5).await;
    assert_eq!(kept.cards.status().state, ViewState::Live);
}

/// Keeps much for each event.
#[derive(Projection)]
#[projection(name = "large", version = 1, events = [AccountEvent], documents = Large)]
struct Larges;

#[derive(Document, Debug, Serialize, Deserialize)]
struct Large {
    text: String,
}

impl ProjectDocuments<AccountEvent> for Larges {
    async fn project(
        &self,
        _: AccountEvent,
        at: &Source<'_, Account>,
        larges: &mut Documents<'_, Large>,
    ) -> Result<(), ProjectionError> {
        let text = "x".repeat(200_000);
        larges.put(&at.position().to_string(), Large { text })?;
        Ok(())
    }
}

#[tokio::test]
async fn a_view_for_which_there_is_no_room_is_left_behind_and_the_commits_are_stored() {
    let directory = Directory::new();
    let path = directory.file("events.db");
    let small = SqliteEventStore::options().max_file_bytes(2_000_000);
    let store = small.open(&path).unwrap();
    let manager = ProjectionManager::new(store.clone());
    let view = manager.inline::<Larges>(&store).await.unwrap();
    // The documents of them would need ten times the room.
    for _ in 0..100 {
        deposit(&store, Id::new(), 1).await;
    }
    until(|| matches!(view.status().state, ViewState::Waiting { .. })).await;
    let status = view.status();
    assert!(status.up_to.position < Position(15), "{status}");
    assert!(status.to_string().contains("no room"), "{status}");
    let read = view.get("1").await.unwrap();
    assert_eq!(read.position, status.up_to.position);
    manager.stop().await;
    store.close().await;

    let store = SqliteEventStore::open(&path).unwrap();
    let manager = ProjectionManager::new(store.clone());
    let view = manager.inline::<Larges>(&store).await.unwrap();
    view.wait_for(Position(100), LIMIT).await.unwrap();
    let last = view.get("100").await.unwrap();
    assert!(last.value.is_some());
    store.check().await.unwrap();
}

#[tokio::test]
async fn a_copy_of_the_file_has_the_view_and_keeps_it() {
    let kept = Kept::new().await;
    let ann = Id::new();
    deposit(&kept.store, ann, 5).await;
    let copy = kept.directory.file("copy.db");
    tool(&kept, &format!("VACUUM INTO '{}'", copy.display()));
    let store = SqliteEventStore::open(&copy).unwrap();
    store.check().await.unwrap();
    let manager = ProjectionManager::new(store.clone());
    let cards = manager.inline::<Cards>(&store).await.unwrap();
    let last = deposit(&store, ann, 1).await;
    let card = cards.get(&ann).await.unwrap();
    assert_eq!((card.position, card.value.unwrap().sum), (last, 6));
}
