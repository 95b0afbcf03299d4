//! Snapshots on servers that do not give them: nobody waits for a cache.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cim_es::jetstream::{Connection, JetStreamEventStore, JetStreamSnapshotStore, NatsConfig};
use cim_es::prelude::*;
use cim_es_tests::nats::{Layout, Server, User};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::jetstream::sample::*;
use crate::jetstream::tap::{Tap, as_is, published};
use crate::jetstream::{ask, options};

/// Far less than an operation may wait for servers, and more than a slow machine takes.
const PROMPTLY: Duration = Duration::from_secs(10);

/// A store with snapshots in a bucket of its own.
async fn open(connection: Connection, bucket: &str) -> JetStreamEventStore {
    let snapshots = JetStreamSnapshotStore::open(connection.clone(), bucket, 1).await;
    let events = JetStreamEventStore::open(connection, options(1)).await;
    events.unwrap().with_snapshots(Arc::new(snapshots.unwrap()))
}

fn unique() -> String {
    format!("s{}", uuid::Uuid::now_v7().simple())
}

fn tallies(store: &JetStreamEventStore) -> Repository<Tally> {
    let builder = Repository::<Tally>::builder(store.clone());
    builder.snapshot_threshold(2).build()
}

async fn count(tallies: &Repository<Tally>, id: &Id<Tally>, times: u64) {
    for number in 1..=times {
        let identity = MessageIdentity::new_from_user("test");
        let command = TallyCommand::Count { number };
        tallies.execute(id, command, &identity).await.unwrap();
    }
}

/// Commands that pass thresholds, and loads of what is in no memory.
async fn work_promptly(store: &JetStreamEventStore) {
    let started = Instant::now();
    for _ in 0..3 {
        let id = Id::new();
        count(&tallies(store), &id, 6).await;
        let cold = tallies(store);
        for _ in 0..3 {
            let loaded = cold.load(&id).await.unwrap();
            assert_eq!((loaded.version(), loaded.total), (6, 21));
        }
    }
    let took = started.elapsed();
    assert!(took < 3 * PROMPTLY, "{took:?}");
}

#[tokio::test]
async fn a_snapshot_bucket_that_is_gone_delays_no_command_and_no_load() {
    let client = Server::shared().connect(User::Operator).await;
    let bucket = unique();
    let store = open(client.clone().into(), &bucket).await;
    count(&tallies(&store), &Id::new(), 4).await;
    for stream in [format!("KV_{bucket}"), format!("OBJ_{bucket}")] {
        ask(&client, &format!("STREAM.DELETE.{stream}"), json!({})).await;
    }
    work_promptly(&store).await;
}

#[tokio::test]
async fn snapshots_that_do_not_answer_delay_no_command_and_are_used_again_later() {
    let is_mute = Arc::new(AtomicBool::new(false));
    let bucket = unique();
    let (mute, name) = (Arc::clone(&is_mute), bucket.clone());
    let is_dropped = move |operation: Vec<u8>| {
        let is_of_bucket = published(&operation).contains(&name);
        (!(is_of_bucket && mute.load(Ordering::SeqCst))).then_some(operation)
    };
    let address = Server::shared().address();
    let tap = Tap::on(address, Arc::new(is_dropped), as_is()).await;
    let client = User::Operator.options().connect(tap.url()).await.unwrap();
    let store = open(client.clone().into(), &bucket).await;
    is_mute.store(true, Ordering::SeqCst);
    work_promptly(&store).await;
    is_mute.store(false, Ordering::SeqCst);
    // What rested is asked again: a snapshot is written.
    let id = Id::new();
    let end = Instant::now() + Duration::from_secs(60);
    let tallies = tallies(&store);
    let info = format!("STREAM.INFO.KV_{bucket}");
    loop {
        count(&tallies, &id, 2).await;
        let found = ask(&client, &info, json!({})).await;
        if found["state"]["messages"].as_u64().unwrap() > 0 {
            break;
        }
        assert!(Instant::now() < end, "no snapshot was written");
        sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn a_program_without_rights_to_the_snapshots_waits_for_none() {
    let text = r#"authorization { users: [
        { user: "operator", password: "o" }
        { user: "writer", password: "w", permissions { publish { deny: [
            "$KV.>", "$JS.API.STREAM.MSG.GET.KV_snap", "$JS.API.DIRECT.GET.KV_snap.>"
        ] } } }
    ] }"#;
    let text = text.to_owned();
    let server = Server::start_with(&Layout::Login { text });
    let config = |user, password| NatsConfig::new([server.url()]).user_and_password(user, password);
    let operator = config("operator", "o").connect().await.unwrap();
    JetStreamSnapshotStore::open(operator, "snap", 1)
        .await
        .unwrap();
    let hearing = config("writer", "w").connect().await.unwrap();
    work_promptly(&open(hearing.clone(), "snap").await).await;
    // A bare client does not hear what it may not do.
    let deaf = Connection::from(hearing.client().clone());
    work_promptly(&open(deaf, "snap").await).await;
}
