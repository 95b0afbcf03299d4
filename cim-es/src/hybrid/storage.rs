//! Opening what a configuration says: a file, a stream, or a file that is kept level with a stream.

use std::sync::Arc;

use super::{HybridEventStore, HybridOptions, NatsConnector};
use crate::engine::jetstream::{JetStreamStores, NatsConfig, OpenError, Storage};
use crate::engine::sqlite::{SqliteEventStore, SqliteOptions};
use crate::store::EventStore;

/// A store of whichever kind a configuration names.
///
/// ```no_run
/// use cim_es::jetstream::StorageConfig;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let config = StorageConfig::load(Some("notes.toml".as_ref()))?;
/// let opened = config.storage()?.open().await?;
/// if let Some(hybrid) = opened.hybrid() {
///     println!("{}", hybrid.status().await?);
/// }
/// let store = opened.events(); // for repositories, views and subscriptions
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum OpenStorage {
    /// A file alone.
    File(SqliteEventStore),
    /// A stream alone, with what stands beside it.
    Stream(Box<JetStreamStores>),
    /// A file, which is kept level with a stream.
    Hybrid(HybridEventStore),
}

impl OpenStorage {
    /// The events, whatever keeps them.
    pub fn events(&self) -> Arc<dyn EventStore> {
        match self {
            Self::File(store) => Arc::new(store.clone()),
            Self::Stream(stores) => Arc::new((**stores).clone()),
            Self::Hybrid(store) => Arc::new(store.clone()),
        }
    }

    /// The queue, and what went apart, where a file is kept level with a stream.
    pub fn hybrid(&self) -> Option<&HybridEventStore> {
        match self {
            Self::Hybrid(store) => Some(store),
            _ => None,
        }
    }
}

impl Storage {
    /// Opens it. A file is made where there is none, and so is a stream, unless the configuration says otherwise. A file
    /// that is kept level with a stream seals as the stream does, and waits for no network.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong, where, and what to do.
    pub async fn open(&self) -> Result<OpenStorage, OpenError> {
        Ok(match self {
            Self::File(file) => OpenStorage::File(SqliteEventStore::open(file)?),
            Self::Stream(nats) => OpenStorage::Stream(Box::new(nats.open().await?)),
            Self::Hybrid { file, nats } => {
                let local = file_options(nats).open(file)?;
                let options = HybridOptions::new().max_retries(nats.max_retries);
                let connector = NatsConnector::new((**nats).clone());
                OpenStorage::Hybrid(options.open(local, connector).await?)
            }
        })
    }
}

/// A file takes what the stream will take.
fn file_options(nats: &NatsConfig) -> SqliteOptions {
    let seal = &nats.event_store.seal;
    SqliteEventStore::options()
        .hash(seal.hash)
        .max_payload(seal.max_payload)
}
