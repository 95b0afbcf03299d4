//! Decrypting, chunk by chunk, each of which is proved before a byte of it is given away.

use std::fmt;
use std::io::{self, BufReader, ErrorKind, Read};

use super::stream::{CHUNK, Chunks, NONCE, TAG};
use super::{AgeError, AgeFault, Identity, header};

/// A chunk, its tag, and the first byte behind it, which shows that it is not the last.
const LOOKED_AT: usize = CHUNK + TAG + 1;

/// Decrypts a file while it is read, in a fixed memory of some 64 KiB.
///
/// A file is whole once it was read to its end. What is wrong with it is an [`io::Error`] of the kind
/// [`InvalidData`](ErrorKind::InvalidData) whose inner error is an [`AgeFault`]; nothing behind it is read.
pub struct AgeReader<R> {
    input: BufReader<R>,
    chunks: Chunks,
    /// What is decrypted, from `at` to `end`.
    buffer: Box<[u8]>,
    at: usize,
    end: usize,
    /// The first byte behind the last chunk that was decrypted.
    next: Option<u8>,
    is_over: bool,
    failed: Option<AgeFault>,
}

impl<R: Read> AgeReader<R> {
    /// Begins to read a file that is encrypted to the recipient of one of the identities.
    ///
    /// # Errors
    /// [`AgeError`]: it is not such a file, it is for others, or its header was damaged.
    pub fn new(input: R, identities: &[Identity]) -> Result<Self, AgeError> {
        let mut input = BufReader::new(input);
        let file_key = header::read(&mut input, identities)?;
        let mut nonce = [0; NONCE];
        input
            .read_exact(&mut nonce)
            .map_err(|error| match error.kind() {
                ErrorKind::UnexpectedEof => AgeFault::Cut { at: 0 }.into(),
                _ => AgeError::io("read", error),
            })?;
        Ok(Self {
            input,
            chunks: Chunks::new(&file_key, &nonce),
            buffer: vec![0; LOOKED_AT].into_boxed_slice(),
            at: 0,
            end: 0,
            next: None,
            is_over: false,
            failed: None,
        })
    }

    /// Decrypts the next chunk.
    fn fill(&mut self) -> io::Result<()> {
        if let Some(fault) = &self.failed {
            return Err(refused(fault.clone()));
        }
        let mut filled = 0;
        if let Some(byte) = self.next.take() {
            self.buffer[0] = byte;
            filled = 1;
        }
        while filled < LOOKED_AT {
            match self.input.read(&mut self.buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    // Where it stands is not known any more.
                    self.failed = Some(AgeFault::Cut {
                        at: self.chunks.at(),
                    });
                    return Err(error);
                }
            }
        }
        let is_last = filled < LOOKED_AT;
        let chunk = filled.min(CHUNK + TAG);
        match self.open(chunk, is_last) {
            Ok(length) => {
                (self.at, self.end) = (0, length);
                self.is_over = is_last;
                self.next = (!is_last).then(|| self.buffer[CHUNK + TAG]);
                Ok(())
            }
            Err(fault) => {
                self.failed = Some(fault.clone());
                Err(refused(fault))
            }
        }
    }

    fn open(&mut self, length: usize, is_last: bool) -> Result<usize, AgeFault> {
        let at = self.chunks.at();
        let chunk = &mut self.buffer[..length];
        if is_last && length < TAG {
            return Err(AgeFault::Cut { at });
        }
        if let Some(length) = self.chunks.open(chunk, is_last) {
            return match length {
                // Only a file with nothing inside ends with a chunk that is empty.
                0 if at > 0 => Err(AgeFault::Changed { at }),
                length => Ok(length),
            };
        }
        // What else it is, for whoever has to find out.
        let other = self.chunks.open(chunk, !is_last);
        Err(match (other, is_last) {
            (Some(length), true) => AgeFault::Cut {
                at: at + length as u64,
            },
            (Some(length), false) => AgeFault::Trailing {
                at: at + length as u64,
            },
            (None, _) => AgeFault::Changed { at },
        })
    }
}

fn refused(fault: AgeFault) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, fault)
}

impl<R: Read> Read for AgeReader<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while self.at == self.end {
            if self.is_over || bytes.is_empty() {
                return Ok(0);
            }
            self.fill()?;
        }
        let taken = bytes.len().min(self.end - self.at);
        bytes[..taken].copy_from_slice(&self.buffer[self.at..self.at + taken]);
        self.at += taken;
        Ok(taken)
    }
}

impl<R> fmt::Debug for AgeReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AgeReader")
    }
}
