//! Where in the store the events of each full tile of leaves end: to read on from there, and to find the leaf of an event by
//! its position.
//!
//! As the tiles, it is a cache: what is found by it is compared with hashes.

use super::CheckpointError;
use super::edge::TILE;
use super::files::Files;
use super::tiles::index_path;
use crate::block::{CID_BYTES, parse_cid};
use crate::store::{Bookmark, Position};

/// The length of an entry: a position and a CID.
const ENTRY: usize = 8 + CID_BYTES;

fn name(tile: u64) -> String {
    format!("places/{}", index_path(tile / TILE as u64))
}

/// The last event of a full tile, which a reader goes on behind; none where it is not known.
pub(super) fn end_of(files: &Files, tile: u64) -> Result<Option<Bookmark>, CheckpointError> {
    let bytes = files.read(&name(tile))?.unwrap_or_default();
    let at = (tile % TILE as u64) as usize * ENTRY;
    Ok(bytes.get(at..at + ENTRY).and_then(entry))
}

fn entry(bytes: &[u8]) -> Option<Bookmark> {
    let (position, cid) = bytes.split_first_chunk()?;
    Some(Bookmark {
        position: Position(u64::from_be_bytes(*position)),
        cid: Some(parse_cid(cid).ok()?),
    })
}

/// The tile of leaves that has the event at a position, of a tree with so many full tiles; the last one, which is not full,
/// where no full one reaches so far.
pub(super) fn tile_of(
    files: &Files,
    position: Position,
    full_tiles: u64,
) -> Result<u64, CheckpointError> {
    let (mut low, mut high) = (0, full_tiles);
    while low < high {
        let middle = low + (high - low) / 2;
        match end_of(files, middle)? {
            Some(end) if end.position < position => low = middle + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}

/// The ends of tiles that became full, until they are written.
#[derive(Default)]
pub(super) struct NewPlaces {
    ends: Vec<(u64, Bookmark)>,
}

impl NewPlaces {
    /// The last event of a tile, the one behind the last that was added.
    pub(super) fn push(&mut self, tile: u64, end: Bookmark) {
        self.ends.push((tile, end));
    }

    pub(super) fn write(&mut self, files: &Files) -> Result<(), CheckpointError> {
        while let Some((first, _)) = self.ends.first() {
            let group = first / TILE as u64;
            let name = name(*first);
            let mut bytes = files.read(&name)?.unwrap_or_default();
            bytes.resize((first % TILE as u64) as usize * ENTRY, 0);
            let count = self
                .ends
                .iter()
                .take_while(|(tile, _)| tile / TILE as u64 == group);
            let count = count.count();
            for (_, end) in self.ends.drain(..count) {
                bytes.extend_from_slice(&end.position.0.to_be_bytes());
                bytes.extend(end.cid.iter().flat_map(|cid| cid.to_bytes()));
            }
            files.write(&name, &bytes)?;
        }
        Ok(())
    }
}
