//! The way to the stream.

use std::sync::Arc;

use async_trait::async_trait;

use super::ConnectFailure;
use crate::store::{CheckpointStore, EventStore, ObjectStore, SnapshotStore, SyncState};

/// What a program works on: a store that keeps beside its events what it knows of the stream. Its positions count without
/// a gap, as those of a SQLite file and of a store in memory do.
pub trait LocalStore:
    EventStore + SnapshotStore + ObjectStore + CheckpointStore + SyncState
{
}

impl<S: EventStore + SnapshotStore + ObjectStore + CheckpointStore + SyncState> LocalStore for S {}

/// What a file is kept level with: events, and a place where each node marks how far it is.
pub trait RemoteStore: EventStore + CheckpointStore {}

impl<S: EventStore + CheckpointStore> RemoteStore for S {}

/// Makes the way to a stream, each time that there is none.
///
/// A store that is in reach at once is its own way, by [`Reachable`].
#[async_trait]
pub trait Connector: Send + Sync + 'static {
    /// Opens the stream.
    ///
    /// # Errors
    /// What keeps it from being reached; it is tried again later.
    async fn connect(&self) -> Result<Arc<dyn RemoteStore>, ConnectFailure>;

    /// Whether the connection that was made last stands, where that is known without asking a server.
    fn is_connected(&self) -> Option<bool> {
        None
    }
}

#[async_trait]
impl<C: Connector + ?Sized> Connector for Arc<C> {
    async fn connect(&self) -> Result<Arc<dyn RemoteStore>, ConnectFailure> {
        (**self).connect().await
    }

    fn is_connected(&self) -> Option<bool> {
        (**self).is_connected()
    }
}

/// A store that is in reach at once.
#[derive(Clone, Debug)]
pub struct Reachable<S>(
    /// The store.
    pub S,
);

#[async_trait]
impl<S: RemoteStore + Clone> Connector for Reachable<S> {
    async fn connect(&self) -> Result<Arc<dyn RemoteStore>, ConnectFailure> {
        Ok(Arc::new(self.0.clone()))
    }
}
