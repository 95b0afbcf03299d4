//! The storage that an engine keeps beside its events.

use std::sync::Arc;

use async_trait::async_trait;

use super::{ReadModelError, ReadModelStorage};

/// Opens the storage of read models that an engine keeps beside its events, where one is wanted.
#[async_trait]
pub(crate) trait ReadModelsBeside: Send + Sync + 'static {
    /// Whether it was made.
    fn is_there(&self) -> bool;

    /// Opens it, and makes it where it is missing.
    ///
    /// # Errors
    /// The storage's failures.
    async fn open(&self) -> Result<Arc<dyn ReadModelStorage>, ReadModelError>;
}
