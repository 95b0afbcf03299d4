//! The last event of each aggregate, in as few bytes as the proof of the next one needs.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use cid::Cid;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::shown::Shown;
use crate::block::{ChainHead, Position, ShortCid, parse_cid};
use crate::store::raw::Name;

/// The last event of an aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) cid: ShortCid,
    /// Whether what the engine keeps of the end of the history was compared with it.
    pub(super) is_compared: bool,
    pub(super) version: u64,
    pub(super) position: Position,
    pub(super) timestamp: i64,
}

impl Known {
    fn new(cid: ShortCid, version: u64, position: Position, timestamp: i64) -> Self {
        Self {
            cid,
            is_compared: false,
            version,
            position,
            timestamp,
        }
    }

    pub(super) fn of(event: &Shown) -> Self {
        let timestamp = event.timestamp.as_micros();
        Self::new(event.cid, event.sequence, event.position, timestamp)
    }

    pub(super) fn cid(&self) -> Cid {
        self.cid.cid()
    }

    pub(super) fn chain_head(&self) -> ChainHead {
        ChainHead {
            sequence: self.version,
            cid: self.cid(),
        }
    }
}

/// A digest is spread evenly already.
#[derive(Default)]
pub(super) struct FirstBytes(u64);

impl Hasher for FirstBytes {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }
}

/// The last events of all aggregates that were met.
#[derive(Clone, Debug, Default)]
pub(super) struct Heads(HashMap<Name, Known, BuildHasherDefault<FirstBytes>>);

impl Heads {
    pub(super) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// Looks some up that are asked for next. They are all over the memory: looked up one after the other, and nothing
    /// else done between them, the processor waits for many at a time.
    pub(super) fn fetch<'a>(&self, names: impl Iterator<Item = &'a Name>) {
        let found = names.filter_map(|name| self.0.get(name));
        std::hint::black_box(found.fold(0, |sum: u64, known| sum.wrapping_add(known.version)));
    }

    pub(super) fn get_mut(&mut self, name: &Name) -> Option<&mut Known> {
        self.0.get_mut(name)
    }

    pub(super) fn put(&mut self, name: Name, known: Known) {
        self.0.insert(name, known);
    }

    /// Those that nothing was compared with, in the order of their events.
    pub(super) fn not_compared(&self) -> Vec<(Name, Position)> {
        let left = self.0.iter().filter(|(_, known)| !known.is_compared);
        let mut left: Vec<_> = left.map(|(name, known)| (*name, known.position)).collect();
        left.sort_by_key(|(_, position)| *position);
        left
    }
}

/// The bytes of an aggregate in a state: name, CID, whether it was compared, version, position, time.
const ENTRY: usize = 16 + 36 + 1 + 8 + 8 + 8;

impl Serialize for Heads {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::with_capacity(self.0.len() * ENTRY);
        for (name, known) in &self.0 {
            bytes.extend(name.0);
            bytes.extend(known.cid().to_bytes());
            bytes.push(u8::from(known.is_compared));
            bytes.extend(known.version.to_be_bytes());
            bytes.extend(known.position.0.to_be_bytes());
            bytes.extend(known.timestamp.to_be_bytes());
        }
        serde_bytes::serialize(&bytes, serializer)
    }
}

impl<'de> Deserialize<'de> for Heads {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes: Vec<u8> = serde_bytes::deserialize(deserializer)?;
        let entries = bytes.chunks_exact(ENTRY);
        if !entries.remainder().is_empty() {
            return Err(D::Error::custom("the heads of the aggregates are cut off"));
        }
        let parsed = entries.map(|entry| {
            entry_of(entry).ok_or_else(|| D::Error::custom("a head that no state has"))
        });
        parsed.collect::<Result<_, _>>().map(Self)
    }
}

fn entry_of(entry: &[u8]) -> Option<(Name, Known)> {
    let (name, rest) = entry.split_first_chunk()?;
    let (cid, rest) = rest.split_first_chunk::<36>()?;
    let (is_compared, rest) = rest.split_first()?;
    let (version, rest) = rest.split_first_chunk()?;
    let (position, rest) = rest.split_first_chunk()?;
    let (timestamp, _) = rest.split_first_chunk()?;
    let mut known = Known::new(
        ShortCid::of(&parse_cid(cid).ok()?)?,
        u64::from_be_bytes(*version),
        Position(u64::from_be_bytes(*position)),
        i64::from_be_bytes(*timestamp),
    );
    known.is_compared = *is_compared != 0;
    Some((Name(*name), known))
}
