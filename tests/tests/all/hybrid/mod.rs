//! A file that is kept level with a stream on a server: the whole contract, and what servers do that memory does not.

mod proof;

use std::sync::Arc;
use std::time::Duration;

use cim_es::SqliteEventStore;
use cim_es::hybrid::{
    ConnectFailure, Connector, HybridEventStore, HybridOptions, NatsConnector, RemoteStore, UpStep,
};
use cim_es::jetstream::{EventStoreConfig, JetStreamOptions, NatsConfig};
use cim_es::message::{MessageIdentity, Timestamp};
use cim_es::store::{
    AggregateKey, Bookmark, CommitRequest, EventStore, ExpectedVersion, NewEvent, Position,
    Selection, StoreError, TryStreamExt,
};
use cim_es::subject::Token;
use cim_es::testing::contract::Provider;
use cim_es_tests::directory::Directory;
use cim_es_tests::nats::{Layout, Server, User};

use crate::jetstream::proxy::Proxy;

/// A stream of its own on the shared server.
struct OnServer {
    options: JetStreamOptions,
    /// Nobody answers.
    is_away: bool,
}

#[async_trait::async_trait]
impl Connector for OnServer {
    async fn connect(&self) -> Result<Arc<dyn RemoteStore>, ConnectFailure> {
        if self.is_away {
            return Err(Arc::new(std::io::Error::other("nobody answers")));
        }
        let client = Server::shared().connect(User::Operator).await;
        Ok(Arc::new(
            crate::jetstream::open_all(client, &self.options, 1).await,
        ))
    }
}

struct InFile {
    directory: Directory,
    connector: Arc<OnServer>,
}

impl InFile {
    fn new(is_away: bool) -> Self {
        let connector = OnServer {
            options: crate::jetstream::options(1),
            is_away,
        };
        Self {
            directory: Directory::new(),
            connector: Arc::new(connector),
        }
    }
}

#[async_trait::async_trait]
impl Provider for InFile {
    type Store = HybridEventStore;

    async fn open(&self) -> HybridEventStore {
        let file =
            SqliteEventStore::open(self.directory.file("events.db")).expect("the file opens");
        let opened = HybridEventStore::open(file, Arc::clone(&self.connector)).await;
        opened.expect("the store opens")
    }
}

mod with_the_stream_up {
    use super::*;

    cim_es::contract_tests!(InFile::new(false));
}

mod with_the_stream_away {
    use super::*;

    cim_es::contract_tests!(InFile::new(true));
}

fn key(id: &str) -> AggregateKey {
    AggregateKey::new("contract.sample", Token::new(id).expect("it is a token"))
}

fn commit(ids: &[&str]) -> CommitRequest {
    filled(ids, vec![0xa0])
}

/// A commit of one event with this payload for each of some aggregates.
fn filled(ids: &[&str], payload: Vec<u8>) -> CommitRequest {
    let identity = MessageIdentity::new_from_user("ann");
    let empty = CommitRequest::new(identity, Timestamp::from_micros(1));
    ids.iter().fold(empty, |commit, id| {
        let event = NewEvent::from_payload("contract.sample.noted", 1, payload.clone());
        commit.aggregate(key(id), ExpectedVersion::Any, vec![event])
    })
}

/// The CIDs of what a store has, in an order that is no store's.
async fn cids(store: &dyn EventStore) -> Vec<String> {
    let events = store.read(Selection::everything(), Bookmark::START);
    let events: Vec<_> = events.try_collect().await.expect("it reads");
    let mut cids: Vec<_> = events.iter().map(|event| event.cid.to_string()).collect();
    cids.sort_unstable();
    cids
}

/// Waits until something holds; what never does is a defect.
async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(120), waiting).await;
    assert!(waited.is_ok(), "what was waited for never came");
}

/// A configuration for the stream of these tests under an address.
fn servers(url: String) -> NatsConfig {
    several_servers([url], 1)
}

/// The same for a stream that several servers keep.
fn several_servers(urls: impl IntoIterator<Item = String>, replicas: usize) -> NatsConfig {
    let stream = EventStoreConfig::new("HYBRID", ["contract.>"]).replicas(replicas);
    NatsConfig::new(urls)
        .user_and_password(User::Operator.name(), User::Operator.password())
        .event_store(stream)
        .object_store_bucket("hybrid-objects")
        .connection_timeout(Duration::from_secs(1))
        .request_timeout(Duration::from_secs(1))
        .patience(Duration::from_secs(2))
        .reconnect_delay(Duration::from_millis(10))
}

async fn hybrid(directory: &Directory, url: String) -> HybridEventStore {
    let file = SqliteEventStore::open(directory.file("events.db")).expect("the file opens");
    HybridOptions::new()
        .pauses(Duration::from_millis(10), Duration::from_millis(200))
        .save_interval(Duration::from_millis(50))
        .open(file, NatsConnector::new(servers(url)))
        .await
        .expect("the store opens")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_goes_on_while_its_server_is_killed_and_comes_back() {
    let mut server = Server::start();
    let (one, other) = (Directory::new(), Directory::new());
    let (one, other) = (
        hybrid(&one, server.url()).await,
        hybrid(&other, server.url()).await,
    );
    let mut written = 0;
    for round in 0..3 {
        for number in 0..20 {
            one.append(commit(&[&format!("one-{number}")]))
                .await
                .unwrap();
            other
                .append(commit(&[&format!("other-{number}"), "other"]))
                .await
                .unwrap();
            written += 3;
            if number == 10 && round < 2 {
                server.kill();
            }
        }
        if round < 2 {
            until(async || !one.is_connected() && !other.is_connected()).await;
            server.restart();
        }
    }
    let servers = servers(server.url()).open().await.unwrap();
    until(async || {
        let all = cids(&servers).await;
        all.len() == written && cids(&one).await == all && cids(&other).await == all
    })
    .await;
    until(async || one.queue_size().await.unwrap() == 0).await;
    assert!(one.is_connected() && one.parked().is_empty() && one.notices().is_empty());
    one.close().await;
    other.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_is_cut_again_and_again_loses_and_doubles_nothing() {
    let server = Server::start();
    let proxy = Proxy::to(server.address()).await;
    let directory = Directory::new();
    let store = hybrid(&directory, proxy.url()).await;
    let direct = servers(server.url()).open().await.unwrap();
    for number in 0..100_usize {
        store
            .append(commit(&[&format!("a{}", number % 7), "a"]))
            .await
            .unwrap();
        direct
            .append(commit(&[&format!("b{}", number % 5)]))
            .await
            .unwrap();
        match number % 20 {
            5 => proxy.cut(),
            12 => proxy.lose_answers(),
            _ => {}
        }
    }
    proxy.cut();
    until(async || {
        let all = cids(&direct).await;
        all.len() == 300 && cids(&store).await == all
    })
    .await;
    until(async || store.queue_size().await.unwrap() == 0).await;
    assert!(store.parked().is_empty() && store.divergences().await.unwrap().is_empty());
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_for_the_server_is_parked_and_others_go_on() {
    let text = "max_payload: 20000\nauthorization { user: operator, password: operator-password }";
    let server = Server::start_with(&Layout::Login { text: text.into() });
    let directory = Directory::new();
    let store = hybrid(&directory, server.url()).await;
    let mut large = vec![0xa1, 0x61, b'b', 0x59];
    large.extend(30_000_u16.to_be_bytes());
    large.resize(large.len() + 30_000, 7);
    store.append(commit(&["a", "b"])).await.unwrap();
    store.append(filled(&["a"], large)).await.unwrap();
    for _ in 0..3 {
        store.append(commit(&["a"])).await.unwrap();
        store.append(commit(&["b"])).await.unwrap();
    }
    until(async || store.parked().len() == 1).await;
    until(async || store.queue_size().await.unwrap() == 4).await;
    let parked = store.parked().remove(0);
    assert_eq!((parked.position, parked.attempts), (Position(3), 3));
    assert!(parked.reason.contains("large"), "{}", parked.reason);
    let direct = servers(server.url()).open().await.unwrap();
    let version = |last: Option<cim_es::block::StoredEvent>| last.map(|it| it.envelope.sequence);
    assert_eq!(version(direct.last(&key("a")).await.unwrap()), Some(1));
    assert_eq!(version(direct.last(&key("b")).await.unwrap()), Some(4));
    store.close().await;
}

/// A user of the server of the next test, which may write no note.
const TYPIST: &str = r#"{
    user: typist, password: typist-password
    permissions { publish: { deny: ["contract.note.>", "*.*.contract.note.>", "*.*.*.contract.note.>"] } }
}"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_permitted_is_parked_until_the_right_was_given() {
    let operator = "{ user: operator, password: operator-password }";
    let text = format!("authorization {{ users: [{operator}, {TYPIST}] }}");
    let server = Server::start_with(&Layout::Login { text });
    let direct = servers(server.url()).open().await.unwrap();
    let directory = Directory::new();
    let open = async |config: NatsConfig| {
        let file = SqliteEventStore::open(directory.file("events.db")).unwrap();
        let options = HybridOptions::new()
            .pauses(Duration::from_millis(10), Duration::from_millis(200))
            .save_interval(Duration::from_millis(50));
        let store = options.open(file, NatsConnector::new(config)).await;
        store.expect("the store opens")
    };
    let typist = servers(server.url()).user_and_password("typist", "typist-password");
    let store = open(typist).await;
    let note = AggregateKey::new("contract.note", Token::new("n").unwrap());
    let noted = || {
        let event = NewEvent::from_payload("contract.note.written", 1, vec![0xa0]);
        CommitRequest::new(
            MessageIdentity::new_from_user("ann"),
            Timestamp::from_micros(1),
        )
        .aggregate(note.clone(), ExpectedVersion::Any, vec![event])
    };
    store.append(commit(&["a"])).await.unwrap();
    store.append(noted()).await.unwrap();
    store.append(commit(&["a"])).await.unwrap();
    store.append(noted()).await.unwrap();
    store.append(commit(&["b"])).await.unwrap();
    until(async || store.parked().len() == 1).await;
    until(async || store.queue_size().await.unwrap() == 2).await;
    let parked = store.parked().remove(0);
    assert_eq!(parked.position, Position(2));
    assert!(parked.reason.contains("permit"), "{}", parked.reason);
    assert!(store.is_connected(), "one that may not do all is connected");
    assert_eq!(direct.last(&note).await.unwrap(), None);
    assert_eq!(cids(&direct).await.len(), 3);
    store.close().await;
    // The right is given.
    let store = open(servers(server.url())).await;
    store.resend(parked.way, parked.position).await.unwrap();
    until(async || store.queue_size().await.unwrap() == 0).await;
    assert!(store.parked().is_empty());
    assert_eq!(cids(&direct).await, cids(&store).await);
    assert_eq!(
        direct.last(&note).await.unwrap().unwrap().envelope.sequence,
        2
    );
    store.close().await;
}

/// An aggregate whose events would be stored under a subject of about so many bytes.
fn long_key(bytes: usize) -> AggregateKey {
    let words = (0..bytes / 200).map(|_| "k".repeat(199));
    let kind: Vec<_> = std::iter::once("contract".to_owned())
        .chain(words)
        .collect();
    AggregateKey::new(kind.join("."), Token::new("n").unwrap())
}

fn noted(aggregate: &AggregateKey) -> CommitRequest {
    let event = NewEvent::from_payload(format!("{}.noted", aggregate.kind()), 1, vec![0xa0]);
    let identity = MessageIdentity::new_from_user("ann");
    CommitRequest::new(identity, Timestamp::from_micros(1)).aggregate(
        aggregate.clone(),
        ExpectedVersion::Any,
        vec![event],
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_stream_cannot_name_is_parked_and_others_go_on() {
    let server = Server::start();
    let directory = Directory::new();
    let store = hybrid(&directory, server.url()).await;
    let (long, too_long) = (long_key(3_000), long_key(5_000));
    store.append(commit(&["a"])).await.unwrap();
    for aggregate in [&long, &too_long, &too_long, &long] {
        store.append(noted(aggregate)).await.unwrap();
    }
    store.append(commit(&["b"])).await.unwrap();
    until(async || store.parked().len() == 1).await;
    until(async || store.queue_size().await.unwrap() == 2).await;
    let parked = store.parked().remove(0);
    assert_eq!(
        (parked.position, &parked.aggregates[..]),
        (Position(3), &[too_long.clone()][..])
    );
    assert!(parked.reason.contains("shorter names"), "{}", parked.reason);
    let direct = servers(server.url()).open().await.unwrap();
    assert_eq!(cids(&direct).await.len(), 4);
    let last = direct.last(&long).await.unwrap().expect("it is there");
    assert_eq!(last.envelope.sequence, 2);
    // Neither writing nor reading ends the connection that others use.
    let refused = direct.append(noted(&too_long)).await;
    assert!(
        matches!(refused, Err(StoreError::InvalidCommit { .. })),
        "{refused:?}"
    );
    assert!(matches!(
        direct.last(&too_long).await,
        Ok(None) | Err(StoreError::Engine { .. })
    ));
    direct.append(noted(&long)).await.unwrap();
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_of_several_programs_ends_in_the_stream_once_after_a_month() {
    let server = Server::start();
    let directory = Directory::new();
    // Nobody listens there.
    let offline = hybrid(&directory, "nats://127.0.0.1:9".to_owned()).await;
    for number in 0..300_usize {
        offline
            .append(commit(&[&format!("a{}", number % 11)]))
            .await
            .unwrap();
    }
    assert_eq!(offline.queue_size().await.unwrap(), 300);
    offline.close().await;
    drop(offline);
    let online = hybrid(&directory, server.url()).await;
    assert_eq!(online.load_queue().await.unwrap(), 300);
    until(async || online.queue_size().await.unwrap() == 0).await;
    let direct = servers(server.url()).open().await.unwrap();
    assert_eq!(cids(&direct).await, cids(&online).await);
    let remote: Arc<dyn RemoteStore> = Arc::new(direct);
    let step = online.protocol().up(&remote).await.unwrap();
    assert_eq!(step, UpStep::Level);
    online.close().await;
}
