//! Events by the CID of their payload.

use std::collections::HashMap;

use cid::Cid;

use super::graph::NONE;
use crate::block::ShortCid;

/// The nodes with each payload: the last one, and for each node the one before it with the same payload.
#[derive(Clone, Debug, Default)]
pub(super) struct Payloads {
    last: HashMap<[u8; 16], u32>,
    before: Vec<u32>,
}

/// Half of a digest, which nobody can choose.
fn half(payload: &Cid) -> Option<[u8; 16]> {
    let short = ShortCid::of(payload)?;
    short.digest().first_chunk().copied()
}

impl Payloads {
    pub(super) fn put(&mut self, node: usize, payload: &Cid) {
        if let Some(half) = half(payload) {
            let before = self.last.insert(half, node as u32);
            self.before.resize(self.before.len().max(node + 1), NONE);
            self.before[node] = before.unwrap_or(NONE);
        }
    }

    /// The nodes with a payload, the last one first.
    pub(super) fn nodes(&self, payload: &Cid) -> impl Iterator<Item = u32> + '_ {
        let last = half(payload).and_then(|half| self.last.get(&half).copied());
        std::iter::successors(last, |node| {
            let before = self.before.get(*node as usize).copied();
            before.filter(|before| *before != NONE)
        })
    }

    pub(super) fn bytes(&self) -> usize {
        let entry = size_of::<([u8; 16], u32)>() + 1;
        // A table of the standard library is at most seven eighths full.
        let places = (self.last.capacity() * 8).div_ceil(7).next_power_of_two();
        places * entry + self.before.capacity() * size_of::<u32>()
    }
}
