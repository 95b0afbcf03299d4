//! Whether events are those that a checkpoint covers, seen one after the other.

use super::edge::Edge;
use super::{Checkpoint, TreeHash};
use crate::block::Cid;

/// Events from the first of a store on, as many as a checkpoint covers.
pub(crate) struct Cover {
    size: u64,
    root: TreeHash,
    edge: Edge,
}

impl Cover {
    pub(crate) fn of(checkpoint: &Checkpoint) -> Self {
        Self {
            size: checkpoint.size(),
            root: checkpoint.root(),
            edge: Edge::default(),
        }
    }

    /// How many events the checkpoint covers.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The next event of the store; those behind the checkpoint change nothing.
    pub(crate) fn add(&mut self, event: &Cid) {
        if self.edge.size() < self.size {
            self.edge.push(TreeHash::of_event(event));
        }
    }

    /// Whether the events that were added are all that it covers.
    pub(crate) fn is_covered(&self) -> bool {
        self.edge.size() == self.size && self.edge.root() == self.root
    }
}
