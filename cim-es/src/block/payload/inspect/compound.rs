//! The elements of lists and the entries of maps, each under its segment of the path.

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};

use super::{Inspected, Inspection, Inspector, MANY_BYTES, Refused, Shape, within};
use crate::block::payload::keys::key_text;
use crate::block::payload::orders::Way;

/// The elements of a list.
pub(super) struct Elements<'m> {
    pub(super) inspector: Inspector<'m>,
    /// The types of the elements so far, where lists are looked for.
    pub(super) types: Way,
    /// The type of the last of them: elements of one type are one, however many they are.
    pub(super) last: Option<Way>,
    pub(super) index: usize,
    /// Whether each element so far is a number of one byte.
    pub(super) is_bytes: bool,
    pub(super) variant: Option<&'static str>,
}

impl Elements<'_> {
    fn element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Box<Refused>> {
        let index = self.index;
        self.index += 1;
        if self.inspector.inspection == Inspection::Lists {
            let element = Way::start().into::<T>();
            if self.last != Some(element) {
                self.types = self.types.beside(element);
                self.last = Some(element);
            }
        }
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
            if self.inspector.inspection == Inspection::Lists {
                let way = self.inspector.way.list(self.types, self.index);
                met.lists.borrow_mut().push(way);
            }
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
    /// How many lists were met before.
    pub(super) lists_before: usize,
    pub(super) key: Option<String>,
    pub(super) variant: Option<&'static str>,
}

impl Entries<'_> {
    fn field<T: ?Sized + Serialize>(&mut self, name: &str, value: &T) -> Result<(), Box<Refused>> {
        let inspected = self.inspector.along(|way| way.past(name)).walk(value);
        self.inspector = self.inspector.along(|way| way.past_field(name, value));
        let inspected = within(Some(name), inspected);
        within(self.variant, inspected).map(drop)
    }

    /// Which fields a struct has is known at its end.
    fn finish(self) -> Inspected {
        if self.inspector.inspection == Inspection::Lists {
            let mut lists = self.inspector.met.lists.borrow_mut();
            for list in &mut lists[self.lists_before..] {
                *list = list.beside(self.inspector.way);
            }
        }
        Ok(Shape::Other)
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
        self.inspector = self.inspector.along(|way| way.past_key(key));
        self.key = Some(key_text(key).unwrap_or_else(|unfit| unfit.shown));
        Ok(())
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Box<Refused>> {
        let key = self.key.take().unwrap_or_default();
        let inspected = within(Some(&key), self.inspector.walk(value));
        within(self.variant, inspected).map(drop)
    }

    fn serialize_entry<K: ?Sized + Serialize, T: ?Sized + Serialize>(
        &mut self,
        key: &K,
        value: &T,
    ) -> Result<(), Box<Refused>> {
        self.check_key(key)?;
        let inspected = self.inspector.walk(value);
        self.inspector = self.inspector.along(|way| way.past_entry(key, value));
        inspected
            .map(drop)
            .map_err(|refused| refused.under(&key_text(key).unwrap_or_else(|unfit| unfit.shown)))
    }

    fn end(self) -> Inspected {
        self.finish()
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
                self.finish()
            }
        })*
    };
}

fields! {
    SerializeStruct;
    SerializeStructVariant;
}
