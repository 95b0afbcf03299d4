//! Reading, checked to the last byte.

use std::io::{ErrorKind, Read};

use bytes::Bytes;

use super::varint::Varint;
use super::{CarError, CarFault, header};
use crate::block::{CID_BYTES, Cid, parse_cid, verify_cid};

/// The shortest header: that of one root.
const SHORTEST_HEADER: u64 = 17 + CID_BYTES as u64 + 5;
/// How many bytes are read ahead of a check of what follows, at most: a length that lies must not fill the memory.
const STEP: usize = 64 * 1024;

/// A block of a CAR file; its bytes hash to its CID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarBlock {
    /// The CID.
    pub cid: Cid,
    /// The bytes.
    pub bytes: Bytes,
    /// Where it begins in the file, in bytes: its length stands there.
    pub at: u64,
}

/// How long a header and a block may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CarLimits {
    /// The longest header in bytes (1 MiB by default: some 25,000 roots).
    pub header: u64,
    /// The longest block in bytes, with its CID (16 MiB by default).
    pub block: u64,
}

impl Default for CarLimits {
    fn default() -> Self {
        Self {
            header: 1024 * 1024,
            block: 16 * 1024 * 1024,
        }
    }
}

/// Reads a CAR file, block by block. Give it an input that buffers ([`std::io::BufReader`]).
///
/// After an error nothing more is read: each further block is the same error. It gives what the file has, in its order; a
/// block that comes twice comes twice.
#[derive(Debug)]
pub struct CarReader<R> {
    input: R,
    at: u64,
    roots: Vec<Cid>,
    limits: CarLimits,
    failed: Option<CarError>,
}

impl<R: Read> CarReader<R> {
    /// Reads the header, under the default [`CarLimits`].
    ///
    /// # Errors
    /// [`CarError`].
    pub fn new(input: R) -> Result<Self, CarError> {
        Self::with_limits(input, CarLimits::default())
    }

    /// Reads the header.
    ///
    /// # Errors
    /// [`CarError`].
    pub fn with_limits(input: R, limits: CarLimits) -> Result<Self, CarError> {
        let mut reader = Self {
            input,
            at: 0,
            roots: Vec::new(),
            limits,
            failed: None,
        };
        let Some(length) = reader.length("the header")? else {
            let what = "the header";
            return Err(CarError::damaged(0, CarFault::Cut { what }));
        };
        let bytes = reader.part(0, "the header", length, SHORTEST_HEADER, limits.header)?;
        reader.roots = header::read(&bytes).map_err(|fault| CarError::damaged(0, fault))?;
        Ok(reader)
    }

    /// The CIDs that the file was made for. Whether their blocks are in it is seen once all are read.
    pub fn roots(&self) -> &[Cid] {
        &self.roots
    }

    /// How many bytes were read.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// The next block; none at the end.
    ///
    /// # Errors
    /// [`CarError`], the same one each time after the first.
    pub fn read(&mut self) -> Result<Option<CarBlock>, CarError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let block = self.block();
        if let Err(error) = &block {
            self.failed = Some(error.clone());
        }
        block
    }

    fn block(&mut self) -> Result<Option<CarBlock>, CarError> {
        let start = self.at;
        let what = "a block";
        let Some(length) = self.length(what)? else {
            return Ok(None);
        };
        let bytes = self.part(start, what, length, CID_BYTES as u64, self.limits.block)?;
        let mut bytes = Bytes::from(bytes);
        let cid = bytes.split_to(CID_BYTES);
        let damaged = |fault| CarError::damaged(start, fault);
        let cid = parse_cid(&cid).map_err(|error| damaged(CarFault::Cid(error)))?;
        if !verify_cid(&cid, &bytes) {
            return Err(damaged(CarFault::Tampered { cid }));
        }
        Ok(Some(CarBlock {
            cid,
            bytes,
            at: start,
        }))
    }

    /// The length of what follows; none at the end of the file.
    fn length(&mut self, what: &'static str) -> Result<Option<u64>, CarError> {
        let start = self.at;
        let mut varint = Varint::default();
        loop {
            let mut byte = [0];
            if self.fill(&mut byte)? == 0 {
                return match varint.has_begun() {
                    true => Err(CarError::damaged(start, CarFault::Cut { what })),
                    false => Ok(None),
                };
            }
            let taken = varint.take(byte[0]);
            if let Some(length) = taken.map_err(|fault| CarError::damaged(start, fault))? {
                return Ok(Some(length));
            }
        }
    }

    /// The bytes of something that began at `start`.
    fn part(
        &mut self,
        start: u64,
        what: &'static str,
        length: u64,
        least: u64,
        most: u64,
    ) -> Result<Vec<u8>, CarError> {
        let size = || CarFault::Size {
            what,
            length,
            least,
            most,
        };
        let wanted = match usize::try_from(length) {
            Ok(wanted) if (least..=most).contains(&length) => wanted,
            _ => return Err(CarError::damaged(start, size())),
        };
        let mut bytes = Vec::with_capacity(wanted.min(STEP));
        while bytes.len() < wanted {
            let have = bytes.len();
            bytes.resize(wanted.min(have + STEP), 0);
            if self.fill(&mut bytes[have..])? < bytes.len() - have {
                return Err(CarError::damaged(start, CarFault::Cut { what }));
            }
        }
        Ok(bytes)
    }

    /// Reads as many bytes as there are, up to the length of `bytes`.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<usize, CarError> {
        let mut filled = 0;
        while filled < bytes.len() {
            match self.input.read(&mut bytes[filled..]) {
                Ok(0) => break,
                Ok(read) => {
                    filled += read;
                    self.at += read as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(CarError::io("read", self.at, error)),
            }
        }
        Ok(filled)
    }
}

impl<R: Read> Iterator for CarReader<R> {
    type Item = Result<CarBlock, CarError>;

    /// The next block. Ends behind the first error.
    fn next(&mut self) -> Option<Self::Item> {
        match self.failed {
            Some(_) => None,
            None => self.read().transpose(),
        }
    }
}
