//! One node, and what is next to it.

use std::fmt;

use cid::Cid;
use petgraph::Direction;
use petgraph::graph::NodeIndex;
use petgraph::visit::EdgeRef;

use super::graph::{EdgeKind, EventDag, Node, What};
use super::walk::Walk;
use crate::block::Position;
use crate::domain::message::Timestamp;

/// A node of the graph: an event, an object, or something that is linked to and not here.
#[derive(Clone, Copy)]
pub struct DagNode<'a> {
    pub(super) dag: &'a EventDag,
    pub(super) index: NodeIndex,
}

/// What the graph knows of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DagEvent<'a> {
    /// The type, which is the public subject.
    pub event_type: &'a str,
    /// `<domain>.<name>` of the aggregate's kind.
    pub kind: &'a str,
    /// The aggregate's id.
    pub id: &'a str,
    /// The version of the aggregate after the event.
    pub version: u64,
    /// When it happened.
    pub time: Timestamp,
    /// The place in the store's order of all events.
    pub position: Position,
}

impl<'a> DagNode<'a> {
    fn node(&self) -> &'a Node {
        self.dag.node(self.index)
    }

    /// The CID.
    pub fn cid(&self) -> Cid {
        self.node().cid.cid()
    }

    /// What is known of the event; none for what is none, or is not here.
    pub fn event(&self) -> Option<DagEvent<'a>> {
        let (dag, node) = (self.dag, self.node());
        let aggregate = dag.aggregates.get(node.aggregate)?;
        (node.what == What::Event).then(|| DagEvent {
            event_type: dag.types.text(node.event_type),
            kind: dag.kinds.text(aggregate.kind),
            id: &aggregate.id,
            version: node.version,
            time: Timestamp::from_micros(node.time),
            position: Position(node.position),
        })
    }

    /// Whether it is an object that was added.
    pub fn is_object(&self) -> bool {
        self.node().what == What::Object
    }

    /// Whether it is here: not only linked to, as an event of another store is.
    pub fn is_known(&self) -> bool {
        self.node().what != What::Unknown
    }

    /// What it follows directly, with the kind of the link.
    pub fn causes(&self) -> impl Iterator<Item = (EdgeKind, DagNode<'a>)> + use<'a> {
        self.next_to(Direction::Outgoing, is_causal)
    }

    /// What follows it directly, with the kind of the link.
    pub fn effects(&self) -> impl Iterator<Item = (EdgeKind, DagNode<'a>)> + use<'a> {
        self.next_to(Direction::Incoming, is_causal)
    }

    /// What its payload names, or the object.
    pub fn links(&self) -> impl Iterator<Item = DagNode<'a>> + use<'a> {
        let links = self.next_to(Direction::Outgoing, |kind| kind == EdgeKind::Link);
        links.map(|(_, node)| node)
    }

    /// The events and objects that name it.
    pub fn linked_from(&self) -> impl Iterator<Item = DagNode<'a>> + use<'a> {
        let links = self.next_to(Direction::Incoming, |kind| kind == EdgeKind::Link);
        links.map(|(_, node)| node)
    }

    /// All that it depends on, nearest first, each once and without itself.
    pub fn ancestors(&self) -> Walk<'a> {
        Walk::new(*self, Direction::Outgoing)
    }

    /// All that depends on it, nearest first, each once and without itself.
    pub fn descendants(&self) -> Walk<'a> {
        Walk::new(*self, Direction::Incoming)
    }

    /// Those next to it by links of some kinds, in the order in which the links became known.
    fn next_to(
        &self,
        direction: Direction,
        is_wanted: fn(EdgeKind) -> bool,
    ) -> impl Iterator<Item = (EdgeKind, DagNode<'a>)> + use<'a> {
        let dag = self.dag;
        let edges = dag.graph.edges_directed(self.index, direction);
        let mut found: Vec<_> = edges
            .filter(|edge| is_wanted(*edge.weight()))
            .map(|edge| {
                let index = match direction {
                    Direction::Outgoing => edge.target(),
                    Direction::Incoming => edge.source(),
                };
                (*edge.weight(), DagNode { dag, index })
            })
            .collect();
        // petgraph gives the newest first.
        found.reverse();
        found.into_iter()
    }
}

/// Whether a link says that one event follows another.
pub(super) fn is_causal(kind: EdgeKind) -> bool {
    kind != EdgeKind::Link
}

impl PartialEq for DagNode<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.dag, other.dag) && self.index == other.index
    }
}

impl Eq for DagNode<'_> {}

impl fmt::Debug for DagNode<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DagNode")
            .field("cid", &self.cid().to_string())
            .field("event", &self.event())
            .finish()
    }
}
