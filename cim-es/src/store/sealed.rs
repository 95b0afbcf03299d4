//! Commits that were sealed elsewhere, as they are brought, and what became of them.

use super::{Position, ProvedCommit, SealOptions, StoreError};
use crate::block::{CommitVerifier, EventBlock, StoredEvent, Verdict};

/// A commit as it was sealed elsewhere: its blocks, all of them, in their order.
///
/// ```
/// # use cim_es::{block::Verdict, store::*};
/// /// Takes everything that one store has into another.
/// async fn copy(from: &dyn EventStore, to: &dyn EventStore) -> Result<(), Box<dyn std::error::Error>> {
///     let events: Vec<_> = from.read_all(Position::START).try_collect().await?;
///     to.append_sealed(SealedCommit::split(&events)?).await?;
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedCommit {
    /// The events in the order of the commit.
    pub events: Vec<EventBlock>,
}

/// What became of a commit that was sealed elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct AppendedCommit {
    /// The events at their places in the store.
    pub events: Vec<StoredEvent>,
    /// Whether it stood there already when the store compared. Of several who bring the same commit at the same moment
    /// more than one may be told that it did not, where several servers take writes.
    pub was_there: bool,
}

impl SealedCommit {
    /// The commits that events form, which stand in the order of a store.
    ///
    /// # Errors
    /// [`Verdict`] where events of a commit are missing or do not belong together.
    pub fn split(events: &[StoredEvent]) -> Result<Vec<Self>, Verdict> {
        let mut commits = CommitVerifier::new();
        let (mut split, mut open) = (Vec::new(), Vec::new());
        for event in events {
            let is_end = commits.accept(event)?;
            open.push(EventBlock::from(event));
            if is_end {
                let events = std::mem::take(&mut open);
                split.push(Self { events });
            }
        }
        commits.finish()?;
        Ok(split)
    }

    /// Proves it by itself: each block hashes to its CID and is canonical, the events are one whole commit, and those
    /// of each aggregate follow each other. What it follows in a store is for [`plan`](fn@super::plan) to say.
    ///
    /// # Errors
    /// [`StoreError::Unproved`] with the verdict, whose position counts the blocks of the commit from 1;
    /// [`StoreError::InvalidCommit`] and [`StoreError::Payload`] for what no store would have sealed.
    pub fn prove(self, options: &SealOptions) -> Result<ProvedCommit, StoreError> {
        let count = self.events.len();
        let events = self.events.into_iter().zip(1..);
        let verified = events.map(|(block, number)| {
            StoredEvent::verify(Position(number), block.cid, block.body).map_err(StoreError::from)
        });
        let proved = ProvedCommit::of(count, verified)?;
        proved.fits(options)?;
        Ok(proved)
    }
}

impl From<&ProvedCommit> for SealedCommit {
    /// The same blocks, without what is known of them.
    fn from(commit: &ProvedCommit) -> Self {
        let blocks = commit.events().iter().map(|event| EventBlock {
            cid: event.cid,
            body: event.body().clone(),
        });
        Self {
            events: blocks.collect(),
        }
    }
}
