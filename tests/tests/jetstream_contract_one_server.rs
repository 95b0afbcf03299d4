//! The contract, kept by the distributed engine on one server.

mod jetstream;

use std::sync::OnceLock;

use cim_es::jetstream::{JetStreamOptions, JetStreamStores};
use cim_es::testing::contract::Provider;
use cim_es_tests::nats::{Server, User};

/// One server for all tests of this program; each test has a stream of its own.
fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::start)
}

struct OneServer {
    options: JetStreamOptions,
}

impl OneServer {
    fn new() -> Self {
        Self {
            options: jetstream::options(1),
        }
    }
}

#[async_trait::async_trait]
impl Provider for OneServer {
    type Store = JetStreamStores;

    async fn open(&self) -> JetStreamStores {
        let client = server().connect(User::Operator).await;
        jetstream::open_all(client, &self.options, 1).await
    }
}

cim_es::contract_tests!(OneServer::new());
