//! Walks an event through serde to find the field that cannot be stored, without writing anything.
//!
//! The path is put together only while a refusal travels outwards; a walk that refuses nothing allocates nothing.

mod compound;

use std::fmt;

use serde::ser::{self, Serialize, Serializer};

use compound::{Elements, Entries};

use crate::block::canonical::MAX_PAYLOAD_DEPTH;
use crate::block::reader::prepend;

/// How often a value may stand in another, options and newtypes included: the steps that the decoder takes.
const MAX_STEPS: u32 = 256;

/// What to look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inspection {
    /// Values that can never be stored.
    Values,
    /// Those, and keys of maps that are known to encode but not to decode. A type can be an exception to the latter, so
    /// they are blamed only for a payload that was found not to read back.
    Keys,
}

/// A value that cannot be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The path of the field.
    pub(crate) path: String,
    /// What is wrong and what to do.
    pub(crate) reason: String,
}

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
pub(crate) fn inspect<T: Serialize>(event: &T, inspection: Inspection) -> Result<(), Refused> {
    let inspector = Inspector {
        inspection,
        depth: 0,
        steps: 0,
    };
    event
        .serialize(inspector)
        .map(drop)
        .map_err(|refused| *refused)
}

/// A value, other than an event, that would not read back as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("field `{}`: {}", .0.path, .0.reason)]
pub(crate) struct NotReadBack(Refused);

/// Looks for values that would not read back as they are, such as an option that holds nothing.
pub(crate) fn check_reads_back<T: Serialize>(value: &T) -> Result<(), NotReadBack> {
    inspect(value, Inspection::Values).map_err(NotReadBack)
}

/// What a value was written as, as far as an option around it needs to know.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Null,
    Other,
}

type Inspected = Result<Shape, Box<Refused>>;

#[derive(Clone, Copy)]
struct Inspector {
    inspection: Inspection,
    depth: u32,
    steps: u32,
}

impl Inspector {
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

    fn elements(self) -> Result<Elements, Box<Refused>> {
        Ok(Elements {
            inspector: self.into_container()?,
            index: 0,
            variant: None,
        })
    }

    fn entries(self) -> Result<Entries, Box<Refused>> {
        Ok(Entries {
            inspector: self.into_container()?,
            key: None,
            variant: None,
        })
    }

    /// Into the map of one key that holds a variant's content, unless the enum is the event itself.
    fn into_variant(self) -> Result<Self, Box<Refused>> {
        if self.steps == 0 {
            Ok(self)
        } else {
            self.into_container()
        }
    }

    /// The name of a variant is a segment of the path, unless the enum is the event itself.
    fn segment(self, variant: &'static str) -> Option<&'static str> {
        (self.steps > 0).then_some(variant)
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

impl Serializer for Inspector {
    type Ok = Shape;
    type Error = Box<Refused>;
    type SerializeSeq = Elements;
    type SerializeTuple = Elements;
    type SerializeTupleStruct = Elements;
    type SerializeTupleVariant = Elements;
    type SerializeMap = Entries;
    type SerializeStruct = Entries;
    type SerializeStructVariant = Entries;

    accept! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_char(char);
        serialize_str(&str);
        serialize_bytes(&[u8]);
    }

    fn serialize_i128(self, value: i128) -> Inspected {
        if (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&value) {
            return Ok(Shape::Other);
        }
        Self::refuse(format!(
            "{value} is past the 64 bits of an integer in dag-cbor: use a text or bytes for it"
        ))
    }

    fn serialize_u128(self, value: u128) -> Inspected {
        if value <= u128::from(u64::MAX) {
            return Ok(Shape::Other);
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
        Ok(Shape::Null)
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Inspected {
        match value.serialize(self.step()?)? {
            Shape::Other => Ok(Shape::Other),
            Shape::Null => Self::refuse(
                "an option that holds nothing would read back as none: use an enum that names the cases",
            ),
        }
    }

    fn serialize_unit(self) -> Inspected {
        Ok(Shape::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Inspected {
        Ok(Shape::Null)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Inspected {
        Ok(Shape::Other)
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        value: &T,
    ) -> Inspected {
        value.serialize(self.step()?)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Inspected {
        let inspected = value.serialize(self.into_variant()?);
        within(self.segment(variant), inspected).map(|_| Shape::Other)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Elements, Box<Refused>> {
        self.elements()
    }

    fn serialize_tuple(self, _: usize) -> Result<Elements, Box<Refused>> {
        self.elements()
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Elements, Box<Refused>> {
        self.elements()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Elements, Box<Refused>> {
        let elements = self.into_variant()?.elements()?;
        Ok(Elements {
            variant: self.segment(variant),
            ..elements
        })
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Entries, Box<Refused>> {
        self.entries()
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Entries, Box<Refused>> {
        self.entries()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Entries, Box<Refused>> {
        let entries = self.into_variant()?.entries()?;
        Ok(Entries {
            variant: self.segment(variant),
            ..entries
        })
    }

    fn collect_str<T: ?Sized + fmt::Display>(self, _: &T) -> Inspected {
        Ok(Shape::Other)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}
