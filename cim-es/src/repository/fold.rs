//! Folding one event, whatever the author's functions do in it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::domain::aggregate::Aggregate;
use crate::domain::event::DomainEvent;
use crate::domain::machine::UnexpectedEvent;
use crate::domain::panicked;

/// Why an event was not folded.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum FoldFault {
    /// The state has no edge for it; the aggregate is as it was.
    #[error(transparent)]
    Unexpected(#[from] UnexpectedEvent),
    /// The fold panicked; the aggregate is to be thrown away.
    #[error("the fold of `{event}` panicked: {reason}")]
    Panicked {
        /// The event.
        event: &'static str,
        /// What it panicked with.
        reason: String,
    },
}

/// Folds an event; a panic of the author's functions is an error here, so that it is told which event it was.
pub(crate) fn fold<A: Aggregate>(aggregate: &mut A, event: A::Event) -> Result<(), FoldFault> {
    let name = A::Event::VARIANTS[event.index()];
    // Whoever gets the error throws the aggregate away.
    match catch_unwind(AssertUnwindSafe(|| aggregate.apply(event))) {
        Ok(folded) => Ok(folded?),
        Err(panic) => Err(FoldFault::Panicked {
            event: name,
            reason: panicked::text(&*panic)
                .unwrap_or("with something that is not a text")
                .to_owned(),
        }),
    }
}
