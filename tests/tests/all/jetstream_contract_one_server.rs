//! The contract, kept by the distributed engine on one server.

use cim_es::jetstream::{JetStreamOptions, JetStreamStores};
use cim_es::testing::contract::Provider;
use cim_es_tests::nats::{Server, User};

pub struct OneServer {
    options: JetStreamOptions,
}

impl OneServer {
    pub fn new() -> Self {
        Self {
            options: crate::jetstream::options(1),
        }
    }
}

#[async_trait::async_trait]
impl Provider for OneServer {
    type Store = JetStreamStores;

    async fn open(&self) -> JetStreamStores {
        let client = Server::shared().connect(User::Operator).await;
        crate::jetstream::open_all(client, &self.options, 1).await
    }
}

cim_es::contract_tests!(OneServer::new());
