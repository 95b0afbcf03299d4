//! Work on the processor that takes long, done on threads of its own: the thread that asks may be one that everything
//! else of the program runs on.

use std::sync::Arc;

use tokio::sync::{Semaphore, oneshot};
use tokio::task::coop::unconstrained;

use crate::store::StoreError;

/// The bytes from which on hashing them is long: about a fifth of a millisecond.
pub(super) const LONG: usize = 256 * 1024;
/// How many threads work at the same time.
const THREADS: usize = 2;

/// Where long work is done.
pub(super) struct Aside(Arc<Semaphore>);

impl Aside {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(THREADS)))
    }

    /// Does `work` here when it is about few bytes, else on another thread.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        if bytes < LONG {
            return Ok(work());
        }
        unconstrained(async {
            let failed = |reason: String| StoreError::Closed { reason };
            let place = self.0.clone().acquire_owned().await;
            let place = place.map_err(|error| failed(error.to_string()))?;
            let (answer, question) = oneshot::channel();
            std::thread::Builder::new()
                .name("cim-es-seal".into())
                .spawn(move || {
                    if !answer.is_closed() {
                        // Whoever asked may have gone meanwhile.
                        let _ = answer.send(work());
                    }
                    drop(place);
                })
                .map_err(|error| failed(format!("no thread could be started: {error}")))?;
            question.await.map_err(|_| {
                failed("a thread that seals failed; this is a defect of the library".into())
            })
        })
        .await
    }
}
