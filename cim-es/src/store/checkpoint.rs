//! The port for checkpoints: how far a reader has come.

use async_trait::async_trait;

use super::{Position, StoreError};

/// Where readers keep how far they have come.
#[async_trait]
pub trait CheckpointStore: Send + Sync + 'static {
    /// Keeps the position up to which a reader is done.
    ///
    /// # Errors
    /// What keeps the engine from storing it.
    async fn save_checkpoint(&self, reader: &str, position: Position) -> Result<(), StoreError>;

    /// The position that a reader kept last; none for a reader that never did.
    ///
    /// # Errors
    /// The engine's failures.
    async fn get_checkpoint(&self, reader: &str) -> Result<Option<Position>, StoreError>;
}
