//! The port for checkpoints: how far a reader has come.

use async_trait::async_trait;

use super::{Bookmark, StoreError};

/// Where readers keep how far they have come.
///
/// A checkpoint is the [`Bookmark`] of the last event that a reader is done with: its position and its CID. Where the
/// reader goes on in a store that was made anew, or restored from an older copy, it is told
/// ([`StoreError::AnotherHistory`]), and does not pass over events or count some twice.
///
/// ```
/// # use cim_es::MemoryEventStore;
/// # use cim_es::store::{Bookmark, CheckpointStore, EventStore, Selection, StoreError, StreamExt};
/// # async fn catch_up(store: MemoryEventStore) -> Result<(), StoreError> {
/// let from = store.get_checkpoint("report").await?.unwrap_or(Bookmark::START);
/// let mut events = store.read(Selection::everything(), from);
/// while let Some(event) = events.next().await {
///     let event = event?;
///     println!("{}", event.event_type());
///     store.save_checkpoint("report", event.bookmark()).await?;
/// }
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait CheckpointStore: Send + Sync + 'static {
    /// Keeps where a reader is done, in place of what it kept before.
    ///
    /// # Errors
    /// What keeps the engine from storing it.
    async fn save_checkpoint(&self, reader: &str, at: Bookmark) -> Result<(), StoreError>;

    /// What a reader kept last, as it was; none for a reader that never did.
    ///
    /// # Errors
    /// The engine's failures.
    async fn get_checkpoint(&self, reader: &str) -> Result<Option<Bookmark>, StoreError>;
}
