//! Conversations: the events that follow from one message, in order.

use std::sync::Arc;

use cim_es::document::DocumentError;
use cim_es::message::{Clock, SystemClock};
use cim_es::prelude::*;
use cim_es::projection::ProjectionManager;
use cim_es::projection::correlation::{ConversationError, Conversations, Correlations};
use cim_es::store::{CommitRequest, EventStore, ExpectedVersion, Position};
use cim_es::{MemoryReadModels, block::StoredEvent};

use super::{LIMIT, event, key};
use crate::account::{Account, AccountEvent};

async fn deposit(store: &dyn EventStore, identity: MessageIdentity) -> StoredEvent {
    let events = vec![event(AccountEvent::Deposited { amount: 1 })];
    let account = key(&Id::<Account>::new());
    let request = CommitRequest::new(identity, SystemClock.now());
    let request = request.aggregate(account, ExpectedVersion::Any, events);
    store.append(request).await.unwrap().remove(0)
}

/// Two conversations, each of `length` events that follow from each other, one after the other in turns.
async fn talk(store: &dyn EventStore, length: usize) -> [Vec<StoredEvent>; 2] {
    let mut talks = [Vec::new(), Vec::new()];
    for _ in 0..length {
        for talk in &mut talks {
            let identity = match talk.last() {
                None => MessageIdentity::new_from_user("Ann"),
                Some(last) => MessageIdentity::caused_by(last),
            };
            talk.push(deposit(store, identity).await);
        }
    }
    talks
}

async fn check(conversations: &Conversations, talks: &[Vec<StoredEvent>; 2]) {
    for talk in talks {
        let id = talk[0].envelope.correlation_id;
        let found = conversations.find_by_correlation(id).await.unwrap();
        assert_eq!(&found.value, talk);
        assert!(found.position >= talk[talk.len() - 1].position);
        let behind = talk[1].position;
        let part = conversations.list_behind(id, behind, 2).await.unwrap();
        let cids: Vec<_> = part.value.iter().map(|event| event.cid).collect();
        assert_eq!(cids, [talk[2].cid, talk[3].cid]);
    }
    let nobodys = conversations.find_by_correlation(Uuid::now_v7()).await;
    assert_eq!(nobodys.unwrap().value, []);
}

#[tokio::test]
async fn the_events_of_a_conversation_are_found_in_their_order() {
    let (store, storage) = (MemoryEventStore::new(), MemoryReadModels::new());
    let conversations = Conversations::new(store.clone(), storage.clone());
    let refused = conversations.find_by_correlation(Uuid::now_v7()).await;
    let Err(ConversationError::View(DocumentError::NotServing { name, .. })) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(name, "correlations");

    let talks = talk(&store, 130).await;
    let manager = ProjectionManager::new(store);
    let view = manager.documents::<Correlations>(storage).await.unwrap();
    view.wait_for(Position(260), LIMIT).await.unwrap();
    check(&conversations, &talks).await;
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_conversation_is_known_with_the_answer_to_each_commit_where_it_is_kept_with_the_events() {
    let directory = crate::sqlite_support::Directory::new();
    let store = SqliteEventStore::open(directory.file("events.db")).unwrap();
    let manager = ProjectionManager::new(store.clone());
    manager.inline::<Correlations>(&store).await.unwrap();
    let conversations = Conversations::inline(&store);
    let mut identity = MessageIdentity::new_from_user("Ann");
    let id = identity.correlation_id();
    for number in 1..=10 {
        let event = deposit(&store, identity).await;
        let found = conversations.find_by_correlation(id).await.unwrap();
        assert_eq!(
            (found.value.len(), found.position),
            (number, event.position)
        );
        assert_eq!(found.value.last(), Some(&event));
        identity = MessageIdentity::caused_by(&event);
    }
    check(&conversations, &talk(&store, 60).await).await;
}

#[tokio::test]
async fn an_event_that_the_store_does_not_have_is_named() {
    let (store, storage) = (MemoryEventStore::new(), MemoryReadModels::new());
    let talks = talk(&store, 1).await;
    let manager = ProjectionManager::new(store);
    let view = manager
        .documents::<Correlations>(storage.clone())
        .await
        .unwrap();
    view.wait_for(Position(2), LIMIT).await.unwrap();
    let other: Arc<dyn EventStore> = Arc::new(MemoryEventStore::new());
    let conversations = Conversations::new(other, storage);
    let id = talks[0][0].envelope.correlation_id;
    let error = conversations.find_by_correlation(id).await.unwrap_err();
    assert!(error.to_string().contains("of another history"), "{error}");
}
