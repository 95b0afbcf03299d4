//! What takes the events of a replay.

use std::any::Any;
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::block::StoredEvent;
use crate::domain::{ErrorChain, panicked};
use crate::projection::InMemory;

/// Why what takes an event of a replay could not: any error, by `?`, or a text by `into()`.
pub type ReplayFault = Box<dyn Error + Send + Sync>;

/// What one worker hands its events to.
pub(super) trait Sink: Send + 'static {
    /// Takes the next event; an error says why it could not.
    fn take(&mut self, event: &StoredEvent) -> impl Future<Output = Result<(), String>> + Send;
}

/// A function that all workers share.
pub(super) struct Each<F>(pub(super) Arc<F>);

impl<F, Fut> Sink for Each<F>
where
    F: Fn(StoredEvent) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), ReplayFault>> + Send,
{
    async fn take(&mut self, event: &StoredEvent) -> Result<(), String> {
        let function = &self.0;
        // The function itself may panic as well as what it gives.
        let taken = panicked::caught(async { function(event.clone()).await }).await;
        let taken = taken.map_err(|panic| reason(&*panic))?;
        taken.map_err(|error| ErrorChain(&*error).to_string())
    }
}

/// A view of a worker's own.
pub(super) struct View<V>(pub(super) V);

impl<V: InMemory> Sink for View<V> {
    async fn take(&mut self, event: &StoredEvent) -> Result<(), String> {
        let taken = catch_unwind(AssertUnwindSafe(|| self.0.take(event, false)));
        let taken = taken.map_err(|panic| reason(&*panic))?;
        taken.map_err(|error| error.to_string())
    }
}

fn reason(panic: &(dyn Any + Send)) -> String {
    let text = panicked::text(panic).unwrap_or("without a text");
    format!("it panicked: {text}")
}
