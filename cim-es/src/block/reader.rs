//! Reading canonical dag-cbor piece by piece: minimal heads, definite lengths, valid texts and links.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// The longest digest that a link may hold, in bytes: what the `cid` crate decodes.
const MAX_DIGEST: usize = 64;

/// Major types of CBOR (RFC 8949, section 3.1).
pub(crate) mod major {
    pub(crate) const UNSIGNED: u8 = 0;
    pub(crate) const NEGATIVE: u8 = 1;
    pub(crate) const BYTES: u8 = 2;
    pub(crate) const TEXT: u8 = 3;
    pub(crate) const ARRAY: u8 = 4;
    pub(crate) const MAP: u8 = 5;
    pub(crate) const TAG: u8 = 6;
}

/// The byte of `false`.
pub(crate) const FALSE: u8 = 0xf4;
/// The byte of `true`.
pub(crate) const TRUE: u8 = 0xf5;
/// The byte of `null`.
pub(crate) const NULL: u8 = 0xf6;
/// The head of tag 42 in its only minimal form.
pub(crate) const LINK_TAG: u64 = 42;

/// Bytes that are not canonical dag-cbor: where, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotCanonical {
    /// The path of the value, such as `interfaces[2].speed`; empty for the outermost value.
    pub(crate) path: String,
    /// The place in bytes from the start of what was read.
    pub(crate) at: usize,
    /// What is wrong.
    pub(crate) reason: Cow<'static, str>,
}

const NO_TEXT: &str = "not a text where one is needed";
const NO_UTF8: &str = "a text that is not UTF-8";

/// Boxed, so that the result of each step stays small.
pub(crate) type Refusal = Box<NotCanonical>;

impl NotCanonical {
    /// Says that the refused value stands under a key.
    pub(crate) fn under(mut self: Box<Self>, key: &str) -> Refusal {
        prepend(&mut self.path, key);
        self
    }

    /// Says that the refused value stands at a place of a list.
    pub(crate) fn at_index(mut self: Box<Self>, index: u64) -> Refusal {
        prepend(&mut self.path, &format!("[{index}]"));
        self
    }
}

impl fmt::Display for NotCanonical {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (byte {}", self.reason, self.at)?;
        if !self.path.is_empty() {
            write!(f, ", at `{}`", self.path)?;
        }
        f.write_char(')')
    }
}

/// Puts a segment in front of a path: `speed` before nothing, `[2]` before `.speed`.
pub(crate) fn prepend(path: &mut String, segment: &str) {
    if !path.is_empty() && !path.starts_with('[') {
        path.insert(0, '.');
    }
    path.insert_str(0, segment);
}

/// A place in bytes that must be canonical dag-cbor.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads from the first byte.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The number of bytes that were read.
    #[inline]
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The bytes that are not read yet.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// The bytes that were read since a place.
    pub(crate) fn since(&self, start: usize) -> &'a [u8] {
        &self.bytes[start..self.at]
    }

    /// The next byte, which stays unread.
    #[inline]
    pub(crate) fn peek(&self) -> Result<u8, Refusal> {
        match self.bytes.get(self.at) {
            Some(byte) => Ok(*byte),
            None => Err(self.ends_early()),
        }
    }

    /// Skips the byte that was peeked.
    #[inline]
    pub(crate) fn skip(&mut self) {
        self.at += 1;
    }

    /// The next bytes.
    #[inline]
    pub(crate) fn take(&mut self, count: u64) -> Result<&'a [u8], Refusal> {
        let rest = &self.bytes[self.at..];
        match usize::try_from(count) {
            Ok(count) if count <= rest.len() => {
                self.at += count;
                Ok(&rest[..count])
            }
            _ => Err(self.ends_early()),
        }
    }

    /// The major type and the argument of the next item; the argument is minimal.
    #[inline]
    pub(crate) fn head(&mut self) -> Result<(u8, u64), Refusal> {
        let first = self.peek()?;
        let info = first & 0x1f;
        if info < 24 {
            self.at += 1;
            return Ok((first >> 5, u64::from(info)));
        }
        // Lengths and numbers of one byte of their own are frequent: every link and most texts.
        match self.bytes.get(self.at + 1) {
            Some(argument @ 24..) if info == 24 => {
                self.at += 2;
                Ok((first >> 5, u64::from(*argument)))
            }
            _ => self.long_head(first >> 5, info),
        }
    }

    fn long_head(&mut self, major: u8, info: u8) -> Result<(u8, u64), Refusal> {
        let (width, least) = match info {
            24 => (1, 24),
            25 => (2, 1 << 8),
            26 => (4, 1 << 16),
            27 => (8, 1 << 32),
            31 => return Err(self.refuse("a length that is not definite")),
            _ => return Err(self.refuse("a reserved head")),
        };
        let Some(bytes) = self.bytes.get(self.at + 1..self.at + 1 + width) else {
            return Err(self.ends_early());
        };
        let argument = bytes
            .iter()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        if argument < least {
            return Err(self.refuse("a number or length that is not written in its shortest form"));
        }
        self.at += 1 + width;
        Ok((major, argument))
    }

    /// The argument of the next item, which must have a major type.
    #[inline]
    pub(crate) fn expect(&mut self, wanted: u8, what: &'static str) -> Result<u64, Refusal> {
        let start = self.at;
        match self.head()? {
            (major, argument) if major == wanted => Ok(argument),
            _ => Err(refuse(start, what)),
        }
    }

    /// The next item, which must be a text.
    #[inline]
    pub(crate) fn text(&mut self) -> Result<&'a str, Refusal> {
        let length = self.expect(major::TEXT, NO_TEXT)?;
        let start = self.at;
        std::str::from_utf8(self.take(length)?).map_err(|_| refuse(start, NO_UTF8))
    }

    /// The bytes of the next item, which must be a text.
    #[inline]
    pub(crate) fn text_bytes(&mut self) -> Result<&'a [u8], Refusal> {
        let length = self.expect(major::TEXT, NO_TEXT)?;
        self.text_bytes_of(length)
    }

    /// The bytes of a text whose head was read.
    #[inline]
    pub(crate) fn text_bytes_of(&mut self, length: u64) -> Result<&'a [u8], Refusal> {
        let start = self.at;
        let bytes = self.take(length)?;
        // Most texts are ASCII, for which the check of the whole of UTF-8 is slow.
        match bytes.is_ascii() || std::str::from_utf8(bytes).is_ok() {
            true => Ok(bytes),
            false => Err(refuse(start, NO_UTF8)),
        }
    }

    /// The bytes of the CID in the next item, which must be a link; a well-formed CID of any codec and hash.
    #[inline]
    pub(crate) fn link(&mut self) -> Result<&'a [u8], Refusal> {
        let start = self.at;
        match self.head()? {
            (major::TAG, LINK_TAG) => self.link_of(),
            _ => Err(refuse(start, "not a link where one is needed")),
        }
    }

    /// The bytes of the CID in a link whose tag was read.
    #[inline]
    pub(crate) fn link_of(&mut self) -> Result<&'a [u8], Refusal> {
        let start = self.at;
        let length = self.expect(major::BYTES, "a link that is no byte string")?;
        match self.take(length)? {
            [0, cid @ ..] if is_cid(cid) => Ok(cid),
            _ => Err(refuse(
                start,
                "a link that is no CID, or has bytes behind its CID",
            )),
        }
    }

    /// Refuses the item that starts here.
    #[cold]
    pub(crate) fn refuse(&self, reason: impl Into<Cow<'static, str>>) -> Refusal {
        refuse(self.at, reason)
    }

    #[cold]
    fn ends_early(&self) -> Refusal {
        refuse(self.bytes.len(), "the bytes end inside a value")
    }
}

/// Refuses what starts at a place.
#[cold]
pub(crate) fn refuse(at: usize, reason: impl Into<Cow<'static, str>>) -> Refusal {
    Box::new(NotCanonical {
        path: String::new(),
        at,
        reason: reason.into(),
    })
}

/// Whether bytes are one CID and nothing else: version 0, or version 1 with minimal varints and the whole digest.
fn is_cid(bytes: &[u8]) -> bool {
    // Nearly every CID: version 1, a codec below 128, a hash code below 128, 32 bytes.
    if let [1, codec, code, 32, digest @ ..] = bytes
        && *codec < 128
        && *code < 128
    {
        return digest.len() == 32;
    }
    if let [0x12, 32, digest @ ..] = bytes {
        return digest.len() == 32;
    }
    let Some((1, rest)) = varint(bytes) else {
        return false;
    };
    let Some((_codec, rest)) = varint(rest) else {
        return false;
    };
    let Some((_code, rest)) = varint(rest) else {
        return false;
    };
    let Some((length, digest)) = varint(rest) else {
        return false;
    };
    digest.len() <= MAX_DIGEST && length == digest.len() as u64
}

/// A minimal varint of at most nine bytes, as multiformats has them, and what follows it.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (place, byte) in bytes.iter().take(9).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            let is_minimal = *byte != 0 || place == 0;
            return is_minimal.then(|| (value, &bytes[place + 1..]));
        }
    }
    None
}
