//! Walks an event through serde to find the field that cannot be stored, without writing anything.
//!
//! The path is put together only while a refusal travels outwards; a walk that refuses nothing allocates nothing.

mod compound;

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::ser::{self, Serialize, Serializer};

use compound::{Elements, Entries};

use super::orders::Way;
use crate::block::canonical::MAX_PAYLOAD_DEPTH;
use crate::block::reader::prepend;

/// How many times a value may stand in another, options and newtypes included: the steps that the decoder takes.
const MAX_STEPS: u32 = 256;

/// What to look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inspection {
    /// Values that can never be stored.
    Values,
    /// Those, and keys of maps that are known to encode but not to decode. A type can be an exception to the latter, so
    /// they are blamed only for a payload that was found not to read back.
    Keys,
    /// The value at a place, from 0, among those that serde writes in one way and may read in another.
    Forms(usize),
    /// The option at a place, from 0, among those that hold nothing.
    Hollow(usize),
    /// The ways of types to lists of several elements.
    Lists,
}

/// What a walk met.
#[derive(Debug, Default)]
pub(super) struct Met {
    /// A null, which may stand for an option that holds nothing as well as for none.
    pub(super) null: Cell<bool>,
    /// Options that hold nothing.
    pub(super) hollow: Cell<usize>,
    /// A list of several elements, whose order may be of no meaning.
    pub(super) list: Cell<bool>,
    /// The ways of types to such lists, where they are looked for.
    pub(super) lists: RefCell<Vec<Way>>,
    /// A long list of small numbers.
    pub(super) bytes: Cell<bool>,
    /// The value asked whether it is written for people: it has two forms.
    asked: Cell<bool>,
    /// The values with two forms.
    forms: Cell<usize>,
}

/// From how many elements on a list of small numbers is worth a hint.
pub(super) const MANY_BYTES: usize = 32;

/// A value that cannot be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The path of the field.
    pub(crate) path: String,
    /// What is wrong and what to do.
    pub(crate) reason: String,
}

/// Two forms in serde: which types have them, and what to do.
const TWO_FORMS: &str = "its type has one form for texts and another for bytes, and inside an enum with \
    `#[serde(tag)]` or `#[serde(untagged)]` and under `#[serde(flatten)]` serde reads the one where the other was \
    written: leave that attribute out, or keep the value as a text, in a type with \
    `#[serde(into = \"String\", try_from = \"String\")]`";
const WIDE: &str = "serde does not read an integer of 128 bits inside an enum with `#[serde(tag)]` or \
    `#[serde(untagged)]` and under `#[serde(flatten)]`: leave that attribute out, or use a `u64`, an `i64` or a text";

impl Refused {
    /// Refuses the value itself.
    #[cold]
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self {
            path: String::new(),
            reason: reason.into(),
        }
    }

    fn under(mut self: Box<Self>, segment: &str) -> Box<Self> {
        prepend(&mut self.path, segment);
        self
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Refused {}

impl ser::Error for Box<Refused> {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Box::new(Refused::new(message.to_string()))
    }
}

/// Looks for what cannot be stored; recursion is bounded.
pub(super) fn inspect<T: Serialize>(event: &T, inspection: Inspection) -> Result<Met, Refused> {
    let met = Met::default();
    let inspector = Inspector {
        inspection,
        met: &met,
        depth: 0,
        steps: 0,
        way: Way::start(),
    };
    match event.serialize(inspector) {
        Ok(_) => Ok(met),
        Err(refused) => Err(*refused),
    }
}

/// What a value was written as, as far as what is around it needs to know.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Null,
    Byte,
    Other,
}

type Inspected = Result<Shape, Box<Refused>>;

#[derive(Clone, Copy)]
struct Inspector<'m> {
    inspection: Inspection,
    met: &'m Met,
    depth: u32,
    steps: u32,
    /// The way of types to here, where lists are looked for.
    way: Way,
}

impl<'m> Inspector<'m> {
    fn refuse<T>(reason: impl Into<String>) -> Result<T, Box<Refused>> {
        Err(Box::new(Refused::new(reason)))
    }

    fn step(self) -> Result<Self, Box<Refused>> {
        if self.steps == MAX_STEPS {
            return Self::refuse(format!(
                "values nest deeper than the {MAX_STEPS} steps that can be read back: make the value flatter"
            ));
        }
        Ok(Self {
            steps: self.steps + 1,
            ..self
        })
    }

    /// Into a list or map.
    fn into_container(self) -> Result<Self, Box<Refused>> {
        if self.depth == MAX_PAYLOAD_DEPTH {
            return Self::refuse(format!(
                "lists and maps nest deeper than the {MAX_PAYLOAD_DEPTH} levels that can be read back: make the value flatter"
            ));
        }
        Self {
            depth: self.depth + 1,
            ..self
        }
        .step()
    }

    fn elements(self) -> Result<Elements<'m>, Box<Refused>> {
        Ok(Elements {
            inspector: self.into_container()?,
            types: Way::start(),
            last: None,
            index: 0,
            is_bytes: true,
            variant: None,
        })
    }

    fn entries(self) -> Result<Entries<'m>, Box<Refused>> {
        Ok(Entries {
            inspector: self.into_container()?,
            lists_before: self.met.lists.borrow().len(),
            key: None,
            variant: None,
        })
    }

    /// Into the map of one key that holds a variant's content, unless the enum is the event itself.
    fn past_variant(self, variant: &str) -> Result<Self, Box<Refused>> {
        let on = self.along(|way| way.past(variant));
        match self.steps {
            0 => Ok(on),
            _ => on.into_container(),
        }
    }

    /// On along the way of types, where lists are looked for.
    fn along(self, on: impl FnOnce(Way) -> Way) -> Self {
        match self.inspection {
            Inspection::Lists => Self {
                way: on(self.way),
                ..self
            },
            _ => self,
        }
    }

    /// The name of a variant is a segment of the path, unless the enum is the event itself.
    fn segment(self, variant: &'static str) -> Option<&'static str> {
        (self.steps > 0).then_some(variant)
    }

    /// Walks over a value in this one.
    fn walk<T: ?Sized + Serialize>(self, value: &T) -> Inspected {
        let around = self.met.asked.replace(false);
        let shape = value.serialize(self.along(Way::into::<T>))?;
        if self.met.asked.replace(around) {
            self.form(TWO_FORMS)?;
        }
        Ok(shape)
    }

    /// Counts a value with two forms.
    fn form(self, reason: &str) -> Result<(), Box<Refused>> {
        let place = self.met.forms.get();
        self.met.forms.set(place + 1);
        match self.inspection == Inspection::Forms(place) {
            true => Self::refuse(reason),
            false => Ok(()),
        }
    }

    fn null(self) -> Inspected {
        self.met.null.set(true);
        Ok(Shape::Null)
    }

    fn float(value: f64) -> Inspected {
        if value.is_finite() {
            return Ok(Shape::Other);
        }
        Self::refuse(format!(
            "{value} is not a finite number and has no place in dag-cbor: use an option or a text for it"
        ))
    }
}

/// What is wrong with an option that holds nothing.
const HOLLOW: &str =
    "an option that holds nothing would read back as none: use an enum that names the cases";

fn within(segment: Option<&str>, inspected: Inspected) -> Inspected {
    match (segment, inspected) {
        (Some(segment), Err(refused)) => Err(refused.under(segment)),
        (_, inspected) => inspected,
    }
}

macro_rules! accept {
    ($($method:ident($argument:ty);)*) => {
        $(fn $method(self, _: $argument) -> Inspected {
            Ok(Shape::Other)
        })*
    };
}

impl<'m> Serializer for Inspector<'m> {
    type Ok = Shape;
    type Error = Box<Refused>;
    type SerializeSeq = Elements<'m>;
    type SerializeTuple = Elements<'m>;
    type SerializeTupleStruct = Elements<'m>;
    type SerializeTupleVariant = Elements<'m>;
    type SerializeMap = Entries<'m>;
    type SerializeStruct = Entries<'m>;
    type SerializeStructVariant = Entries<'m>;

    accept! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_char(char);
        serialize_str(&str);
        serialize_bytes(&[u8]);
    }

    fn serialize_u8(self, _: u8) -> Inspected {
        Ok(Shape::Byte)
    }

    fn serialize_i128(self, value: i128) -> Inspected {
        if (-(1 << 64)..=i128::from(u64::MAX)).contains(&value) {
            return self.form(WIDE).map(|()| Shape::Other);
        }
        Self::refuse(format!(
            "{value} is past the 64 bits of an integer in dag-cbor: use a text or bytes for it"
        ))
    }

    fn serialize_u128(self, value: u128) -> Inspected {
        if value <= u128::from(u64::MAX) {
            return self.form(WIDE).map(|()| Shape::Other);
        }
        Self::refuse(format!(
            "{value} is past the 64 bits of an integer in dag-cbor: use a text or bytes for it"
        ))
    }

    fn serialize_f32(self, value: f32) -> Inspected {
        Self::float(value.into())
    }

    fn serialize_f64(self, value: f64) -> Inspected {
        Self::float(value)
    }

    fn serialize_none(self) -> Inspected {
        self.null()
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Inspected {
        let shape = self.step()?.walk(value)?;
        if shape == Shape::Null {
            let place = self.met.hollow.get();
            self.met.hollow.set(place + 1);
            if self.inspection == Inspection::Hollow(place) {
                return Self::refuse(HOLLOW);
            }
        }
        Ok(shape)
    }

    fn serialize_unit(self) -> Inspected {
        self.null()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Inspected {
        self.null()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Inspected {
        Ok(Shape::Other)
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        value: &T,
    ) -> Inspected {
        self.step()?.walk(value)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Inspected {
        let inspected = self.past_variant(variant)?.walk(value);
        within(self.segment(variant), inspected).map(|_| Shape::Other)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Elements<'m>, Box<Refused>> {
        self.elements()
    }

    fn serialize_tuple(self, _: usize) -> Result<Elements<'m>, Box<Refused>> {
        self.elements()
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Elements<'m>, Box<Refused>> {
        self.elements()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Elements<'m>, Box<Refused>> {
        let elements = self.past_variant(variant)?.elements()?;
        Ok(Elements {
            variant: self.segment(variant),
            ..elements
        })
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Entries<'m>, Box<Refused>> {
        self.entries()
    }

    fn serialize_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStruct, Box<Refused>> {
        self.entries()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Entries<'m>, Box<Refused>> {
        let entries = self.past_variant(variant)?.entries()?;
        Ok(Entries {
            variant: self.segment(variant),
            ..entries
        })
    }

    fn collect_str<T: ?Sized + fmt::Display>(self, _: &T) -> Inspected {
        Ok(Shape::Other)
    }

    fn is_human_readable(&self) -> bool {
        self.met.asked.set(true);
        false
    }
}
