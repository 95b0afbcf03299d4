//! The saved state of a view in memory.

use std::collections::BTreeMap;

use cim_es::MemoryReadModels;
use cim_es::document::{Document, DocumentReader, SplitReader};
use cim_es::prelude::*;
use cim_es::projection::{InMemoryView, ProjectionManager, ViewId};
use cim_es::store::read_model::{
    DocumentChange, ReadModelStorage, ReadModelStorageExt, ViewChanges, ViewDeclaration,
};
use cim_es::store::{CommitRequest, EventStore, ExpectedVersion, NewEvent, Position};

use super::{Balances, LIMIT, deposit, key};
use crate::account::{Account, AccountEvent};

/// A start of the program.
struct Run {
    manager: ProjectionManager,
    view: InMemoryView<Balances>,
}

async fn start(store: &MemoryEventStore, storage: &MemoryReadModels) -> Run {
    let manager = ProjectionManager::new(store.clone());
    let view = manager
        .in_memory::<Balances>()
        .saved_in(storage.clone())
        .await
        .unwrap();
    Run { manager, view }
}

/// A start that comes to the end of the store, and ends in order.
async fn run_up_to(last: Position, store: &MemoryEventStore, storage: &MemoryReadModels) {
    let run = start(store, storage).await;
    run.view.wait_for(last, LIMIT).await.unwrap();
    run.manager.stop().await;
}

impl Run {
    async fn sum_at(&self, last: Position) -> i64 {
        self.view.wait_for(last, LIMIT).await.unwrap();
        self.view.read(Balances::sum).await.unwrap().value
    }
}

fn id() -> ViewId {
    ViewId::new("balances", 1).unwrap()
}

/// Writes over the saved state.
async fn overwrite(storage: &MemoryReadModels, bytes: Vec<u8>) {
    let (me, record) = (Uuid::now_v7(), storage.view(&id()).await.unwrap().unwrap());
    storage.hold(&id(), me, LIMIT).await.unwrap();
    let state = DocumentChange::put("state", bytes);
    let changes = ViewChanges::new(me, record.up_to, record.up_to).with_documents(vec![state]);
    storage.commit(&id(), changes).await.unwrap();
    storage.release(&id(), me).await.unwrap();
}

#[tokio::test]
async fn a_restart_counts_only_what_came_since_the_state_was_saved() {
    let (store, storage) = (MemoryEventStore::new(), MemoryReadModels::new());
    let mut last = Position::START;
    for (turn, counted) in [(1, 10), (2, 10), (3, 10)] {
        for _ in 0..10 {
            last = deposit(&store, Id::new(), 1).await;
        }
        let run = start(&store, &storage).await;
        assert_eq!(run.sum_at(last).await, 10 * turn);
        let status = run.view.status();
        assert_eq!(
            (status.counted, &status.rebuilt, &status.remark),
            (counted, &None, &None)
        );
        run.manager.stop().await;
    }
    let run = start(&store, &storage).await;
    assert_eq!(run.view.status().up_to.position, last);
    assert_eq!(run.sum_at(last).await, 30);
    assert_eq!(run.view.status().counted, 0);
}

#[tokio::test]
async fn a_damaged_state_is_not_used_and_the_view_says_so() {
    let (store, storage) = (MemoryEventStore::new(), MemoryReadModels::new());
    let last = deposit(&store, Id::new(), 5).await;
    run_up_to(last, &store, &storage).await;
    let saved = storage
        .get(&id(), "state")
        .await
        .unwrap()
        .value
        .expect("it was saved")
        .to_vec();
    for at in [0, 20, saved.len() - 1] {
        let mut damaged = saved.clone();
        damaged[at] ^= 1;
        overwrite(&storage, damaged).await;
        let run = start(&store, &storage).await;
        assert_eq!(run.sum_at(last).await, 5);
        let status = run.view.status();
        assert_eq!(status.counted, 1, "byte {at}");
        let reason = status.rebuilt.unwrap();
        assert!(
            reason.starts_with("its saved state is damaged: "),
            "{reason}"
        );
        run.manager.stop().await;
    }
    overwrite(&storage, Vec::new()).await;
    let run = start(&store, &storage).await;
    assert_eq!(run.sum_at(last).await, 5);
}

/// The same name and version, of another declaration.
#[derive(Projection, Debug, Default, Serialize, Deserialize)]
#[projection(name = "balances", version = 1, events = [AccountEvent::{Deposited}])]
struct Deposits {
    sum: u64,
}

impl Project<AccountEvent> for Deposits {
    fn project(&mut self, event: AccountEvent, _: &Source<Account>) {
        if let AccountEvent::Deposited { amount } = event {
            self.sum += amount;
        }
    }
}

#[tokio::test]
async fn a_state_of_another_declaration_is_not_used_and_the_view_says_so() {
    let (store, storage) = (MemoryEventStore::new(), MemoryReadModels::new());
    let last = deposit(&store, Id::new(), 5).await;
    run_up_to(last, &store, &storage).await;
    let manager = ProjectionManager::new(store);
    let view = manager
        .in_memory::<Deposits>()
        .saved_in(storage)
        .await
        .unwrap();
    view.wait_for(last, LIMIT).await.unwrap();
    assert_eq!(view.read(|view| view.sum).await.unwrap().value, 5);
    let line = view.status().to_string();
    let reason = "; built again: its saved state was made by another declaration";
    assert!(line.ends_with(reason), "{line}");
}

#[tokio::test]
async fn a_state_of_another_history_is_forgotten() {
    let (store, storage) = (MemoryEventStore::new(), MemoryReadModels::new());
    for _ in 0..5 {
        let last = deposit(&store, Id::new(), 5).await;
        run_up_to(last, &store, &storage).await;
    }
    let other = MemoryEventStore::new();
    let last = deposit(&other, Id::new(), 1).await;
    let run = start(&other, &storage).await;
    let is_rebuilt = async {
        while run.view.status().rebuilt.is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(LIMIT, is_rebuilt).await.unwrap();
    assert_eq!(run.sum_at(last).await, 1);
    run.manager.stop().await;
    let run = start(&other, &storage).await;
    assert_eq!(run.sum_at(last).await, 1);
    assert_eq!(
        (run.view.status().counted, run.view.status().rebuilt),
        (0, None)
    );
}

#[tokio::test]
async fn what_was_skipped_stays_skipped_after_a_restart() {
    let (store, storage) = (MemoryEventStore::new(), MemoryReadModels::new());
    let account = Id::new();
    deposit(&store, account, 1).await;
    let unknown = NewEvent::from_payload("bank.account.deposited", 9, vec![0xa0]);
    let now = cim_es::message::Clock::now(&cim_es::message::SystemClock);
    let request = CommitRequest::new(MessageIdentity::new_from_user("later"), now);
    let request = request.aggregate(key(&account), ExpectedVersion::Any, vec![unknown]);
    store.append(request).await.unwrap();
    let last = deposit(&store, account, 1).await;

    let run = start(&store, &storage).await;
    run.view.wait_for(last, LIMIT).await.unwrap_err();
    run.view
        .skip("a later release wrote it", "Eve")
        .await
        .unwrap();
    assert_eq!(run.sum_at(last).await, 2);
    // Without its state, which is a cache, the view is built again and passes over it all the same.
    overwrite(&storage, vec![0]).await;
    drop(run);
    let run = start(&store, &storage).await;
    assert_eq!(run.sum_at(last).await, 2);
    assert_eq!(
        run.view.status().skipped[0].reason,
        "a later release wrote it"
    );
}

/// Keys of several values cannot stand in a block.
#[derive(Projection, Debug, Default, Serialize, Deserialize)]
#[projection(name = "pairs", version = 1, events = [AccountEvent])]
struct Pairs(BTreeMap<(u64, u64), u64>);

impl Project<AccountEvent> for Pairs {
    fn project(&mut self, _: AccountEvent, at: &Source<Account>) {
        self.0.insert((at.version(), at.position().0), 1);
    }
}

#[tokio::test]
async fn a_state_that_cannot_be_saved_is_said_with_the_path_of_the_field() {
    let (store, storage) = (MemoryEventStore::new(), MemoryReadModels::new());
    let last = deposit(&store, Id::new(), 5).await;
    let manager = ProjectionManager::new(store);
    let view = manager
        .in_memory::<Pairs>()
        .saved_in(storage)
        .await
        .unwrap();
    view.wait_for(last, LIMIT).await.unwrap();
    manager.stop().await;
    let line = view.status().to_string();
    assert!(line.contains("; its state could not be saved: "), "{line}");
}

#[derive(Document, Debug, PartialEq, Serialize, Deserialize)]
struct Card {
    title: String,
}

#[tokio::test]
async fn who_asks_a_view_in_memory_for_documents_is_told_that_it_has_none() {
    let (store, storage) = (MemoryEventStore::new(), MemoryReadModels::new());
    let last = deposit(&store, Id::new(), 5).await;
    let run = start(&store, &storage).await;
    run.view.wait_for(last, LIMIT).await.unwrap();
    let said = "no version of view `balances` can be asked yet: `balances v1` is kept in memory and not as documents";
    let reader = DocumentReader::<Card>::new(storage.clone(), "balances");
    // Before the state was saved for the first time, and after it was.
    let before = reader.get("a").await.unwrap_err().to_string();
    assert!(before.starts_with(said), "{before}");
    run.manager.stop().await;
    let after = reader.get("a").await.unwrap_err().to_string();
    assert!(after.starts_with(said), "{after}");
    let split = SplitReader::<Card>::new(storage, "balances");
    let split = split.get("a").await.unwrap_err().to_string();
    assert!(split.starts_with(said), "{split}");
}

#[tokio::test]
async fn a_document_with_the_key_of_a_saved_state_is_none() {
    let storage = MemoryReadModels::new();
    let me = Uuid::now_v7();
    let declaration = ViewDeclaration::new(id(), Card::FINGERPRINT);
    storage.open_view(&declaration).await.unwrap();
    storage.hold(&id(), me, LIMIT).await.unwrap();
    let card = DocumentChange::put("state", b"\xa1\x65title\x64Dune".to_vec());
    let changes = ViewChanges::new(me, Position::START.into(), Position(3).into());
    let changes = changes.with_documents(vec![card]);
    storage.commit(&id(), changes).await.unwrap();
    let reader = DocumentReader::<Card>::new(storage, "balances");
    let said = reader.get("state").await.unwrap_err().to_string();
    assert!(
        said.contains("`balances v1` is being built and has counted up to position 3"),
        "{said}"
    );
}

#[tokio::test]
async fn the_status_of_a_saved_state_names_no_end_that_is_before_it() {
    let (store, storage) = (MemoryEventStore::new(), MemoryReadModels::new());
    let last = deposit(&store, Id::new(), 5).await;
    run_up_to(last, &store, &storage).await;
    // On one thread: the view has not asked the store before this waits for something.
    let run = start(&store, &storage).await;
    let line = run.view.status().to_string();
    assert_eq!(
        line,
        format!("balances v1: catching up at {last}, 0 events counted")
    );
}
