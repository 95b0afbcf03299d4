//! The order of the events of a bundle, as a digest.

use sha2::{Digest, Sha256};

use crate::block::{Cid, ShortCid};

/// The SHA-256 over the CIDs of events, each in its 36 bytes, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Order(Sha256);

impl Order {
    pub(super) fn add(&mut self, event: &Cid) {
        self.0.update(event.to_bytes());
    }

    pub(super) fn add_short(&mut self, event: ShortCid) {
        self.0.update(event.to_bytes());
    }

    pub(super) fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}
