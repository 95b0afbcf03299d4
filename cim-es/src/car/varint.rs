//! Lengths as CAR files write them: seven bits a byte, the lowest first, each byte but the last with its highest bit set.

use super::CarFault;

/// The bytes of the longest length.
const LONGEST: usize = 10;

/// Puts a length behind what is there.
pub(super) fn push(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        // The highest bit says that more follows.
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push((number & 0x7f) as u8);
}

/// A length of which one byte after the other comes.
#[derive(Default)]
pub(super) struct Varint {
    number: u64,
    bytes: usize,
}

impl Varint {
    /// Whether a byte has come.
    pub(super) fn has_begun(&self) -> bool {
        self.bytes > 0
    }

    /// Takes the next byte; the number with the last one.
    pub(super) fn take(&mut self, byte: u8) -> Result<Option<u64>, CarFault> {
        let bits = u64::from(byte & 0x7f);
        let place = 7 * self.bytes;
        self.bytes += 1;
        if self.bytes > LONGEST || (self.bytes == LONGEST && bits > 1) {
            let reason = "longer than 64 bits";
            return Err(CarFault::Length { reason });
        }
        self.number |= bits << place;
        if byte & 0x80 != 0 {
            return Ok(None);
        }
        if bits == 0 && self.bytes > 1 {
            let reason = "not written in its shortest form";
            return Err(CarFault::Length { reason });
        }
        Ok(Some(self.number))
    }
}
