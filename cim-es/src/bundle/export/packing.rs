//! What is on its way to the thread that writes it, much at once.

use std::ops::Range;

use tokio::sync::mpsc;

use crate::block::StoredEvent;
use crate::bundle::BundleError;

/// The events, and their bytes, that are handed over at once.
const PACK: (usize, usize) = (512, 1024 * 1024);
/// The packs that may wait.
const AHEAD: usize = 4;

/// What the thread takes, until the last one was handed over.
pub(super) type Packs<T> = mpsc::Receiver<T>;

/// Blocks as a bundle has them, and which parts of them belong to it.
pub(super) struct Blocks {
    pub(super) blocks: Vec<u8>,
    pub(super) wanted: Vec<Range<usize>>,
}

impl Blocks {
    fn all(blocks: Vec<u8>) -> Self {
        let all = 0..blocks.len();
        Self {
            blocks,
            wanted: Vec::from([all]),
        }
    }
}

/// Hands over packs.
pub(super) struct Handing<T>(mpsc::Sender<T>);

impl<T> Handing<T> {
    /// One end, and the other for the thread.
    pub(super) fn new() -> (Self, Packs<T>) {
        let (packs, waiting) = mpsc::channel(AHEAD);
        (Self(packs), waiting)
    }

    /// Hands a pack over.
    ///
    /// # Errors
    /// [`BundleError::Ended`] where the thread takes nothing any more: it says why.
    pub(super) async fn hand_over(&self, pack: T) -> Result<(), BundleError> {
        self.0.send(pack).await.map_err(|_| BundleError::Ended)
    }
}

/// Cuts what belongs to a bundle out of pages of blocks, and hands it over.
pub(super) struct Cut {
    packs: Handing<Blocks>,
    /// The blocks of the commit that is being read which stood in earlier pages.
    earlier: Vec<u8>,
    wanted: Vec<Range<usize>>,
    /// Where the next commit begins in the page that is looked at.
    begin: usize,
}

impl Cut {
    pub(super) fn new(packs: Handing<Blocks>) -> Self {
        Self {
            packs,
            earlier: Vec::new(),
            wanted: Vec::new(),
            begin: 0,
        }
    }

    /// Says that a commit ends at a place of the page, and whether it belongs to the bundle.
    ///
    /// # Errors
    /// As [`Handing::hand_over`].
    pub(super) async fn commit(&mut self, end: usize, is_wanted: bool) -> Result<(), BundleError> {
        let begin = std::mem::replace(&mut self.begin, end);
        let blocks = std::mem::take(&mut self.earlier);
        if !is_wanted {
            return Ok(());
        }
        if !blocks.is_empty() {
            self.packs.hand_over(Blocks::all(blocks)).await?;
        }
        match self.wanted.last_mut() {
            Some(last) if last.end == begin => last.end = end,
            _ => self.wanted.push(begin..end),
        }
        Ok(())
    }

    /// Says that a page ends, and gives its blocks.
    ///
    /// # Errors
    /// As [`Handing::hand_over`].
    pub(super) async fn page(&mut self, blocks: Vec<u8>) -> Result<(), BundleError> {
        let begin = std::mem::take(&mut self.begin);
        self.earlier.extend_from_slice(&blocks[begin..]);
        let wanted = std::mem::take(&mut self.wanted);
        match wanted.is_empty() {
            true => Ok(()),
            false => self.packs.hand_over(Blocks { blocks, wanted }).await,
        }
    }
}

/// Gathers events, and hands them over.
pub(super) struct Packing {
    packs: Handing<Vec<StoredEvent>>,
    pack: Vec<StoredEvent>,
    bytes: usize,
}

impl Packing {
    /// One end, and the other for the thread.
    pub(super) fn new() -> (Self, Packs<Vec<StoredEvent>>) {
        let (packs, waiting) = Handing::new();
        let packing = Self {
            packs,
            pack: Vec::new(),
            bytes: 0,
        };
        (packing, waiting)
    }

    /// Adds an event.
    pub(super) fn add(&mut self, event: StoredEvent) {
        self.bytes += event.body().len();
        self.pack.push(event);
    }

    /// Hands over what was added, where it is enough; says whether it did.
    ///
    /// # Errors
    /// As [`Handing::hand_over`].
    pub(super) async fn hand_over(&mut self) -> Result<bool, BundleError> {
        if self.pack.len() < PACK.0 && self.bytes < PACK.1 {
            return Ok(false);
        }
        self.bytes = 0;
        let pack = std::mem::take(&mut self.pack);
        self.packs.hand_over(pack).await.map(|()| true)
    }

    /// Hands over what is left.
    ///
    /// # Errors
    /// As [`Handing::hand_over`].
    pub(super) async fn finish(self) -> Result<(), BundleError> {
        match self.pack.is_empty() {
            true => Ok(()),
            false => self.packs.hand_over(self.pack).await,
        }
    }
}
