//! Appends whose answer is lost, late or strange: never a duplicate, never a false answer.

use std::time::Duration;

use crate::jetstream::proxy::Proxy;
use crate::jetstream::sample::*;
use crate::jetstream::{ask, open, options};
use async_nats::{Client, ConnectOptions, HeaderMap};
use cim_es::jetstream::{JetStreamEventStore, JetStreamOptions, NatsConfig};
use cim_es::message::{MessageIdentity, Timestamp};
use cim_es::store::*;
use cim_es_tests::nats::{Server, User};
use futures_util::StreamExt;
use serde_json::json;
use tokio::time::{Instant, sleep};

async fn client() -> Client {
    Server::shared().connect(User::Operator).await
}

async fn client_through(proxy: &Proxy) -> Client {
    let options: ConnectOptions = User::Operator.options();
    options
        .reconnect_delay_callback(|_| Duration::from_millis(20))
        .connect(proxy.url())
        .await
        .unwrap()
}

fn impatient(options: JetStreamOptions) -> JetStreamOptions {
    options.request_timeout(Duration::from_millis(200))
}

async fn events_in(store: &impl EventStore) -> usize {
    store.read_all(Position::START).count().await
}

/// Two stores on one stream: one whose answers can be lost, one that always hears.
async fn lossy() -> (Proxy, JetStreamEventStore, JetStreamEventStore) {
    let options = impatient(options(1));
    let proxy = Proxy::to(Server::shared().address()).await;
    let deaf = open(client_through(&proxy).await, &options).await;
    let hearing = open(client().await, &options).await;
    (proxy, deaf, hearing)
}

async fn wait_for_events(store: &impl EventStore, count: usize) {
    let end = Instant::now() + Duration::from_secs(5);
    while events_in(store).await < count {
        assert!(Instant::now() < end, "nothing was stored");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_commit_whose_acknowledgement_is_lost_is_found_and_stored_once() {
    for count in [1_usize, 4] {
        let (proxy, deaf, hearing) = lossy().await;
        let key = key();
        proxy.lose_answers();
        let request = commit().aggregate(
            key.clone(),
            ExpectedVersion::NoStream,
            notes(0..count as u64),
        );
        let appending = tokio::spawn({
            let deaf = deaf.clone();
            async move { deaf.append(request).await }
        });
        wait_for_events(&hearing, count).await;
        sleep(Duration::from_millis(500)).await;
        assert!(
            !appending.is_finished(),
            "nothing was heard, so nothing can be known"
        );
        proxy.cut();
        let stored = appending.await.unwrap().unwrap();
        assert_eq!(stored, history(&hearing, &key).await);
        assert_eq!(events_in(&hearing).await, count);
    }
}

#[tokio::test]
async fn a_lost_acknowledgement_is_found_also_when_others_appended_behind() {
    for count in [1_usize, 3] {
        let (proxy, deaf, hearing) = lossy().await;
        let (key, other) = (key(), key_of("contract.other", "shared"));
        let first =
            deaf.append(commit().aggregate(key.clone(), ExpectedVersion::NoStream, notes([100])));
        let head = first.await.unwrap()[0].head();
        proxy.lose_answers();
        let request = commit().aggregate_at(key.clone(), head, notes(0..count as u64));
        let appending = tokio::spawn({
            let deaf = deaf.clone();
            async move { deaf.append(request).await }
        });
        wait_for_events(&hearing, 1 + count).await;
        for number in 0..5 {
            for key in [&key, &other] {
                let request =
                    commit().aggregate(key.clone(), ExpectedVersion::Any, notes([200 + number]));
                hearing.append(request).await.unwrap();
            }
        }
        proxy.cut();
        let stored = appending.await.unwrap().unwrap();
        let events = history(&hearing, &key).await;
        assert_eq!(stored, events[1..=count]);
        assert_eq!(events.len(), 1 + count + 5);
    }
}

#[tokio::test]
async fn a_commit_that_lost_the_race_behind_a_lost_answer_is_a_conflict() {
    let (proxy, deaf, hearing) = lossy().await;
    let key = key();
    let first =
        hearing.append(commit().aggregate(key.clone(), ExpectedVersion::NoStream, notes([1])));
    let head = first.await.unwrap()[0].head();
    let winner = commit().aggregate_at(key.clone(), head, notes([2]));
    hearing.append(winner).await.unwrap();
    proxy.lose_answers();
    let request = commit().aggregate_at(key.clone(), head, notes([3]));
    let appending = tokio::spawn({
        let deaf = deaf.clone();
        async move { deaf.append(request).await }
    });
    sleep(Duration::from_millis(600)).await;
    proxy.cut();
    let outcome = appending.await.unwrap();
    assert!(outcome.is_err_and(|error| error.is_conflict()));
    assert_eq!(numbers(&history(&hearing, &key).await), [1, 2]);
}

#[tokio::test]
async fn what_cannot_be_found_out_in_time_is_unknown() {
    let proxy = Proxy::to(Server::shared().address()).await;
    let options = impatient(options(1)).patience(Duration::from_millis(800));
    let deaf = open(client_through(&proxy).await, &options).await;
    let hearing = open(client().await, &options).await;
    let key = key();
    proxy.lose_answers();
    let request = commit().aggregate(key.clone(), ExpectedVersion::NoStream, notes([1]));
    let start = Instant::now();
    let outcome = deaf.append(request).await;
    assert!(
        matches!(outcome, Err(StoreError::OutcomeUnknown { .. })),
        "{outcome:?}"
    );
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(numbers(&history(&hearing, &key).await), [1]);
}

#[tokio::test]
async fn a_commit_is_found_though_a_server_refused_it_as_if_it_were_not_stored() {
    // Wrong last sequence twice, full, an unfinished batch, sealed, another last sequence, too large, no leader.
    for error in [10071, 10164, 10077, 10176, 10109, 10063, 10054, 10008] {
        for (count, expected) in [
            (1_u64, ExpectedVersion::NoStream),
            (3, ExpectedVersion::NoStream),
            (1, ExpectedVersion::Any),
            (3, ExpectedVersion::Any),
        ] {
            let (proxy, deceived, hearing) = lossy().await;
            let key = key();
            proxy.refuse_what_is_stored(error);
            let request = commit().aggregate(key.clone(), expected, notes(0..count));
            let stored = deceived.append(request).await;
            assert!(proxy.has_refused(), "{error}");
            let stored = stored.unwrap_or_else(|wrong| panic!("{error}, {expected}: {wrong}"));
            assert_eq!(stored, history(&hearing, &key).await, "{error}, {expected}");
            assert_eq!(
                events_in(&hearing).await,
                count as usize,
                "{error}, {expected}"
            );
        }
    }
}

#[tokio::test]
async fn two_kinds_with_one_id_in_one_commit_are_found_behind_a_lost_answer() {
    for lies in [false, true] {
        let (proxy, deaf, hearing) = lossy().await;
        let id = uuid::Uuid::now_v7().to_string();
        let (one, other) = (key_of("contract.one", &id), key_of("contract.other", &id));
        let request = commit()
            .aggregate(one.clone(), ExpectedVersion::NoStream, notes([1, 2]))
            .aggregate(other.clone(), ExpectedVersion::NoStream, notes([3]));
        match lies {
            true => proxy.refuse_what_is_stored(10071),
            false => proxy.lose_answers(),
        }
        let appending = tokio::spawn({
            let deaf = deaf.clone();
            async move { deaf.append(request).await }
        });
        wait_for_events(&hearing, 3).await;
        if !lies {
            sleep(Duration::from_millis(300)).await;
            proxy.cut();
        }
        let stored = appending.await.unwrap().unwrap();
        assert_eq!(numbers(&stored), [1, 2, 3]);
        assert_eq!(numbers(&history(&hearing, &one).await), [1, 2]);
        assert_eq!(numbers(&history(&hearing, &other).await), [3]);
        assert_eq!(events_in(&hearing).await, 3);
    }
}

/// Stores the first events of a commit and not the others, as a server does that reaches a limit in the middle.
async fn store_a_part(
    client: &Client,
    store: &JetStreamEventStore,
    commit: CommitRequest,
    head: Option<Head>,
    count: usize,
) {
    let heads: Vec<_> = commit.aggregates.iter().map(|_| head).collect();
    let sealed = seal(commit, &heads, &SealOptions::default()).unwrap();
    let context = async_nats::jetstream::new(client.clone());
    for event in sealed.into_iter().take(count) {
        let mut headers = HeaderMap::new();
        headers.insert("Cid", event.cid.to_string());
        let key = key_of("contract.sample", &event.envelope.aggregate_id);
        let subject = store.subjects().stored(key.id(), NOTED);
        let sent = context.publish_with_headers(subject, headers, event.body().clone());
        sent.await.unwrap().await.unwrap();
    }
}

#[tokio::test]
async fn nothing_follows_a_commit_of_which_only_a_part_is_stored() {
    let (client, store) = (client().await, open(client().await, &options(1)).await);
    let (one, other) = (key(), key());
    let alone = commit().aggregate(one.clone(), ExpectedVersion::NoStream, notes(0..3));
    store_a_part(&client, &store, alone, None, 2).await;
    // All events of the first aggregate are there, and none of the second.
    let both = commit()
        .aggregate(other.clone(), ExpectedVersion::NoStream, notes(0..2))
        .aggregate(key(), ExpectedVersion::NoStream, notes(0..2));
    store_a_part(&client, &store, both, None, 2).await;
    let found = store.doctor().await.unwrap();
    let fragments = found.iter().filter(|finding| finding.about == "fragment");
    assert_eq!(fragments.count(), 2, "{found:?}");
    for key in [one, other] {
        let more = commit().aggregate(key.clone(), ExpectedVersion::Any, notes([7]));
        let refused = store.append(more).await;
        let Err(StoreError::Damaged(damage)) = refused else {
            panic!("{refused:?}");
        };
        let said = damage.to_string();
        assert!(
            said.contains("not whole") && said.contains("doctor"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_commit_that_a_limit_cuts_off_is_never_taken_for_stored_or_for_nothing() {
    // Account, stream in bytes, stream in messages.
    let (client, store) = (client().await, open(client().await, &options(1)).await);
    let name = store.stream_name().to_owned();
    let info = ask(&client, &format!("STREAM.INFO.{name}"), json!({})).await;
    let mut config = info["config"].clone();
    config["max_bytes"] = json!(40_000);
    ask(&client, &format!("STREAM.UPDATE.{name}"), config).await;
    for round in 0..40 {
        let key = key();
        let events = (0..10).map(|number| large(number, 100 * round as usize));
        let request = commit().aggregate(key.clone(), ExpectedVersion::NoStream, events.collect());
        let outcome = store.append(request).await;
        let raw = ask(
            &client,
            &format!("STREAM.INFO.{name}"),
            json!({ "subjects_filter": store.subjects().guard(key.id()) }),
        )
        .await;
        let stored: u64 = raw["state"]["subjects"]
            .as_object()
            .map(|subjects| {
                subjects
                    .values()
                    .filter_map(serde_json::Value::as_u64)
                    .sum()
            })
            .unwrap_or_default();
        match outcome {
            Ok(events) => assert_eq!((events.len(), stored), (10, 10), "{round}"),
            Err(StoreError::Full { .. }) => assert_eq!(stored, 0, "{round}"),
            Err(StoreError::Damaged(_)) => assert!((1..10).contains(&stored), "{round}"),
            Err(error) => panic!("{round}: {stored} events are stored, and {error}"),
        }
    }
}

#[tokio::test]
async fn batches_that_wait_for_their_turn_end_in_their_time() {
    let options = impatient(options(1)).patience(Duration::from_secs(2));
    let proxy = Proxy::to(Server::shared().address()).await;
    let store = open(client_through(&proxy).await, &options).await;
    proxy.lose_answers();
    let start = Instant::now();
    let mut appends = tokio::task::JoinSet::new();
    for _ in 0..160 {
        let store = store.clone();
        appends.spawn(async move {
            let request = commit().aggregate(key(), ExpectedVersion::NoStream, notes(0..3));
            store.append(request).await
        });
    }
    let outcomes = appends.join_all().await;
    let time = start.elapsed();
    assert!(time < Duration::from_secs(4), "{time:?}");
    let waiting = |outcome: &Result<_, StoreError>| matches!(outcome, Err(StoreError::Busy { .. }));
    // What never had its turn was never sent, and is known not to be stored.
    let waited = outcomes.iter().filter(|it| waiting(it)).count();
    assert!(waited > 80, "only {waited} are known not to be stored");
}

/// A commit whose bytes, and so its CIDs, are known beforehand.
fn fixed(key: &AggregateKey, count: u64) -> CommitRequest {
    let identity = MessageIdentity::root(uuid::Uuid::from_u128(7), Some("test"));
    CommitRequest::new(identity, Timestamp::from_micros(1)).aggregate(
        key.clone(),
        ExpectedVersion::NoStream,
        notes(0..count),
    )
}

/// Stores something else under the message ids of a commit.
async fn steal_message_ids(
    client: &Client,
    store: &JetStreamEventStore,
    key: &AggregateKey,
    count: u64,
) {
    let sealed = seal(fixed(key, count), &[None], &SealOptions::default()).unwrap();
    let context = async_nats::jetstream::new(client.clone());
    let elsewhere = store
        .subjects()
        .stored(sample_id().id(), "contract.thief.came");
    for event in sealed {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", event.cid.to_string());
        let body = event.body().clone();
        let sent = context.publish_with_headers(elsewhere.clone(), headers, body);
        sent.await.unwrap().await.unwrap();
    }
}

fn sample_id() -> AggregateKey {
    key_of("contract.thief", "thief")
}

#[tokio::test]
async fn a_message_id_that_the_server_knows_from_elsewhere_is_no_success() {
    // One event is answered with `duplicate: true`, a batch with error 10201.
    for count in [1, 3] {
        let options = options(1).patience(Duration::from_millis(700));
        let (client, store) = (client().await, open(client().await, &options).await);
        let key = key();
        steal_message_ids(&client, &store, &key, count).await;
        let outcome = store.append(fixed(&key, count)).await;
        assert!(
            matches!(outcome, Err(StoreError::OutcomeUnknown { .. })),
            "{outcome:?}"
        );
        assert_eq!(history(&store, &key).await, []);
    }
}

#[tokio::test]
async fn the_same_commit_sent_twice_is_stored_once() {
    for count in [1, 3] {
        let store = open(client().await, &options(1)).await;
        let key = key();
        let stored = store.append(fixed(&key, count)).await.unwrap();
        match store.append(fixed(&key, count)).await {
            Ok(again) => assert_eq!(again, stored),
            Err(error) => assert!(error.is_conflict(), "{error}"),
        }
        assert_eq!(history(&store, &key).await, stored);
    }
}

/// Sends one message of a batch that stays unfinished, and waits until the server has it.
async fn send_of_batch(client: &Client, subject: &str, batch: &str, sequence: u64) {
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Batch-Id", batch);
    headers.insert("Nats-Batch-Sequence", sequence.to_string());
    let answer = client.request_with_headers(subject.to_owned(), headers, "".into());
    answer.await.unwrap();
}

#[tokio::test]
async fn a_batch_waits_while_the_server_has_too_many_in_flight() {
    // The first message is refused with 10210, and the last one of the headless batch with 10176.
    let (client, store) = (client().await, open(client().await, &options(1)).await);
    let subject = store
        .subjects()
        .stored(sample_id().id(), "contract.thief.came");
    for batch in 0..50 {
        send_of_batch(&client, &subject, &format!("b{batch}"), 1).await;
    }
    let key = key();
    let appending = tokio::spawn({
        let (store, key) = (store.clone(), key.clone());
        async move {
            store
                .append(commit().aggregate(key, ExpectedVersion::NoStream, notes(0..3)))
                .await
        }
    });
    sleep(Duration::from_millis(500)).await;
    assert!(!appending.is_finished(), "the server took the 51st batch");
    for batch in 0..50 {
        send_of_batch(&client, &subject, &format!("b{batch}"), 9).await;
    }
    let stored = appending.await.unwrap().unwrap();
    assert_eq!(history(&store, &key).await, stored);
}

#[tokio::test]
async fn a_batch_that_arrives_with_a_gap_is_sent_again() {
    // The last message of a batch in which one is missing is refused with 10176.
    let proxy = Proxy::to(Server::shared().address()).await;
    let (deaf, hearing) = {
        let options = options(1);
        let through = client_through(&proxy).await;
        (
            open(through, &options).await,
            open(client().await, &options).await,
        )
    };
    for lost in [2, 3] {
        let key = key();
        proxy.lose_message(&format!("Nats-Batch-Sequence: {lost}"));
        let request = commit().aggregate(key.clone(), ExpectedVersion::NoStream, notes(0..4));
        let stored = deaf.append(request).await.unwrap();
        assert!(proxy.has_lost());
        assert_eq!(history(&hearing, &key).await, stored);
    }
    assert_eq!(events_in(&hearing).await, 8);
}

#[tokio::test]
async fn an_append_waits_while_nobody_answers_for_the_stream() {
    for count in [1, 3] {
        let options = options(1);
        let (client, store) = (client().await, open(client().await, &options).await);
        let delete = format!("STREAM.DELETE.{}", store.stream_name());
        ask(&client, &delete, json!({})).await;
        let key = key();
        let appending = tokio::spawn({
            let (store, key) = (store.clone(), key.clone());
            let request = commit().aggregate(key, ExpectedVersion::NoStream, notes(0..count));
            async move { store.append(request).await }
        });
        sleep(Duration::from_millis(400)).await;
        assert!(!appending.is_finished());
        open(client, &options).await;
        let stored = appending.await.unwrap().unwrap();
        assert_eq!(history(&store, &key).await, stored);
    }
}

#[tokio::test]
async fn an_append_that_nobody_ever_answers_stored_nothing_and_says_so() {
    let options = options(1).patience(Duration::from_millis(600));
    let (client, store) = (client().await, open(client().await, &options).await);
    ask(
        &client,
        &format!("STREAM.DELETE.{}", store.stream_name()),
        json!({}),
    )
    .await;
    let outcome = store
        .append(commit().aggregate(key(), ExpectedVersion::NoStream, notes([1])))
        .await;
    assert!(
        matches!(outcome, Err(StoreError::Busy { .. })),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn an_append_ends_in_its_time_also_when_the_client_is_full_of_messages() {
    let mut server = Server::start();
    let options = options(1).patience(Duration::from_secs(1));
    let client = server.connect(User::Operator).await;
    let store = open(client, &impatient(options)).await;
    server.kill();
    let mut appends = tokio::task::JoinSet::new();
    for count in [1_000, 1_000, 1_000, 1] {
        let store = store.clone();
        appends.spawn(async move {
            let request = commit().aggregate(key(), ExpectedVersion::NoStream, notes(0..count));
            store.append(request).await
        });
    }
    let all = tokio::time::timeout(Duration::from_secs(15), appends.join_all()).await;
    let all = all.expect("every append ends while the servers are away");
    assert!(all.iter().all(Result::is_err), "{all:?}");
    let key = key();
    let read = store.get_events(&key, 1);
    let read = tokio::time::timeout(Duration::from_secs(15), read).await;
    assert!(read.expect("a read ends too").is_err());
}

#[tokio::test]
async fn a_patience_without_end_is_no_overflow() {
    let options = options(1).patience(Duration::MAX);
    let store = open(client().await, &options).await;
    let key = key();
    let request = commit().aggregate(key.clone(), ExpectedVersion::NoStream, notes([1]));
    store.append(request).await.unwrap();
    assert_eq!(numbers(&history(&store, &key).await), [1]);
}

#[tokio::test]
async fn an_append_on_a_connection_that_was_given_up_says_so_at_once() {
    let mut server = Server::start();
    let config = NatsConfig::new([server.url()])
        .user_and_password("operator", User::Operator.password())
        .reconnect_delay(Duration::from_millis(10))
        .max_reconnects(1);
    let connection = config.connect().await.unwrap();
    let store = JetStreamEventStore::open(connection.clone(), options(1)).await;
    let store = store.unwrap();
    server.kill();
    connection.ended().await;
    for count in [1, 3] {
        let request = commit().aggregate(key(), ExpectedVersion::NoStream, notes(0..count));
        let outcome = tokio::time::timeout(Duration::from_secs(2), store.append(request)).await;
        let outcome = outcome.expect("there is nothing to wait for");
        assert!(
            matches!(outcome, Err(StoreError::Closed { .. })),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn a_subscription_goes_on_within_seconds_after_a_restart_of_the_server() {
    let mut server = Server::start();
    let client = server.connect(User::Operator).await;
    let store = open(client, &options(1)).await;
    let key = key();
    let mut following = store.subscribe(Position::START);
    let mut expected = Vec::new();
    let mut seen = Vec::new();
    for round in 0..2 {
        let numbers = round * 300..(round + 1) * 300;
        for number in numbers {
            let request = commit().aggregate(key.clone(), ExpectedVersion::Any, notes([number]));
            expected.extend(store.append(request).await.unwrap());
        }
        let start = Instant::now();
        while seen.len() < expected.len() {
            let event = tokio::time::timeout(Duration::from_secs(10), following.next()).await;
            seen.push(event.unwrap().unwrap().unwrap());
        }
        assert!(
            start.elapsed() < Duration::from_secs(6),
            "{:?}",
            start.elapsed()
        );
        server.kill();
        sleep(Duration::from_millis(300)).await;
        server.restart();
    }
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_replay_goes_on_where_its_connection_was_cut() {
    let (proxy, cut, hearing) = lossy().await;
    let request = |start: u64| {
        commit().aggregate(
            key(),
            ExpectedVersion::NoStream,
            notes(start..start + 1_000),
        )
    };
    let mut stored = Vec::new();
    for start in 0..5 {
        stored.extend(hearing.append(request(start * 1_000)).await.unwrap());
    }
    let mut replay = cut.read_all(Position::START);
    let mut seen = Vec::new();
    while let Some(event) = replay.next().await {
        seen.push(event.unwrap());
        if seen.len() % 1_500 == 0 {
            proxy.cut();
        }
    }
    assert_eq!(seen, stored);
}

#[tokio::test]
async fn an_append_whose_aggregate_cannot_be_read_says_that_nothing_was_stored() {
    let proxy = Proxy::to(Server::shared().address()).await;
    let options = impatient(options(1)).patience(Duration::from_millis(600));
    let deaf = open(client_through(&proxy).await, &options).await;
    let hearing = open(client().await, &options).await;
    let stored = hearing.append(commit().aggregate(key(), ExpectedVersion::Any, notes([1])));
    let stored = stored.await.unwrap();
    let key = key_of("contract.sample", &stored[0].envelope.aggregate_id);
    proxy.lose_answers();
    for expected in [ExpectedVersion::Any, ExpectedVersion::Exactly(1)] {
        let request = commit().aggregate(key.clone(), expected, notes([2]));
        let outcome = deaf.append(request).await;
        assert!(
            matches!(outcome, Err(StoreError::Busy { .. })),
            "{outcome:?}"
        );
    }
    let commits = SealedCommit::split(&stored).unwrap();
    let outcome = deaf.append_sealed(commits).await;
    assert!(
        matches!(outcome, Err(StoreError::Busy { .. })),
        "{outcome:?}"
    );
    assert_eq!(events_in(&hearing).await, 1);
}
