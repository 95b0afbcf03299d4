//! The checkpoint that a bundle carries, beside the events of the bundle.

use crate::block::Cid;
#[cfg(feature = "proof")]
use crate::proof::{Cover, SignedCheckpoint};

/// Compares the events of a store, from the first on, with a checkpoint of it. Without the feature `proof` nobody knows what
/// a checkpoint is.
#[derive(Default)]
pub(super) struct Covered {
    #[cfg(feature = "proof")]
    cover: Option<Cover>,
}

impl Covered {
    /// Compares with the checkpoint in a text, if there is one and the text is one.
    #[cfg(feature = "proof")]
    pub(super) fn by(checkpoint: Option<&str>) -> Self {
        let signed = checkpoint.and_then(|text| text.parse::<SignedCheckpoint>().ok());
        Self {
            cover: signed.map(|signed| Cover::of(signed.unverified())),
        }
    }

    #[cfg(not(feature = "proof"))]
    pub(super) fn by(_: Option<&str>) -> Self {
        Self::default()
    }

    #[cfg(feature = "proof")]
    pub(super) fn add(&mut self, event: &Cid) {
        if let Some(cover) = &mut self.cover {
            cover.add(event);
        }
    }

    #[cfg(not(feature = "proof"))]
    pub(super) fn add(&mut self, _: &Cid) {}

    /// How many events the checkpoint covers, where they are others than those that were added.
    #[cfg(feature = "proof")]
    pub(super) fn differs(&self) -> Option<u64> {
        let cover = self.cover.as_ref().filter(|cover| !cover.is_covered());
        cover.map(Cover::size)
    }

    #[cfg(not(feature = "proof"))]
    pub(super) fn differs(&self) -> Option<u64> {
        None
    }
}
