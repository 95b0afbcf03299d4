//! What can go wrong with a graph of events.

use cid::Cid;

use crate::block::CidError;
use crate::store::StoreError;

/// What can go wrong with a graph of events.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DagError {
    /// Nothing in the graph has the CID, or links to it.
    #[error(
        "{cid} is not in the graph: bring the graph up to the event first, or look for it in another store"
    )]
    NotThere {
        /// The CID.
        cid: Box<Cid>,
    },
    /// The graph has as many nodes or links as it can hold.
    #[error("the graph is full: it holds 4,294,967,294 nodes and as many links")]
    Full,
    /// The bytes of an object do not hash to its CID, or are not dag-cbor.
    #[error("{cid} is not the object's: {reason}")]
    NotTheObject {
        /// The CID.
        cid: Box<Cid>,
        /// What is wrong.
        reason: String,
    },
    /// What is given as a CID is none of this library.
    #[error("what is given as the CID of a node is none of this library")]
    Cid(#[from] CidError),
    /// The store from which the graph is built.
    #[error(transparent)]
    Store(#[from] StoreError),
}
