//! A thread that reads the next blocks, and hashes them, while those before are looked at.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::input::Bytes;
use crate::car::{CarBlock, CarError, CarReader};

/// The blocks, and their bytes, that are handed over at once.
const BATCH: (usize, usize) = (256, 1024 * 1024);
/// How many batches may wait.
const AHEAD: usize = 4;

/// The blocks of a file, in order.
pub(super) struct Ahead {
    /// Until the first block is asked for.
    unread: Option<Box<CarReader<Bytes>>>,
    batches: Option<Receiver<Batch>>,
    blocks: std::vec::IntoIter<CarBlock>,
    end: Option<End>,
}

struct Batch {
    blocks: Vec<CarBlock>,
    /// How it ends, behind these blocks.
    end: Option<End>,
}

/// Where the file ends in bytes, or why nothing behind is read.
type End = Result<u64, CarError>;

impl Ahead {
    /// The thread begins with the first block that is asked for, and ends when the value is dropped.
    pub(super) fn of(car: CarReader<Bytes>) -> Self {
        Self {
            unread: Some(Box::new(car)),
            batches: None,
            blocks: Vec::new().into_iter(),
            end: None,
        }
    }

    fn begin(&mut self) -> Result<(), CarError> {
        let Some(car) = self.unread.take() else {
            return Ok(());
        };
        let (batches, waiting) = sync_channel(AHEAD);
        let at = CarReader::position(&car);
        std::thread::Builder::new()
            .name("cim-es-import".into())
            .spawn(move || read(*car, &batches))
            .map_err(|error| CarError::io("read", at, error))?;
        self.batches = Some(waiting);
        Ok(())
    }

    /// The next block; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<CarBlock>, CarError> {
        loop {
            if let Some(block) = self.blocks.next() {
                return Ok(Some(block));
            }
            match &self.end {
                Some(Ok(_)) => return Ok(None),
                Some(Err(error)) => return Err(error.clone()),
                None => {}
            }
            self.begin()?;
            let batch = self.batches.as_ref().and_then(|it| it.recv().ok());
            match batch {
                Some(batch) => {
                    self.blocks = batch.blocks.into_iter();
                    self.end = batch.end;
                }
                None => {
                    let error = io::Error::other(
                        "the thread that reads failed; this is a defect of the library",
                    );
                    self.end = Some(Err(CarError::io("read", 0, error)));
                }
            }
        }
    }

    /// Where the file ends, in bytes, once that was seen.
    pub(super) fn end(&self) -> u64 {
        match &self.end {
            Some(Ok(end)) => *end,
            _ => 0,
        }
    }
}

fn read(mut car: CarReader<Bytes>, batches: &SyncSender<Batch>) {
    loop {
        let (mut blocks, mut bytes) = (Vec::with_capacity(BATCH.0), 0);
        let mut end = None;
        while end.is_none() && blocks.len() < BATCH.0 && bytes < BATCH.1 {
            match car.read() {
                Ok(Some(block)) => {
                    bytes += block.bytes.len();
                    blocks.push(block);
                }
                Ok(None) => end = Some(Ok(car.position())),
                Err(error) => end = Some(Err(error)),
            }
        }
        let is_over = end.is_some();
        if batches.send(Batch { blocks, end }).is_err() || is_over {
            return;
        }
    }
}
