//! The contract, kept by the distributed engine on three servers with three replicas.

mod jetstream;

use std::sync::OnceLock;

use cim_es::jetstream::{JetStreamOptions, JetStreamStores};
use cim_es::testing::contract::Provider;
use cim_es_tests::nats::{Cluster, User};

/// One cluster for all tests of this program; each test has a stream of its own.
fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start(3))
}

struct ThreeServers {
    options: JetStreamOptions,
}

impl ThreeServers {
    fn new() -> Self {
        Self {
            options: jetstream::options(3),
        }
    }
}

#[async_trait::async_trait]
impl Provider for ThreeServers {
    type Store = JetStreamStores;

    async fn open(&self) -> JetStreamStores {
        let client = cluster().connect(User::Operator).await;
        jetstream::open_all(client, &self.options, 3).await
    }
}

cim_es::contract_tests!(ThreeServers::new());
