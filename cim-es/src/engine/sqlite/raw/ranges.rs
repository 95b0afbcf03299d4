//! Ranges of positions, each read by one of the threads that read. What the indexes are compared with at a time is gathered on
//! the way, so that the events need not be read a second time for them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::indexes::{self, CHUNK, Chunk};
use super::{INDEXES_AT, pages};
use crate::engine::sqlite::Shared;
use crate::engine::sqlite::database::Database;
use crate::store::raw::{RANGE, RawRanges, SoundPart, Take};
use crate::store::{Position, StoreError};

const _: () = assert!(CHUNK.is_multiple_of(RANGE));

/// The chunks of which a part was read, by their numbers.
#[derive(Default)]
struct Gathered(Mutex<HashMap<u64, Part>>);

struct Part {
    chunk: Chunk,
    /// How many of its positions were read.
    read: u64,
}

pub(super) struct Ranges {
    shared: Arc<Shared>,
    /// What the indexes are compared with; none where they are not.
    gathered: Option<Arc<Gathered>>,
}

impl Ranges {
    /// Of the events and the indexes over them.
    pub(super) fn of(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            gathered: Some(Arc::default()),
        }
    }

    /// Of the events alone.
    pub(super) fn of_events(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            gathered: None,
        }
    }
}

#[async_trait]
impl RawRanges for Ranges {
    async fn read(
        &self,
        after: Position,
        until: Position,
        take: Take,
    ) -> Result<Position, StoreError> {
        let (gathered, digest) = (self.gathered.clone(), self.shared.digest);
        let (after, until) = (after.0, until.0);
        let read = self.shared.readers.look(move |database| {
            let mut chunk = gathered.is_some().then(|| Chunk::between(after, until));
            let mut page = pages::page(database, after, until, digest, chunk.as_mut())?;
            if let (Some(gathered), Some(chunk)) = (gathered, chunk) {
                page.sound = gathered.add(database, after, page.reached.0, &chunk)?;
            }
            let reached = page.reached;
            take(page);
            Ok(reached)
        });
        read.await
    }
}

impl Gathered {
    /// Adds what was read behind a position and up to another. Where a chunk is whole by that, the indexes are compared with
    /// it; gives it if they are sound. Where they are not, it is read once more to say what is wrong.
    fn add(
        &self,
        database: &Database,
        after: u64,
        reached: u64,
        read: &Chunk,
    ) -> Result<Option<SoundPart>, StoreError> {
        let number = after / CHUNK;
        let Some(mut chunk) = self.whole(number, after, reached, read) else {
            return Ok(None);
        };
        let is_sound = indexes::is_sound(database, &mut chunk)?;
        Ok(is_sound.then_some(SoundPart {
            part: INDEXES_AT,
            from: number,
            next: number + 1,
            checked: CHUNK,
        }))
    }

    /// The chunk, where it is whole now.
    fn whole(&self, number: u64, after: u64, reached: u64, read: &Chunk) -> Option<Chunk> {
        let mut parts = self.lock();
        let part = parts.entry(number).or_insert_with(|| Part {
            chunk: Chunk::between(number * CHUNK, (number + 1) * CHUNK),
            read: 0,
        });
        part.chunk.take_in(read);
        part.read += reached - after;
        match part.read == CHUNK {
            true => parts.remove(&number).map(|part| part.chunk),
            false => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Part>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
