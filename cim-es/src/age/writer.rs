//! Encrypting.

use std::fmt;
use std::io::{self, Write};

use super::stream::{CHUNK, Chunks, NONCE, TAG};
use super::{AgeError, Recipient, header, random};

/// Encrypts what is written to it, in a fixed memory of some 64 KiB.
///
/// [`finish`](Self::finish) writes the end; a file without it is refused by every reader.
pub struct AgeWriter<W> {
    output: W,
    chunks: Chunks,
    chunk: Vec<u8>,
    has_failed: bool,
}

impl<W: Write> AgeWriter<W> {
    /// Begins a file that each of the recipients can read.
    ///
    /// # Errors
    /// [`AgeError`]: no recipient, too many, no random bytes, or an output that takes nothing.
    pub fn new(mut output: W, recipients: &[Recipient]) -> Result<Self, AgeError> {
        let file_key = random().map_err(AgeError::not_random)?;
        let nonce = random::<NONCE>().map_err(AgeError::not_random)?;
        let header = header::write(&file_key, recipients)?;
        output
            .write_all(&header)
            .and_then(|()| output.write_all(&nonce[..]))
            .map_err(|error| AgeError::io("written", error))?;
        Ok(Self {
            output,
            chunks: Chunks::new(&file_key, &nonce),
            chunk: Vec::with_capacity(CHUNK + TAG),
            has_failed: false,
        })
    }

    /// Writes the end, and gives the output.
    ///
    /// # Errors
    /// What the output says; the file is not whole then.
    pub fn finish(mut self) -> io::Result<W> {
        self.seal(true)?;
        self.output.flush()?;
        Ok(self.output)
    }

    fn seal(&mut self, is_last: bool) -> io::Result<()> {
        if self.has_failed {
            return Err(io::Error::other("an earlier part could not be written"));
        }
        self.chunks.seal(&mut self.chunk, is_last);
        let written = self.output.write_all(&self.chunk);
        self.has_failed = written.is_err();
        self.chunk.clear();
        written
    }
}

impl<W: Write> Write for AgeWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A chunk that is full may be the last one, which is not known before more comes.
        if self.chunk.len() == CHUNK && !bytes.is_empty() {
            self.seal(false)?;
        }
        let taken = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    /// Flushes the output. What does not fill a chunk yet stays here.
    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

impl<W> fmt::Debug for AgeWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AgeWriter")
    }
}
