//! The shape of the tree: which hashes make a root and a proof, and what a proof leads to (RFC 6962, section 2.1;
//! the checks are those of RFC 9162).
//!
//! A function that needs hashes asks for those of complete subtrees: `node(level, index)` is the one over the leaves
//! from `index << level` on, `1 << level` of them.

use super::TreeHash;

/// More hashes are in no proof: a tree has at most 64 levels, and a consistency proof one hash more.
pub(super) const LONGEST_PATH: usize = 65;

/// How many leaves of several are on the left: the largest power of two below their number.
fn left_of(leaves: u64) -> u64 {
    1 << (leaves - 1).ilog2()
}

/// The hash over the leaves from `start` to `end`, which are a subtree or the right end of one.
fn over<E>(
    start: u64,
    end: u64,
    node: &mut impl FnMut(u32, u64) -> Result<TreeHash, E>,
) -> Result<TreeHash, E> {
    let mut parts = Vec::new();
    let mut at = start;
    while at < end {
        let level = (end - at).ilog2();
        parts.push(node(level, at >> level)?);
        at += 1 << level;
    }
    let joined = parts
        .into_iter()
        .rev()
        .reduce(|right, left| TreeHash::above(&left, &right));
    Ok(joined.unwrap_or_else(TreeHash::empty))
}

/// The root of the tree over so many leaves.
pub(super) fn root<E>(
    size: u64,
    mut node: impl FnMut(u32, u64) -> Result<TreeHash, E>,
) -> Result<TreeHash, E> {
    over(0, size, &mut node)
}

/// The hashes that lead from a leaf to the root of a tree, from the leaf's sibling up.
pub(super) fn inclusion<E>(
    index: u64,
    size: u64,
    mut node: impl FnMut(u32, u64) -> Result<TreeHash, E>,
) -> Result<Vec<TreeHash>, E> {
    let mut ranges = Vec::new();
    let (mut start, mut end) = (0, size);
    while end - start > 1 {
        let middle = start + left_of(end - start);
        if index < middle {
            ranges.push((middle, end));
            end = middle;
        } else {
            ranges.push((start, middle));
            start = middle;
        }
    }
    let hash = |(start, end): (u64, u64)| over(start, end, &mut node);
    ranges.into_iter().rev().map(hash).collect()
}

/// The hashes that lead from the root of a tree to that of a larger one.
pub(super) fn consistency<E>(
    old: u64,
    new: u64,
    mut node: impl FnMut(u32, u64) -> Result<TreeHash, E>,
) -> Result<Vec<TreeHash>, E> {
    let mut ranges = Vec::new();
    let (mut start, mut end) = (0, new);
    if old == 0 || old >= new {
        return Ok(Vec::new());
    }
    while old < end {
        let middle = start + left_of(end - start);
        if old <= middle {
            ranges.push((middle, end));
            end = middle;
        } else {
            ranges.push((start, middle));
            start = middle;
        }
    }
    // Who checks knows the old root: it is not repeated.
    if start > 0 {
        ranges.push((start, end));
    }
    let hash = |(start, end): (u64, u64)| over(start, end, &mut node);
    ranges.into_iter().rev().map(hash).collect()
}

/// The place of a node on its level, and that of the last one there, on the way up.
struct Climb {
    node: u64,
    last: u64,
}

impl Climb {
    fn up(&mut self) {
        self.node >>= 1;
        self.last >>= 1;
    }

    /// Whether the sibling is on the left; then passes the levels where the node has none.
    fn is_right(&mut self) -> bool {
        if self.node & 1 == 0 && self.node != self.last {
            return false;
        }
        while self.node & 1 == 0 && self.node != 0 {
            self.up();
        }
        true
    }
}

/// Whether a path leads from a leaf to a root.
pub(super) fn is_included(
    leaf: &TreeHash,
    index: u64,
    path: &[TreeHash],
    size: u64,
    root: &TreeHash,
) -> bool {
    if index >= size {
        return false;
    }
    let mut climb = Climb {
        node: index,
        last: size - 1,
    };
    let mut hash = *leaf;
    for sibling in path {
        if climb.last == 0 {
            return false;
        }
        hash = match climb.is_right() {
            true => TreeHash::above(sibling, &hash),
            false => TreeHash::above(&hash, sibling),
        };
        climb.up();
    }
    climb.last == 0 && hash == *root
}

/// Whether a path leads from the root of a tree to that of one that begins with the same leaves.
pub(super) fn is_consistent(
    (old, old_root): (u64, &TreeHash),
    (new, new_root): (u64, &TreeHash),
    path: &[TreeHash],
) -> bool {
    if old > new {
        return false;
    }
    if old == new {
        return path.is_empty() && old_root == new_root;
    }
    if old == 0 {
        return path.is_empty() && *old_root == TreeHash::empty();
    }
    let mut climb = Climb {
        node: old - 1,
        last: new - 1,
    };
    while climb.node & 1 == 1 {
        climb.up();
    }
    let (first, rest) = match (old.is_power_of_two(), path) {
        (_, []) => return false,
        (true, path) => (old_root, path),
        (false, [first, rest @ ..]) => (first, rest),
    };
    let (mut old_hash, mut new_hash) = (*first, *first);
    for sibling in rest {
        if climb.last == 0 {
            return false;
        }
        if climb.is_right() {
            old_hash = TreeHash::above(sibling, &old_hash);
            new_hash = TreeHash::above(sibling, &new_hash);
        } else {
            new_hash = TreeHash::above(&new_hash, sibling);
        }
        climb.up();
    }
    climb.last == 0 && old_hash == *old_root && new_hash == *new_root
}
