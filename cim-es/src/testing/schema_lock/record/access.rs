//! What serde asks of lists, maps and enums while the value is read and recorded.

use ipld_core::ipld::Ipld;
use ipld_core::serde::SerdeError;
use serde::de::{
    DeserializeSeed, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};

use super::Value;

/// The elements of a list.
pub(super) struct Elements<'a>(pub(super) std::vec::IntoIter<Value<'a>>);

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = SerdeError;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, SerdeError> {
        self.0
            .next()
            .map(|value| seed.deserialize(value))
            .transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

/// The entries of a map or the fields of a struct.
pub(super) struct Entries<'a> {
    pub(super) entries: std::vec::IntoIter<(String, Value<'a>)>,
    pub(super) value: Option<Value<'a>>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = SerdeError;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, SerdeError> {
        let Some((key, value)) = self.entries.next() else {
            return Ok(None);
        };
        self.value = Some(value);
        seed.deserialize(Ipld::String(key)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, SerdeError> {
        let value = self.value.take();
        seed.deserialize(value.ok_or_else(|| SerdeError::custom("a value before its key"))?)
    }
}

/// A variant of an enum.
pub(super) struct Variant<'a> {
    pub(super) value: Value<'a>,
    pub(super) tag: String,
    pub(super) content: Option<Ipld>,
}

impl<'a> Variant<'a> {
    /// What the variant holds.
    fn content(self) -> Value<'a> {
        let tag = self.tag;
        self.value.kind(&format!("{tag}(…)"));
        let place = self.value.place.with(&format!("({tag})"));
        self.value.at(place, self.content.unwrap_or(Ipld::Null))
    }
}

impl<'de, 'a> EnumAccess<'de> for Variant<'a> {
    type Error = SerdeError;
    type Variant = Variant<'a>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self), SerdeError> {
        let tag: serde::de::value::StringDeserializer<SerdeError> =
            self.tag.clone().into_deserializer();
        Ok((seed.deserialize(tag)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = SerdeError;

    fn unit_variant(self) -> Result<(), SerdeError> {
        self.value.kind(&format!("\"{}\"", self.tag));
        match self.content {
            None => Ok(()),
            Some(_) => Err(self.value.unlike("variant without content")),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<S::Value, SerdeError> {
        match self.content {
            Some(_) => seed.deserialize(self.content()),
            None => Err(self.value.unlike("variant with content")),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, SerdeError> {
        self.content().tuple(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, SerdeError> {
        let content = self.content();
        content.kind("struct");
        content.fields(fields, visitor)
    }
}
