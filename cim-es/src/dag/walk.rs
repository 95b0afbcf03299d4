//! Walking from a node along causes or effects, without recursion.

use std::collections::VecDeque;

use petgraph::Direction;
use petgraph::graph::NodeIndex;
use petgraph::visit::{EdgeRef, VisitMap, Visitable};

use super::graph::EventDag;
use super::node::{DagNode, is_causal};

/// The nodes that can be reached from one, those that are fewer links away first. It looks no further than it is asked.
///
/// ```
/// # use cim_es::dag::{DagError, EventDag};
/// # use cim_es::block::Cid;
/// /// What an event depends on, three links far, and no more than a hundred of it.
/// fn near(dag: &EventDag, event: &Cid) -> Result<Vec<Cid>, DagError> {
///     let near = dag.get(event)?.ancestors().within(3).take(100);
///     Ok(near.map(|node| node.cid()).collect())
/// }
/// ```
#[must_use = "it walks as it is asked"]
pub struct Walk<'a> {
    dag: &'a EventDag,
    direction: Direction,
    seen: <super::graph::Graph as Visitable>::Map,
    /// What was found, and how many links away.
    found: VecDeque<(NodeIndex, u32)>,
    most: u32,
}

impl<'a> Walk<'a> {
    pub(super) fn new(start: DagNode<'a>, direction: Direction) -> Self {
        let mut walk = Self {
            dag: start.dag,
            direction,
            seen: start.dag.graph.visit_map(),
            found: VecDeque::new(),
            most: u32::MAX,
        };
        walk.seen.visit(start.index);
        walk.look(start.index, 0);
        walk
    }

    /// No further than so many links.
    pub fn within(mut self, links: u32) -> Self {
        self.most = links;
        self
    }

    fn look(&mut self, index: NodeIndex, away: u32) {
        for edge in self.dag.graph.edges_directed(index, self.direction) {
            let next = match self.direction {
                Direction::Outgoing => edge.target(),
                Direction::Incoming => edge.source(),
            };
            if is_causal(*edge.weight()) && self.seen.visit(next) {
                self.found.push_back((next, away + 1));
            }
        }
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = DagNode<'a>;

    fn next(&mut self) -> Option<DagNode<'a>> {
        let (index, away) = self.found.pop_front()?;
        if away > self.most {
            // All that is left is as far or further.
            self.found.clear();
            return None;
        }
        if away < self.most {
            self.look(index, away);
        }
        Some(DagNode {
            dag: self.dag,
            index,
        })
    }
}

impl std::fmt::Debug for Walk<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Walk").finish_non_exhaustive()
    }
}
