//! A configuration opens everything it describes, and the presets work as they are written.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cim_es::ErrorChain;
use cim_es::hybrid::OpenStorage;
use cim_es::jetstream::{
    EventStoreConfig, JetStreamEventStore, JetStreamStores, NatsConfig, OpenError, ParkedEvents,
    StorageConfig,
};
use cim_es::message::{Clock, MessageIdentity, SystemClock};
use cim_es::store::{
    AggregateKey, CommitRequest, EventStore, EventStoreExt, ExpectedVersion, NewEvent, StoreError,
};
use cim_es::subject::Token;
use cim_es::testing::contract::Provider;
use cim_es_tests::nats::{Cluster, Server, User};
use futures_util::StreamExt;

/// Everything on one server of its own; the configuration is the default but for the login.
struct Everything(Server);

#[async_trait]
impl Provider for Everything {
    type Store = JetStreamStores;

    async fn open(&self) -> JetStreamStores {
        config(&self.0).open().await.unwrap()
    }
}

mod contract {
    use super::*;

    cim_es::contract_tests!(Everything(Server::start()));
}

fn config(server: &Server) -> NatsConfig {
    let user = User::Operator;
    NatsConfig::new([server.url()]).user_and_password(user.name(), user.password())
}

fn commit(event_type: &str) -> CommitRequest {
    let kind = event_type.rsplit_once('.').unwrap().0.to_owned();
    let key = AggregateKey::new(kind, Token::new("one").unwrap());
    let event = NewEvent::from_payload(event_type, 1, vec![0xa0]);
    CommitRequest::new(MessageIdentity::new_from_user("test"), SystemClock.now()).aggregate(
        key,
        ExpectedVersion::NoStream,
        vec![event],
    )
}

#[tokio::test]
async fn the_default_takes_every_domain_on_a_server_that_nobody_configured() {
    let server = Server::start();
    let stores = config(&server).open().await.unwrap();
    let mut public = stores.connection.client().subscribe("*.>").await.unwrap();
    stores.connection.client().flush().await.unwrap();
    for event_type in [
        "infrastructure.compute.registered",
        "bank.opened",
        "cim.keys.nats.user.created",
    ] {
        stores.append(commit(event_type)).await.unwrap();
        let mut seen = async || loop {
            let message = public.next().await.unwrap();
            if message.subject.as_str() == event_type {
                return;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), seen())
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn what_is_configured_of_a_store_is_what_is_opened() {
    let server = Server::start();
    let user = User::Operator;
    let text = format!(
        "[nats]\nurl = '{}'\nuser = '{}'\npassword = '{}'\npatience = '7s'\nrequest_timeout = '3s'\n\
         subject_prefix = 'bank'\nstream_name = 'BANK'\n\
         [nats.event_store]\nhash = 'blake3'\nmax_payload = 10\nstored_prefix = 'kept'\npublic_prefix = 'told'",
        server.url(),
        user.name(),
        user.password(),
    );
    let stores = NatsConfig::from_toml(&text).unwrap().open().await.unwrap();
    assert_eq!(stores.events.stream_name(), "BANK");
    let mut public = stores
        .connection
        .client()
        .subscribe("told.>")
        .await
        .unwrap();
    stores.connection.client().flush().await.unwrap();
    let stored = stores.append(commit("bank.one.opened")).await.unwrap();
    // BLAKE3 in the table of multicodecs.
    assert_eq!(stored[0].cid.hash().code(), 0x1e);
    let mut info = stores
        .connection
        .jetstream()
        .get_stream("BANK")
        .await
        .unwrap();
    let subjects = info.info().await.unwrap().config.subjects.clone();
    assert_eq!(subjects, ["kept.*.*.bank.>"]);
    let seen = tokio::time::timeout(Duration::from_secs(5), public.next()).await;
    assert_eq!(
        seen.unwrap().unwrap().subject.as_str(),
        "told.bank.one.opened"
    );
    let key = AggregateKey::new("bank.two", Token::new("two").unwrap());
    let large = NewEvent::from_payload(
        "bank.two.opened",
        1,
        vec![0x4a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    );
    let request = CommitRequest::new(MessageIdentity::new_from_user("test"), SystemClock.now());
    let refused = stores
        .append(request.aggregate(key, ExpectedVersion::NoStream, vec![large]))
        .await;
    assert!(
        matches!(refused, Err(StoreError::Payload(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn one_switch_opens_a_file_a_stream_or_both() {
    let server = Server::start();
    let user = User::Operator;
    let folder =
        std::env::temp_dir().join(format!("cim-es-switch-{}", uuid::Uuid::now_v7().simple()));
    std::fs::create_dir_all(&folder).unwrap();
    let servers = format!(
        "[nats]\nurl = '{}'\nuser = '{}'\npassword = '{}'\n",
        server.url(),
        user.name(),
        user.password(),
    );
    let file = format!("[offline]\noffline_storage = '{}'\n", folder.display());
    let open = async |text: String| {
        let storage = StorageConfig::from_toml(&text).unwrap().storage().unwrap();
        storage.open().await.unwrap()
    };
    let offline = open(format!("{servers}{file}offline_mode = true\n")).await;
    assert!(matches!(offline, OpenStorage::File(_)), "{offline:?}");
    let stored = offline
        .events()
        .append(commit("bank.one.opened"))
        .await
        .unwrap();
    assert!(folder.join("events.db").is_file());
    drop(offline);
    let hybrid = open(format!("{servers}{file}")).await;
    let end = tokio::time::Instant::now() + Duration::from_secs(60);
    let store = hybrid.hybrid().expect("a file beside a stream");
    while !store.is_connected() || store.queue_size().await.unwrap() > 0 {
        assert!(
            tokio::time::Instant::now() < end,
            "{}",
            store.status().await.unwrap()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    store.close().await;
    let online = open(servers).await;
    let cid = stored[0].cid;
    let there = online.events().find(&cid).await.unwrap();
    assert_eq!(there.expect("the stream has it").body(), stored[0].body());
    let disabled = NatsConfig {
        enabled: false,
        ..config(&server)
    };
    assert!(matches!(disabled.open().await, Err(OpenError::Disabled)));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn an_account_without_jetstream_is_said_so() {
    let server = Server::start();
    let user = User::System;
    let config = NatsConfig::new([server.url()]).user_and_password(user.name(), user.password());
    let error = config.open().await.unwrap_err();
    assert!(matches!(error, OpenError::Connect(_)), "{error}");
    assert!(
        ErrorChain(&error).to_string().contains("JetStream"),
        "{error}"
    );
}

#[tokio::test]
async fn more_replicas_than_there_are_servers_is_an_error_at_once() {
    let server = Server::start();
    let mut config = config(&server);
    config.event_store.replicas = 3;
    let opened = tokio::time::timeout(Duration::from_secs(10), config.open()).await;
    let error = opened.expect("there is nothing to wait for").unwrap_err();
    assert!(
        ErrorChain(&error).to_string().contains("replicas"),
        "{error}"
    );
}

#[tokio::test]
async fn an_operator_makes_room_for_subscriptions_on_as_many_servers_as_for_events() {
    let cluster = Cluster::start(3);
    let user = User::Operator;
    let config = NatsConfig::new(cluster.urls()).user_and_password(user.name(), user.password());
    let stream = EventStoreConfig::new("BANK_EVENTS", ["bank.>"]).replicas(3);
    let config = config.event_store(stream);
    let connection = config.connect().await.unwrap();
    let before = ParkedEvents::open(connection, "statements").await;
    let error = ErrorChain(&before.unwrap_err()).to_string();
    assert!(error.contains("no subscription"), "{error}");
    let stores = config.open().await.unwrap();
    ParkedEvents::open(stores.connection.clone(), "statements")
        .await
        .unwrap();
    let context = stores.connection.jetstream();
    let bucket = context.get_stream("KV_cim-es-subscriptions").await.unwrap();
    assert_eq!(bucket.cached_info().config.num_replicas, 3);
}

#[tokio::test]
async fn the_presets_work_side_by_side_on_three_servers_once_losing_events_is_accepted() {
    let cluster = Cluster::start(3);
    let user = User::Operator;
    let config = NatsConfig::new(cluster.urls()).user_and_password(user.name(), user.password());
    let connection = config.connect().await.unwrap();
    let context = connection.jetstream();
    for (preset, event_type) in [
        (
            EventStoreConfig::cim_graph_events(),
            "cim.graph.workflow.events.node_added",
        ),
        (
            EventStoreConfig::cim_keys_events(),
            "cim.keys.nats.operator.natsoperatorcreated",
        ),
        (
            EventStoreConfig::infrastructure_events(),
            "infrastructure.compute.registered",
        ),
        (
            EventStoreConfig::cim_events(["person", "organization"]),
            "person.profile.created",
        ),
    ] {
        let name = preset.stream_name.clone();
        if preset.can_lose_events() {
            let refused = JetStreamEventStore::open(connection.clone(), preset.clone()).await;
            let error = refused.unwrap_err();
            assert!(
                matches!(error, StoreError::Incompatible { .. }),
                "{name}: {error}"
            );
            assert!(
                ErrorChain(&error)
                    .to_string()
                    .contains("accept_losing_events"),
                "{name}: {error}"
            );
            assert!(
                context.get_stream(&name).await.is_err(),
                "{name} was created all the same"
            );
        }
        let accepted = preset.clone().accept_losing_events();
        let store = JetStreamEventStore::open(connection.clone(), accepted)
            .await
            .unwrap();
        let mut public = connection
            .client()
            .subscribe(event_type.to_owned())
            .await
            .unwrap();
        connection.client().flush().await.unwrap();
        let stored = store.append(commit(event_type)).await.unwrap();
        let seen = tokio::time::timeout(Duration::from_secs(10), public.next()).await;
        assert_eq!(seen.unwrap().unwrap().payload, stored[0].body(), "{name}");
        let mut stream = context.get_stream(&name).await.unwrap();
        let found = stream.info().await.unwrap().config.clone();
        assert_eq!(found.num_replicas, preset.replicas, "{name}");
        assert_eq!(found.max_age, preset.max_age.unwrap_or_default(), "{name}");
        let most = preset.max_messages.map_or(-1, |most| most as i64);
        assert_eq!(found.max_messages, most, "{name}");
        assert_eq!(found.duplicate_window, Duration::from_secs(120), "{name}");
    }
    let overlapping = EventStoreConfig::new("OVERLAPPING", ["cim.keys.nats.>"]);
    let error = JetStreamEventStore::open(connection, overlapping)
        .await
        .unwrap_err();
    let said = ErrorChain(&error).to_string();
    let expected = "stream CIM_KEYS_EVENTS stores some of its subjects";
    assert!(said.contains(expected), "{said}");
}

#[tokio::test]
async fn a_full_stream_refuses_new_events_and_keeps_the_old_ones() {
    let server = Server::start();
    let mut config = config(&server);
    config.event_store.max_messages = Some(3);
    let stores = Arc::new(config.open().await.unwrap());
    for event_type in ["bank.one.opened", "bank.two.opened", "bank.three.opened"] {
        stores
            .append(commit(event_type))
            .await
            .unwrap_or_else(|error| panic!("{error}"));
    }
    let error = stores.append(commit("bank.four.opened")).await.unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    assert_eq!(stores.read_all(Default::default()).count().await, 3);
}

#[tokio::test]
async fn a_writer_and_a_reader_open_what_the_operator_has_made() {
    let server = Server::start();
    let config = |user: User| {
        let config = NatsConfig::new([server.url()]);
        config
            .user_and_password(user.name(), user.password())
            .event_store(EventStoreConfig::new(
                "INFRASTRUCTURE_EVENTS",
                ["infrastructure.>"],
            ))
    };
    let error = config(User::Writer).open().await.unwrap_err();
    assert!(
        ErrorChain(&error).to_string().contains("does not permit"),
        "{error}"
    );
    config(User::Operator).open().await.unwrap();
    let writer = config(User::Writer).open().await.unwrap();
    writer
        .append(commit("infrastructure.compute.registered"))
        .await
        .unwrap();
    let reader = config(User::Reader).open().await.unwrap();
    assert_eq!(reader.read_all(Default::default()).count().await, 1);
    let refused = server.log().matches("Violation").count();
    assert_eq!(
        refused,
        1,
        "only the bucket that the writer could not create:\n{}",
        server.log()
    );
}
