//! Writing.

use std::io::Write;

use super::{CarError, header, varint};
use crate::block::{Cid, ShortCid, accept_cid, verify_cid};

/// Puts a block that was proved to hash to its CID behind others, as a file has it.
pub(crate) fn push_proved(out: &mut Vec<u8>, cid: &ShortCid, bytes: &[u8]) {
    push_head(out, &cid.to_bytes(), bytes);
    out.extend_from_slice(bytes);
}

/// Puts what stands in front of the bytes of a block: the length of CID and bytes, and the CID.
fn push_head(out: &mut Vec<u8>, cid: &[u8], bytes: &[u8]) {
    varint::push((cid.len() + bytes.len()) as u64, out);
    out.extend_from_slice(cid);
}

/// Writes a CAR file.
///
/// Each block is checked against its CID before anything of it is written. Give it an output that buffers
/// ([`std::io::BufWriter`]); a file that was not [finished](Self::finish) may end inside a block, which every reader
/// notices.
#[derive(Debug)]
pub struct CarWriter<W> {
    out: W,
    written: u64,
    head: Vec<u8>,
}

impl<W: Write> CarWriter<W> {
    /// Begins a file with its header.
    ///
    /// # Errors
    /// [`CarError::Roots`] where there is no root, or one of another kind; [`CarError::Io`].
    pub fn new(out: W, roots: &[Cid]) -> Result<Self, CarError> {
        let header = header::write(roots)?;
        let mut writer = Self {
            out,
            written: 0,
            head: Vec::with_capacity(64),
        };
        varint::push(header.len() as u64, &mut writer.head);
        writer.put(&header)?;
        Ok(writer)
    }

    /// Writes a block.
    ///
    /// # Errors
    /// [`CarError::NotItsBlock`] where the bytes do not hash to the CID, and for a CID that this library does not make;
    /// [`CarError::Io`].
    pub fn write(&mut self, cid: &Cid, bytes: &[u8]) -> Result<(), CarError> {
        if !verify_cid(cid, bytes) || accept_cid(*cid).is_err() {
            return Err(CarError::NotItsBlock { cid: *cid });
        }
        self.write_proved(cid, bytes)
    }

    /// Writes a block that was proved to hash to its CID, which is of this library.
    pub(crate) fn write_proved(&mut self, cid: &Cid, bytes: &[u8]) -> Result<(), CarError> {
        self.head.clear();
        push_head(&mut self.head, &cid.to_bytes(), bytes);
        self.put(bytes)
    }

    /// How many bytes are written.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Flushes the output and gives it back. That the file survives a power cut is up to whoever has it.
    ///
    /// # Errors
    /// [`CarError::Io`].
    pub fn finish(mut self) -> Result<W, CarError> {
        let written = self.written;
        self.out
            .flush()
            .map_err(|error| CarError::io("written", written, error))?;
        Ok(self.out)
    }

    /// Writes bytes behind their head.
    fn put(&mut self, bytes: &[u8]) -> Result<(), CarError> {
        for part in [&self.head[..], bytes] {
            self.out
                .write_all(part)
                .map_err(|error| CarError::io("written", self.written, error))?;
            self.written += part.len() as u64;
        }
        Ok(())
    }
}
