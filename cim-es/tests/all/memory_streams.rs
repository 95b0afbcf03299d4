//! Streams of the engine in memory, while others write.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cim_es::MemoryEventStore;
use cim_es::message::{MessageIdentity, Timestamp};
use cim_es::store::{
    AggregateKey, CommitRequest, EventStore, EventStoreExt, ExpectedVersion, NewEvent, StreamExt,
};
use cim_es::subject::Token;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_seen_in_the_store_is_in_a_stream_that_is_made_then() {
    let store = MemoryEventStore::new();
    let key = AggregateKey::new("test.note", Token::new("a").unwrap());
    let is_over = Arc::new(AtomicBool::new(false));
    let writer = {
        let (store, key, is_over) = (store.clone(), key.clone(), is_over.clone());
        tokio::spawn(async move {
            while !is_over.load(Ordering::Relaxed) {
                let identity = MessageIdentity::new_from_user("writer");
                let event = NewEvent::from_payload("test.note.written", 1, vec![0xa0]);
                let commit = CommitRequest::new(identity, Timestamp::from_micros(0));
                let commit = commit.aggregate(key.clone(), ExpectedVersion::Any, vec![event]);
                store.append(commit).await.unwrap();
                // So that a failure of the test ends this too.
                tokio::task::yield_now().await;
            }
        })
    };
    // On a busy machine a round may wait for the writer's turn to end; there are thousands in this time even so.
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(3) {
        if let Some(seen) = store.last(&key).await.unwrap() {
            let before = cim_es::store::Position(seen.position.0 - 1);
            let first = store.read_all(before).next().await;
            assert_eq!(first.map(Result::unwrap), Some(seen));
        }
    }
    is_over.store(true, Ordering::Relaxed);
    writer.await.unwrap();
}
