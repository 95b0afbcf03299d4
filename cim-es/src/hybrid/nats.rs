//! The way to a stream on NATS servers.

use std::sync::{Arc, Mutex, PoisonError};

use async_nats::connection::State;
use async_trait::async_trait;

use super::ConnectFailure;
use super::connector::{Connector, RemoteStore};
use crate::engine::jetstream::{Connection, NatsConfig};

/// Opens the stream of a configuration each time that there is no way to it.
///
/// ```no_run
/// use cim_es::SqliteEventStore;
/// use cim_es::hybrid::{HybridEventStore, NatsConnector};
/// use cim_es::jetstream::NatsConfig;
///
/// # async fn example() -> Result<(), cim_es::store::StoreError> {
/// let servers = NatsConfig::new(["nats://127.0.0.1:4222"]);
/// let file = SqliteEventStore::open("field.db")?;
/// let store = HybridEventStore::open(file, NatsConnector::new(servers)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct NatsConnector {
    config: NatsConfig,
    last: Mutex<Option<Connection>>,
}

impl NatsConnector {
    /// A way to the stream of a configuration.
    pub fn new(config: NatsConfig) -> Self {
        Self {
            config,
            last: Mutex::new(None),
        }
    }

    fn keep(&self, connection: Option<Connection>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = connection;
    }
}

#[async_trait]
impl Connector for NatsConnector {
    async fn connect(&self) -> Result<Arc<dyn RemoteStore>, ConnectFailure> {
        // The connection before it ends with its last handle.
        self.keep(None);
        let stores = self.config.open().await;
        let stores = stores.map_err(|error| Arc::new(error) as ConnectFailure)?;
        self.keep(Some(stores.connection.clone()));
        Ok(Arc::new(stores))
    }

    fn is_connected(&self) -> Option<bool> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = last.as_ref()?;
        Some(connection.client().connection_state() == State::Connected)
    }
}
