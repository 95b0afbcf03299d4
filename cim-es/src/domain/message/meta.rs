//! What an author adds to a message: a few named values that go into the envelope of each event.

use std::collections::BTreeMap;

use cid::Cid;
use ipld_core::ipld::Ipld;
use serde::{Deserialize, Serialize};

/// Named values of an author's own beside a message and each event that it leads to, such as the tenant or the version
/// of the client: by [`MessageIdentity::with_meta`](super::MessageIdentity::with_meta).
///
/// It stands in the envelope, so it is covered by the event's CID, is read without the payload, and stays when a payload
/// is erased. It is for what many kinds of events share, at most 2 KB of it as dag-cbor; what an event is about belongs
/// into its fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Meta(BTreeMap<String, MetaValue>);

/// One value of a [`Meta`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "Ipld", try_from = "Ipld")]
#[non_exhaustive]
pub enum MetaValue {
    /// A text.
    Text(String),
    /// Yes or no.
    Bool(bool),
    /// A whole number, from -2^64 to 2^64-1.
    Integer(i128),
    /// A link to a block.
    Link(Cid),
}

impl Meta {
    /// The most bytes that it may have as dag-cbor.
    pub const LIMIT: usize = 2_048;

    /// Without a value.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// The value under a name.
    pub fn get(&self, name: &str) -> Option<&MetaValue> {
        self.0.get(name)
    }

    /// The text under a name; none when there is none, or another value.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(MetaValue::as_text)
    }

    /// Puts a value under a name; an earlier one is replaced.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<MetaValue>) {
        self.0.insert(name.into(), value.into());
    }

    /// The names with their values, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &MetaValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The number of values.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: Into<String>, V: Into<MetaValue>> FromIterator<(N, V)> for Meta {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(values: I) -> Self {
        let values = values.into_iter();
        Self(
            values
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

impl MetaValue {
    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Yes or no, if it is that.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(bool) => Some(*bool),
            _ => None,
        }
    }

    /// The whole number, if it is one.
    pub fn as_integer(&self) -> Option<i128> {
        match self {
            Self::Integer(integer) => Some(*integer),
            _ => None,
        }
    }

    /// The link, if it is one.
    pub fn as_link(&self) -> Option<Cid> {
        match self {
            Self::Link(cid) => Some(*cid),
            _ => None,
        }
    }
}

macro_rules! values {
    ($($given:ty => $variant:ident),* $(,)?) => {$(
        impl From<$given> for MetaValue {
            fn from(value: $given) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}

values! {
    &str => Text, String => Text, bool => Bool, Cid => Link,
    u64 => Integer, i64 => Integer, i32 => Integer, i16 => Integer, i8 => Integer, u32 => Integer, u16 => Integer, u8 => Integer,
}

impl From<MetaValue> for Ipld {
    fn from(value: MetaValue) -> Self {
        match value {
            MetaValue::Text(text) => Self::String(text),
            MetaValue::Bool(bool) => Self::Bool(bool),
            MetaValue::Integer(integer) => Self::Integer(integer),
            MetaValue::Link(cid) => Self::Link(cid),
        }
    }
}

impl TryFrom<Ipld> for MetaValue {
    type Error = &'static str;

    fn try_from(value: Ipld) -> Result<Self, Self::Error> {
        Ok(match value {
            Ipld::String(text) => Self::Text(text),
            Ipld::Bool(bool) => Self::Bool(bool),
            Ipld::Integer(integer) => Self::Integer(integer),
            Ipld::Link(cid) => Self::Link(cid),
            _ => return Err("not a text, a bool, an integer or a link"),
        })
    }
}
