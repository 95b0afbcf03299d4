//! Read models in a key-value bucket: the contract, and what only servers can do to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cim_es::jetstream::{Connection, JetStreamReadModels, NatsConfig};
use cim_es::prelude::Uuid;
use cim_es::store::read_model::{
    DocumentChange, Hold, IndexEntry, Page, ReadModelError, ReadModelStorage, ReadModelStorageExt,
    ViewChanges, ViewDeclaration, ViewId,
};
use cim_es::store::{Bookmark, Position, StoreError};
use cim_es::testing::read_model_contract::Provider;
use cim_es_tests::nats::{Server, User};

use crate::jetstream::proxy::Proxy;
use crate::jetstream::random::Random;

/// A bucket of its own on the server that all tests share.
struct OneServer {
    bucket: String,
}

impl OneServer {
    fn new() -> Self {
        Self {
            bucket: format!("views-{}", Uuid::now_v7().simple()),
        }
    }
}

#[async_trait::async_trait]
impl Provider for OneServer {
    type Storage = JetStreamReadModels;

    async fn open(&self) -> JetStreamReadModels {
        let client = Server::shared().connect(User::Operator).await;
        let storage = JetStreamReadModels::open(client, &self.bucket, 1).await;
        storage.expect("the bucket opens")
    }
}

cim_es::read_model_contract_tests!(OneServer::new());

const LEASE: Duration = Duration::from_secs(3_600);

fn view() -> ViewId {
    ViewId::new("cards", 1).expect("the name of a view")
}

async fn held(storage: &JetStreamReadModels) -> Uuid {
    let declaration = ViewDeclaration::new(view(), 1);
    storage.open_view(&declaration).await.expect("it opens");
    let holder = Uuid::now_v7();
    let hold = storage.hold(&view(), holder, LEASE).await;
    assert!(matches!(hold, Ok(Hold::Held { .. })), "{hold:?}");
    holder
}

fn at(position: u64) -> Bookmark {
    Position(position).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_larger_than_the_bucket_takes_is_refused_the_first_time_too() {
    let storage = OneServer::new().open().await;
    let holder = held(&storage).await;
    let put = |bytes: usize, position: u64| {
        let changes = ViewChanges::new(holder, at(position), at(position + 1));
        changes.with_documents(vec![DocumentChange::put("card", vec![7; bytes])])
    };
    let refused = storage.commit(&view(), put(1_000_000, 0)).await;
    let Err(ReadModelError::DocumentTooLarge { key, limit, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(key, "card");
    // What is taken once is taken again, when the value before stands beside it.
    for position in 0..3 {
        let stored = storage.commit(&view(), put(limit, position)).await;
        stored.expect("the largest is stored");
    }
    let refused = storage.commit(&view(), put(limit + 1, 3)).await;
    let is_refused = matches!(refused, Err(ReadModelError::DocumentTooLarge { .. }));
    assert!(is_refused, "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn index_entries_of_former_values_go_and_those_that_come_back_stay() {
    let storage = OneServer::new().open().await;
    let holder = held(&storage).await;
    let keys: Vec<String> = (0..100).map(|number| format!("{number:03}")).collect();
    for round in 0..16_u64 {
        let documents = keys.iter().map(|key| {
            DocumentChange::put(key.as_str(), round.to_string())
                .indexed("round", (round % 5).to_string())
        });
        let changes = ViewChanges::new(holder, at(round), at(round + 1));
        let changes = changes.with_documents(documents.collect());
        storage
            .commit(&view(), changes)
            .await
            .expect("it is stored");
        for value in 0..5 {
            let entry = IndexEntry::new("round", value.to_string());
            let found = storage.find(&view(), &entry, &Page::first(1_000)).await;
            let found = found.expect("it is asked").value.documents.len();
            let expected = if value == round % 5 { keys.len() } else { 0 };
            assert_eq!(found, expected, "by {value} in round {round}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_a_tool_deleted_or_wrote_is_damage_and_no_answer() {
    let provider = OneServer::new();
    let storage = provider.open().await;
    let holder = held(&storage).await;
    let changes = ViewChanges::new(holder, at(0), at(1));
    let changes = changes.with_documents(vec![DocumentChange::put("card", "one")]);
    storage
        .commit(&view(), changes)
        .await
        .expect("it is stored");
    let client = Server::shared().connect(User::Operator).await;
    let subject = format!("$KV.{}.view.cards.1", provider.bucket);
    for body in ["{}", "\u{1}"] {
        let ack = client.request(subject.clone(), body.into()).await;
        ack.expect("the tool writes");
        let read = storage.get(&view(), "card").await;
        let is_damaged = matches!(read, Err(ReadModelError::Storage(StoreError::Damaged(_))));
        assert!(is_damaged, "{read:?}");
    }
}

/// Fills a view while its connection is cut in the middle of commits; each commit changes a part of the documents.
#[tokio::test(flavor = "multi_thread")]
async fn a_view_equals_its_fold_however_the_connection_is_cut() {
    const COMMITS: u64 = 12;
    const KEYS: u64 = 8;
    let provider = OneServer::new();
    let reader = provider.open().await;
    let proxy = Proxy::to(Server::shared().address()).await;
    let connect = async || {
        let config = NatsConfig::new([proxy.url()])
            .user_and_password(User::Operator.name(), User::Operator.password())
            .request_timeout(Duration::from_millis(300))
            .patience(Duration::from_millis(600));
        let connection: Connection = config.connect().await.expect("it connects");
        JetStreamReadModels::open(connection, &provider.bucket, 1).await
    };
    let mut storage = connect().await.expect("the bucket opens");
    let mut holder = held(&storage).await;

    let is_over = Arc::new(AtomicBool::new(false));
    let looks = Arc::new(AtomicU64::new(0));
    let watches = {
        let (reader, is_over, looks) = (reader.clone(), is_over.clone(), looks.clone());
        tokio::spawn(async move {
            while !is_over.load(Ordering::SeqCst) {
                let all = reader
                    .list(&view(), &Page::first(100))
                    .await
                    .expect("it is read");
                check(all.position.0, &all.value.documents, KEYS);
                looks.fetch_add(1, Ordering::SeqCst);
            }
        })
    };

    let random = Random::new(7);
    let (mut failures, mut tries) = (0, 0_u64);
    let mut position = 0;
    while position < COMMITS {
        let next = position + 1;
        tries += 1;
        let changes =
            ViewChanges::new(holder, at(position), at(next)).with_documents(changed(next, KEYS));
        let wait = Duration::from_micros(random.within(0..6_000));
        let cuts = async {
            if tries % 2 == 0 {
                tokio::time::sleep(wait).await;
                proxy.cut();
            }
        };
        let storing = async {
            // One that is left in the middle is as one whose program was killed.
            let limit = Duration::from_millis(if tries % 3 == 0 {
                random.within(0..12)
            } else {
                5_000
            });
            tokio::time::timeout(limit, storage.commit(&view(), changes)).await
        };
        let (stored, ()) = tokio::join!(storing, cuts);
        if !matches!(stored, Ok(Ok(()))) {
            failures += 1;
            storage = connect().await.expect("the bucket opens");
            // Another program takes over.
            let record = reader.view(&view()).await.expect("it is known");
            let before = record
                .expect("it is there")
                .held
                .expect("it is held")
                .holder;
            reader
                .release(&view(), before)
                .await
                .expect("it is released");
            holder = held(&storage).await;
        }
        let record = reader.view(&view()).await.expect("it is known");
        let now = record.expect("it is there").up_to.position.0;
        assert!(now == position || now == next, "from {position} to {now}");
        position = now;
    }
    is_over.store(true, Ordering::SeqCst);
    watches.await.expect("whole commits are seen");
    assert!(failures > 1, "only {failures} commits were cut");
    assert!(looks.load(Ordering::SeqCst) > 3);
    let all = reader
        .list(&view(), &Page::first(100))
        .await
        .expect("it is read");
    assert_eq!(all.position.0, COMMITS);
    check(COMMITS, &all.value.documents, KEYS);
    for key in 0..KEYS {
        let value = fold(COMMITS, key).expect("each key was written");
        let entry = IndexEntry::new("value", value.to_string());
        let found = reader.find(&view(), &entry, &Page::first(100)).await;
        let found = found.expect("it is asked").value.documents;
        assert!(
            found.iter().any(|it| it.key == key.to_string()),
            "{key} by {value}"
        );
    }
}

/// What a commit changes: some of the keys, by its number.
fn changed(commit: u64, keys: u64) -> Vec<DocumentChange> {
    let touched = (0..keys).filter(|key| touches(commit, *key));
    let changes = touched.map(|key| {
        DocumentChange::put(key.to_string(), commit.to_string())
            .indexed("value", commit.to_string())
    });
    changes.collect()
}

fn touches(commit: u64, key: u64) -> bool {
    commit.is_multiple_of(key + 1) || key == 0
}

/// The value of a key after a commit.
fn fold(commit: u64, key: u64) -> Option<u64> {
    (1..=commit).rev().find(|earlier| touches(*earlier, key))
}

fn check(position: u64, documents: &[cim_es::store::read_model::StoredDocument], keys: u64) {
    for key in 0..keys {
        let found = documents.iter().find(|it| it.key == key.to_string());
        let found = found.map(|it| String::from_utf8_lossy(&it.value).into_owned());
        let expected = fold(position, key).map(|value| value.to_string());
        assert_eq!(found, expected, "key {key} at {position}");
    }
}
