//! The elements of lists and the entries of maps, each under its segment of the path.

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};

use super::{Inspected, Inspection, Inspector, MANY_BYTES, Refused, Shape, within};
use crate::block::payload::keys::key_text;

/// The elements of a list.
pub(super) struct Elements<'m> {
    pub(super) inspector: Inspector<'m>,
    pub(super) index: usize,
    /// Whether each element so far is a number of one byte.
    pub(super) is_bytes: bool,
    pub(super) variant: Option<&'static str>,
}

impl Elements<'_> {
    fn element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Box<Refused>> {
        let index = self.index;
        self.index += 1;
        let inspected = self
            .inspector
            .walk(value)
            .map_err(|refused| refused.under(&format!("[{index}]")));
        let shape = within(self.variant, inspected)?;
        self.is_bytes &= shape == Shape::Byte;
        Ok(())
    }

    fn finish(self) -> Inspected {
        let met = self.inspector.met;
        if self.index > 1 {
            met.list.set(true);
        }
        if self.is_bytes && self.index >= MANY_BYTES {
            met.bytes.set(true);
        }
        Ok(Shape::Other)
    }
}

macro_rules! list {
    ($($compound:ident::$method:ident;)*) => {
        $(impl $compound for Elements<'_> {
            type Ok = Shape;
            type Error = Box<Refused>;

            fn $method<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Box<Refused>> {
                self.element(value)
            }

            fn end(self) -> Inspected {
                self.finish()
            }
        })*
    };
}

list! {
    SerializeSeq::serialize_element;
    SerializeTuple::serialize_element;
    SerializeTupleStruct::serialize_field;
    SerializeTupleVariant::serialize_field;
}

/// The entries of a map, or the fields of a struct.
pub(super) struct Entries<'m> {
    pub(super) inspector: Inspector<'m>,
    pub(super) key: Option<String>,
    pub(super) variant: Option<&'static str>,
}

impl Entries<'_> {
    fn field<T: ?Sized + Serialize>(&self, name: &str, value: &T) -> Result<(), Box<Refused>> {
        let inspected = self.inspector.walk(value);
        let inspected = within(Some(name), inspected);
        within(self.variant, inspected).map(drop)
    }

    fn check_key<K: ?Sized + Serialize>(&self, key: &K) -> Result<(), Box<Refused>> {
        if self.inspector.inspection != Inspection::Keys {
            return Ok(());
        }
        match key_text(key) {
            Ok(_) => Ok(()),
            Err(unfit) => Err(Box::new(Refused {
                path: unfit.shown,
                reason: unfit.reason,
            })),
        }
    }
}

impl SerializeMap for Entries<'_> {
    type Ok = Shape;
    type Error = Box<Refused>;

    fn serialize_key<K: ?Sized + Serialize>(&mut self, key: &K) -> Result<(), Box<Refused>> {
        self.check_key(key)?;
        self.key = Some(key_text(key).unwrap_or_else(|unfit| unfit.shown));
        Ok(())
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Box<Refused>> {
        let key = self.key.take().unwrap_or_default();
        self.field(&key, value)
    }

    fn serialize_entry<K: ?Sized + Serialize, T: ?Sized + Serialize>(
        &mut self,
        key: &K,
        value: &T,
    ) -> Result<(), Box<Refused>> {
        self.check_key(key)?;
        self.inspector
            .walk(value)
            .map(drop)
            .map_err(|refused| refused.under(&key_text(key).unwrap_or_else(|unfit| unfit.shown)))
    }

    fn end(self) -> Inspected {
        Ok(Shape::Other)
    }
}

macro_rules! fields {
    ($($compound:ident;)*) => {
        $(impl $compound for Entries<'_> {
            type Ok = Shape;
            type Error = Box<Refused>;

            fn serialize_field<T: ?Sized + Serialize>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Box<Refused>> {
                self.field(name, value)
            }

            fn end(self) -> Inspected {
                Ok(Shape::Other)
            }
        })*
    };
}

fields! {
    SerializeStruct;
    SerializeStructVariant;
}
