//! Which shape a type reads, found by letting it read a value and noting what it asks for at each path.

mod access;

use std::cell::{Cell, RefCell};

use ipld_core::ipld::Ipld;
use ipld_core::serde::SerdeError;
use serde::de::{Deserializer, Error as _, Visitor};

use super::shape::Shape;
use access::{Elements, Entries, Variant};

/// The name that `cid` gives to the newtype of a CID; such a value is a link.
const LINK: &str = ipld_core::cid::serde::CID_SERDE_PRIVATE_IDENTIFIER;

/// A change to the value while it is read: whether the type still reads it tells a rule of the type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    /// Leaves the field at a path out.
    Without(String),
    /// Adds a field of this name to the struct at a path, behind the others.
    With(String, String),
    /// Reads the value of the enum at a path as its variant of this name alone.
    Unit(String, String),
    /// Reads the value of the enum at a path as if it were of another variant.
    Tag(String, String),
}

/// What reading a value leads to: the shape, or whether an edit met its place.
#[derive(Debug, Default)]
pub(super) struct Record {
    shape: RefCell<Shape>,
    edit: Option<Edit>,
    met: Cell<bool>,
}

impl Record {
    /// Records nothing and edits the value.
    pub(super) fn editing(edit: Edit) -> Self {
        let edit = Some(edit);
        Self {
            edit,
            ..Self::default()
        }
    }

    /// The value as what a type reads.
    pub(super) fn value(&self, value: Ipld) -> Value<'_> {
        let place = Place::default();
        Value {
            value,
            place,
            record: self,
        }
    }

    /// Whether the edit met its place in the value.
    pub(super) fn met(&self) -> bool {
        self.met.get()
    }

    pub(super) fn into_shape(self) -> Shape {
        self.shape.into_inner()
    }

    fn note(&self, note: impl FnOnce(&mut Shape)) {
        if self.edit.is_none() {
            note(&mut self.shape.borrow_mut());
        }
    }

    fn meets(&self, is_it: impl FnOnce(&Edit) -> bool) -> bool {
        let meets = self.edit.as_ref().is_some_and(is_it);
        self.met.set(self.met.get() || meets);
        meets
    }
}

/// Where a value stands: its path, and the named types around it, by which one that contains itself is noticed.
#[derive(Clone, Debug, Default)]
struct Place {
    path: String,
    around: Vec<(&'static str, &'static [&'static str], String)>,
}

impl Place {
    fn field(&self, name: &str) -> Self {
        let separator = if self.path.is_empty() { "" } else { "." };
        self.with(&format!("{separator}{name}"))
    }

    fn with(&self, step: &str) -> Self {
        let path = format!("{}{step}", self.path);
        let around = self.around.clone();
        Self { path, around }
    }
}

/// A value, read as a type asks.
pub(super) struct Value<'a> {
    value: Ipld,
    place: Place,
    record: &'a Record,
}

impl<'a> Value<'a> {
    fn at(&self, place: Place, value: Ipld) -> Value<'a> {
        let record = self.record;
        Value {
            value,
            place,
            record,
        }
    }

    fn kind(&self, kind: &str) {
        let path = &self.place.path;
        self.record.note(|shape| shape.kind(path, kind));
    }

    /// Enters a named type. One that contains itself is recorded once, where it stands first.
    fn enter(&mut self, name: &'static str, parts: &'static [&'static str]) {
        let known = |(n, p, _): &&(&str, &[&str], String)| (*n, *p) == (name, parts);
        match self.place.around.iter().find(known) {
            Some((_, _, path)) => {
                let path = path.clone();
                self.kind(&match path.as_str() {
                    "" => "as the payload".to_owned(),
                    path => format!("as {path}"),
                });
                self.place.path = path;
            }
            None => {
                let path = self.place.path.clone();
                self.place.around.push((name, parts, path));
            }
        }
    }

    fn unlike(&self, expected: &str) -> SerdeError {
        let path = &self.place.path;
        SerdeError::custom(format!("at `{path}` stands no {expected}"))
    }

    fn list<'de, V: Visitor<'de>>(
        self,
        visitor: V,
        step: impl Fn(usize) -> String,
    ) -> Result<V::Value, SerdeError> {
        let Ipld::List(list) = &self.value else {
            return Err(self.unlike("list"));
        };
        let places = (0..list.len()).map(|at| self.place.with(&step(at)));
        let values: Vec<_> = places
            .zip(list.clone())
            .map(|(place, value)| self.at(place, value))
            .collect();
        visitor.visit_seq(Elements(values.into_iter()))
    }

    fn tuple<'de, V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, SerdeError> {
        // Longer ones are arrays, whose elements are all alike.
        const APART: usize = 8;
        self.kind(&format!("list of {length}"));
        self.list(visitor, |at| match length {
            0..=APART => format!("[{at}]"),
            _ => "[]".to_owned(),
        })
    }

    fn map<'de, V: Visitor<'de>>(
        self,
        visitor: V,
        place: impl Fn(&str) -> Place,
    ) -> Result<V::Value, SerdeError> {
        let Ipld::Map(map) = &self.value else {
            return Err(self.unlike("map"));
        };
        let record = self.record;
        let mut entries = Vec::new();
        for (key, value) in map {
            let place = place(key);
            if !record.meets(|edit| matches!(edit, Edit::Without(path) if *path == place.path)) {
                entries.push((key.clone(), self.at(place, value.clone())));
            }
        }
        if let Some(Edit::With(path, name)) = &record.edit
            && *path == self.place.path
        {
            record.met.set(true);
            entries.push((name.clone(), self.at(self.place.field(name), Ipld::Null)));
        }
        visitor.visit_map(Entries {
            entries: entries.into_iter(),
            value: None,
        })
    }

    fn fields<'de, V: Visitor<'de>>(
        self,
        fields: &[&str],
        visitor: V,
    ) -> Result<V::Value, SerdeError> {
        let path = &self.place.path;
        self.record.note(|shape| shape.declares(path, fields));
        let place = self.place.clone();
        self.map(visitor, |key| place.field(key))
    }
}

/// Reads a value that stands for itself, and notes what was asked for.
macro_rules! leaves {
    ($($method:ident $kind:literal,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
            self.kind($kind);
            self.value.$method(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Value<'_> {
    type Error = SerdeError;

    leaves! {
        deserialize_bool "bool",
        deserialize_i8 "i8", deserialize_i16 "i16", deserialize_i32 "i32", deserialize_i64 "i64",
        deserialize_u8 "u8", deserialize_u16 "u16", deserialize_u32 "u32", deserialize_u64 "u64",
        deserialize_f32 "f32", deserialize_f64 "f64",
        deserialize_char "char", deserialize_str "text", deserialize_string "text",
        deserialize_bytes "bytes", deserialize_byte_buf "bytes", deserialize_unit "unit",
        deserialize_identifier "text", deserialize_ignored_any "ignored",
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        match &self.value {
            Ipld::Null => {
                self.kind("null");
                visitor.visit_unit()
            }
            Ipld::Bool(_) => self.deserialize_bool(visitor),
            Ipld::Integer(number) => {
                self.kind("integer");
                match (u64::try_from(*number), i64::try_from(*number)) {
                    (Ok(number), _) => visitor.visit_u64(number),
                    (_, Ok(number)) => visitor.visit_i64(number),
                    _ => visitor.visit_i128(*number),
                }
            }
            Ipld::Float(_) => self.deserialize_f64(visitor),
            Ipld::String(_) => self.deserialize_string(visitor),
            Ipld::Bytes(_) => self.deserialize_byte_buf(visitor),
            Ipld::List(_) => self.deserialize_seq(visitor),
            Ipld::Map(map) => {
                self.kind("struct");
                let names: Vec<_> = map.keys().map(String::as_str).collect();
                let path = &self.place.path;
                self.record.note(|shape| shape.declares(path, &names));
                self.fields(&[], visitor)
            }
            Ipld::Link(_) => {
                self.kind("link");
                self.value.deserialize_any(visitor)
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        self.kind("null");
        match self.value {
            Ipld::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, SerdeError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, SerdeError> {
        if name == LINK {
            self.kind("link");
            return self.value.deserialize_newtype_struct(name, visitor);
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        self.kind("list");
        self.list(visitor, |_| "[]".to_owned())
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, SerdeError> {
        self.tuple(length, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, SerdeError> {
        self.tuple(length, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        self.kind("map");
        let place = self.place.clone();
        self.map(visitor, |_| place.with("{}"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, SerdeError> {
        self.enter(name, fields);
        self.kind("struct");
        self.fields(fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, SerdeError> {
        self.enter(name, variants);
        let path = self.place.path.clone();
        self.record.note(|shape| shape.chooses(&path, variants));
        let (tag, content) = match &self.value {
            Ipld::String(tag) => (tag.clone(), None),
            Ipld::Map(map) if map.len() == 1 => {
                let (tag, content) = map.iter().next().ok_or_else(|| self.unlike("variant"))?;
                (tag.clone(), Some(content.clone()))
            }
            _ => return Err(self.unlike("variant")),
        };
        let (tag, content) = match &self.record.edit {
            Some(Edit::Unit(at, other)) if *at == path => {
                self.record.met.set(true);
                (other.clone(), None)
            }
            Some(Edit::Tag(at, other)) if *at == path => {
                self.record.met.set(true);
                (other.clone(), content)
            }
            _ => (tag, content),
        };
        visitor.visit_enum(Variant {
            value: self,
            tag,
            content,
        })
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        self.deserialize_any(visitor)
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        self.deserialize_any(visitor)
    }
}
