//! Reading while messages are lost, answers come from the past, and streams are made anew.

use std::time::Duration;

use async_nats::{Client, ConnectOptions};
use cim_es::ErrorChain;
use cim_es::block::StoredEvent;
use cim_es::jetstream::{Connection, EventSubscriberBuilder, FnEventHandler, JetStreamEventStore};
use cim_es::store::*;
use cim_es_tests::nats::{Cluster, Server, User};
use futures_util::StreamExt;
use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::jetstream::proxy::{Proxy, Weather};
use crate::jetstream::sample::*;
use crate::jetstream::{ask, open, options};

/// Longer than anything that is noticed may take.
const SOON: Duration = Duration::from_secs(20);

async fn client() -> Client {
    Server::shared().connect(User::Operator).await
}

async fn through(proxy: &Proxy) -> Client {
    let options: ConnectOptions = User::Operator.options();
    options.connect(proxy.url()).await.unwrap()
}

async fn note(store: &JetStreamEventStore, key: &AggregateKey, number: u64) {
    let request = commit().aggregate(key.clone(), ExpectedVersion::Any, notes([number]));
    store.append(request).await.unwrap();
}

/// A handler that passes on what it gets.
fn passing_on() -> (FnEventHandler, UnboundedReceiver<StoredEvent>) {
    let (sender, receiver) = unbounded_channel();
    let handler = FnEventHandler::new(move |event: StoredEvent| {
        let _ = sender.send(event);
        Ok(())
    });
    (handler, receiver)
}

/// Answers of many messages are read with holes, again and again, and the stream is whole.
#[tokio::test]
async fn a_network_that_loses_messages_is_not_taken_for_a_damaged_history() {
    const EVENTS: u64 = 400;
    let proxy = Proxy::to(Server::shared().address()).await;
    let options = options(1);
    let near = open(client().await, &options).await;
    let key = key();
    let request = commit().aggregate(key.clone(), ExpectedVersion::Any, notes(0..EVENTS));
    near.append(request).await.unwrap();
    let far = open(through(&proxy).await, &options).await;
    proxy.set(Weather {
        lost_of_a_thousand: 30,
        ..Weather::default()
    });
    let reads = (0..6).map(|_| async {
        match timeout(SOON, far.get_events(&key, 1)).await {
            Ok(Ok(events)) => assert_eq!(events.len() as u64, EVENTS),
            Ok(Err(error @ StoreError::Damaged(_))) => panic!("{}", ErrorChain(&error)),
            // It may take longer than anybody waits.
            Ok(Err(_)) | Err(_) => {}
        }
    });
    futures_util::future::join_all(reads).await;
    proxy.set(Weather::default());
    let events = far.get_events(&key, 1).await.unwrap();
    assert_eq!(events.len() as u64, EVENTS);
}

#[tokio::test]
async fn a_last_message_that_is_lost_on_its_way_comes_again_without_a_further_one() {
    for kind in ["following", "live", "durable", "partitioned"] {
        let proxy = Proxy::to(Server::shared().address()).await;
        let options = options(1);
        let (store, near) = (
            open(through(&proxy).await, &options).await,
            open(client().await, &options).await,
        );
        let key = key();
        note(&near, &key, 1).await;
        if kind == "following" {
            let mut events = store.subscribe(Position::START);
            assert!(timeout(SOON, events.next()).await.is_ok());
            proxy.lose_delivery();
            note(&near, &key, 2).await;
            let event = timeout(SOON, events.next()).await;
            let event = event.unwrap_or_else(|_| panic!("{kind}: nothing came"));
            assert_eq!(numbers(&[event.unwrap().unwrap()]), [2]);
            assert!(proxy.has_lost_delivery());
            continue;
        }
        let (handler, mut events) = passing_on();
        let builder = EventSubscriberBuilder::new()
            .client(Connection::from(through(&proxy).await))
            .store(&store)
            .subject("contract.>")
            .handler(handler);
        let name = format!("{kind}-{}", store.stream_name());
        let builder = match kind {
            "durable" => builder.durable(name),
            "partitioned" => builder.partitioned(name),
            _ => builder,
        };
        let subscription = builder.build().unwrap().subscribe().await.unwrap();
        note(&near, &key, 2).await;
        let seen = |event: StoredEvent| numbers(&[event])[0];
        while timeout(SOON, events.recv()).await.unwrap().map(seen) != Some(2) {}
        proxy.lose_delivery();
        note(&near, &key, 3).await;
        let event = timeout(SOON, events.recv()).await;
        let event = event.unwrap_or_else(|_| panic!("{kind}: nothing came"));
        assert_eq!(event.map(seen), Some(3), "{kind}");
        assert!(proxy.has_lost_delivery(), "{kind}");
        subscription.stop().await.unwrap();
    }
}

#[tokio::test]
async fn what_this_program_has_seen_is_never_answered_with_less() {
    let proxy = Proxy::to(Server::shared().address()).await;
    let options = options(1).patience(Duration::from_millis(600));
    let store = open(through(&proxy).await, &options).await;
    let key = key();
    note(&store, &key, 1).await;
    // What is asked here is what a deposed leader will be asked, and answers as it did now.
    assert_eq!(
        store.last(&key).await.unwrap().unwrap().envelope.sequence,
        1
    );
    assert_eq!(store.get_events(&key, 1).await.unwrap().len(), 1);
    assert_eq!(store.read_all(Position::START).count().await, 1);
    for number in [2, 3] {
        note(&store, &key, number).await;
    }
    proxy.live_in_the_past(true);
    assert!(store.last(&key).await.is_err());
    assert!(store.get_events(&key, 1).await.is_err());
    let all: Vec<_> = store.read_all(Position::START).collect().await;
    assert!(all.len() == 3 || all.iter().any(Result::is_err), "{all:?}");
    proxy.live_in_the_past(false);
    assert_eq!(numbers(&history(&store, &key).await), [1, 2, 3]);
}

/// Deletes a stream and makes it anew under its name, with a number of other events.
async fn remade(
    client: &Client,
    store: &JetStreamEventStore,
    options: &cim_es::jetstream::JetStreamOptions,
    events: u64,
) {
    let delete = format!("STREAM.DELETE.{}", store.stream_name());
    ask(client, &delete, json!({})).await;
    let anew = open(client.clone(), options).await;
    for number in 0..events {
        note(&anew, &key(), 100 + number).await;
    }
}

fn is_remade(error: &StoreError) -> bool {
    matches!(error, StoreError::AnotherHistory(_))
}

#[tokio::test]
async fn a_stream_that_is_made_anew_is_not_read_on_as_if_it_were_the_old_one() {
    let options = options(1);
    let (client, store) = (client().await, open(client().await, &options).await);
    let key = key();
    for number in 0..5 {
        note(&store, &key, number).await;
    }
    let mut following = store.subscribe(Position::START);
    for _ in 0..5 {
        following.next().await.unwrap().unwrap();
    }
    remade(&client, &store, &options, 8).await;
    let next = timeout(SOON, following.next())
        .await
        .expect("it is noticed");
    let error = next.expect("an error, not the end").unwrap_err();
    assert!(
        is_remade(&error) || ErrorChain(&error).to_string().contains("not found"),
        "{error}"
    );
    let all: Vec<_> = store.read_all(Position(5)).collect().await;
    assert!(
        all.iter().any(|it| it.as_ref().is_err_and(is_remade)),
        "{all:?}"
    );
}

#[tokio::test]
async fn a_durable_subscription_does_not_go_on_in_a_stream_that_was_made_anew() {
    for kind in ["durable", "partitioned"] {
        let options = options(1);
        let (client, store) = (client().await, open(client().await, &options).await);
        let name = format!("{kind}-{}", store.stream_name());
        let subscriber = |handler: FnEventHandler, store: &JetStreamEventStore| {
            let builder = EventSubscriberBuilder::new()
                .client(Connection::from(client.clone()))
                .store(store)
                .subject("contract.>")
                .handler(handler);
            let builder = match kind {
                "durable" => builder.durable(&name),
                _ => builder.partitioned(&name),
            };
            builder.build().unwrap()
        };
        let key = key();
        for number in 0..3 {
            note(&store, &key, number).await;
        }
        let (handler, mut events) = passing_on();
        let subscription = subscriber(handler, &store).subscribe().await.unwrap();
        for _ in 0..3 {
            timeout(SOON, events.recv()).await.unwrap().unwrap();
        }
        sleep(Duration::from_millis(400)).await;
        subscription.stop().await.unwrap();
        remade(&client, &store, &options, 8).await;
        let (handler, _events) = passing_on();
        let again = subscriber(handler, &store).subscribe().await;
        let Err(error) = again else {
            panic!("{kind}: it went on");
        };
        assert!(
            {
                let text = ErrorChain(&error).to_string();
                text.contains("made anew") || text.contains("another history")
            },
            "{kind}: {error}"
        );
    }
}

#[tokio::test]
async fn a_lost_delivery_is_no_attempt_of_a_group() {
    let proxy = Proxy::to(Server::shared().address()).await;
    let options = options(1);
    let store = open(client().await, &options).await;
    let name = format!("group-{}", store.stream_name());
    let (handler, mut events) = passing_on();
    let subscription = EventSubscriberBuilder::new()
        .client(Connection::from(through(&proxy).await))
        .store(&store)
        .subject("contract.>")
        .handler(handler)
        .group(&name)
        .concurrency(1)
        .retry(cim_es::jetstream::Retry {
            attempts: 1,
            ..Default::default()
        })
        .build()
        .unwrap()
        .subscribe()
        .await
        .unwrap();
    proxy.lose_delivery();
    note(&store, &key(), 1).await;
    let event = timeout(Duration::from_secs(40), events.recv()).await;
    assert!(event.unwrap().is_some() && proxy.has_lost_delivery());
    let parked = cim_es::jetstream::ParkedEvents::open(client().await, &name);
    assert_eq!(parked.await.unwrap().list().await.unwrap(), []);
    subscription.stop().await.unwrap();
}

#[tokio::test]
async fn a_reason_without_end_is_cut_and_what_is_resolved_leaves_nothing() {
    for kind in ["durable", "group"] {
        let client = client().await;
        let store = open(client.clone(), &options(1)).await;
        let name = format!("{kind}-{}", store.stream_name());
        let handler = FnEventHandler::new(|_: StoredEvent| {
            Err(cim_es::jetstream::HandlerError::permanent(
                "x".repeat(3_000_000),
            ))
        });
        let builder = EventSubscriberBuilder::new()
            .client(Connection::from(client.clone()))
            .store(&store)
            .subject("contract.>")
            .handler(handler);
        let builder = match kind {
            "durable" => builder.durable(&name),
            _ => builder.group(&name),
        };
        let subscription = builder.build().unwrap().subscribe().await.unwrap();
        note(&store, &key(), 1).await;
        let parked = cim_es::jetstream::ParkedEvents::open(client.clone(), &name);
        let parked = parked.await.unwrap();
        let listed = async {
            loop {
                let listed = parked.list().await.unwrap();
                if !listed.is_empty() {
                    return listed;
                }
                sleep(Duration::from_millis(50)).await;
            }
        };
        let listed = timeout(SOON, listed).await.unwrap();
        assert!(listed[0].reason.len() < 10_000, "{kind}");
        parked.discard(listed[0].position).await.unwrap();
        let gone = async {
            let filter = format!("$KV.cim-es-subscriptions.{name}.parked.>");
            loop {
                let query = json!({ "subjects_filter": filter });
                let info = ask(&client, "STREAM.INFO.KV_cim-es-subscriptions", query).await;
                if info["state"]["subjects"]
                    .as_object()
                    .is_none_or(|it| it.is_empty())
                {
                    return;
                }
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(SOON, gone)
            .await
            .unwrap_or_else(|_| panic!("{kind}: an entry stays"));
        subscription.stop().await.unwrap();
    }
}

#[tokio::test]
async fn places_of_members_that_crashed_are_cleared_before_anybody_is_refused() {
    let client = client().await;
    let store = open(client.clone(), &options(1)).await;
    let name = format!("crashed-{}", store.stream_name());
    let subscriber = |name: &str| {
        let (handler, _) = passing_on();
        let builder = EventSubscriberBuilder::new()
            .client(Connection::from(client.clone()))
            .store(&store)
            .subject("contract.>")
            .handler(handler);
        let builder = builder.partitioned(name).lease(Duration::from_secs(1));
        builder.build().unwrap()
    };
    // Makes the bucket.
    let first = subscriber(&format!("{name}-first")).subscribe().await;
    first.unwrap().stop().await.unwrap();
    let context = async_nats::jetstream::new(client.clone());
    for place in 0..64 {
        let key = format!("$KV.cim-es-subscriptions.{name}.member.{place:02x}");
        let heartbeat = json!({ "id": format!("crashed {place}"), "beat": 7 });
        let sent = context.publish(key, heartbeat.to_string().into());
        sent.await.unwrap().await.unwrap();
    }
    let subscription = timeout(SOON, subscriber(&name).subscribe()).await.unwrap();
    subscription.unwrap().stop().await.unwrap();
}

#[test]
fn a_store_that_outlives_its_runtime_says_so_at_once() {
    let runtime = || tokio::runtime::Runtime::new().unwrap();
    for is_bare in [false, true] {
        let first = runtime();
        let store = first.block_on(async {
            let server = Server::shared();
            let connection = match is_bare {
                true => Connection::from(client().await),
                false => {
                    let config = cim_es::jetstream::NatsConfig::new([server.url()])
                        .user_and_password("operator", User::Operator.password());
                    config.connect().await.unwrap()
                }
            };
            JetStreamEventStore::open(connection, options(1))
                .await
                .unwrap()
        });
        drop(first);
        runtime().block_on(async {
            let request = commit().aggregate(key(), ExpectedVersion::NoStream, notes([1]));
            let appended = timeout(Duration::from_secs(2), store.append(request)).await;
            let error = appended.expect("there is nothing to wait for").unwrap_err();
            assert!(
                matches!(&error, StoreError::Closed { reason } if reason.contains("runtime")),
                "{error}"
            );
            let read = timeout(Duration::from_secs(2), store.get_events(&key(), 1)).await;
            let error = read.expect("there is nothing to wait for").unwrap_err();
            assert!(matches!(error, StoreError::Closed { .. }), "{error}");
        });
    }
}
/// A client of one server of a cluster.
async fn client_of(server: &Server) -> Client {
    server.connect(User::Operator).await
}

/// How many events the nearest replica gives of an aggregate, asked past the store.
async fn nearest(client: &Client, store: &JetStreamEventStore, subject: &str) -> usize {
    let request = serde_json::json!({ "seq": 1, "batch": 10, "next_by_subj": subject });
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.unwrap();
    let get = format!("$JS.API.DIRECT.GET.{}", store.stream_name());
    let asked = client.publish_with_reply(get, inbox, request.to_string().into());
    asked.await.unwrap();
    let mut count = 0;
    while answers
        .next()
        .await
        .is_some_and(|answer| answer.status.is_none())
    {
        count += 1;
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_acknowledged_is_read_also_where_the_nearest_replica_lags() {
    const ROUNDS: usize = 200;
    let cluster = Cluster::start(3);
    let options = options(3);
    let operator = cluster.connect(User::Operator).await;
    let store = open(operator.clone(), &options).await;
    let leader = cluster.leader(&operator, store.stream_name()).await;
    let (leader, lagging) = (
        &cluster.servers()[leader],
        &cluster.servers()[(leader + 1) % 3],
    );
    let writing = open(client_of(leader).await, &options).await;
    let near = client_of(lagging).await;
    let reading = open(near.clone(), &options).await;
    let mut late = 0;
    for round in 0..ROUNDS {
        let key = tally();
        let first = commit().aggregate(key.clone(), ExpectedVersion::NoStream, vec![counted(1)]);
        writing.append(first).await.unwrap();
        lagging.pause();
        let second = commit().aggregate(key.clone(), ExpectedVersion::Exactly(1), vec![counted(2)]);
        writing.append(second).await.unwrap();
        let mut reads = JoinSet::new();
        for _ in 0..8 {
            let (reading, key) = (reading.clone(), key.clone());
            reads.spawn(async move { reading.get_events(&key, 0).await });
        }
        let subject = store.subjects().stored(key.id(), "contract.tally.counted");
        let raw = tokio::spawn({
            let (near, store) = (near.clone(), store.clone());
            async move { nearest(&near, &store, &subject).await }
        });
        sleep(Duration::from_millis(50)).await;
        lagging.resume();
        while let Some(read) = reads.join_next().await {
            assert_eq!(numbers(&read.unwrap().unwrap()), [1, 2]);
        }
        late += usize::from(raw.await.unwrap() < 2);
        if late > 0 {
            println!("an answer of the replica was late in round {round}");
            return;
        }
    }
    panic!("no replica was late in {ROUNDS} rounds, so nothing was shown");
}
