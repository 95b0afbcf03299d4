//! Events on their way to the thread that writes them, many at once.

use tokio::sync::mpsc;

use crate::block::StoredEvent;
use crate::bundle::BundleError;

/// The events, and their bytes, that are handed over at once.
const PACK: (usize, usize) = (512, 1024 * 1024);
/// The packs that may wait.
const AHEAD: usize = 4;

/// What the thread takes, until the last one was handed over.
pub(super) type Packs = mpsc::Receiver<Vec<StoredEvent>>;

/// Gathers events, and hands them over.
pub(super) struct Packing {
    packs: mpsc::Sender<Vec<StoredEvent>>,
    pack: Vec<StoredEvent>,
    bytes: usize,
}

impl Packing {
    /// One end, and the other for the thread.
    pub(super) fn new() -> (Self, Packs) {
        let (packs, waiting) = mpsc::channel(AHEAD);
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
    /// [`BundleError::Ended`] where the thread takes nothing any more: it says why.
    pub(super) async fn hand_over(&mut self) -> Result<bool, BundleError> {
        if self.pack.len() < PACK.0 && self.bytes < PACK.1 {
            return Ok(false);
        }
        self.bytes = 0;
        let pack = std::mem::take(&mut self.pack);
        let handed = self.packs.send(pack).await;
        handed.map(|()| true).map_err(|_| BundleError::Ended)
    }

    /// Hands over what is left.
    ///
    /// # Errors
    /// As [`hand_over`](Self::hand_over).
    pub(super) async fn finish(self) -> Result<(), BundleError> {
        match self.pack.is_empty() {
            true => Ok(()),
            false => self
                .packs
                .send(self.pack)
                .await
                .map_err(|_| BundleError::Ended),
        }
    }
}
