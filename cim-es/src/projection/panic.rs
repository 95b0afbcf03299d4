//! Panics of projections are failures like any other.

use std::any::Any;

use crate::domain::panicked;

/// Runs what may panic, and gives what the panic said in its place.
pub(super) async fn caught<T>(work: impl Future<Output = T>) -> Result<T, String> {
    let done = panicked::caught(work).await;
    done.map_err(|panic| reason(&*panic))
}

/// What a panic said.
pub(super) fn reason(panic: &(dyn Any + Send)) -> String {
    match panicked::text(panic) {
        Some(text) => format!("the projection panicked: {text}"),
        None => "the projection panicked".to_owned(),
    }
}
