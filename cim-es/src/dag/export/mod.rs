//! A part of the graph, drawn for other tools.

mod dot;
mod mermaid;

use std::collections::HashMap;

use cid::Cid;
use petgraph::graph::NodeIndex;
use petgraph::visit::EdgeRef;
use serde::{Serialize, Serializer};

use super::error::DagError;
use super::graph::{EdgeKind, EventDag};
use super::node::DagNode;
use crate::block::Position;
use crate::domain::message::Timestamp;

/// A part of the graph: some nodes, and the links between them.
///
/// It is drawn by Graphviz ([`dot`](Self::dot)) and Mermaid ([`mermaid`](Self::mermaid)), and serde writes it, as the JSON of
/// [`json`](Self::json):
///
/// ```json
/// {"nodes": [{"cid": "bafy…", "what": "event", "type": "home.lamp.switched", "subject": "home.lamp.switched",
///             "aggregate": {"kind": "home.lamp", "id": "hall"}, "version": 2, "time": "2026-03-01T08:00:00.000000Z",
///             "position": 7},
///            {"cid": "bafy…", "what": "unknown"}],
///  "edges": [{"from": "bafy…", "to": "bafy…", "kind": "previous"}]}
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Drawing {
    /// The nodes, in the order in which they were given.
    pub nodes: Vec<DrawnNode>,
    /// The links, each from what holds it.
    pub edges: Vec<DrawnEdge>,
}

/// A node of a drawing.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DrawnNode {
    /// The CID, in JSON as a text.
    #[serde(serialize_with = "as_text")]
    pub cid: Cid,
    /// `event`, `object`, or `unknown` for what is linked to and not here.
    pub what: &'static str,
    /// What is known of an event.
    #[serde(flatten)]
    pub event: Option<DrawnEvent>,
}

/// An event of a drawing.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DrawnEvent {
    /// The type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The public subject, which is the same.
    pub subject: String,
    /// Whose event it is.
    pub aggregate: DrawnAggregate,
    /// The version of the aggregate after it.
    pub version: u64,
    /// When it happened, in JSON as a text.
    #[serde(serialize_with = "as_text")]
    pub time: Timestamp,
    /// The place in the store.
    pub position: Position,
}

/// An aggregate of a drawing.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DrawnAggregate {
    /// `<domain>.<name>` of the kind.
    pub kind: String,
    /// The id.
    pub id: String,
}

/// A link of a drawing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DrawnEdge {
    /// What holds the link: the later event.
    #[serde(serialize_with = "as_text")]
    pub from: Cid,
    /// What it leads to: the earlier event, or what a payload names.
    #[serde(serialize_with = "as_text")]
    pub to: Cid,
    /// What the link means.
    pub kind: EdgeKind,
}

fn as_text<T: ToString, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&value.to_string())
}

impl EventDag {
    /// Some nodes and the links between them, to be drawn; a node that is given twice is drawn once.
    ///
    /// # Errors
    /// [`DagError::NotThere`].
    pub fn drawing<'c>(
        &self,
        nodes: impl IntoIterator<Item = &'c Cid>,
    ) -> Result<Drawing, DagError> {
        let mut indices = self.indices(nodes)?;
        let mut places = HashMap::new();
        indices.retain(|index| places.insert(*index, ()).is_none());
        let edges = |index: &NodeIndex| {
            let mut edges: Vec<_> = self
                .graph
                .edges(*index)
                .filter(|edge| places.contains_key(&edge.target()))
                .map(|edge| DrawnEdge {
                    from: self.node(edge.source()).cid.cid(),
                    to: self.node(edge.target()).cid.cid(),
                    kind: *edge.weight(),
                })
                .collect();
            edges.reverse();
            edges
        };
        Ok(Drawing {
            edges: indices.iter().flat_map(edges).collect(),
            nodes: indices
                .iter()
                .map(|index| {
                    drawn(DagNode {
                        dag: self,
                        index: *index,
                    })
                })
                .collect(),
        })
    }
}

fn drawn(node: DagNode<'_>) -> DrawnNode {
    let event = node.event().map(|event| DrawnEvent {
        event_type: event.event_type.to_owned(),
        subject: event.event_type.to_owned(),
        aggregate: DrawnAggregate {
            kind: event.kind.to_owned(),
            id: event.id.to_owned(),
        },
        version: event.version,
        time: event.time,
        position: event.position,
    });
    DrawnNode {
        cid: node.cid(),
        what: match (&event, node.is_object()) {
            (Some(_), _) => "event",
            (None, true) => "object",
            (None, false) => "unknown",
        },
        event,
    }
}

/// The lines that a node is labelled with.
fn lines(node: &DrawnNode) -> Vec<String> {
    let cid = node.cid.to_string();
    // The end differs where the beginning is the same for all.
    let short = format!("…{}", &cid[cid.len().saturating_sub(8)..]);
    match &node.event {
        Some(event) => vec![
            event.event_type.clone(),
            format!(
                "{} {} v{}",
                event.aggregate.kind, event.aggregate.id, event.version
            ),
            event.time.to_string(),
            short,
        ],
        None => vec![node.what.to_owned(), short],
    }
}

/// The numbers of the nodes by their CIDs.
fn numbers(nodes: &[DrawnNode]) -> HashMap<Cid, usize> {
    let numbered = nodes.iter().enumerate();
    numbered.map(|(number, node)| (node.cid, number)).collect()
}

impl Drawing {
    /// As JSON, in one line.
    pub fn json(&self) -> String {
        // There are no keys but texts, and nothing that JSON does not have.
        serde_json::to_string(self).unwrap_or_default()
    }
}
