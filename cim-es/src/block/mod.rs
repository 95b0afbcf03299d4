//! Blocks: bytes that are named by their own digest, so that what is stored can be proved.
//!
//! The body of an event is one dag-cbor array `[envelope, payload]`. The two elements are blocks of their own: the
//! payload hashes to the payload CID; the envelope holds that CID as a link and hashes to the event CID.

mod cid;
mod envelope;
mod stored;

pub use self::cid::{CidError, HashCode, parse_cid, parse_cid_text, verify_cid};
pub use ::cid::Cid;
pub use envelope::Envelope;
pub use stored::StoredEvent;
