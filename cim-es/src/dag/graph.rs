//! The graph itself: nodes and links, and how events become them.

use cid::Cid;
use futures_util::StreamExt;
use hashbrown::HashTable;
use petgraph::graph::{DiGraph, NodeIndex};
use serde::{Deserialize, Serialize};

use super::error::DagError;
use super::links::{links_in, object_links};
use super::names::{Aggregates, Texts, table};
use super::node::DagNode;
use super::payloads::Payloads;
use crate::block::{ShortCid, StoredEvent, accept_cid, verify_cid};
use crate::store::{Bookmark, EventStore, Selection};

/// What a link means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EdgeKind {
    /// To the event before in the history of its aggregate.
    Previous,
    /// To another event that caused it.
    Parent,
    /// From the payload of an event, or from an object, to what it names.
    Link,
}

/// What a graph is to hold beside events and their causes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DagOptions {
    pub(super) payloads: bool,
    pub(super) links: bool,
}

impl DagOptions {
    /// Events and their causes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Events are found by the CIDs of their payloads as well, for about 50 bytes an event.
    pub fn with_payloads(self) -> Self {
        Self {
            payloads: true,
            ..self
        }
    }

    /// The links that stand in payloads are held as well.
    pub fn with_links(self) -> Self {
        Self {
            links: true,
            ..self
        }
    }
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Something that is linked to, and known by its CID alone.
    Unknown,
    Event,
    Object,
}

/// A node: all that is known of an event but its payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) cid: ShortCid,
    pub(super) what: What,
    pub(super) event_type: u32,
    pub(super) aggregate: u32,
    pub(super) version: u64,
    pub(super) time: i64,
    pub(super) position: u64,
}

impl Node {
    fn unknown(cid: ShortCid) -> Self {
        Self {
            cid,
            what: What::Unknown,
            event_type: 0,
            aggregate: 0,
            version: 0,
            time: 0,
            position: 0,
        }
    }
}

/// The links alone, so that who walks along them passes over few bytes; what is known of a node stands beside it.
pub(super) type Graph = DiGraph<(), EdgeKind>;

/// The events of a store and their links, in memory; see the [module](super).
///
/// An event takes about 110 bytes, and an aggregate 50 and its id ([`memory`](Self::memory)).
#[derive(Clone, Debug, Default)]
pub struct EventDag {
    pub(super) graph: Graph,
    /// By their indices in the graph.
    nodes: Vec<Node>,
    by_cid: HashTable<u32>,
    pub(super) kinds: Texts,
    pub(super) types: Texts,
    pub(super) aggregates: Aggregates,
    pub(super) payloads: Option<Payloads>,
    has_links: bool,
    events: usize,
    pub(super) at: Bookmark,
}

/// No node.
pub(super) const NONE: u32 = u32::MAX;

impl EventDag {
    /// An empty graph.
    pub fn new(options: DagOptions) -> Self {
        Self {
            payloads: options.payloads.then(Payloads::default),
            has_links: options.links,
            ..Self::default()
        }
    }

    /// The graph of all events of a store.
    ///
    /// # Errors
    /// As [`catch_up`](Self::catch_up).
    pub async fn of<S: EventStore + ?Sized>(store: &S) -> Result<Self, DagError> {
        Self::with_options(store, DagOptions::new()).await
    }

    /// The graph of all events of a store, with more than the events.
    ///
    /// # Errors
    /// As [`catch_up`](Self::catch_up).
    pub async fn with_options<S: EventStore + ?Sized>(
        store: &S,
        options: DagOptions,
    ) -> Result<Self, DagError> {
        let mut dag = Self::new(options);
        dag.catch_up(store).await?;
        dag.shrink();
        Ok(dag)
    }

    /// Takes in what the store has behind the last event that the graph has. Gives how many events that were.
    ///
    /// # Errors
    /// [`DagError::Full`], and [`DagError::Store`]: what keeps the store from reading, and
    /// [`StoreError::AnotherHistory`](crate::store::StoreError::AnotherHistory) where it is another store than before.
    pub async fn catch_up<S: EventStore + ?Sized>(&mut self, store: &S) -> Result<u64, DagError> {
        let mut events = store.read(Selection::everything(), self.at);
        let mut taken = 0;
        while let Some(event) = events.next().await {
            taken += u64::from(self.insert(&event?)?);
        }
        Ok(taken)
    }

    /// Takes an event. Says whether it is new; one that is there already changes nothing.
    ///
    /// # Errors
    /// [`DagError::Full`]; the graph is then as it was, or has nodes for what the event links to.
    pub fn insert(&mut self, event: &StoredEvent) -> Result<bool, DagError> {
        let envelope = &event.envelope;
        let (cid, index) = self.node_or_unknown(&event.cid)?;
        if self.node(index).what == What::Event {
            return Ok(false);
        }
        let kind = self.kinds.number(&envelope.aggregate);
        let event_type = self.types.number(&envelope.event_type);
        let aggregate = self.aggregates.number(kind, &envelope.aggregate_id, NONE);
        if let Some(previous) = &envelope.previous {
            let cause = self.previous(aggregate, previous)?;
            self.link(index, cause, EdgeKind::Previous)?;
        }
        for parent in &envelope.parents {
            let (_, cause) = self.node_or_unknown(parent)?;
            self.link(index, cause, EdgeKind::Parent)?;
        }
        if self.has_links {
            self.link_all(index, &links_in(event.payload()))?;
        }
        if let Some(payloads) = &mut self.payloads {
            payloads.put(index.index(), &envelope.payload);
        }
        self.nodes[index.index()] = Node {
            cid,
            what: What::Event,
            event_type,
            aggregate,
            version: envelope.sequence,
            time: envelope.timestamp.as_micros(),
            position: event.position.0,
        };
        if let Some(aggregate) = self.aggregates.get_mut(aggregate) {
            aggregate.last = index.index() as u32;
        }
        self.events += 1;
        if event.position > self.at.position {
            self.at = event.bookmark();
        }
        Ok(true)
    }

    /// Takes an object and its links: a block of dag-cbor. Says whether it is new.
    ///
    /// # Errors
    /// [`DagError::NotTheObject`] for bytes that do not hash to the CID or are not dag-cbor, and [`DagError::Full`].
    pub fn add_object(&mut self, cid: &Cid, bytes: &[u8]) -> Result<bool, DagError> {
        let not_it = |reason: &str| DagError::NotTheObject {
            cid: Box::new(*cid),
            reason: reason.to_owned(),
        };
        accept_cid(*cid)?;
        if !verify_cid(cid, bytes) {
            return Err(not_it("the bytes do not hash to it"));
        }
        let links = object_links(bytes).ok_or_else(|| not_it("the bytes are not dag-cbor"))?;
        let (_, index) = self.node_or_unknown(cid)?;
        if self.node(index).what != What::Unknown {
            return Ok(false);
        }
        self.link_all(index, &links)?;
        self.nodes[index.index()].what = What::Object;
        Ok(true)
    }

    /// What has a CID: an event, an object, or something that is linked to and not here.
    ///
    /// # Errors
    /// [`DagError::NotThere`].
    pub fn get(&self, cid: &Cid) -> Result<DagNode<'_>, DagError> {
        let found = ShortCid::of(cid).and_then(|cid| self.find(&cid));
        match found {
            Some(index) => Ok(DagNode { dag: self, index }),
            None => Err(DagError::NotThere {
                cid: Box::new(*cid),
            }),
        }
    }

    /// All nodes, in the order in which they became known.
    pub fn nodes(&self) -> impl Iterator<Item = DagNode<'_>> {
        let indices = self.graph.node_indices();
        indices.map(|index| DagNode { dag: self, index })
    }

    /// The number of nodes: events, objects, and what is linked to and not here.
    pub fn len(&self) -> usize {
        self.graph.node_count()
    }

    /// Whether there is no node.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of events.
    pub fn events(&self) -> usize {
        self.events
    }

    /// The number of aggregates.
    pub fn aggregates(&self) -> usize {
        self.aggregates.len()
    }

    /// The number of links.
    pub fn edges(&self) -> usize {
        self.graph.edge_count()
    }

    /// The last event that was taken, in the order of the store: where a reader goes on.
    pub fn bookmark(&self) -> Bookmark {
        self.at
    }

    /// How many bytes the graph holds, with the room that it keeps free.
    pub fn memory(&self) -> usize {
        const LISTS: usize = 2 * size_of::<u32>();
        let (nodes, edges) = self.graph.capacity();
        let graph = nodes * LISTS
            + edges * (2 * LISTS + size_of::<EdgeKind>().next_multiple_of(size_of::<u32>()));
        let known = self.nodes.capacity() * size_of::<Node>();
        let names = self.kinds.bytes() + self.types.bytes() + self.aggregates.bytes();
        let payloads = self.payloads.as_ref().map_or(0, Payloads::bytes);
        size_of::<Self>() + graph + known + table(&self.by_cid) + names + payloads
    }

    /// Gives back the room that is kept free for further events.
    pub fn shrink(&mut self) {
        self.graph.shrink_to_fit();
        self.nodes.shrink_to_fit();
        self.aggregates.shrink();
        let nodes = &self.nodes;
        self.by_cid.shrink_to_fit(|index| hash_at(nodes, *index));
    }

    pub(super) fn node(&self, index: NodeIndex) -> &Node {
        &self.nodes[index.index()]
    }

    fn find(&self, cid: &ShortCid) -> Option<NodeIndex> {
        let is_it = |index: &u32| self.node(NodeIndex::from(*index)).cid == *cid;
        let found = self.by_cid.find(hash(cid), is_it);
        found.map(|index| NodeIndex::from(*index))
    }

    /// The node of a CID, made where there is none.
    fn node_or_unknown(&mut self, cid: &Cid) -> Result<(ShortCid, NodeIndex), DagError> {
        let short = match ShortCid::of(cid) {
            Some(short) => short,
            None => {
                accept_cid(*cid)?;
                return Err(DagError::NotThere {
                    cid: Box::new(*cid),
                });
            }
        };
        if let Some(index) = self.find(&short) {
            return Ok((short, index));
        }
        let added = self.graph.try_add_node(());
        let index = added.map_err(|_| DagError::Full)?;
        self.nodes.push(Node::unknown(short));
        let nodes = &self.nodes;
        let rehash = |index: &u32| hash_at(nodes, *index);
        let number = index.index() as u32;
        self.by_cid.insert_unique(hash(&short), number, rehash);
        Ok((short, index))
    }

    /// The node before one of an aggregate, which mostly is the last one that was taken.
    fn previous(&mut self, aggregate: u32, previous: &Cid) -> Result<NodeIndex, DagError> {
        let last = self.aggregates.get(aggregate).map(|it| it.last);
        if let Some(last) = last.filter(|last| *last != NONE) {
            let index = NodeIndex::from(last);
            if Some(self.node(index).cid) == ShortCid::of(previous) {
                return Ok(index);
            }
        }
        self.node_or_unknown(previous).map(|(_, index)| index)
    }

    fn link(&mut self, from: NodeIndex, to: NodeIndex, kind: EdgeKind) -> Result<(), DagError> {
        let added = self.graph.try_add_edge(from, to, kind);
        added.map(drop).map_err(|_| DagError::Full)
    }

    fn link_all(&mut self, from: NodeIndex, links: &[Cid]) -> Result<(), DagError> {
        for link in links {
            let (_, to) = self.node_or_unknown(link)?;
            self.link(from, to, EdgeKind::Link)?;
        }
        Ok(())
    }
}

/// A digest is spread evenly already.
fn hash(cid: &ShortCid) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&cid.digest()[..8]);
    u64::from_le_bytes(first)
}

fn hash_at(nodes: &[Node], index: u32) -> u64 {
    hash(&nodes[index as usize].cid)
}
