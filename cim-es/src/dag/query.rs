//! Questions about several events at once.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};

use cid::Cid;
use petgraph::Direction;
use petgraph::graph::NodeIndex;
use petgraph::visit::EdgeRef;

use super::error::DagError;
use super::graph::{EdgeKind, EventDag, What};
use super::node::{DagNode, is_causal};

/// A step from a cause to what followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathStep<'a> {
    /// By which link it follows the step before; none for the first.
    pub edge: Option<EdgeKind>,
    /// What follows.
    pub node: DagNode<'a>,
}

impl EventDag {
    /// Some events and all that they depend on, causes before what followed from them.
    ///
    /// # Errors
    /// [`DagError::NotThere`].
    pub fn causal_closure<'c>(
        &self,
        events: impl IntoIterator<Item = &'c Cid>,
    ) -> Result<Vec<DagNode<'_>>, DagError> {
        let start = self.indices(events)?;
        Ok(self.in_order(self.closure(start)))
    }

    /// What two events both depend on, or one of them is and the other depends on; causes before what followed from them.
    /// Of it, [`frontier_of`](Self::frontier_of) gives what is nearest to both.
    ///
    /// # Errors
    /// [`DagError::NotThere`].
    pub fn common_ancestors(&self, one: &Cid, other: &Cid) -> Result<Vec<DagNode<'_>>, DagError> {
        let (one, other) = (self.get(one)?.index, self.get(other)?.index);
        let ours = self.closure(vec![one]);
        let theirs = self.closure(vec![other]);
        let both = ours.intersection(&theirs).copied().collect();
        Ok(self.in_order(both))
    }

    /// The events that nothing follows, in the order in which they became known.
    pub fn frontier(&self) -> impl Iterator<Item = DagNode<'_>> {
        let is_last = |index: &NodeIndex| {
            let mut effects = self.graph.edges_directed(*index, Direction::Incoming);
            self.node(*index).what == What::Event && !effects.any(|edge| is_causal(*edge.weight()))
        };
        let indices = self.graph.node_indices().filter(is_last);
        indices.map(|index| DagNode { dag: self, index })
    }

    /// Of some events, those that no other of them depends on.
    ///
    /// # Errors
    /// [`DagError::NotThere`].
    pub fn frontier_of<'c>(
        &self,
        events: impl IntoIterator<Item = &'c Cid>,
    ) -> Result<Vec<DagNode<'_>>, DagError> {
        let given = self.indices(events)?;
        let causes = given.iter().flat_map(|index| self.causes_of(*index));
        let before = self.closure(causes.map(|(cause, _)| cause).collect());
        let mut last: Vec<_> = given
            .into_iter()
            .filter(|it| !before.contains(it))
            .collect();
        last.sort_unstable();
        last.dedup();
        Ok(last
            .into_iter()
            .map(|index| DagNode { dag: self, index })
            .collect())
    }

    /// How one event led to another: a shortest chain of links, from the cause on. None where it did not.
    ///
    /// # Errors
    /// [`DagError::NotThere`].
    pub fn path(&self, cause: &Cid, effect: &Cid) -> Result<Option<Vec<PathStep<'_>>>, DagError> {
        let (cause, effect) = (self.get(cause)?.index, self.get(effect)?.index);
        // From each event that was met, the one that it led to.
        let mut led_to: HashMap<NodeIndex, Option<(NodeIndex, EdgeKind)>> = HashMap::new();
        led_to.insert(effect, None);
        let mut found = VecDeque::from([effect]);
        while let Some(index) = found.pop_front() {
            if index == cause {
                break;
            }
            for (before, kind) in self.causes_of(index) {
                led_to.entry(before).or_insert_with(|| {
                    found.push_back(before);
                    Some((index, kind))
                });
            }
        }
        if !led_to.contains_key(&cause) {
            return Ok(None);
        }
        let (mut at, mut edge) = (cause, None);
        let mut path = Vec::new();
        loop {
            let node = DagNode {
                dag: self,
                index: at,
            };
            path.push(PathStep { edge, node });
            match led_to.get(&at).copied().flatten() {
                Some((next, kind)) => (at, edge) = (next, Some(kind)),
                None => return Ok(Some(path)),
            }
        }
    }

    /// The events with a payload, the newest first: equal events have the same payload CID. Empty where the graph does not
    /// hold payload CIDs ([`DagOptions::with_payloads`](super::DagOptions::with_payloads)).
    pub fn with_payload(&self, payload: &Cid) -> impl Iterator<Item = DagNode<'_>> {
        let payloads = self.payloads.iter();
        let nodes = payloads.flat_map(|payloads| payloads.nodes(payload));
        nodes.map(|index| DagNode {
            dag: self,
            index: NodeIndex::from(index),
        })
    }

    pub(super) fn indices<'c>(
        &self,
        cids: impl IntoIterator<Item = &'c Cid>,
    ) -> Result<Vec<NodeIndex>, DagError> {
        let indices = cids
            .into_iter()
            .map(|cid| self.get(cid).map(|node| node.index));
        indices.collect()
    }

    fn causes_of(&self, index: NodeIndex) -> impl Iterator<Item = (NodeIndex, EdgeKind)> + '_ {
        let edges = self.graph.edges_directed(index, Direction::Outgoing);
        let causal = edges.filter(|edge| is_causal(*edge.weight()));
        causal.map(|edge| (edge.target(), *edge.weight()))
    }

    /// Some nodes and all that they depend on.
    fn closure(&self, start: Vec<NodeIndex>) -> HashSet<NodeIndex> {
        let mut closure: HashSet<_> = start.iter().copied().collect();
        let mut found = start;
        while let Some(index) = found.pop() {
            for (cause, _) in self.causes_of(index) {
                if closure.insert(cause) {
                    found.push(cause);
                }
            }
        }
        closure
    }

    /// Nodes in an order in which causes come first; those that could come at the same place, in the order in which they
    /// became known.
    fn in_order(&self, nodes: HashSet<NodeIndex>) -> Vec<DagNode<'_>> {
        let mut waits: HashMap<NodeIndex, usize> = HashMap::with_capacity(nodes.len());
        for index in &nodes {
            let causes = self.causes_of(*index);
            let of_them = causes.filter(|(cause, _)| nodes.contains(cause));
            waits.insert(*index, of_them.count());
        }
        let ready = waits.iter().filter(|(_, causes)| **causes == 0);
        let mut ready: BinaryHeap<_> = ready.map(|(index, _)| Reverse(*index)).collect();
        let mut order = Vec::with_capacity(nodes.len());
        while let Some(Reverse(index)) = ready.pop() {
            order.push(DagNode { dag: self, index });
            for edge in self.graph.edges_directed(index, Direction::Incoming) {
                if is_causal(*edge.weight())
                    && let Some(causes) = waits.get_mut(&edge.source())
                {
                    *causes -= 1;
                    if *causes == 0 {
                        ready.push(Reverse(edge.source()));
                    }
                }
            }
        }
        order
    }
}
