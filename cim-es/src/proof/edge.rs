//! The right edge of a growing tree: all that is needed to add leaves and to know the root.

use super::TreeHash;

/// How many hashes a full tile holds.
pub(super) const TILE: usize = 256;
/// As many levels of a tree as one of tiles spans.
pub(super) const TILE_HEIGHT: u32 = 8;

/// A tile: hashes of one level of tiles, full or as far as the tree reaches.
pub(super) struct Tile {
    pub(super) level: u32,
    pub(super) index: u64,
    pub(super) hashes: Vec<TreeHash>,
}

/// The tiles at the right edge that are not full, by level.
#[derive(Clone, Default)]
pub(super) struct Edge {
    levels: Vec<Vec<TreeHash>>,
    size: u64,
}

impl Edge {
    /// The edge of a tree whose last tiles, from level 0 up, hold these hashes.
    pub(super) fn new(size: u64, levels: Vec<Vec<TreeHash>>) -> Self {
        Self { levels, size }
    }

    /// How many leaves the tree has.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Forgets the leaves of the last tile, if it is not full: the tree then ends at a full one.
    pub(super) fn back_to_full_tile(&mut self) {
        if let Some(leaves) = self.levels.first_mut() {
            self.size -= leaves.len() as u64;
            leaves.clear();
        }
    }

    /// Adds a leaf; gives the tiles that became full by it.
    pub(super) fn push(&mut self, leaf: TreeHash) -> Vec<Tile> {
        self.size += 1;
        let mut full = Vec::new();
        let mut hash = leaf;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let hashes = &mut self.levels[level];
            hashes.push(hash);
            if hashes.len() < TILE {
                break;
            }
            let hashes = std::mem::take(hashes);
            hash = joined(&hashes);
            let level = level as u32;
            let index = (self.size >> (TILE_HEIGHT * (level + 1))) - 1;
            full.push(Tile {
                level,
                index,
                hashes,
            });
        }
        full
    }

    /// The tiles that are not full.
    pub(super) fn partial_tiles(&self) -> Vec<Tile> {
        let tile = |(level, hashes): (usize, &Vec<TreeHash>)| Tile {
            level: level as u32,
            index: self.size >> (TILE_HEIGHT * (level as u32 + 1)),
            hashes: hashes.clone(),
        };
        let levels = self.levels.iter().enumerate();
        levels
            .filter(|(_, hashes)| !hashes.is_empty())
            .map(tile)
            .collect()
    }

    /// The root of the tree.
    pub(super) fn root(&self) -> TreeHash {
        let mut right = None;
        for hashes in &self.levels {
            let mut hashes = hashes.clone();
            hashes.extend(right);
            right = (!hashes.is_empty()).then(|| joined(&hashes));
        }
        right.unwrap_or_else(TreeHash::empty)
    }
}

/// The hash over neighbours of one level; the last of them may be over fewer leaves than the others, because a tree
/// parts its leaves as it parts their number.
pub(super) fn joined(hashes: &[TreeHash]) -> TreeHash {
    let mut level = hashes.to_vec();
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => TreeHash::above(left, right),
                one => one[0],
            })
            .collect();
    }
    level.first().copied().unwrap_or_else(TreeHash::empty)
}
