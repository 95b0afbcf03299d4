//! Letting a type read, to learn at which field a stored value does not fit, or which parts the type is made of.
//!
//! A type says what it reads only while it reads. For the first the probe gives what was stored, and remembers the path
//! at which reading failed. For the second, [`outline()`] lets the type read once for each of its parts, along a trail
//! that leads to the part, and stops there: no value of a part is ever made up that the type's own rules could refuse,
//! but for what must stand in front of the part.

mod access;
mod outline;

use std::any::{TypeId, type_name};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::RwLock;

use ipld_core::ipld::Ipld;
use ipld_core::serde::SerdeError;
use serde::de::{self, Deserializer, Error as _, Visitor};

use self::access::{Elements, Entries, Variant};
pub(crate) use self::outline::outline;
use self::outline::{Part, Trail, outline_of_event};
use super::decode::decode_content;
use crate::block::reader::prepend;
use crate::domain::event::DomainEvent;

/// The name that `cid` gives to the newtype of a CID; such a value is a link.
const LINK: &str = ipld_core::cid::serde::CID_SERDE_PRIVATE_IDENTIFIER;
/// Of how many elements a tuple is looked at one by one; a longer one is an array, whose elements are all alike.
const APART: usize = 8;

/// The path at which a stored payload does not fit its event; none when it fits.
#[cold]
pub(super) fn misfit<E: DomainEvent>(index: usize, payload: &[u8]) -> Option<String> {
    let value: Ipld = serde_ipld_dagcbor::from_slice(payload).ok()?;
    let read: Result<E, NotRead> = decode_content(index, Probe::Stored(value));
    read.err().map(|not_read| not_read.path)
}

/// Whether the event at an index may have a set without an order among its parts. A type is looked at once.
pub(super) fn is_unordered<E: DomainEvent>(index: usize) -> bool {
    static KNOWN: RwLock<BTreeMap<(TypeId, usize), bool>> = RwLock::new(BTreeMap::new());
    let key = (TypeId::of::<E>(), index);
    if let Ok(known) = KNOWN.read()
        && let Some(known) = known.get(&key)
    {
        return *known;
    }
    let outline = outline_of_event::<E>(index);
    let is_unordered = outline.is_unordered || outline.is_opaque;
    if let Ok(mut known) = KNOWN.write() {
        known.insert(key, is_unordered);
    }
    is_unordered
}

/// A value that was not read, and where it stands.
#[derive(Debug)]
pub(super) struct NotRead {
    path: String,
    reason: String,
}

impl NotRead {
    fn under(mut self, segment: &str) -> Self {
        prepend(&mut self.path, segment);
        self
    }
}

impl fmt::Display for NotRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for NotRead {}

impl de::Error for NotRead {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            path: String::new(),
            reason: message.to_string(),
        }
    }
}

impl From<SerdeError> for NotRead {
    fn from(error: SerdeError) -> Self {
        Self::custom(error)
    }
}

/// What a type reads.
#[derive(Clone)]
pub(in crate::block::payload) enum Probe<'a> {
    /// A value that was stored.
    Stored(Ipld),
    /// The part at a depth of a trail.
    Sought(&'a Trail, usize),
    /// What must stand in front of the part: some value, of which there are several to try.
    Made(usize),
}

/// Where a part that is read leads to.
enum Step<'a> {
    Stored(Ipld),
    /// Into the child at a place.
    Into(usize, Probe<'a>),
    Made(usize),
}

impl<'a> Probe<'a> {
    /// Notes the part where it is the one that is sought, and stops; or goes on to it.
    fn step(self, part: impl FnOnce() -> Part) -> Result<Step<'a>, NotRead> {
        match self {
            Self::Stored(value) => Ok(Step::Stored(value)),
            Self::Made(candidate) => Ok(Step::Made(candidate)),
            Self::Sought(trail, depth) => match trail.child(depth) {
                Some(child) => Ok(Step::Into(child, Self::Sought(trail, depth + 1))),
                None => {
                    trail.found(part());
                    Err(NotRead::custom("the part that was sought is found"))
                }
            },
        }
    }

    fn leaf(self, kind: &'static str) -> Result<Step<'a>, NotRead> {
        match self.step(|| Part::new(kind))? {
            Step::Into(..) => Err(NotRead::custom("a part of nothing")),
            step => Ok(step),
        }
    }

    fn list<'de, V: Visitor<'de>>(self, part: Part, visitor: V) -> Result<V::Value, NotRead> {
        let length = part.fixed_length;
        let items = match self.step(|| part)? {
            Step::Stored(Ipld::List(list)) => list.into_iter().map(Probe::Stored).collect(),
            Step::Stored(_) => return Err(NotRead::custom("no list stands where one is expected")),
            Step::Made(candidate) => vec![Probe::Made(candidate); length.unwrap_or(0)],
            Step::Into(at, sought) => {
                let candidate = sought.candidate();
                let mut items = vec![Probe::Made(candidate); at];
                items.push(sought);
                items
            }
        };
        visitor.visit_seq(Elements::new(items))
    }

    fn candidate(&self) -> usize {
        match self {
            Self::Stored(_) => 0,
            Self::Made(candidate) => *candidate,
            Self::Sought(trail, _) => trail.candidate,
        }
    }

    fn fields<'de, V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, NotRead> {
        let entries = match self.step(|| Part::new("struct").with_names(fields))? {
            Step::Stored(Ipld::Map(map)) => map
                .into_iter()
                .map(|(key, value)| (text(key), Probe::Stored(value)))
                .collect(),
            Step::Stored(_) => return Err(NotRead::custom("no map stands where one is expected")),
            Step::Made(candidate) => fields
                .iter()
                .map(|name| (text(*name), Probe::Made(candidate)))
                .collect(),
            Step::Into(at, sought) => {
                let name = fields.get(at).copied().unwrap_or_default();
                vec![(text(name), sought)]
            }
        };
        visitor.visit_map(Entries::new(entries))
    }
}

fn text<'a>(text: impl Into<String>) -> Probe<'a> {
    Probe::Stored(Ipld::String(text.into()))
}

/// Whether a type gives its elements in no order of their own.
fn has_no_order(type_name: &str) -> bool {
    let name = type_name.split('<').next().unwrap_or(type_name);
    let name = name.rsplit("::").next().unwrap_or(name);
    name.ends_with("HashSet") || name.ends_with("HashMap") || name == "BinaryHeap"
}

/// Values of a kind that are the same for all of them, or that the stored value gives itself.
macro_rules! leaves {
    ($($method:ident $kind:literal $visit:ident($made:expr);)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotRead> {
            match self.leaf($kind)? {
                Step::Stored(value) => Ok(value.$method(visitor)?),
                Step::Made(candidate) => visitor.$visit(($made)(candidate)),
                Step::Into(..) => Err(NotRead::custom("a part of nothing")),
            }
        }
    )*};
}

/// Numbers to try: a type may refuse 0.
fn number<N: From<bool>>(candidate: usize) -> N {
    N::from(candidate > 0)
}

fn float<N: From<u8>>(candidate: usize) -> N {
    N::from(u8::from(candidate > 0))
}

/// Texts to try, for types that are written as one.
const TEXTS: [&str; 8] = [
    "",
    "a",
    "1",
    "00000000-0000-7000-8000-000000000000",
    "1970-01-01T00:00:00Z",
    "1970-01-01",
    "a@example.org",
    "1.0.0",
];

fn made_text(candidate: usize) -> &'static str {
    TEXTS[candidate.min(TEXTS.len() - 1)]
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = NotRead;

    leaves! {
        deserialize_bool "bool" visit_bool(|candidate| candidate > 0);
        deserialize_i8 "i8" visit_i8(number);
        deserialize_i16 "i16" visit_i16(number);
        deserialize_i32 "i32" visit_i32(number);
        deserialize_i64 "i64" visit_i64(number);
        deserialize_i128 "i128" visit_i128(number);
        deserialize_u8 "u8" visit_u8(number);
        deserialize_u16 "u16" visit_u16(number);
        deserialize_u32 "u32" visit_u32(number);
        deserialize_u64 "u64" visit_u64(number);
        deserialize_u128 "u128" visit_u128(number);
        deserialize_f32 "f32" visit_f32(float);
        deserialize_f64 "f64" visit_f64(float);
        deserialize_char "char" visit_char(|_| 'a');
        deserialize_str "text" visit_str(made_text);
        deserialize_string "text" visit_str(made_text);
        deserialize_identifier "name" visit_str(made_text);
        deserialize_bytes "bytes" visit_bytes(|_| &[0; 16]);
        deserialize_byte_buf "bytes" visit_bytes(|_| &[0; 16]);
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotRead> {
        match self.leaf("any")? {
            Step::Stored(value @ Ipld::List(_)) => Probe::Stored(value).deserialize_seq(visitor),
            Step::Stored(value @ Ipld::Map(_)) => Probe::Stored(value).deserialize_map(visitor),
            // As the decoder of blocks gives them: an `Ipld` gives each integer with 128 bits, which few types take.
            Step::Stored(Ipld::Integer(number)) => {
                match (u64::try_from(number), i64::try_from(number)) {
                    (Ok(number), _) => visitor.visit_u64(number),
                    (_, Ok(number)) => visitor.visit_i64(number),
                    _ => visitor.visit_i128(number),
                }
            }
            Step::Stored(value) => Ok(value.deserialize_any(visitor)?),
            _ => visitor.visit_unit(),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotRead> {
        self.leaf("ignored")?;
        visitor.visit_unit()
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotRead> {
        match self.leaf("unit")? {
            Step::Stored(value) => Ok(value.deserialize_unit(visitor)?),
            _ => visitor.visit_unit(),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, NotRead> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotRead> {
        match self.step(|| Part::new("option").with_children(1))? {
            Step::Stored(Ipld::Null) | Step::Made(_) => visitor.visit_none(),
            Step::Stored(value) => visitor.visit_some(Probe::Stored(value)),
            Step::Into(_, sought) => visitor.visit_some(sought),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, NotRead> {
        if name == LINK {
            return match self.leaf("link")? {
                Step::Stored(value) => Ok(value.deserialize_newtype_struct(name, visitor)?),
                _ => Err(NotRead::custom("no link is made up")),
            };
        }
        match self.step(|| Part::new("newtype").with_children(1).named(name, &[]))? {
            Step::Stored(value) => visitor.visit_newtype_struct(Probe::Stored(value)),
            Step::Made(candidate) => visitor.visit_newtype_struct(Probe::Made(candidate)),
            Step::Into(_, sought) => visitor.visit_newtype_struct(sought),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotRead> {
        let part = Part::new("list").with_children(1);
        let is_unordered = has_no_order(type_name::<V::Value>());
        self.list(part.unordered(is_unordered), visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, NotRead> {
        self.list(Part::tuple(length), visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, NotRead> {
        self.list(Part::tuple(length), visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotRead> {
        let entries = match self.step(|| Part::new("map").with_children(2))? {
            Step::Stored(Ipld::Map(map)) => map
                .into_iter()
                .map(|(key, value)| (text(key), Probe::Stored(value)))
                .collect(),
            Step::Stored(_) => return Err(NotRead::custom("no map stands where one is expected")),
            Step::Made(_) => Vec::new(),
            Step::Into(at, sought) => {
                let other = Probe::Made(sought.candidate());
                match at {
                    0 => vec![(sought, other)],
                    _ => vec![(other, sought)],
                }
            }
        };
        visitor.visit_map(Entries::new(entries))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, NotRead> {
        if let Self::Sought(trail, depth) = &self
            && trail.child(*depth).is_none()
        {
            trail.found(Part::new("struct").with_names(fields).named(name, fields));
            return Err(NotRead::custom("the part that was sought is found"));
        }
        self.fields(fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, NotRead> {
        let part = || Part::new("enum").with_names(variants).named(name, variants);
        let name_of = |at: usize| variants.get(at).copied().unwrap_or_default().to_owned();
        let (tag, content) = match self.step(part)? {
            Step::Stored(Ipld::String(tag)) => (tag, None),
            Step::Stored(Ipld::Map(map)) if map.len() == 1 => match map.into_iter().next() {
                Some((tag, content)) => (tag, Some(Probe::Stored(content))),
                None => return Err(NotRead::custom("a map without a variant")),
            },
            Step::Stored(_) => {
                return Err(NotRead::custom("no variant stands where one is expected"));
            }
            Step::Made(candidate) => (name_of(0), Some(Probe::Made(candidate))),
            Step::Into(at, sought) => (name_of(at), Some(sought)),
        };
        visitor.visit_enum(Variant { tag, content })
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}
