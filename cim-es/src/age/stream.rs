//! The encrypted bytes: chunks of 64 KiB, each with a tag, of which each knows its number and the last one that it is the
//! last.

use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit, Nonce, Tag};

use super::{FileKey, wrap};

/// The bytes of a chunk, without its tag.
pub(super) const CHUNK: usize = 64 * 1024;
pub(super) const TAG: usize = 16;
/// The random bytes in front of the first chunk.
pub(super) const NONCE: usize = 16;

/// What encrypts the chunks of one file.
pub(super) struct Chunks {
    cipher: ChaCha20Poly1305,
    number: u64,
}

impl Chunks {
    pub(super) fn new(file_key: &FileKey, nonce: &[u8; NONCE]) -> Self {
        let key = wrap::derive(&file_key[..], nonce, b"payload");
        Self {
            cipher: ChaCha20Poly1305::new((&*key).into()),
            number: 0,
        }
    }

    /// Where the next chunk begins, in bytes of what is inside.
    pub(super) fn at(&self) -> u64 {
        self.number * CHUNK as u64
    }

    /// Encrypts the next chunk in place, and puts its tag behind it.
    pub(super) fn seal(&mut self, chunk: &mut Vec<u8>, is_last: bool) {
        let nonce = self.nonce(is_last);
        let sealed =
            self.cipher
                .encrypt_inout_detached(&nonce, &[], InOutBuf::from(&mut chunk[..]));
        // The only error is that of a chunk beyond 256 GiB.
        if let Ok(tag) = sealed {
            chunk.extend_from_slice(&tag);
        }
        self.number += 1;
    }

    /// Decrypts the next chunk in place, and gives the number of its bytes; none where it is another one.
    pub(super) fn open(&mut self, chunk: &mut [u8], is_last: bool) -> Option<usize> {
        let length = chunk.len().checked_sub(TAG)?;
        let (text, tag) = chunk.split_at_mut(length);
        let tag = Tag::try_from(&*tag).ok()?;
        let opened = self.cipher.decrypt_inout_detached(
            &self.nonce(is_last),
            &[],
            InOutBuf::from(text),
            &tag,
        );
        opened.ok()?;
        self.number += 1;
        Some(length)
    }

    /// Eleven bytes of its number, and one that says whether it is the last.
    fn nonce(&self, is_last: bool) -> Nonce {
        let mut nonce = Nonce::default();
        nonce[3..11].copy_from_slice(&self.number.to_be_bytes());
        nonce[11] = u8::from(is_last);
        nonce
    }
}
