//! Reading events into the tree: each is compared with the leaf that is known at its index, and the rest is added.

use futures_util::StreamExt;

use super::edge::{Edge, TILE};
use super::files::Files;
use super::places::NewPlaces;
use super::tiles::{self, Leaves};
use super::{CheckpointError, TreeHash};
use crate::store::{Bookmark, EventStore, Position, Selection, StoreError};

/// How many events are taken at once.
const BATCH: usize = 1024;

/// Why reading into the tree ends early.
pub(super) enum Halt {
    /// At an index stands another event than the leaf there is of; none where the store ends.
    Differs { index: u64, found: Option<Bookmark> },
    /// Something failed.
    Failed(CheckpointError),
}

impl From<CheckpointError> for Halt {
    fn from(error: CheckpointError) -> Self {
        Self::Failed(error)
    }
}

/// Leaves that are known, from the beginning up to an index.
pub(super) struct Known {
    pub(super) leaves: Leaves,
    pub(super) until: u64,
}

/// A tree that grows by what is read.
pub(super) struct Growth {
    edge: Edge,
    known: Option<Known>,
    /// Where tiles are written; none where nothing is.
    files: Option<Files>,
    places: NewPlaces,
    /// At how many leaves it is done, whatever the store has.
    limit: u64,
    /// How many leaves are of events up to the position.
    counted: Option<(Position, u64)>,
}

impl Growth {
    /// Goes on from an edge, and writes what comes.
    pub(super) fn writing(edge: Edge, known: Option<Known>, files: Files) -> Self {
        Self {
            edge,
            known,
            files: Some(files),
            places: NewPlaces::default(),
            limit: u64::MAX,
            counted: None,
        }
    }

    /// Reads the first events, and writes nothing.
    pub(super) fn reading(known: Option<Known>, limit: u64) -> Self {
        Self {
            edge: Edge::default(),
            known,
            files: None,
            places: NewPlaces::default(),
            limit,
            counted: None,
        }
    }

    /// Counts the leaves of the events up to a position, which the edge does not go past.
    pub(super) fn counting(self, until: Position) -> Self {
        Self {
            counted: Some((until, self.size())),
            ..self
        }
    }

    /// How many were counted.
    pub(super) fn counted(&self) -> Option<u64> {
        self.counted.map(|(_, leaves)| leaves)
    }

    pub(super) fn size(&self) -> u64 {
        self.edge.size()
    }

    pub(super) fn root(&self) -> TreeHash {
        self.edge.root()
    }

    /// Takes the events of a store behind a place, which is where the edge is, and tells after each batch how many there are.
    pub(super) async fn read(
        mut self,
        store: &dyn EventStore,
        after: Bookmark,
        tell: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<Self, Halt> {
        let mut events = store.read(Selection::everything(), after);
        loop {
            let mut batch = Vec::new();
            let room = self.limit.saturating_sub(self.size()).min(BATCH as u64) as usize;
            while batch.len() < room
                && let Some(event) = events.next().await
            {
                batch.push(event.map_err(CheckpointError::from)?.bookmark());
            }
            let is_last = batch.len() < BATCH;
            self = blocking(move || self.take(batch)).await?;
            tell(self.size());
            if is_last {
                break;
            }
        }
        if let Some(known) = &self.known
            && self.size() < known.until.min(self.limit)
        {
            return Err(Halt::Differs {
                index: self.size(),
                found: None,
            });
        }
        blocking(move || self.finish()).await
    }

    fn take(mut self, batch: Vec<Bookmark>) -> Result<Self, Halt> {
        for event in batch {
            let index = self.edge.size();
            let Some(cid) = &event.cid else { continue };
            let leaf = TreeHash::of_event(cid);
            if let Some(known) = self.known.as_mut().filter(|known| index < known.until)
                && known.leaves.at(index)? != leaf
            {
                return Err(Halt::Differs {
                    index,
                    found: Some(event),
                });
            }
            let full = self.edge.push(leaf);
            if let Some((_, leaves)) = self.counted.as_mut().filter(|it| event.position <= it.0) {
                *leaves = index + 1;
            }
            let Some(files) = &self.files else { continue };
            for tile in full {
                if tile.level == 0 {
                    self.places.push(tile.index, event);
                }
                tiles::write(files, &tile)?;
            }
        }
        Ok(self)
    }

    fn finish(mut self) -> Result<Self, Halt> {
        if let Some(files) = &self.files {
            for tile in self.edge.partial_tiles() {
                tiles::write(files, &tile)?;
            }
            self.places.write(files)?;
        }
        Ok(self)
    }
}

/// How many tiles of leaves are full.
pub(super) fn full_tiles(size: u64) -> u64 {
    size / TILE as u64
}

/// Does what may wait for a disk where it holds nobody up.
pub(super) async fn blocking<T, E>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<CheckpointError> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(CheckpointError::from(StoreError::Closed {
                reason: "the runtime of the program ends".to_owned(),
            })
            .into()),
        },
    }
}
