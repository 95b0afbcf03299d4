//! CARv1 files: blocks one after the other, each with its CID, as every IPLD tool writes and reads them
//! ([the specification](https://ipld.io/specs/transport/car/carv1/)).
//!
//! The file begins with its header, the dag-cbor map `{ roots: [link], version: 1 }`; then come the blocks. The header and
//! each block stand behind their length, a varint; a block is its CID and its bytes.
//!
//! What is written follows from the roots and the blocks alone, so that equal contents are equal files. What is read is
//! checked to the last byte: the hash of each block, each length before anything is allocated for it, and that the file
//! ends behind a block. Only CIDs that this library makes are taken, see [`parse_cid`](crate::block::parse_cid).
//!
//! ```
//! # fn main() -> Result<(), cim_es::car::CarError> {
//! use cim_es::block::HashCode;
//! use cim_es::car::{CarReader, CarWriter};
//!
//! // The dag-cbor map `{}`.
//! let block = [0xa0];
//! let cid = HashCode::Sha2_256.cid(&block);
//! let mut car = CarWriter::new(Vec::new(), &[cid])?;
//! car.write(&cid, &block)?;
//! let file = car.finish()?;
//!
//! let mut car = CarReader::new(file.as_slice())?;
//! assert_eq!(car.roots(), [cid]);
//! while let Some(block) = car.read()? {
//!     assert_eq!((block.cid, &block.bytes[..]), (cid, &[0xa0][..]));
//! }
//! # Ok(())
//! # }
//! ```

mod error;
mod header;
mod reader;
#[cfg(test)]
mod tests;
mod varint;
mod writer;

pub use error::{CarError, CarFault};
pub use reader::{CarBlock, CarLimits, CarReader};
pub use writer::CarWriter;
pub(crate) use writer::push_proved;
