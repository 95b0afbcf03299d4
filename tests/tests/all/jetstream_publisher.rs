//! Publishing events that were decided elsewhere.

use std::sync::Arc;
use std::time::Duration;

use crate::subscriber::{Log, Meter, MeterEvent, MeterId, Plant};
use async_nats::connection::State;
use cim_es::block::StoredEvent;
use cim_es::jetstream::{EventPublisher, EventStoreConfig, NatsConfig, Publication, PublishError};
use cim_es::prelude::*;
use cim_es::store::{AggregateKey, EventStore, EventStoreExt, Position, StoreError};
use cim_es_tests::nats::{Server, User};
use futures_util::{StreamExt, TryStreamExt};
use tokio::time::timeout;

fn publisher(plant: &Plant) -> EventPublisher {
    let store = Arc::new(plant.store.clone());
    EventPublisher::new(plant.connection.clone(), store).with_actor("import")
}

fn recorded(value: u64) -> MeterEvent {
    MeterEvent::Recorded { value }
}

fn id(meter: &str) -> MeterId {
    MeterId(meter.to_owned())
}

fn publication(meter: &str, value: u64, sequence: u64) -> Publication {
    Publication::new(&recorded(value), &id(meter), sequence).unwrap()
}

async fn history(store: &dyn EventStore, meter: &str) -> Vec<StoredEvent> {
    let key = AggregateKey::of::<Meter>(&id(meter)).unwrap();
    store.get_events(&key, 1).await.unwrap()
}

#[tokio::test]
async fn a_published_event_is_stored_with_its_publisher_and_reaches_subscribers() {
    let plant = Plant::new(Server::shared()).await;
    let log = Log::default();
    let subscriber = plant.subscriber().handler(log.handler(0)).build().unwrap();
    let _subscription = subscriber.subscribe().await.unwrap();
    let publisher = publisher(&plant);
    let first = publisher.publish(recorded(1), id("a"), 1).await.unwrap();
    let second = publisher.publish(recorded(2), id("a"), 2).await.unwrap();
    assert_eq!(second.envelope.previous, Some(first.cid));
    assert_eq!(second.envelope.source.as_deref(), Some("import"));
    assert_eq!(history(&plant.store, "a").await, [first, second]);
    log.wait_for("both", |log| log.values() == [1, 2]).await;
}

#[tokio::test]
async fn an_event_with_a_wrong_sequence_is_refused_and_not_stored() {
    let plant = Plant::new(Server::shared()).await;
    let publisher = publisher(&plant);
    publisher.publish(recorded(1), id("a"), 1).await.unwrap();
    for wrong in [1, 3] {
        let refused = publisher.publish(recorded(2), id("a"), wrong).await;
        let error = refused.unwrap_err();
        assert!(
            matches!(
                &error,
                PublishError::Store(StoreError::Conflict { actual: 1, .. })
            ),
            "{error}"
        );
    }
    let error = publisher
        .publish(recorded(2), id("a"), 0)
        .await
        .unwrap_err();
    assert!(
        matches!(error, PublishError::SequenceZero { .. }),
        "{error}"
    );
    let error = publisher.publish(recorded(2), id(""), 1).await.unwrap_err();
    assert!(matches!(error, PublishError::Id(_)), "{error}");
    assert_eq!(history(&plant.store, "a").await.len(), 1);
}

#[tokio::test]
async fn a_message_that_is_published_again_takes_effect_once() {
    let plant = Plant::new(Server::shared()).await;
    let publisher = publisher(&plant);
    let identity = MessageIdentity::new_from_user("import");
    let first = publisher
        .publish_as(recorded(1), id("a"), 1, &identity)
        .await
        .unwrap();
    let again = publisher
        .publish_as(recorded(1), id("a"), 1, &identity)
        .await
        .unwrap();
    assert_eq!(first, again);
    // Another event under the same message id is no repetition.
    let other = publisher
        .publish_as(recorded(2), id("a"), 1, &identity)
        .await;
    assert!(other.is_err());
    assert_eq!(history(&plant.store, "a").await.len(), 1);
    let child = MessageIdentity::caused_by(&identity);
    let caused = publisher
        .publish_as(recorded(2), id("a"), 2, &child)
        .await
        .unwrap();
    assert_eq!(caused.envelope.correlation_id, identity.message_id());
}

#[tokio::test]
async fn a_batch_is_stored_whole_or_not_at_all() {
    let plant = Plant::new(Server::shared()).await;
    let publisher = publisher(&plant);
    let batch = [
        publication("a", 1, 1),
        publication("b", 2, 1),
        publication("a", 3, 2),
    ];
    let stored = publisher.publish_batch(batch).await.unwrap();
    assert_eq!(stored.len(), 3);
    assert_eq!(history(&plant.store, "a").await.len(), 2);
    let causes: std::collections::HashSet<_> = stored
        .iter()
        .map(|event| event.envelope.causation_id)
        .collect();
    assert_eq!(causes.len(), 1);

    // The second aggregate does not have the version, so the first gets nothing either.
    let batch = [publication("a", 4, 3), publication("b", 5, 3)];
    let error = publisher.publish_batch(batch).await.unwrap_err();
    assert!(
        matches!(error, PublishError::Store(StoreError::Conflict { .. })),
        "{error}"
    );
    assert_eq!(history(&plant.store, "a").await.len(), 2);
    let batch = [publication("a", 4, 3), publication("a", 5, 5)];
    let error = publisher.publish_batch(batch).await.unwrap_err();
    assert!(
        matches!(
            error,
            PublishError::OutOfOrder {
                before: 3,
                found: 5,
                ..
            }
        ),
        "{error}"
    );
    let error = publisher.publish_batch([]).await.unwrap_err();
    assert!(matches!(error, PublishError::Empty), "{error}");
}

#[tokio::test]
async fn a_batch_keeps_the_order_of_its_events_and_the_causes_of_each() {
    let plant = Plant::new(Server::shared()).await;
    let memory = Arc::new(MemoryEventStore::new());
    let on_servers = publisher(&plant);
    let elsewhere = EventPublisher::new(plant.connection.clone(), memory.clone());
    let stores: [(EventPublisher, &dyn EventStore); 2] =
        [(on_servers, &plant.store), (elsewhere, &*memory)];
    for (publisher, store) in stores {
        let first = publisher.publish(recorded(1), id("x"), 1).await.unwrap();
        let second = publisher.publish(recorded(2), id("x"), 2).await.unwrap();
        let batch = || {
            [
                publication("a", 1, 1).with_parents([first.cid]),
                publication("b", 2, 1),
                publication("a", 3, 2).with_parents([second.cid]),
                publication("c", 4, 1).with_parents([second.cid]),
                publication("b", 5, 2),
            ]
        };
        let identity = MessageIdentity::new_from_user("import");
        let stored = publisher.publish_batch_as(batch(), &identity).await;
        let stored = stored.unwrap();
        let ids: Vec<_> = stored
            .iter()
            .map(|it| it.envelope.aggregate_id.as_str())
            .collect();
        assert_eq!(ids, ["a", "b", "a", "c", "b"]);
        let parts: Vec<[u32; 4]> = stored.iter().map(|it| it.envelope.commit.into()).collect();
        let expected = [
            [1, 2, 1, 5],
            [1, 2, 2, 5],
            [2, 2, 3, 5],
            [1, 1, 4, 5],
            [2, 2, 5, 5],
        ];
        assert_eq!(parts, expected);
        let parents: Vec<_> = stored
            .iter()
            .map(|it| it.envelope.parents.clone())
            .collect();
        let (one, two) = (vec![first.cid], vec![second.cid]);
        assert_eq!(parents, [one, vec![], two.clone(), two, vec![]]);
        assert_eq!(stored[2].envelope.previous, Some(stored[0].cid));
        let all: Vec<_> = store.read_all(Position::START).try_collect().await.unwrap();
        assert_eq!(all[2..], stored);

        let again = publisher.publish_batch_as(batch(), &identity).await;
        assert_eq!(again.unwrap(), stored);
        // In another order, in part or by other causes it is another batch.
        let [a, b, _, _, _] = batch();
        let part = publisher.publish_batch_as([a, b], &identity).await;
        assert!(part.is_err());
        let other = batch().map(|publication| publication.with_parents([first.cid]));
        assert!(publisher.publish_batch_as(other, &identity).await.is_err());
    }
}

#[tokio::test]
async fn a_publisher_on_all_stores_of_a_configuration_leaves_the_telling_to_the_server() {
    let server = Server::start();
    let config = NatsConfig::new([server.url()])
        .user_and_password("operator", User::Operator.password())
        .event_store(EventStoreConfig::new("PLANT_EVENTS", ["plant.>"]));
    let stores = config.open().await.unwrap();
    let client = stores.connection.client().clone();
    let mut listener = client.subscribe("plant.>").await.unwrap();
    client.flush().await.unwrap();
    let publisher = EventPublisher::new(client, Arc::new(stores));
    publisher.publish(recorded(1), id("a"), 1).await.unwrap();
    let first = timeout(Duration::from_secs(5), listener.next()).await;
    assert!(first.unwrap().is_some());
    let again = timeout(Duration::from_millis(500), listener.next()).await;
    assert!(again.is_err(), "listeners were told twice of one event");
}

#[tokio::test]
async fn with_another_store_the_publisher_itself_tells_those_who_listen() {
    let plant = Plant::new(Server::shared()).await;
    let client = plant.connection.client().clone();
    let mut listener = client.subscribe("plant.meter.recorded").await.unwrap();
    client.flush().await.unwrap();
    let store = Arc::new(MemoryEventStore::new());
    let publisher = EventPublisher::new(client.clone(), store.clone());
    let marker = Uuid::now_v7().to_string();
    let stored = publisher
        .publish(recorded(1), id(&marker), 1)
        .await
        .unwrap();
    let refused = publisher.publish(recorded(2), id(&marker), 1).await;
    assert!(refused.is_err());
    publisher
        .publish(recorded(3), id(&marker), 2)
        .await
        .unwrap();
    let mut heard = Vec::new();
    while heard.len() < 2 {
        let message = timeout(Duration::from_secs(5), listener.next())
            .await
            .unwrap()
            .unwrap();
        let headers = message.headers.as_ref().unwrap();
        // Other tests publish on the same public subject.
        if headers.get("Aggregate-Id").unwrap().as_str() == marker {
            heard.push(message);
        }
    }
    assert_eq!(&heard[0].payload, stored.body());
    let cid = heard[0].headers.as_ref().unwrap().get("Cid").unwrap();
    assert_eq!(cid.as_str(), stored.cid.to_string());
    assert_eq!(history(&*store, &marker).await.len(), 2);
}

#[tokio::test]
async fn with_another_store_an_event_is_stored_also_while_no_server_can_be_reached() {
    let mut server = Server::start();
    let config = NatsConfig::new([server.url()])
        .user_and_password("operator", User::Operator.password())
        .max_reconnects(0);
    let connection = config.connect().await.unwrap();
    server.kill();
    while connection.client().connection_state() == State::Connected {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let store = Arc::new(MemoryEventStore::new());
    let publisher = EventPublisher::new(connection, store.clone());
    let published = publisher.publish(recorded(1), id("a"), 1);
    let published = timeout(Duration::from_secs(10), published).await;
    let stored = published.expect("it does not wait for the servers");
    assert_eq!(history(&*store, "a").await, [stored.unwrap()]);
}
