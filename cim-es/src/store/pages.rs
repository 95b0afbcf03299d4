//! Reading what stands between two positions: what an engine offers to readers that share their work by positions.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Position, Selection, StoreError};
use crate::block::StoredEvent;

/// Some events of a selection.
#[derive(Debug)]
pub(crate) struct EventPage {
    pub(crate) events: Vec<StoredEvent>,
    /// Up to this position nothing that is wanted is left. It is behind the position where reading began.
    pub(crate) reached: Position,
}

/// An engine that reads from any position on as cheaply as from the first: several readers then share what it has by
/// positions, where each would else go through everything to find the partitions that are its own.
#[async_trait]
pub(crate) trait EventPages: Send + Sync + 'static {
    /// The first events of a selection after a position and up to another, in order; as many as are in memory with ease.
    async fn page(
        &self,
        selection: Arc<Selection>,
        after: Position,
        until: Position,
    ) -> Result<EventPage, StoreError>;
}
