//! Snapshots, objects, links and checkpoints on JetStream, on one server and on three.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use cim_es::MemoryEventStore;
use cim_es::aggregate::IdText;
use cim_es::block::{Cid, HashCode, StoredEvent};
use cim_es::jetstream::{
    Connection, JetStreamCheckpointStore, JetStreamObjectStore, JetStreamSnapshotStore, Link,
    NatsConfig,
};
use cim_es::store::{
    AggregateKey, AppendedCommit, Bookmark, CheckpointStore, CommitRequest, ContentType,
    EngineSettings, EventStore, EventStream, ObjectInfo, ObjectStore, Position, SealedCommit,
    Selection, Snapshot, SnapshotStore, StoreError, Versions,
};
use cim_es::subject::Token;
use cim_es::testing::contract::Provider;
use cim_es_tests::nats::{Cluster, Server, User};

/// What is kept on JetStream, beside events in memory.
#[derive(Clone)]
struct Kept {
    events: MemoryEventStore,
    snapshots: JetStreamSnapshotStore,
    objects: JetStreamObjectStore,
    checkpoints: JetStreamCheckpointStore,
}

#[async_trait]
impl SnapshotStore for Kept {
    async fn save_snapshot(&self, key: &AggregateKey, it: Snapshot) -> Result<(), StoreError> {
        self.snapshots.save_snapshot(key, it).await
    }

    async fn get_latest_snapshot(
        &self,
        key: &AggregateKey,
        tag: u64,
    ) -> Result<Option<Snapshot>, StoreError> {
        self.snapshots.get_latest_snapshot(key, tag).await
    }
}

#[async_trait]
impl ObjectStore for Kept {
    async fn put_object_as(
        &self,
        bytes: Bytes,
        content_type: ContentType,
    ) -> Result<Cid, StoreError> {
        self.objects.put_object_as(bytes, content_type).await
    }

    async fn get_object(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        self.objects.get_object(cid).await
    }

    async fn object_info(&self, cid: &Cid) -> Result<Option<ObjectInfo>, StoreError> {
        self.objects.object_info(cid).await
    }
}

#[async_trait]
impl CheckpointStore for Kept {
    async fn save_checkpoint(&self, reader: &str, at: Bookmark) -> Result<(), StoreError> {
        self.checkpoints.save_checkpoint(reader, at).await
    }

    async fn get_checkpoint(&self, reader: &str) -> Result<Option<Bookmark>, StoreError> {
        self.checkpoints.get_checkpoint(reader).await
    }
}

#[async_trait]
impl EventStore for Kept {
    async fn append(&self, commit: CommitRequest) -> Result<Vec<StoredEvent>, StoreError> {
        self.events.append(commit).await
    }

    async fn append_sealed(
        &self,
        commits: Vec<SealedCommit>,
    ) -> Result<Vec<AppendedCommit>, StoreError> {
        self.events.append_sealed(commits).await
    }

    fn history(&self, key: &AggregateKey, versions: Versions) -> EventStream {
        self.events.history(key, versions)
    }

    async fn last(&self, key: &AggregateKey) -> Result<Option<StoredEvent>, StoreError> {
        self.events.last(key).await
    }

    async fn kinds(&self, id: &IdText) -> Result<Vec<String>, StoreError> {
        self.events.kinds(id).await
    }

    async fn find(&self, cid: &Cid) -> Result<Option<StoredEvent>, StoreError> {
        self.events.find(cid).await
    }

    async fn last_position(&self) -> Result<Position, StoreError> {
        self.events.last_position().await
    }

    fn read(&self, selection: Selection, after: Bookmark) -> EventStream {
        self.events.read(selection, after)
    }

    fn follow(&self, selection: Selection, after: Bookmark) -> EventStream {
        self.events.follow(selection, after)
    }

    fn settings(&self) -> EngineSettings {
        EngineSettings::default()
    }
}

async fn connect(urls: Vec<String>, user: User) -> Connection {
    let config = NatsConfig::new(urls).user_and_password(user.name(), user.password());
    config.connect().await.unwrap()
}

async fn open(
    connection: Connection,
    name: &str,
    replicas: usize,
    events: &MemoryEventStore,
) -> Kept {
    let bucket = |what: &str| format!("{name}-{what}");
    let snapshots =
        JetStreamSnapshotStore::open(connection.clone(), &bucket("snapshots"), replicas).await;
    let objects =
        JetStreamObjectStore::open(connection.clone(), &bucket("objects"), replicas).await;
    let checkpoints =
        JetStreamCheckpointStore::open(connection, &bucket("checkpoints"), replicas).await;
    Kept {
        events: events.clone(),
        snapshots: snapshots.unwrap(),
        objects: objects.unwrap(),
        checkpoints: checkpoints.unwrap(),
    }
}

mod on_one_server {
    use super::*;

    struct OneServer(Server, MemoryEventStore);

    fn provider() -> OneServer {
        OneServer(Server::start(), MemoryEventStore::new())
    }

    #[async_trait]
    impl Provider for OneServer {
        type Store = Kept;

        async fn open(&self) -> Kept {
            let connection = connect(vec![self.0.url()], User::Operator).await;
            open(connection, "test", 1, &self.1).await
        }
    }

    cim_es::contract_tests!(kept, provider());
}

mod on_three_servers {
    use super::*;

    struct ThreeServers(String, MemoryEventStore);

    fn provider() -> ThreeServers {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        ThreeServers(format!("test-{number}"), MemoryEventStore::new())
    }

    #[async_trait]
    impl Provider for ThreeServers {
        type Store = Kept;

        async fn open(&self) -> Kept {
            let connection = connect(Cluster::shared().urls(), User::Operator).await;
            open(connection, &self.0, 3, &self.1).await
        }
    }

    cim_es::contract_tests!(kept, provider());
}

async fn kept_on(server: &Server) -> Kept {
    let connection = connect(vec![server.url()], User::Operator).await;
    open(connection, "test", 1, &MemoryEventStore::new()).await
}

fn some_key() -> AggregateKey {
    AggregateKey::new("infrastructure.compute", Token::new("ä:1/=").unwrap())
}

fn snapshot(version: u64, size: usize) -> Snapshot {
    Snapshot {
        tag: 1,
        version,
        last_cid: HashCode::Sha2_256.cid(&version.to_be_bytes()),
        position: Position(version),
        state: Bytes::from(vec![version as u8; size]),
    }
}

#[tokio::test]
async fn a_snapshot_larger_than_a_message_is_kept_as_an_object_and_removed_with_its_successor() {
    let server = Server::start();
    let kept = kept_on(&server).await;
    let context = async_nats::jetstream::new(server.connect(User::Operator).await);
    let messages = async || {
        let mut stream = context.get_stream("OBJ_test-snapshots").await.unwrap();
        stream.info().await.unwrap().state.messages
    };
    for (version, size) in [
        (1, 5_000_000),
        (2, 3_000_000),
        (3, 1_044_400),
        (4, 100),
        (5, 2_000_000),
    ] {
        let snapshot = snapshot(version, size);
        kept.save_snapshot(&some_key(), snapshot.clone())
            .await
            .unwrap();
        let found = kept_on(&server)
            .await
            .get_latest_snapshot(&some_key(), 1)
            .await
            .unwrap();
        assert_eq!(found, Some(snapshot));
        let chunks = if size > 1_044_300 {
            size.div_ceil(128 * 1024) as u64 + 1
        } else {
            0
        };
        let found = messages().await;
        // The state has a few bytes around it, which may need one chunk more.
        assert!(
            (chunks..=chunks + 1).contains(&found),
            "version {version}: {found} messages"
        );
    }
}

#[tokio::test]
async fn snapshots_written_at_once_leave_the_newest() {
    let server = Server::start();
    let kept = Arc::new(kept_on(&server).await);
    let writers: Vec<_> = (1..=40)
        .map(|version| {
            let kept = Arc::clone(&kept);
            let size = if version % 2 == 0 { 1_500_000 } else { 100 };
            tokio::spawn(async move {
                kept.save_snapshot(&some_key(), snapshot(version, size))
                    .await
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap().unwrap();
    }
    let found = kept
        .get_latest_snapshot(&some_key(), 1)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found, snapshot(40, 1_500_000));
    // Twelve chunks and their entry: none of those that came too late is left.
    let context = async_nats::jetstream::new(server.connect(User::Operator).await);
    let mut stream = context.get_stream("OBJ_test-snapshots").await.unwrap();
    assert_eq!(stream.info().await.unwrap().state.messages, 13);
}

#[tokio::test]
async fn an_object_put_by_many_at_once_is_there_whole_and_once() {
    let server = Server::start();
    let kept = Arc::new(kept_on(&server).await);
    let bytes = Bytes::from(
        (0..1_000_000_u32)
            .flat_map(u32::to_be_bytes)
            .collect::<Vec<_>>(),
    );
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let (kept, bytes) = (Arc::clone(&kept), bytes.clone());
            tokio::spawn(async move {
                let cid = kept.put_object(bytes.clone()).await.unwrap();
                assert_eq!(kept.get_object(&cid).await.unwrap(), Some(bytes));
                cid
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let context = async_nats::jetstream::new(server.connect(User::Operator).await);
    let mut stream = context.get_stream("OBJ_test-objects").await.unwrap();
    let chunks = bytes.len().div_ceil(128 * 1024) as u64;
    assert_eq!(stream.info().await.unwrap().state.messages, chunks + 1);
}

#[tokio::test]
async fn an_object_with_a_changed_byte_or_a_missing_chunk_is_damaged() {
    let server = Server::start();
    let kept = kept_on(&server).await;
    let context = async_nats::jetstream::new(server.connect(User::Operator).await);
    let stream = context.get_stream("OBJ_test-objects").await.unwrap();
    let bytes = Bytes::from(vec![1; 300_000]);
    let cid = kept.put_object(bytes.clone()).await.unwrap();
    let chunk = stream.get_raw_message(2).await.unwrap();
    stream.delete_message(2).await.unwrap();
    let missing = kept.get_object(&cid).await.unwrap_err();
    assert!(matches!(missing, StoreError::Damaged(_)), "{missing}");
    let mut changed = chunk.payload.to_vec();
    changed[7] ^= 1;
    context
        .publish(chunk.subject, changed.into())
        .await
        .unwrap()
        .await
        .unwrap();
    let changed = kept.get_object(&cid).await.unwrap_err();
    assert!(changed.to_string().contains(&cid.to_string()), "{changed}");
}

#[tokio::test]
async fn another_tool_reads_an_object_by_its_cid() {
    use tokio::io::AsyncReadExt;
    let server = Server::start();
    let kept = kept_on(&server).await;
    let bytes = Bytes::from(vec![9; 400_000]);
    let cid = kept.put_object(bytes.clone()).await.unwrap();
    let context = async_nats::jetstream::new(server.connect(User::Operator).await);
    let store = context.get_object_store("test-objects").await.unwrap();
    let mut object = store.get(cid.to_string()).await.unwrap();
    let mut read = Vec::new();
    object.read_to_end(&mut read).await.unwrap();
    assert_eq!(read, bytes);
}

#[tokio::test]
async fn links_are_kept_over_a_restart_and_can_be_traversed() {
    let mut server = Server::start();
    let kept = kept_on(&server).await;
    let mut cids = Vec::new();
    for number in 0..5_u8 {
        cids.push(kept.put_object(Bytes::from(vec![number])).await.unwrap());
    }
    let link = |parent: usize, link_type: &str, child: usize| Link {
        parent: cids[parent],
        link_type: link_type.to_owned(),
        child: cids[child],
    };
    // A circle from 2 to 0, and 1 is reached in two ways.
    let links = [
        link(0, "contains", 1),
        link(0, "contains", 2),
        link(2, "contains", 1),
        link(2, "refers to.all", 3),
        link(2, "contains", 0),
        link(4, "contains", 0),
    ];
    for _ in 0..2 {
        for link in &links {
            kept.objects
                .link_objects(&link.parent, &link.child, &link.link_type)
                .await
                .unwrap();
        }
    }
    server.restart();
    let objects = kept_on(&server).await.objects;
    let sorted = |mut links: Vec<Link>| {
        links.sort();
        links
    };
    let all = objects.traverse(&cids[0], None).await.unwrap();
    assert_eq!(sorted(all), sorted(links[..5].to_vec()));
    let contained = objects.traverse(&cids[0], Some("contains")).await.unwrap();
    let expected = [0, 1, 2, 4].map(|at| links[at].clone()).to_vec();
    assert_eq!(sorted(contained), sorted(expected));
    let to = objects.links_to(&cids[1]).await.unwrap();
    assert_eq!(to, sorted(vec![links[0].clone(), links[2].clone()]));
    let from = objects.links_from(&cids[2]).await.unwrap();
    assert_eq!(from.len(), 3);
    assert_eq!(objects.links_from(&cids[3]).await.unwrap(), []);
}

const CHECKPOINTS: &str = "INFRASTRUCTURE_EVENTS-checkpoints";

#[tokio::test]
async fn a_bucket_that_would_lose_what_it_keeps_is_refused() {
    let server = Server::start();
    let operator = server.connect(User::Operator).await;
    let context = async_nats::jetstream::new(operator);
    let expiring = async_nats::jetstream::kv::Config {
        bucket: CHECKPOINTS.to_owned(),
        max_age: std::time::Duration::from_secs(3_600),
        ..Default::default()
    };
    context.create_key_value(expiring).await.unwrap();
    let connection = connect(vec![server.url()], User::Operator).await;
    let refused = JetStreamCheckpointStore::open(connection.clone(), CHECKPOINTS, 1).await;
    assert_eq!(
        refused.unwrap_err().to_string(),
        format!(
            "bucket `{CHECKPOINTS}` cannot be used: `max_age` is 3600s, and what was kept would be dropped by age: let \
             an operator change it, or use another bucket"
        )
    );
    // Snapshots are made again.
    let expiring = async_nats::jetstream::kv::Config {
        bucket: "expiring".to_owned(),
        max_age: std::time::Duration::from_secs(3_600),
        ..Default::default()
    };
    context.create_key_value(expiring).await.unwrap();
    let taken = JetStreamSnapshotStore::open(connection, "expiring", 1).await;
    taken.unwrap();
}

#[tokio::test]
async fn a_writer_keeps_what_the_operator_made_room_for_and_makes_no_room_itself() {
    let server = Server::start();
    let operator = connect(vec![server.url()], User::Operator).await;
    let writer = connect(vec![server.url()], User::Writer).await;
    let started = std::time::Instant::now();
    let refused = JetStreamCheckpointStore::open(writer.clone(), CHECKPOINTS, 1).await;
    assert!(
        matches!(refused, Err(StoreError::ReadOnly { .. })),
        "{refused:?}"
    );
    assert!(
        started.elapsed().as_secs() < 2,
        "a refusal is not a timeout"
    );
    for connection in [operator, writer] {
        let snapshots =
            JetStreamSnapshotStore::open(connection.clone(), "INFRASTRUCTURE_EVENTS-snapshots", 1);
        let snapshots = snapshots.await.unwrap();
        for version in 1..3 {
            let snapshot = snapshot(version, 2_000_000);
            snapshots
                .save_snapshot(&some_key(), snapshot)
                .await
                .unwrap();
        }
        let objects = JetStreamObjectStore::open(connection.clone(), "cim-es-objects", 1);
        let objects = objects.await.unwrap();
        let cid = objects
            .put_object(Bytes::from(vec![1; 200_000]))
            .await
            .unwrap();
        objects.link_objects(&cid, &cid, "itself").await.unwrap();
        assert_eq!(objects.links_from(&cid).await.unwrap().len(), 1);
        let checkpoints = JetStreamCheckpointStore::open(connection, CHECKPOINTS, 1);
        let checkpoints = checkpoints.await.unwrap();
        checkpoints
            .save_checkpoint("reader", Position(7).into())
            .await
            .unwrap();
    }
    let reader = connect(vec![server.url()], User::Reader).await;
    let checkpoints = JetStreamCheckpointStore::open(reader, CHECKPOINTS, 1);
    let checkpoints = checkpoints.await.unwrap();
    assert_eq!(
        checkpoints.get_checkpoint("reader").await.unwrap(),
        Some(Position(7).into())
    );
    let refused = checkpoints
        .save_checkpoint("reader", Position(8).into())
        .await
        .unwrap_err();
    assert!(matches!(refused, StoreError::ReadOnly { .. }), "{refused}");
}

#[tokio::test]
async fn a_write_waits_for_a_server_that_restarts() {
    let mut server = Server::start();
    let kept = kept_on(&server).await;
    kept.save_checkpoint("reader", Position(1).into())
        .await
        .unwrap();
    server.kill();
    let writing = tokio::spawn({
        let kept = kept.clone();
        async move { kept.save_checkpoint("reader", Position(2).into()).await }
    });
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    server.restart();
    writing.await.unwrap().unwrap();
    assert_eq!(
        kept.get_checkpoint("reader").await.unwrap(),
        Some(Position(2).into())
    );
}

/// While the servers of a cluster step down, are killed and are paused, one program after another writes down how far it
/// has come; what was acknowledged is never lost or taken back.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_outlives_step_downs_kills_and_pauses() {
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;
    let mut cluster = Cluster::start(3);
    let connection = connect(cluster.urls(), User::Operator).await;
    let kept = open(connection, "test", 3, &MemoryEventStore::new()).await;
    let is_done = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (kept, is_done) = (kept.clone(), Arc::clone(&is_done));
        async move {
            let mut cids = Vec::new();
            while !is_done.load(Ordering::Relaxed) {
                let count = cids.len() as u64 + 1;
                let bytes = count.to_be_bytes().repeat(20_000);
                cids.push(kept.put_object(Bytes::from(bytes)).await.unwrap());
                kept.save_checkpoint("reader", Position(count).into())
                    .await
                    .unwrap();
                kept.save_snapshot(&some_key(), snapshot(count, 1_000))
                    .await
                    .unwrap();
                let found = kept.get_checkpoint("reader").await.unwrap();
                assert_eq!(
                    found,
                    Some(Position(count).into()),
                    "what was just written is read"
                );
            }
            cids
        }
    });
    let operator = cluster.connect(User::Operator).await;
    let stream = "KV_test-checkpoints";
    let pause = || tokio::time::sleep(Duration::from_millis(1_500));
    for stream in [stream, "OBJ_test-objects", "KV_test-snapshots"] {
        cluster.step_down(&operator, stream).await;
        pause().await;
    }
    let leader = cluster.leader(&operator, stream).await;
    cluster.server(leader).kill();
    pause().await;
    pause().await;
    cluster.server(leader).restart();
    cluster.wait_until_healthy();
    let leader = cluster.leader(&operator, stream).await;
    cluster.server(leader).pause();
    tokio::time::sleep(Duration::from_secs(7)).await;
    cluster.server(leader).resume();
    pause().await;
    is_done.store(true, Ordering::Relaxed);
    let cids = writer.await.unwrap();
    assert!(cids.len() > 2, "only {} rounds", cids.len());
    let count = cids.len() as u64;
    assert_eq!(
        kept.get_checkpoint("reader").await.unwrap(),
        Some(Position(count).into())
    );
    let found = kept.get_latest_snapshot(&some_key(), 1).await.unwrap();
    assert_eq!(found, Some(snapshot(count, 1_000)));
    for cid in &cids {
        assert!(kept.get_object(cid).await.unwrap().is_some());
    }
}

/// A chunk whose answer is lost is sent again; equal chunks are told apart all the same.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_equal_chunks_is_whole_when_answers_are_lost() {
    use std::time::Duration;
    let server = Server::start();
    let proxy = crate::jetstream::proxy::Proxy::to(server.address()).await;
    let connection = connect(vec![proxy.url()], User::Operator).await;
    let kept = open(connection, "test", 1, &MemoryEventStore::new()).await;
    for round in 0..2_u8 {
        let bytes = Bytes::from(vec![round; 12_000_000]);
        let putting = tokio::spawn({
            let (kept, bytes) = (kept.clone(), bytes.clone());
            async move { kept.put_object(bytes).await }
        });
        tokio::time::sleep(Duration::from_millis(40)).await;
        proxy.lose_answers();
        tokio::time::sleep(Duration::from_millis(40)).await;
        assert!(
            !putting.is_finished(),
            "it was put before an answer could be lost"
        );
        proxy.cut();
        let cid = putting.await.unwrap().unwrap();
        assert_eq!(
            kept_on(&server).await.get_object(&cid).await.unwrap(),
            Some(bytes)
        );
        kept.save_checkpoint("reader", Position(u64::from(round)).into())
            .await
            .unwrap();
    }
}
