//! What stands beside an object: its size, what it is, and since when it is kept.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use cid::Cid;

use crate::domain::message::Timestamp;

/// What is known of an object without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObjectInfo {
    /// The CID.
    pub cid: Cid,
    /// How many bytes it has.
    pub size: u64,
    /// What its bytes are, as who kept it first has said; none for one that an earlier release kept.
    pub content_type: Option<ContentType>,
    /// When it was kept first, by the clock of the program that did; none for one that an earlier release kept.
    pub stored_at: Option<Timestamp>,
}

impl ObjectInfo {
    /// Of an object of which no more is known than its size.
    pub fn new(cid: Cid, size: u64) -> Self {
        Self {
            cid,
            size,
            content_type: None,
            stored_at: None,
        }
    }

    /// The same, with what its bytes are and when it was kept.
    #[must_use]
    pub fn with(mut self, content_type: ContentType, stored_at: Timestamp) -> Self {
        self.content_type = Some(content_type);
        self.stored_at = Some(stored_at);
        self
    }
}

/// What the bytes of an object are: a media type, `<type>/<subtype>`, with parameters where it has some.
///
/// ```
/// use cim_es::store::ContentType;
///
/// let picture: ContentType = "image/png".parse()?;
/// assert_eq!(picture.as_str(), "image/png");
/// assert!("picture".parse::<ContentType>().is_err());
/// # Ok::<(), cim_es::store::ContentTypeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentType(Cow<'static, str>);

/// The most bytes that a media type has.
const MOST: usize = 255;
/// What a name in a media type has beside letters and digits.
const SIGNS: &[u8] = b"!#$%&'*+-.^_`|~";

impl ContentType {
    /// Bytes of which nothing was said: `application/octet-stream`.
    pub const BYTES: Self = Self(Cow::Borrowed("application/octet-stream"));
    /// A block of dag-cbor: `application/vnd.ipld.dag-cbor`.
    pub const DAG_CBOR: Self = Self(Cow::Borrowed("application/vnd.ipld.dag-cbor"));

    /// A media type.
    ///
    /// # Errors
    /// [`ContentTypeError`] for a text that is not one.
    pub fn new(text: impl Into<Cow<'static, str>>) -> Result<Self, ContentTypeError> {
        let text = text.into();
        match refusal(&text) {
            None => Ok(Self(text)),
            Some(reason) => Err(ContentTypeError {
                text: text.chars().take(MOST).collect(),
                reason,
            }),
        }
    }

    /// As a text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What keeps a text from being a media type.
fn refusal(text: &str) -> Option<&'static str> {
    let is_name = |name: &str| {
        let is_sign = |byte: u8| byte.is_ascii_alphanumeric() || SIGNS.contains(&byte);
        !name.is_empty() && name.bytes().all(is_sign)
    };
    let (name, parameters) = match text.split_once(';') {
        Some((name, parameters)) => (name.trim_end(), parameters),
        None => (text, ""),
    };
    let is_printable = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    if text.len() > MOST {
        return Some("it has more than 255 bytes");
    }
    if !parameters.bytes().all(is_printable) {
        return Some("its parameters have signs that are not printable ASCII");
    }
    match name.split_once('/') {
        Some((kind, subtype)) if is_name(kind) && is_name(subtype) => None,
        _ => Some("it has no type and subtype with a slash between them"),
    }
}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ContentType {
    type Err = ContentTypeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text.to_owned())
    }
}

/// A text that is not a media type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a content type: {reason}; write a media type, such as image/png")]
pub struct ContentTypeError {
    text: String,
    reason: &'static str,
}
