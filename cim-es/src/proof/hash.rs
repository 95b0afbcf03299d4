//! The hashes of the tree (RFC 6962, section 2.1).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::block::Cid;

/// A hash of the tree: of an event, of a part of the history, or of all of it. It prints as base64.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TreeHash([u8; Self::BYTES]);

impl TreeHash {
    /// Its length in bytes.
    pub const BYTES: usize = 32;

    /// The root of the tree without events.
    pub fn empty() -> Self {
        Self(Sha256::digest([]).into())
    }

    /// The leaf of an event: what is hashed are the 36 bytes of its CID.
    pub fn of_event(cid: &Cid) -> Self {
        Self::of_leaf(&cid.to_bytes())
    }

    /// The leaf of any bytes.
    pub(super) fn of_leaf(bytes: &[u8]) -> Self {
        Self(
            Sha256::new()
                .chain_update([0])
                .chain_update(bytes)
                .finalize()
                .into(),
        )
    }

    /// The node above two others.
    pub(super) fn above(left: &Self, right: &Self) -> Self {
        Self(
            Sha256::new()
                .chain_update([1])
                .chain_update(left.0)
                .chain_update(right.0)
                .finalize()
                .into(),
        )
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    pub(super) fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The hash that a line holds in base64, in the one way of writing it.
    pub(super) fn from_base64(text: &str) -> Option<Self> {
        Self::from_slice(&STANDARD.decode(text).ok()?)
    }
}

impl fmt::Display for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TreeHash({self})")
    }
}
