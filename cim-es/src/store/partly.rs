//! What became of a list of sealed commits of which only a part is stored.

use super::{AppendedCommit, Location, StoreError};

/// What became of each commit of a list that an engine stored in part, by
/// [`append_sealed`](super::EventStore::append_sealed).
///
/// Bringing the list again, or what is left of it, is right at any time: what stands there is passed over.
///
/// ```
/// use cim_es::store::{SealedCommit, SealedOutcome, StoreError};
///
/// /// The commits of a list that can be brought again, and those that were refused.
/// fn what_is_left(
///     list: Vec<SealedCommit>,
///     error: StoreError,
/// ) -> (Vec<SealedCommit>, Vec<(SealedCommit, StoreError)>) {
///     let StoreError::PartlyStored(partly) = error else {
///         return (list, Vec::new());
///     };
///     let (mut left, mut refused) = (Vec::new(), Vec::new());
///     for (commit, outcome) in list.into_iter().zip(partly.outcomes) {
///         match outcome {
///             SealedOutcome::Stored(_) => {}
///             SealedOutcome::Failed(error) => refused.push((commit, error)),
///             // Behind one that failed, or not sent.
///             _ => left.push(commit),
///         }
///     }
///     (left, refused)
/// }
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "{location} has {} of the {} commits that were brought, not number {}: see why, and bring those again that are missing",
    self.appended().count(), self.outcomes.len(), self.first + 1
)]
pub struct PartlyStored {
    /// The file or stream.
    pub location: Location,
    /// One for each commit, in the order of the list.
    pub outcomes: Vec<SealedOutcome>,
    /// The place of the first commit that failed, from 0.
    pub first: usize,
    /// Why it failed.
    pub source: Box<StoreError>,
}

/// What became of one commit of a list.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SealedOutcome {
    /// It stands in the store.
    Stored(AppendedCommit),
    /// It is not stored, or with [`StoreError::OutcomeUnknown`] not known to be, and this is why.
    Failed(StoreError),
    /// It was not sent: it goes on from what a commit before it, at this place of the list from 0, would have written.
    Behind(usize),
    /// It was not sent: the store takes nothing at the moment.
    NotSent,
}

impl PartlyStored {
    /// The commits that stand in the store, in the order of the list.
    pub fn appended(&self) -> impl Iterator<Item = &AppendedCommit> {
        self.outcomes.iter().filter_map(|outcome| match outcome {
            SealedOutcome::Stored(commit) => Some(commit),
            _ => None,
        })
    }

    /// The commits that failed, by their places in the list from 0, each with its error.
    pub fn failed(&self) -> impl Iterator<Item = (usize, &StoreError)> {
        let outcomes = self.outcomes.iter().enumerate();
        outcomes.filter_map(|(at, outcome)| match outcome {
            SealedOutcome::Failed(error) => Some((at, error)),
            _ => None,
        })
    }
}
