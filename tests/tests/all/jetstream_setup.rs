//! Setting up: what a store creates, what it refuses, and what its doctor says.

use std::sync::OnceLock;
use std::time::Duration;

use crate::jetstream::sample::*;
use crate::jetstream::{ask, open, open_all, options};
use cim_es::ErrorChain;
use cim_es::jetstream::{
    EventStoreConfig, Finding, JetStreamEventStore, JetStreamObjectStore, JetStreamOptions,
    NatsConfig, Severity,
};
use cim_es::prelude::*;
use cim_es::store::*;
use cim_es_tests::nats::{Cluster, Layout, Server, User};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::start)
}

async fn client() -> async_nats::Client {
    server().connect(User::Operator).await
}

fn named(stream: &str) -> EventStoreConfig {
    EventStoreConfig::new(stream, [format!("d{stream}.>")])
}

/// Options for a stream that no other test has, under its own prefix.
fn alone(config: EventStoreConfig) -> JetStreamOptions {
    let prefix = config.stream_name.parse().unwrap();
    JetStreamOptions::new(config).stored_subjects(prefix)
}

fn unique() -> String {
    format!("t{}", uuid::Uuid::now_v7().simple())
}

fn is_found(findings: &[Finding], about: &str) -> Option<Severity> {
    let found = findings.iter().find(|finding| finding.about == about);
    found.map(|finding| finding.severity)
}

#[tokio::test]
async fn a_missing_stream_is_created_append_only_on_files() {
    let client = client().await;
    let name = unique();
    let store = open(client.clone(), &alone(named(&name))).await;
    let info = ask(&client, &format!("STREAM.INFO.{name}"), json!({})).await;
    let config = &info["config"];
    for (setting, value) in [
        ("storage", json!("file")),
        ("retention", json!("limits")),
        ("discard", json!("new")),
        ("deny_delete", json!(true)),
        ("deny_purge", json!(true)),
        ("allow_direct", json!(true)),
        ("allow_atomic", json!(true)),
        ("max_age", json!(0)),
        ("max_msgs", json!(-1)),
        ("duplicate_window", json!(120_000_000_000_u64)),
        ("subjects", json!([format!("{name}.*.*.d{name}.>")])),
    ] {
        assert_eq!(config[setting], value, "{setting}");
    }
    let again = JetStreamEventStore::open(client, alone(named(&name))).await;
    assert!(again.is_ok());
    let findings = store.doctor().await.unwrap();
    assert!(
        findings.iter().all(|it| it.severity == Severity::Notice),
        "{findings:?}"
    );
    assert_eq!(is_found(&findings, "sync_interval"), Some(Severity::Notice));
    assert_eq!(is_found(&findings, "replicas"), Some(Severity::Notice));
}

#[tokio::test]
async fn a_program_that_may_not_create_says_that_the_stream_is_missing() {
    let options = alone(named(&unique())).without_creating();
    let outcome = JetStreamEventStore::open(client().await, options).await;
    assert!(
        matches!(outcome, Err(StoreError::Incompatible { .. })),
        "{outcome:?}"
    );
}

/// A stream as the store makes it, with one setting changed.
async fn stream_with(client: &async_nats::Client, setting: &str, value: Value) -> String {
    let name = unique();
    let mut config = json!({
        "name": name, "subjects": [format!("{name}.*.*.d{name}.>")], "storage": "file",
        "retention": "limits", "discard": "new", "deny_delete": true, "deny_purge": true,
        "allow_direct": true, "allow_atomic": true, "num_replicas": 1,
        "duplicate_window": 120_000_000_000_u64,
        "republish": { "src": format!("{name}.*.*.{name}.>"), "dest": format!("{name}.pub.>") },
    });
    config["republish"] =
        json!({ "src": format!("{name}.*.*.{name}.>"), "dest": format!("p{name}.>") });
    config[setting] = value;
    let answer = ask(client, &format!("STREAM.CREATE.{name}"), config).await;
    assert!(answer["error"].is_null(), "{answer}");
    name
}

#[tokio::test]
async fn a_stream_that_could_lose_events_is_refused_unless_that_is_accepted() {
    let client = client().await;
    for (setting, value) in [
        ("max_age", json!(3_600_000_000_000_u64)),
        ("discard", json!("old")),
        ("max_msgs_per_subject", json!(10)),
        ("deny_delete", json!(false)),
        ("deny_purge", json!(false)),
        ("storage", json!("memory")),
        ("allow_msg_ttl", json!(true)),
    ] {
        let name = stream_with(&client, setting, value).await;
        let refused = JetStreamEventStore::open(client.clone(), alone(named(&name))).await;
        let reason = match refused {
            Err(StoreError::Incompatible { reason, .. }) => reason,
            outcome => panic!("{setting}: {outcome:?}"),
        };
        assert!(
            reason.contains(&format!("`{setting}`")),
            "{setting}: {reason}"
        );
        let accepting = alone(named(&name).accept_losing_events());
        let store = open(client.clone(), &accepting).await;
        let findings = store.doctor().await.unwrap();
        assert_eq!(
            is_found(&findings, setting),
            Some(Severity::Warning),
            "{setting}"
        );
    }
}

#[tokio::test]
async fn every_setting_that_hinders_the_store_is_refused_or_reported() {
    let client = client().await;
    let second = 1_000_000_000_u64;
    for (setting, value, about, severity) in [
        (
            "max_msg_size",
            json!(2_000),
            "max_msg_size",
            Severity::Danger,
        ),
        (
            "max_msg_size",
            json!(200_000),
            "max_msg_size",
            Severity::Warning,
        ),
        (
            "max_consumers",
            json!(3),
            "max_consumers",
            Severity::Warning,
        ),
        (
            "consumer_limits",
            json!({ "inactive_threshold": second }),
            "consumer_limits.inactive_threshold",
            Severity::Danger,
        ),
        (
            "consumer_limits",
            json!({ "max_ack_pending": 10 }),
            "consumer_limits.max_ack_pending",
            Severity::Warning,
        ),
        (
            "allow_batched",
            json!(true),
            "allow_batched",
            Severity::Warning,
        ),
        ("max_msgs", json!(5), "max_msgs", Severity::Warning),
    ] {
        let name = stream_with(&client, setting, value.clone()).await;
        let opened = JetStreamEventStore::open(client.clone(), alone(named(&name))).await;
        match (severity, opened) {
            (Severity::Danger, Err(StoreError::Incompatible { reason, .. })) => {
                assert!(reason.contains(about), "{setting}: {reason}");
            }
            (Severity::Warning, Ok(store)) => {
                let findings = store.doctor().await.unwrap();
                assert_eq!(
                    is_found(&findings, about),
                    Some(severity),
                    "{setting} {value}"
                );
            }
            (_, outcome) => panic!("{setting} {value}: {outcome:?}"),
        }
    }
}

#[tokio::test]
async fn what_is_configured_and_not_so_on_the_stream_that_is_there_is_reported() {
    let client = client().await;
    let name = unique();
    open(client.clone(), &alone(named(&name))).await;
    let config = EventStoreConfig {
        max_age: Some(Duration::from_secs(3_600)),
        max_messages: Some(1_000),
        drop_oldest_when_full: true,
        ..named(&name).accept_losing_events()
    };
    let store = open(client, &alone(config)).await;
    let findings = store.doctor().await.unwrap();
    for setting in ["max_age", "discard", "max_msgs"] {
        let found = is_found(&findings, setting);
        assert_eq!(found, Some(Severity::Warning), "{setting}");
    }
}

#[tokio::test]
async fn a_server_that_takes_small_messages_alone_keeps_large_objects_and_snapshots() {
    let text = |bytes: u32| Layout::Login {
        text: format!(
            "max_payload: {bytes}\nauthorization {{ user: operator, password: operator-password }}"
        ),
    };
    let server = Server::start_with(&text(20_000));
    let client = server.connect(User::Operator).await;
    let stores = open_all(client, &options(1), 1).await;
    let bytes: Vec<u8> = (0..300_000_u32).map(|number| number as u8).collect();
    let cid = stores.put_object(bytes.clone().into()).await.unwrap();
    assert_eq!(stores.get_object(&cid).await.unwrap().unwrap(), bytes);
    let snapshot = Snapshot {
        tag: 1,
        version: 1,
        last_cid: cid,
        position: Position(1),
        state: bytes.into(),
    };
    let key = key();
    let saved = stores.snapshots.save_snapshot(&key, snapshot.clone());
    saved.await.unwrap();
    let kept = stores.snapshots.get_latest_snapshot(&key, 1).await;
    assert_eq!(kept.unwrap(), Some(snapshot));
    let findings = stores.events.doctor().await.unwrap();
    assert_eq!(is_found(&findings, "max_payload"), Some(Severity::Warning));

    let server = Server::start_with(&text(3_000));
    let client = server.connect(User::Operator).await;
    let refused = JetStreamObjectStore::open(client, "objects", 1).await;
    let said = refused.unwrap_err().to_string();
    assert!(said.contains("max_payload"), "{said}");
}

#[tokio::test]
async fn reading_ends_also_where_an_operator_removed_the_last_events() {
    let client = client().await;
    let name = stream_with(&client, "deny_delete", json!(false)).await;
    let options = alone(named(&name).accept_losing_events());
    let store = open(client.clone(), &options).await;
    let event_type = format!("d{name}.thing.made");
    let mut stored = Vec::new();
    for number in 0..4 {
        let events = vec![event(&event_type, number)];
        let request = commit().aggregate(key(), ExpectedVersion::NoStream, events);
        stored.extend(store.append(request).await.unwrap());
    }
    for sequence in [3, 4] {
        let delete = format!("STREAM.MSG.DELETE.{name}");
        let answer = ask(&client, &delete, json!({ "seq": sequence })).await;
        assert_eq!(answer["success"], true);
    }
    let cold = open(client, &options).await;
    let reading = async {
        let read = futures_util::StreamExt::collect::<Vec<_>>(cold.read_all(Position::START));
        let read: Vec<_> = read.await.into_iter().map(Result::unwrap).collect();
        let missing = cold.get_by_cid(&stored[3].cid).await.unwrap();
        (read, missing)
    };
    let (read, missing) = tokio::time::timeout(Duration::from_secs(10), reading)
        .await
        .expect("nobody waits for what is gone");
    assert_eq!(read, stored[..2]);
    assert_eq!(missing, None);
}

#[tokio::test]
async fn a_history_without_its_beginning_loads_from_a_snapshot_that_it_follows() {
    let config = EventStoreConfig {
        max_messages: Some(3),
        drop_oldest_when_full: true,
        ..EventStoreConfig::new(unique(), ["contract.>"]).accept_losing_events()
    };
    let options = JetStreamOptions::new(config).stored_subjects(unique().parse().unwrap());
    let store = open(client().await, &options).await;
    let snapshots = MemoryEventStore::new();
    let tallies = || {
        let builder = Repository::<Tally>::builder(store.clone());
        builder.snapshots(snapshots.clone()).snapshot_threshold(4)
    };
    let id = Id::new();
    let writing = tallies().build();
    for number in 1..=7 {
        let identity = MessageIdentity::new_from_user("test");
        let command = TallyCommand::Count { number };
        writing.execute(&id, command, &identity).await.unwrap();
    }
    // Events 5, 6 and 7 are left, and the snapshot of version 4.
    let loaded = tallies().build().load(&id).await.unwrap();
    assert_eq!((loaded.version(), loaded.total), (7, 28));
    let without = tallies().without_snapshots().build().load(&id).await;
    let error = ErrorChain(&without.unwrap_err()).to_string();
    assert!(error.contains("truncated"), "{error}");
    let key = AggregateKey::of::<Tally>(&id).unwrap();
    let other = event("contract.tally.counted", 3);
    let forged = seal(
        commit().aggregate(key.clone(), ExpectedVersion::NoStream, vec![other]),
        &[None],
        &SealOptions::default(),
    );
    let forged = Head {
        version: 4,
        position: Position(4),
        ..forged.unwrap().remove(0).into_stored(Position(4)).head()
    };
    let refused = store
        .get_versions(&key, Versions::starting_with(&forged))
        .await;
    assert!(
        matches!(refused, Err(StoreError::Damaged(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_stream_on_which_the_store_cannot_work_is_refused_always() {
    let client = client().await;
    for (setting, value) in [
        ("allow_direct", json!(false)),
        ("allow_atomic", json!(false)),
        ("retention", json!("interest")),
        ("subjects", json!([format!("{}.>", unique())])),
    ] {
        let name = stream_with(&client, setting, value).await;
        let accepting = alone(named(&name).accept_losing_events());
        let outcome = JetStreamEventStore::open(client.clone(), accepting).await;
        let reason = match outcome {
            Err(StoreError::Incompatible { reason, .. }) => reason,
            outcome => panic!("{setting}: {outcome:?}"),
        };
        assert!(
            reason.contains(&format!("`{setting}`")),
            "{setting}: {reason}"
        );
    }
}

#[tokio::test]
async fn a_stream_without_the_public_subjects_is_reported() {
    let client = client().await;
    let name = stream_with(&client, "max_bytes", json!(100_000_000)).await;
    let store = open(client, &alone(named(&name))).await;
    let findings = store.doctor().await.unwrap();
    assert_eq!(is_found(&findings, "republish"), Some(Severity::Warning));
    assert_eq!(is_found(&findings, "max_bytes"), Some(Severity::Notice));
    assert!(findings.is_sorted_by_key(|it| std::cmp::Reverse(it.severity)));
}

#[tokio::test]
async fn a_stream_whose_subjects_another_one_stores_names_that_one() {
    let (first, second) = (unique(), unique());
    let options = alone(named(&first));
    open(client().await, &options).await;
    let config = EventStoreConfig::new(&second, [format!("d{first}.lamp.>")]);
    let same_prefix = first.parse().unwrap();
    let options = JetStreamOptions::new(config).stored_subjects(same_prefix);
    let refused = JetStreamEventStore::open(client().await, options).await;
    let said = ErrorChain(&refused.unwrap_err()).to_string();
    let expected = format!("stream {first} stores some of its subjects");
    assert!(
        said.contains(&expected) && said.contains(&format!("d{first}.lamp.>")),
        "{said}"
    );
}

#[tokio::test]
async fn a_maximum_age_needs_the_opt_in() {
    let config = EventStoreConfig {
        max_age: Some(Duration::from_secs(3_600)),
        ..named(&unique())
    };
    let refused = JetStreamEventStore::open(client().await, alone(config.clone())).await;
    assert!(
        matches!(refused, Err(StoreError::Incompatible { .. })),
        "{refused:?}"
    );
    open(client().await, &alone(config.accept_losing_events())).await;
}

#[tokio::test]
async fn a_stream_with_the_most_events_refuses_new_ones_and_keeps_the_old() {
    let config = EventStoreConfig {
        max_messages: Some(3),
        ..EventStoreConfig::new(unique(), ["contract.>"])
    };
    let options = JetStreamOptions::new(config).stored_subjects(unique().parse().unwrap());
    let store = open(client().await, &options).await;
    let key = key();
    let append = async |count: u64| {
        let events = notes(0..count);
        let request = commit().aggregate(key.clone(), ExpectedVersion::Any, events);
        store.append(request).await
    };
    append(1).await.unwrap();
    append(2).await.unwrap();
    for count in [1, 2] {
        let outcome = append(count).await;
        assert!(
            matches!(outcome, Err(StoreError::Full { .. })),
            "{outcome:?}"
        );
    }
    assert_eq!(history(&store, &key).await.len(), 3);
}

#[tokio::test]
async fn the_streams_known_by_name_work_as_written() {
    let cluster = Cluster::start(3);
    let client = cluster.connect(User::Operator).await;
    for (config, event_type) in [
        (
            EventStoreConfig::cim_graph_events(),
            "cim.graph.g1.events.node_added",
        ),
        (EventStoreConfig::cim_keys_events(), "cim.keys.key.made"),
        (
            EventStoreConfig::infrastructure_events(),
            "infrastructure.compute.registered",
        ),
        (
            EventStoreConfig::cim_events(["person", "organization"]),
            "person.profile.made",
        ),
    ] {
        let store = open(client.clone(), &config.accept_losing_events().into()).await;
        let mut subscriber = client.subscribe(event_type).await.unwrap();
        client.flush().await.unwrap();
        let request =
            commit().aggregate(key(), ExpectedVersion::NoStream, vec![event(event_type, 1)]);
        let stored = store.append(request).await.unwrap();
        let next = futures_util::StreamExt::next(&mut subscriber);
        let message = tokio::time::timeout(Duration::from_secs(5), next)
            .await
            .unwrap();
        assert_eq!(message.unwrap().payload, *stored[0].body());
        let findings = store.doctor().await.unwrap();
        assert!(
            findings.iter().all(|it| it.severity < Severity::Danger),
            "{findings:?}"
        );
    }
}

#[tokio::test]
async fn the_default_configuration_is_usable_on_one_server() {
    let server = Server::start();
    let client = server.connect(User::Operator).await;
    let store = JetStreamEventStore::open(client, EventStoreConfig::default())
        .await
        .unwrap();
    let key = key();
    let request = commit().aggregate(key.clone(), ExpectedVersion::NoStream, notes([1]));
    store.append(request).await.unwrap();
    assert_eq!(numbers(&history(&store, &key).await), [1]);
}

/// A server that says it has a version, and is otherwise deaf.
async fn server_of_version(version: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (read, mut write) = connection.into_split();
                let info = json!({
                    "server_id": "S", "server_name": "s", "version": version, "go": "go", "host": "127.0.0.1",
                    "port": 4222, "headers": true, "max_payload": 1_048_576, "proto": 1, "client_id": 1,
                    "jetstream": true, "client_ip": "127.0.0.1", "nonce": "",
                });
                write
                    .write_all(format!("INFO {info}\r\n").as_bytes())
                    .await
                    .ok();
                let mut lines = BufReader::new(read).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    if line.starts_with("PING") {
                        write.write_all(b"PONG\r\n").await.ok();
                    }
                }
            });
        }
    });
    format!("nats://{address}")
}

#[tokio::test]
async fn an_older_server_is_refused_with_both_versions() {
    let url = server_of_version("2.14.3").await;
    let connection = NatsConfig::new([url]).connect().await.unwrap();
    let outcome = JetStreamEventStore::open(connection, EventStoreConfig::default()).await;
    let reason = ErrorChain(&outcome.unwrap_err()).to_string();
    assert!(
        reason.contains("2.14.3") && reason.contains("2.14.4"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_an_error_once_patience_ends() {
    let url = server_of_version("2.15.1").await;
    let connection = NatsConfig::new([url]).connect().await.unwrap();
    let options = JetStreamOptions::new(EventStoreConfig::default())
        .request_timeout(Duration::from_millis(100))
        .patience(Duration::from_millis(500));
    let outcome = JetStreamEventStore::open(connection, options).await;
    assert!(
        matches!(outcome, Err(StoreError::Engine { .. })),
        "{outcome:?}"
    );
}

async fn append_one(store: &JetStreamEventStore, stream: &str) -> Result<(), StoreError> {
    let events = vec![event(&format!("d{stream}.thing.made"), 1)];
    let request = commit().aggregate(key(), ExpectedVersion::NoStream, events);
    store.append(request).await.map(|_| ())
}

#[tokio::test]
async fn the_doctor_says_when_the_index_comes_near_the_memory_of_the_servers() {
    let name = unique();
    let config = EventStoreConfig {
        server_memory: Some(20_000),
        ..named(&name)
    };
    let store = open(client().await, &alone(config)).await;
    for (events, severity) in [(10, None), (20, Some(Severity::Warning))] {
        for _ in 0..events {
            append_one(&store, &name).await.unwrap();
        }
        let findings = store.doctor().await.unwrap();
        assert_eq!(
            is_found(&findings, "num_subjects"),
            severity,
            "{findings:?}"
        );
    }
}

#[tokio::test]
async fn the_doctor_says_that_a_limit_comes_near_before_it_is_reached() {
    let text = "accounts { A { jetstream { max_file: 60000, max_mem: 100000 }, \
                users: [ { user: operator, password: \"operator-password\" } ] } }";
    let text = text.to_owned();
    let server = Server::start_with(&Layout::Login { text });
    for (limit, about) in [(Some(20), "max_msgs"), (None, "max_file")] {
        let name = unique();
        let config = EventStoreConfig {
            max_messages: limit,
            ..named(&name)
        };
        let store = open(server.connect(User::Operator).await, &alone(config)).await;
        let mut stored = 0;
        while is_found(&store.doctor().await.unwrap(), about).is_none() {
            append_one(&store, &name).await.unwrap();
            stored += 1;
        }
        assert!(stored > 10, "{about} after {stored} events");
        append_one(&store, &name).await.unwrap();
    }
}
