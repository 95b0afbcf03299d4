//! What a subscription promises on every engine, on a stream.

use cim_es::block::StoredEvent;
use cim_es::jetstream::{
    EventStoreConfig, JetStreamEventStore, JetStreamOptions, JetStreamReadModels,
};
use cim_es::prelude::*;
use cim_es::subscription::FnEventHandler;
use cim_es_tests::nats::{Server, User};

use crate::subscriber::connect;
use crate::subscriber::suite::{self, Works, subscription_tests};

async fn store() -> JetStreamEventStore {
    let server = Server::shared();
    let connection = connect(vec![server.url()], User::Operator).await;
    let name = format!("t{}", Uuid::now_v7().simple());
    let config = EventStoreConfig::new(&name, ["plant.>"]);
    let options = JetStreamOptions::new(config).stored_subjects(name.parse().unwrap());
    let store = JetStreamEventStore::open(connection, options).await;
    store.unwrap_or_else(|error| panic!("{error}"))
}

/// Subscriptions as the engine runs them.
mod by_the_servers {
    use super::*;

    async fn works() -> Works<JetStreamEventStore> {
        let works = Works::new(store().await, ());
        // What is parked can be asked for once a subscription of the account was started.
        let first = works.builder().durable(format!("{}-first", works.name));
        let first = first.handler(FnEventHandler::new(|_: StoredEvent| Ok(())));
        let first = first.build().unwrap().subscribe().await.unwrap();
        first.stop().await.unwrap();
        works
    }

    subscription_tests!(works);
}

/// Subscriptions that follow the stream, and are kept in a bucket of read models.
mod kept_in_a_bucket {
    use super::*;

    async fn works() -> Works<JetStreamEventStore> {
        let client = Server::shared().connect(User::Operator).await;
        let bucket = format!("views-{}", Uuid::now_v7().simple());
        let storage = JetStreamReadModels::open(client, &bucket, 1).await;
        Works::new(store().await, ()).kept_in(storage.expect("the bucket opens"))
    }

    subscription_tests!(works);
}
