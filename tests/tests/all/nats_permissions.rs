//! What the users of the sample permissions may do, and what nobody may.

use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use cim_es::ErrorChain;
use cim_es::jetstream::{
    Action, ApiFailure, Connection, EventStoreConfig, JetStreamEventStore, NatsConfig,
    PermissionDenied,
};
use cim_es::message::{Clock, MessageIdentity, SystemClock};
use cim_es::store::{
    AggregateKey, CommitRequest, EventStore, EventStoreExt, ExpectedVersion, NewEvent, Position,
    StoreError,
};
use cim_es::subject::Token;
use cim_es_tests::nats::{Server, User};
use futures_util::StreamExt;
use serde_json::{Value, json};

const STREAM: &str = "INFRASTRUCTURE_EVENTS";

async fn connect(server: &Server, user: User) -> Connection {
    let config = NatsConfig::new([server.url()]).user_and_password(user.name(), user.password());
    config.connect().await.unwrap()
}

async fn open(server: &Server, user: User) -> JetStreamEventStore {
    let config = EventStoreConfig::new(STREAM, ["infrastructure.>"]);
    JetStreamEventStore::open(connect(server, user).await, config)
        .await
        .unwrap()
}

fn key(id: &str) -> AggregateKey {
    AggregateKey::new("infrastructure.compute", Token::new(id).unwrap())
}

fn commit(key: &AggregateKey, event_type: &str, events: usize) -> CommitRequest {
    let event = NewEvent::from_payload(event_type, 1, vec![0xa0]);
    CommitRequest::new(MessageIdentity::new_from_user("test"), SystemClock.now()).aggregate(
        key.clone(),
        ExpectedVersion::Any,
        vec![event; events],
    )
}

const REGISTERED: &str = "infrastructure.compute.registered";

/// Whether an error is a refusal of the servers.
fn is_denied(error: &StoreError) -> bool {
    match error {
        StoreError::ReadOnly { reason, .. } => reason.contains("does not permit"),
        StoreError::Engine { source, .. } => {
            matches!(source.downcast_ref(), Some(ApiFailure::Denied(_)))
        }
        _ => false,
    }
}

/// What the servers answer a request, unless they refuse it.
async fn ask(
    connection: &Connection,
    subject: &str,
    body: Value,
) -> Result<Value, PermissionDenied> {
    let subject = subject.to_owned();
    let request = connection
        .client()
        .request(subject.clone(), body.to_string().into());
    let answer = connection
        .unless_refused(|it| it.subject == subject, request)
        .await?;
    Ok(answer.map_or(Value::Null, |it| {
        serde_json::from_slice(&it.payload).unwrap_or_default()
    }))
}

async fn stored(server: &Server) -> u64 {
    let operator = connect(server, User::Operator).await;
    let info = ask(
        &operator,
        &format!("$JS.API.STREAM.INFO.{STREAM}"),
        json!({}),
    )
    .await
    .unwrap();
    info["state"]["messages"].as_u64().unwrap()
}

#[tokio::test]
async fn a_writer_does_all_that_a_store_does_without_more_rights() {
    let server = Server::start();
    let missing = JetStreamEventStore::open(
        connect(&server, User::Writer).await,
        EventStoreConfig::new(STREAM, ["infrastructure.>"]),
    );
    let started = Instant::now();
    let error = missing.await.unwrap_err();
    assert!(
        is_denied(&error),
        "a writer does not create the stream: {error}"
    );
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "a refusal is no timeout"
    );

    open(&server, User::Operator).await;
    let store = open(&server, User::Writer).await;
    let mut followed = store.subscribe(Position::START);
    let key = key("one");
    store.append(commit(&key, REGISTERED, 1)).await.unwrap();
    let batch = store.append(commit(&key, REGISTERED, 3)).await.unwrap();
    assert_eq!(store.get_events(&key, 1).await.unwrap().len(), 4);
    assert_eq!(store.last(&key).await.unwrap().unwrap().cid, batch[2].cid);
    let by_type = store
        .get_events_by_type(REGISTERED, Position::START, 10)
        .await
        .unwrap();
    assert_eq!(by_type.len(), 4);
    assert_eq!(store.read_all(Position::START).count().await, 4);
    for _ in 0..4 {
        let next = tokio::time::timeout(Duration::from_secs(10), followed.next()).await;
        next.unwrap().unwrap().unwrap();
    }
    let fresh = open(&server, User::Writer).await;
    assert!(fresh.get_by_cid(&batch[1].cid).await.unwrap().is_some());
    fresh.doctor().await.unwrap();
    let refused = server.log().matches("Violation").count();
    assert_eq!(
        refused,
        1,
        "only the stream that it could not create:\n{}",
        server.log()
    );
}

#[tokio::test]
async fn a_reader_reads_and_appends_nothing() {
    let server = Server::start();
    let key = key("one");
    let writer = open(&server, User::Operator).await;
    writer.append(commit(&key, REGISTERED, 2)).await.unwrap();
    let reader = open(&server, User::Reader).await;
    assert_eq!(reader.get_events(&key, 1).await.unwrap().len(), 2);
    assert_eq!(reader.read_all(Position::START).count().await, 2);
    let mut followed = reader.subscribe(Position::START);
    followed.next().await.unwrap().unwrap();
    let plain = connect(&server, User::Reader).await;
    let mut public = plain.client().subscribe("infrastructure.>").await.unwrap();
    plain.client().flush().await.unwrap();

    for events in [1, 3] {
        let started = Instant::now();
        let error = reader
            .append(commit(&key, REGISTERED, events))
            .await
            .unwrap_err();
        assert!(is_denied(&error), "{events} events: {error}");
        assert!(
            started.elapsed() < Duration::from_secs(2),
            "a refusal is no timeout"
        );
    }
    let raw = "es.00.one.infrastructure.compute.registered";
    let connection = connect(&server, User::Reader).await;
    assert!(ask(&connection, raw, json!({})).await.is_err());
    assert!(ask(&connection, REGISTERED, json!({})).await.is_err());
    assert_eq!(stored(&server).await, 2);

    writer.append(commit(&key, REGISTERED, 1)).await.unwrap();
    let next = tokio::time::timeout(Duration::from_secs(5), public.next()).await;
    assert_eq!(next.unwrap().unwrap().subject.as_str(), REGISTERED);
}

#[tokio::test]
async fn a_writer_appends_to_its_own_domain_alone() {
    let server = Server::start();
    let network = || EventStoreConfig::new("NETWORK_EVENTS", ["network.>"]);
    JetStreamEventStore::open(connect(&server, User::Operator).await, network())
        .await
        .unwrap();
    let foreign = JetStreamEventStore::open(connect(&server, User::Writer).await, network());
    let error = foreign
        .await
        .unwrap()
        .append(commit(&key("one"), "network.link.defined", 1))
        .await
        .unwrap_err();
    assert!(is_denied(&error), "{error}");
}

#[tokio::test]
async fn nobody_but_the_operator_changes_deletes_or_purges_a_stream() {
    let server = Server::start();
    open(&server, User::Operator)
        .await
        .append(commit(&key("one"), REGISTERED, 3))
        .await
        .unwrap();
    let operator = connect(&server, User::Operator).await;
    let info = ask(
        &operator,
        &format!("$JS.API.STREAM.INFO.{STREAM}"),
        json!({}),
    )
    .await
    .unwrap();
    let mut changed = info["config"].clone();
    changed["max_msgs"] = json!(1);
    changed["discard"] = json!("old");
    let mut other = changed.clone();
    other["name"] = json!("OTHER");
    other["subjects"] = json!(["other.>"]);
    for user in [User::Writer, User::Reader] {
        let connection = connect(&server, user).await;
        for (subject, body) in [
            (format!("$JS.API.STREAM.DELETE.{STREAM}"), json!({})),
            (format!("$JS.API.STREAM.PURGE.{STREAM}"), json!({})),
            (format!("$JS.API.STREAM.UPDATE.{STREAM}"), changed.clone()),
            (
                format!("$JS.API.STREAM.MSG.DELETE.{STREAM}"),
                json!({ "seq": 1 }),
            ),
            (
                format!("$JS.API.STREAM.LEADER.STEPDOWN.{STREAM}"),
                json!({}),
            ),
            (format!("$JS.API.STREAM.SNAPSHOT.{STREAM}"), json!({})),
            (format!("$JS.API.STREAM.RESTORE.{STREAM}"), json!({})),
            ("$JS.API.STREAM.CREATE.OTHER".to_owned(), other.clone()),
        ] {
            let started = Instant::now();
            let answer = ask(&connection, &subject, body).await;
            assert!(
                answer.is_err(),
                "{} may use {subject}: {answer:?}",
                user.name()
            );
            assert!(
                started.elapsed() < Duration::from_secs(2),
                "a refusal is no timeout"
            );
        }
    }
    // The stream itself refuses these also to an operator; an update or a deletion it does not.
    for (operation, body) in [("PURGE", json!({})), ("MSG.DELETE", json!({ "seq": 1 }))] {
        let subject = format!("$JS.API.STREAM.{operation}.{STREAM}");
        let answer = ask(&operator, &subject, body).await.unwrap();
        assert!(answer["error"].is_object(), "{operation}: {answer}");
    }
    assert_eq!(stored(&server).await, 3);
}

#[tokio::test]
async fn no_header_of_a_publish_removes_what_is_stored() {
    let server = Server::start();
    open(&server, User::Operator)
        .await
        .append(commit(&key("one"), REGISTERED, 3))
        .await
        .unwrap();
    let writer = connect(&server, User::Writer).await;
    let subject = "es.00.other.infrastructure.compute.registered";
    for (header, value) in [
        ("Nats-Rollup", "all"),
        ("Nats-Rollup", "sub"),
        ("Nats-TTL", "1s"),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(header, value);
        let answer = writer
            .client()
            .request_with_headers(subject, headers, "{}".into())
            .await
            .unwrap();
        let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
        assert!(answer["error"].is_object(), "{header}: {answer}");
    }
    assert_eq!(stored(&server).await, 3);
}

/// A consumer that delivers to a stored subject would make the server itself append.
#[tokio::test]
async fn a_reader_cannot_append_through_a_consumer() {
    let server = Server::start();
    open(&server, User::Operator)
        .await
        .append(commit(&key("one"), REGISTERED, 2))
        .await
        .unwrap();
    let operator = connect(&server, User::Operator).await;
    let network = EventStoreConfig::new("NETWORK_EVENTS", ["network.>"]);
    JetStreamEventStore::open(operator.clone(), network)
        .await
        .unwrap();
    let reader = connect(&server, User::Reader).await;
    for target in ["infrastructure.compute.registered", "network.link.defined"] {
        let config = json!({
            "stream_name": STREAM,
            "config": {
                "deliver_subject": format!("es.00.other.{target}"), "deliver_policy": "all", "ack_policy": "none",
            },
        });
        let subject = format!(
            "$JS.API.CONSUMER.CREATE.{STREAM}.{}",
            target.replace('.', "-")
        );
        let answer = ask(&reader, &subject, config).await.unwrap();
        // On its own stream it is refused as a circle. On another it waits for somebody who subscribes to that very
        // subject, which is why nobody but an operator may.
        assert_eq!(
            answer["error"].is_object(),
            target == REGISTERED,
            "{target}: {answer}"
        );
    }
    let listen = async {
        let listener = reader
            .client()
            .subscribe("es.00.other.network.link.defined")
            .await;
        listener.unwrap().next().await;
    };
    let refused = reader.unless_refused(|it| it.subject.starts_with("es."), listen);
    let refused = tokio::time::timeout(Duration::from_secs(2), refused)
        .await
        .unwrap();
    assert_eq!(refused.unwrap_err().action, Action::Subscribe);
    tokio::time::sleep(Duration::from_millis(300)).await;
    for stream in [STREAM, "NETWORK_EVENTS"] {
        let info = ask(
            &operator,
            &format!("$JS.API.STREAM.INFO.{stream}"),
            json!({}),
        )
        .await
        .unwrap();
        let expected = if stream == STREAM { 2 } else { 0 };
        assert_eq!(info["state"]["messages"], expected, "{stream}");
    }
}

/// A server on which one user may do everything but what has one word in its subject.
async fn without(right: &str) -> (Server, Connection) {
    let text = format!(
        "accounts {{ EVENTS {{ jetstream: enabled, users: [ {{ user: a, password: b, permissions {{ publish {{ deny: \
         [ \"{right}\" ] }} }} }}, {{ user: operator, password: c }} ] }}, SYSTEM {{ users: [ {{ user: system, password: \
         \"{}\" }} ] }} }}\nsystem_account: SYSTEM",
        User::System.password()
    );
    let server = Server::start_with(&cim_es_tests::nats::Layout::Login { text });
    let connection = |user: &str, password: &str| {
        NatsConfig::new([server.url()]).user_and_password(user, password)
    };
    let operator = connection("operator", "c").connect().await.unwrap();
    let config = EventStoreConfig::new(STREAM, ["infrastructure.>"]);
    let store = JetStreamEventStore::open(operator, config).await.unwrap();
    for number in 0..800 {
        let key = key(&number.to_string());
        // Large enough that the server asks whether the reader keeps up.
        let payload = std::collections::BTreeMap::from([("filler", "x".repeat(20_000))]);
        let payload = serde_ipld_dagcbor::to_vec(&payload).unwrap();
        let mut request = commit(&key, REGISTERED, 1);
        request.aggregates[0].events = vec![NewEvent::from_payload(REGISTERED, 1, payload)];
        store.append(request).await.unwrap();
    }
    let user = connection("a", "b").connect().await.unwrap();
    (server, user)
}

#[tokio::test]
async fn a_right_that_reading_needs_is_named_when_it_is_missing() {
    use cim_es::jetstream::{EventSubscriberBuilder, FnEventHandler};
    for (right, kinds) in [
        ("$JS.FC.>", &["read"][..]),
        (
            "$JS.API.CONSUMER.MSG.NEXT.>",
            &["type", "live", "durable", "group"],
        ),
        (
            "$JS.API.CONSUMER.CREATE.>",
            &["read", "type", "live", "durable", "group"],
        ),
        ("$JS.ACK.>", &["group"]),
    ] {
        let (_server, connection) = without(right).await;
        let config = EventStoreConfig::new(STREAM, ["infrastructure.>"]);
        let store = JetStreamEventStore::open(connection.clone(), config)
            .await
            .unwrap();
        for kind in kinds {
            let work = async {
                match *kind {
                    "read" => {
                        let mut events = store.read_all(Position::START);
                        while let Some(event) = events.next().await {
                            if let Err(error) = event {
                                return ErrorChain(&error).to_string();
                            }
                        }
                        "it was all read".to_owned()
                    }
                    "type" => match store
                        .get_events_by_type(REGISTERED, Position::START, 10)
                        .await
                    {
                        Ok(_) => "it was all read".to_owned(),
                        Err(error) => ErrorChain(&error).to_string(),
                    },
                    kind => {
                        let handler = FnEventHandler::new(|_| Ok(()));
                        let builder = EventSubscriberBuilder::new()
                            .client(connection.clone())
                            .store(&store)
                            .subject("infrastructure.>")
                            .handler(handler);
                        let builder = match kind {
                            "durable" => builder.durable("d"),
                            "group" => builder.group("g"),
                            _ => builder,
                        };
                        match builder.build().unwrap().subscribe().await {
                            Ok(subscription) => match subscription.await {
                                Ok(()) => "it ended well".to_owned(),
                                Err(error) => ErrorChain(&error).to_string(),
                            },
                            Err(error) => ErrorChain(&error).to_string(),
                        }
                    }
                }
            };
            let said = tokio::time::timeout(Duration::from_secs(15), work).await;
            let said = said.unwrap_or_else(|_| panic!("{right}, {kind}: nothing was said"));
            let named = right.trim_end_matches('>');
            assert!(said.contains(named), "{right}, {kind}: {said}");
        }
    }
}
