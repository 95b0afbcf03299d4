//! What a file holds, told from its first bytes: for who has taken one for another.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// What a file holds, as far as it begins so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// A database of SQLite, such as a store.
    Store,
    /// Blocks (CARv1), such as a bundle.
    Bundle,
    /// Events as JSON Lines.
    JsonLines,
    /// Something that is encrypted to recipients.
    Encrypted,
    /// Anything else, or what cannot be read.
    Other,
}

/// How many bytes tell.
const TELLING: u64 = 64;

impl Contents {
    /// Of the file at a path.
    pub fn of(path: &Path) -> Self {
        let mut first = Vec::new();
        let read = File::open(path).and_then(|file| file.take(TELLING).read_to_end(&mut first));
        match read {
            Ok(_) => Self::told_by(&first),
            Err(_) => Self::Other,
        }
    }

    /// By the first bytes.
    pub fn told_by(first: &[u8]) -> Self {
        // The length of the header, and a map of two of which the first key is `roots`.
        let is_car = first.get(1..8) == Some(b"\xa2\x65roots");
        match first {
            _ if first.starts_with(b"SQLite format 3\0") => Self::Store,
            _ if first.starts_with(b"age-encryption.org/") => Self::Encrypted,
            [b'{', ..] => Self::JsonLines,
            _ if is_car => Self::Bundle,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_by_how_it_begins() {
        for (first, told) in [
            (&b"SQLite format 3\0\x10"[..], Contents::Store),
            (b"\x3a\xa2\x65roots\x81", Contents::Bundle),
            (b"{\"cid\":", Contents::JsonLines),
            (b"age-encryption.org/v1\n", Contents::Encrypted),
            (b"", Contents::Other),
            (b"hello", Contents::Other),
        ] {
            assert_eq!(Contents::told_by(first), told, "{first:?}");
        }
    }
}
