//! Blocks: bytes that are named by their own digest, so that what is stored can be proved.
//!
//! The body of an event is one dag-cbor array `[envelope, payload]`. The two elements are blocks of their own: the
//! payload hashes to the payload CID; the envelope holds that CID as a link and hashes to the event CID.

pub(crate) mod canonical;
mod chain;
mod cid;
mod commit_part;
mod content;
mod envelope;
pub(crate) mod envelope_block;
mod head;
mod history;
mod json;
mod json_read;
mod key;
pub(crate) mod payload;
#[cfg(test)]
mod properties;
pub(crate) mod reader;
mod stored;
mod verdict;
mod whole_commit;
pub(crate) mod writer;

#[cfg(any(feature = "car", feature = "proof"))]
pub(crate) use self::cid::CID_BYTES;
pub use self::cid::{CidError, HashCode, parse_cid, parse_cid_text, verify_cid};
pub(crate) use self::cid::{ShortCid, accept_cid};
pub use ::cid::Cid;
pub use chain::{ChainHead, ChainVerifier};
pub use commit_part::CommitPart;
pub use content::{ContentAddressedEvent, generate_cid};
pub use envelope::Envelope;
pub(crate) use envelope::FORMAT;
pub(crate) use envelope_block::EnvelopeRef;
pub use head::Head;
pub use history::{
    EnvelopeBlock, EventBlock, verify_envelope_chain, verify_event_chain,
    verify_event_chain_with_parents,
};
pub use json::{NotDagJson, dag_json};
pub use json_read::{DagJsonError, parse_dag_json};
pub use key::{AggregateKey, Position};
pub use stored::StoredEvent;
pub(crate) use stored::{BODY_HEAD, delimited_envelope, prove, read_envelope, read_envelope_ref};
pub use verdict::{Fault, Place, Truncation, Verdict};
pub use whole_commit::CommitVerifier;
