//! Files that are encrypted to recipients, as `age` and every tool that knows its format writes and reads them
//! ([the specification](https://c2sp.org/age), version 1, with X25519 recipients).
//!
//! Whoever has the [`Identity`] of one of the [`Recipient`]s reads the file, and nobody else. A part that was changed, cut
//! off or moved is refused before anything of it is given away. Who wrote the file is not shown by that: everybody who knows
//! a recipient can encrypt to it.
//!
//! ```
//! use std::io::{Read, Write};
//! use cim_es::age::{AgeReader, AgeWriter, Identity};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let ann = Identity::generate()?;
//! let mut file = AgeWriter::new(Vec::new(), &[ann.recipient()])?;
//! file.write_all(b"for Ann alone")?;
//! let file = file.finish()?;
//!
//! let mut text = String::new();
//! AgeReader::new(file.as_slice(), &[ann])?.read_to_string(&mut text)?;
//! assert_eq!(text, "for Ann alone");
//!
//! let ben = Identity::generate()?;
//! assert!(AgeReader::new(file.as_slice(), &[ben]).is_err());
//! # Ok(())
//! # }
//! ```

mod bech32;
mod error;
mod header;
mod kept;
mod key;
mod reader;
mod stream;
#[cfg(test)]
mod tests;
mod wrap;
mod writer;

use zeroize::Zeroizing;

pub use error::{AgeError, AgeFault, AgeKeyError};
pub use key::{Identity, Recipient};
pub use reader::AgeReader;
pub use writer::AgeWriter;

/// What a file is encrypted with, made anew for each.
type FileKey = Zeroizing<[u8; 16]>;

/// Fills bytes at random.
fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, getrandom::Error> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(&mut *bytes)?;
    Ok(bytes)
}
