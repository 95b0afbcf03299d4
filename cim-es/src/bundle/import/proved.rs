//! Between the proof of a file and its import: the moment at which a store may be made.

use std::fmt;

use super::compare::Comparison;
use super::input::Input;
use super::verify::Contents;
use super::{Import, Imported, OnDivergence, store};
use crate::bundle::BundleError;
use crate::bundle::progress::{Progress, Step};
use crate::store::EventStore;

/// A file that was proved, and of which nothing is stored yet.
#[must_use = "nothing is imported before `into_store`"]
pub struct Proved {
    import: Import,
    input: Input,
    contents: Contents,
}

impl Proved {
    pub(super) fn new(import: Import, input: Input, contents: Contents) -> Self {
        Self {
            import,
            input,
            contents,
        }
    }

    /// Compares what the file holds with the store, and stores what is new: whole commits, in the order of the file.
    ///
    /// # Errors
    /// Those of [`Import::into_store`], but for a file that does not hold.
    pub async fn into_store(
        self,
        store: &(impl EventStore + ?Sized),
    ) -> Result<Imported, BundleError> {
        let Self {
            import,
            input,
            contents,
        } = self;
        let comparison = Comparison::of(store, &input, &contents, &import.canceller).await?;
        import.reporter.done(Progress {
            step: Step::Comparing,
            events: contents.events,
            of_events: Some(contents.events),
            bytes: 0,
        });
        if import.on_divergence == OnDivergence::Refuse && !comparison.diverged.is_empty() {
            return Err(BundleError::Diverged(comparison.into_divergences()));
        }
        store::store(
            store,
            &input,
            contents,
            comparison,
            &import.reporter,
            &import.canceller,
        )
        .await
    }
}

impl fmt::Debug for Proved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proved")
            .field("file", &self.import.file)
            .field("events", &self.contents.events)
            .finish_non_exhaustive()
    }
}
