//! Checkpoints of a stream: they are those of every other store with the same events in the same order.

use cim_es::MemoryEventStore;
use cim_es::block::StoredEvent;
use cim_es::jetstream::JetStreamEventStore;
use cim_es::proof::{CheckpointError, CheckpointLog, Reading, SigningKey, Tiles, Trust};
use cim_es::store::*;
use cim_es_tests::nats::{Server, User};
use serde_json::json;

use crate::jetstream::sample::*;
use crate::jetstream::{ask, open, open_to_deletes, options};

const ORIGIN: &str = "example.org/library";
const PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n\
    -----END PRIVATE KEY-----\n";

async fn store() -> JetStreamEventStore {
    let client = Server::shared().connect(User::Operator).await;
    open(client, &options(1)).await
}

async fn all(store: &impl EventStore) -> Vec<StoredEvent> {
    let events = store.read_all(Position::START);
    events.try_collect().await.expect("the stream is whole")
}

async fn import(store: &impl EventStore, events: &[StoredEvent]) {
    let commits = SealedCommit::split(events).expect("they are whole commits");
    store
        .append_sealed(commits)
        .await
        .expect("they follow each other");
}

#[tokio::test]
async fn a_stream_has_the_checkpoints_of_its_events_and_what_is_missing_in_another_is_found() {
    let key = SigningKey::parse(ORIGIN, PEM).expect("it is a key");
    let trust = Trust::new([key.verifying_key()]);
    let store = store().await;
    let tiles = Tiles::in_memory();
    let log = CheckpointLog::new(store.clone(), ORIGIN, tiles.clone());
    let keys = [(); 5].map(|()| self::key());
    let mut earlier = None;
    for round in 0..4 {
        for aggregate in &keys {
            let events = notes(0..20);
            let request = commit().aggregate(aggregate.clone(), ExpectedVersion::Any, events);
            // A guard of an aggregate that must not move is a message of the stream, and no event.
            let request = request.unchanged(key_of("contract.sample", "nobody"), None);
            store.append(request).await.expect("it is stored");
        }
        let signed = log
            .checkpoint(&key, Reading::New)
            .await
            .expect("it goes on");
        let checkpoint = signed.verify(&trust).expect("it is ours");
        assert_eq!(checkpoint.size(), (round + 1) * 100);
        if let Some(earlier) = &earlier {
            let proof = log
                .prove_consistency(earlier, &signed)
                .await
                .expect("it goes on");
            assert_eq!(proof.verify(earlier, &trust).as_ref(), Ok(&checkpoint));
        }
        earlier = Some(checkpoint);
    }
    let earlier = earlier.expect("there are four");
    let events = all(&store).await;
    let signed = log.last().await.expect("it is kept").expect("it is kept");
    for event in events.iter().step_by(37) {
        let proof = log
            .prove(&event.cid, &signed)
            .await
            .expect("it is among them");
        proof.verify(&event.cid, &trust).expect("it is among them");
    }

    let memory = MemoryEventStore::new();
    import(&memory, &events).await;
    let in_memory = CheckpointLog::new(memory, ORIGIN, Tiles::in_memory());
    assert_eq!(
        in_memory
            .checkpoint(&key, Reading::All)
            .await
            .expect("it is made"),
        signed
    );

    let other = self::store().await;
    let kept: Vec<_> = events
        .iter()
        .filter(|it| !keys[1].has(it))
        .cloned()
        .collect();
    import(&other, &kept).await;
    let other = CheckpointLog::new(other, ORIGIN, tiles);
    let audited = other.audit(&earlier).await;
    let refused = other.checkpoint(&key, Reading::All).await.map(|_| ());
    for found in [audited, refused] {
        let Err(CheckpointError::HistoryChanged(change)) = found else {
            panic!("an aggregate is gone: {found:?}")
        };
        assert_eq!((change.index, change.formerly), (Some(20), Some(40)));
    }
}

#[tokio::test]
async fn an_event_that_was_taken_out_long_before_the_last_checkpoint_is_noticed_by_what_is_new() {
    let key = SigningKey::parse(ORIGIN, PEM).expect("it is a key");
    let client = Server::shared().connect(User::Operator).await;
    let store = open_to_deletes(&client).await;
    let log = CheckpointLog::new(store.clone(), ORIGIN, Tiles::in_memory());
    let append = async |numbers| {
        let request = commit().aggregate(self::key(), ExpectedVersion::Any, notes(numbers));
        store.append(request).await.expect("it is stored");
    };
    for round in 0..6 {
        append(round * 60..(round + 1) * 60).await;
    }
    let first = log
        .checkpoint(&key, Reading::New)
        .await
        .expect("it is made");
    append(0..5).await;
    let next = log
        .checkpoint(&key, Reading::New)
        .await
        .expect("it goes on");
    assert_eq!(
        (first.unverified().size(), next.unverified().size()),
        (360, 365)
    );
    let query = json!({ "seq": 60, "no_erase": true });
    let name = store.stream_name();
    let answer = ask(&client, &format!("STREAM.MSG.DELETE.{name}"), query).await;
    assert_eq!(answer["success"], true, "{answer}");
    append(5..8).await;
    for reading in [Reading::New, Reading::All] {
        let refused = log.checkpoint(&key, reading).await;
        assert!(
            matches!(refused, Err(CheckpointError::HistoryChanged(_))),
            "{reading:?}: {refused:?}"
        );
    }
}
