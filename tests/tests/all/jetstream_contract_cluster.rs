//! The contract, kept by the distributed engine on three servers with three replicas.

use cim_es::jetstream::{JetStreamOptions, JetStreamStores};
use cim_es::testing::contract::Provider;
use cim_es_tests::nats::{Cluster, User};

struct ThreeServers {
    options: JetStreamOptions,
}

impl ThreeServers {
    fn new() -> Self {
        Self {
            options: crate::jetstream::options(3),
        }
    }
}

#[async_trait::async_trait]
impl Provider for ThreeServers {
    type Store = JetStreamStores;

    async fn open(&self) -> JetStreamStores {
        let client = Cluster::shared().connect(User::Operator).await;
        crate::jetstream::open_all(client, &self.options, 3).await
    }
}

cim_es::contract_tests!(ThreeServers::new());
