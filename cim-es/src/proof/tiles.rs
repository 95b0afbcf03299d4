//! Tiles ([C2SP](https://c2sp.org/tlog-tiles), height 8): the hashes of the tree in files of at most 256.
//!
//! They are a cache. Whatever is made of them is compared with the root of a checkpoint before anybody sees it, and they
//! can be made again from the store.

use std::collections::HashMap;

use super::edge::{Edge, TILE, TILE_HEIGHT, Tile, joined};
use super::files::Files;
use super::{CheckpointError, TreeHash, tree};

/// The path of an index: groups of three digits, all but the last behind an `x`.
pub(super) fn index_path(index: u64) -> String {
    let digits = index.to_string();
    let digits = format!(
        "{digits:0>width$}",
        width = digits.len().next_multiple_of(3)
    );
    let groups: Vec<_> = (0..digits.len())
        .step_by(3)
        .map(|at| &digits[at..at + 3])
        .collect();
    match &groups[..] {
        [front @ .., last] => {
            let front: String = front.iter().map(|group| format!("x{group}/")).collect();
            front + last
        }
        [] => String::new(),
    }
}

fn full_name(level: u32, index: u64) -> String {
    format!("tile/{level}/{}", index_path(index))
}

fn partial_name(level: u32, index: u64, width: usize) -> String {
    format!("{}.p/{width}", full_name(level, index))
}

/// Writes a tile; when it is full, the partial ones at its place are removed.
pub(super) fn write(files: &Files, tile: &Tile) -> Result<(), CheckpointError> {
    let Tile {
        level,
        index,
        hashes,
    } = tile;
    let bytes: Vec<u8> = hashes.iter().flat_map(|it| *it.as_bytes()).collect();
    if hashes.len() < TILE {
        return files.write(&partial_name(*level, *index, hashes.len()), &bytes);
    }
    let name = full_name(*level, *index);
    files.write(&name, &bytes)?;
    files.remove_under(&format!("{name}.p"))
}

/// Reads the tiles that were written for a tree of a size.
pub(super) struct TileReader {
    files: Files,
    size: u64,
    tiles: HashMap<(u32, u64), Vec<TreeHash>>,
}

impl TileReader {
    pub(super) fn new(files: Files, size: u64) -> Self {
        Self {
            files,
            size,
            tiles: HashMap::new(),
        }
    }

    /// How many hashes the tree has on a level of tiles.
    fn hashes_on(&self, level: u32) -> u64 {
        self.size.checked_shr(TILE_HEIGHT * level).unwrap_or(0)
    }

    /// The hashes of a tile, as far as the tree reaches.
    pub(super) fn read(&self, level: u32, index: u64) -> Result<Vec<TreeHash>, CheckpointError> {
        let behind = self.hashes_on(level).saturating_sub(index * TILE as u64);
        let width = behind.min(TILE as u64) as usize;
        let full = full_name(level, index);
        let partial = partial_name(level, index, width);
        let bytes = match width {
            TILE => self.files.read(&full)?,
            _ => match self.files.read(&partial)? {
                None => self.files.read(&full)?,
                bytes => bytes,
            },
        };
        let damaged = |reason: String| CheckpointError::Tiles {
            location: self.files.location(),
            reason,
        };
        let name = if width == TILE { full } else { partial };
        let bytes = bytes.ok_or_else(|| damaged(format!("`{name}` is missing")))?;
        let hashes: Vec<_> = bytes
            .chunks(TreeHash::BYTES)
            .take(width)
            .filter_map(TreeHash::from_slice)
            .collect();
        let is_whole = hashes.len() == width && bytes.len() % TreeHash::BYTES == 0;
        match is_whole {
            true => Ok(hashes),
            false => Err(damaged(format!("`{name}` is too short"))),
        }
    }

    /// The hash of a complete subtree, as [`tree`] asks for it.
    fn node(&mut self, level: u32, index: u64) -> Result<TreeHash, CheckpointError> {
        let (on, height) = (level / TILE_HEIGHT, level % TILE_HEIGHT);
        let first = index << height;
        let (tile, at) = (first / TILE as u64, (first % TILE as u64) as usize);
        if !self.tiles.contains_key(&(on, tile)) {
            let hashes = self.read(on, tile)?;
            self.tiles.insert((on, tile), hashes);
        }
        let hashes = self.tiles.get(&(on, tile)).map_or(&[][..], Vec::as_slice);
        let of_node = hashes.get(at..at + (1 << height));
        let of_node = of_node.ok_or_else(|| CheckpointError::Tiles {
            location: self.files.location(),
            reason: format!("tile {tile} on level {on} does not reach far enough"),
        })?;
        Ok(joined(of_node))
    }

    /// The root over the first leaves, at most those that the tiles were written for.
    pub(super) fn root(&mut self, size: u64) -> Result<TreeHash, CheckpointError> {
        tree::root(size, |level, index| self.node(level, index))
    }

    pub(super) fn inclusion(
        &mut self,
        index: u64,
        size: u64,
    ) -> Result<Vec<TreeHash>, CheckpointError> {
        tree::inclusion(index, size, |level, index| self.node(level, index))
    }

    pub(super) fn consistency(
        &mut self,
        old: u64,
        new: u64,
    ) -> Result<Vec<TreeHash>, CheckpointError> {
        tree::consistency(old, new, |level, index| self.node(level, index))
    }

    /// The right edge of the tree.
    pub(super) fn edge(&self) -> Result<Edge, CheckpointError> {
        let mut levels = Vec::new();
        for level in 0.. {
            let hashes = self.hashes_on(level);
            if hashes == 0 {
                break;
            }
            levels.push(match hashes % TILE as u64 {
                0 => Vec::new(),
                _ => self.read(level, hashes / TILE as u64)?,
            });
        }
        Ok(Edge::new(self.size, levels))
    }

    /// The index of the first leaf that has a hash, from a tile of level 0 on; none where there is none.
    pub(super) fn find(
        &self,
        leaf: &TreeHash,
        from_tile: u64,
    ) -> Result<Option<u64>, CheckpointError> {
        for tile in from_tile..self.size.div_ceil(TILE as u64) {
            if let Some(at) = self.find_in(leaf, tile)? {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// The index of the leaf that has a hash, in one tile of level 0.
    pub(super) fn find_in(
        &self,
        leaf: &TreeHash,
        tile: u64,
    ) -> Result<Option<u64>, CheckpointError> {
        let hashes = self.read(0, tile)?;
        let at = hashes.iter().position(|it| it == leaf);
        Ok(at.map(|at| tile * TILE as u64 + at as u64))
    }
}

/// Reads leaves one after the other.
pub(super) struct Leaves {
    reader: TileReader,
    tile: Option<(u64, Vec<TreeHash>)>,
}

impl Leaves {
    pub(super) fn new(reader: TileReader) -> Self {
        Self { reader, tile: None }
    }

    /// The leaf at an index, below the size that the tiles were written for.
    pub(super) fn at(&mut self, index: u64) -> Result<TreeHash, CheckpointError> {
        let (tile, at) = (index / TILE as u64, (index % TILE as u64) as usize);
        if self.tile.as_ref().is_none_or(|(it, _)| *it != tile) {
            self.tile = Some((tile, self.reader.read(0, tile)?));
        }
        let leaf = self.tile.as_ref().and_then(|(_, hashes)| hashes.get(at));
        leaf.copied().ok_or_else(|| CheckpointError::Tiles {
            location: self.reader.files.location(),
            reason: format!("tile {tile} of the leaves does not reach far enough"),
        })
    }
}
