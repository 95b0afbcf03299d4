//! The elements of a list, the entries of a map, and the content of a variant.

use std::vec::IntoIter;

use ipld_core::ipld::Ipld;
use serde::de::value::StringDeserializer;
use serde::de::{
    DeserializeSeed, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};

use super::outline::Part;
use super::{NotRead, Probe, Step};

/// The elements of a list.
pub(super) struct Elements<'a> {
    items: IntoIter<Probe<'a>>,
    index: usize,
}

impl<'a> Elements<'a> {
    pub(super) fn new(items: Vec<Probe<'a>>) -> Self {
        Self {
            items: items.into_iter(),
            index: 0,
        }
    }
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = NotRead;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, NotRead> {
        let Some(item) = self.items.next() else {
            return Ok(None);
        };
        let index = self.index;
        self.index += 1;
        let read = seed.deserialize(item);
        read.map(Some)
            .map_err(|error| error.under(&format!("[{index}]")))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// The entries of a map, or the fields of a struct.
pub(super) struct Entries<'a> {
    entries: IntoIter<(Probe<'a>, Probe<'a>)>,
    value: Option<(String, Probe<'a>)>,
}

impl<'a> Entries<'a> {
    pub(super) fn new(entries: Vec<(Probe<'a>, Probe<'a>)>) -> Self {
        Self {
            entries: entries.into_iter(),
            value: None,
        }
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = NotRead;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, NotRead> {
        let Some((key, value)) = self.entries.next() else {
            return Ok(None);
        };
        let shown = match &key {
            Probe::Stored(Ipld::String(key)) => key.clone(),
            _ => String::new(),
        };
        let read = seed.deserialize(key);
        let read = read.map_err(|error| error.under(&shown))?;
        self.value = Some((shown, value));
        Ok(Some(read))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, NotRead> {
        let Some((shown, value)) = self.value.take() else {
            return Err(NotRead::custom("a value before its key"));
        };
        seed.deserialize(value).map_err(|error| error.under(&shown))
    }
}

/// A variant of an enum.
pub(super) struct Variant<'a> {
    pub(super) tag: String,
    pub(super) content: Option<Probe<'a>>,
}

impl<'a> Variant<'a> {
    fn content(self) -> Result<Probe<'a>, NotRead> {
        self.content
            .ok_or_else(|| NotRead::custom("a variant without its content"))
    }
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = NotRead;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), NotRead> {
        let tag: StringDeserializer<NotRead> = self.tag.clone().into_deserializer();
        Ok((seed.deserialize(tag)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = NotRead;

    fn unit_variant(self) -> Result<(), NotRead> {
        match self.content {
            Some(sought @ Probe::Sought(..)) => match sought.step(|| Part::new("unit variant"))? {
                Step::Into(..) => Err(NotRead::custom("a part of nothing")),
                _ => Ok(()),
            },
            Some(Probe::Stored(_)) => Err(NotRead::custom("content of a variant without one")),
            _ => Ok(()),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, NotRead> {
        let tag = self.tag.clone();
        let read = seed.deserialize(self.content()?);
        read.map_err(|error| error.under(&tag))
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, NotRead> {
        let tag = self.tag.clone();
        let read = self.content()?.list(Part::tuple(length), visitor);
        read.map_err(|error| error.under(&tag))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, NotRead> {
        let tag = self.tag.clone();
        let read = self.content()?.fields(fields, visitor);
        read.map_err(|error| error.under(&tag))
    }
}
