//! What happened because of what: events and their links as a graph that can be walked.
//!
//! Every event links to the one before it in its history, and to the events that caused it
//! ([`Envelope::parents`](crate::block::Envelope::parents)). An [`EventDag`] has these links in memory, without the payloads, and
//! answers what an event depends on, what depends on it, and how one led to another. It is built from any store, and
//! [`LiveDag`] keeps it current.
//!
//! ```
//! # use cim_es::prelude::*;
//! # use cim_es::aggregate::IdText;
//! # use cim_es::message::{Clock, SystemClock};
//! # use cim_es::store::{AggregateKey, CommitRequest, EventStore, ExpectedVersion, NewEvent};
//! use cim_es::dag::EventDag;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let store = MemoryEventStore::new();
//! # let key = AggregateKey::new("home.lamp", IdText::new("hall")?);
//! # let event = || NewEvent::from_payload("home.lamp.switched", 1, vec![0xa0]);
//! # let commit = CommitRequest::new(MessageIdentity::new_from_user("me"), SystemClock.now())
//! #     .aggregate(key, ExpectedVersion::Any, vec![event(), event()]);
//! # let stored = store.append(commit).await?;
//! # let (first, last) = (stored[0].cid, stored[1].cid);
//! let dag = EventDag::of(&store).await?;
//! let causes: Vec<_> = dag.get(&last)?.ancestors().map(|node| node.cid()).collect();
//! assert_eq!(causes, [first]);
//! println!("{}", dag.drawing([&first, &last])?.dot());
//! # Ok(())
//! # }
//! ```
//!
//! Links lead from an event to what it follows. What the links name and the store does not have, such as a cause in another
//! store, is a node too, known by its CID alone. Objects are nodes once they are [added](EventDag::add_object), and then
//! [their links](DagNode::links) are walked in both directions.

mod error;
mod export;
mod graph;
mod links;
mod live;
mod names;
mod near;
mod node;
mod payloads;
mod query;
mod walk;

pub use error::DagError;
pub use export::{Drawing, DrawnAggregate, DrawnEdge, DrawnEvent, DrawnNode};
pub use graph::{DagOptions, EdgeKind, EventDag};
pub use live::{EventUpdate, EventUpdates, LiveDag};
pub use node::{DagEvent, DagNode};
pub use query::PathStep;
pub use walk::Walk;
