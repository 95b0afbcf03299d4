//! From the bytes of a payload to the typed event of the present schema.

use std::fmt;

use ipld_core::ipld::Ipld;
use serde::de::value::U64Deserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, IgnoredAny, IntoDeserializer, MapAccess,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_ipld_dagcbor::DecodeError;
use serde_ipld_dagcbor::de::Deserializer as BlockDeserializer;

use super::PayloadError;
use crate::domain::event::{DomainEvent, EnvelopeView, EventInfo};

/// The event that a stored payload holds, brought up to the present schema.
///
/// # Errors
/// [`PayloadError`]: an unknown or newer type, a payload that does not decode, an upcaster that refuses it, or one that
/// takes the envelope: [`StoredEvent::decode`](crate::block::StoredEvent::decode) has it.
pub fn decode_payload<E: DomainEvent>(
    event_type: &str,
    schema: u32,
    payload: &[u8],
) -> Result<E, PayloadError> {
    decode_stored(event_type, schema, None, payload)
}

/// As [`decode_payload`], with the envelope for upcasters that take it.
pub(crate) fn decode_enveloped<E: DomainEvent>(
    envelope: &EnvelopeView<'_>,
    payload: &[u8],
) -> Result<E, PayloadError> {
    decode_stored(
        envelope.event_type,
        envelope.schema,
        Some(envelope),
        payload,
    )
}

fn decode_stored<E: DomainEvent>(
    event_type: &str,
    schema: u32,
    envelope: Option<&EnvelopeView<'_>>,
    payload: &[u8],
) -> Result<E, PayloadError> {
    let unknown = |known| PayloadError::NewerThanThisProgram {
        event_type: event_type.to_owned(),
        schema,
        known,
    };
    let unreadable = |reason| PayloadError::NotReadable {
        event_type: event_type.to_owned(),
        schema,
        reason,
    };
    let Some(index) = E::EVENTS.iter().position(|info| info.is_called(event_type)) else {
        return Err(unknown(
            "no event of this type (if it was renamed here, `#[event(was = …)]` is missing or misspelled)"
                .to_owned(),
        ));
    };
    let info = &E::EVENTS[index];
    if schema > info.schema {
        return Err(unknown(format!("schema versions up to {}", info.schema)));
    }
    if schema == info.schema {
        return decode(index, payload).map_err(unreadable);
    }
    let value =
        serde_ipld_dagcbor::from_slice(payload).map_err(|error| unreadable(reason_of(error)))?;
    let value = upcast(info, event_type, schema, envelope, value)?;
    // Through bytes, so that an upcast payload reads under the same rules as one that was written this way.
    let payload = serde_ipld_dagcbor::to_vec(&value).map_err(|error| {
        unreadable(format!("what the upcasters gave cannot be stored: {error}"))
    })?;
    decode(index, &payload)
        .map_err(|reason| unreadable(format!("what the upcasters gave does not decode: {reason}")))
}

fn upcast(
    info: &EventInfo,
    event_type: &str,
    schema: u32,
    envelope: Option<&EnvelopeView<'_>>,
    mut value: Ipld,
) -> Result<Ipld, PayloadError> {
    for from in schema..info.schema {
        let not_upcast = |reason| PayloadError::NotUpcast {
            event_type: event_type.to_owned(),
            from,
            to: from + 1,
            reason,
        };
        let step = from
            .checked_sub(1)
            .and_then(|step| info.upcasters.get(step as usize));
        let Some(upcaster) = step else {
            return Err(not_upcast(
                "no upcaster is declared for this step".to_owned(),
            ));
        };
        value = upcaster
            .upcast(value, envelope)
            .map_err(|error| not_upcast(error.0))?;
    }
    Ok(value)
}

/// Decodes the present schema of the event at an index.
pub(super) fn decode<E: DomainEvent>(index: usize, payload: &[u8]) -> Result<E, String> {
    let mut deserializer = BlockDeserializer::from_slice(payload);
    let event: E = decode_content(index, &mut deserializer).map_err(reason_of)?;
    deserializer.end().map_err(reason_of)?;
    if event.index() != index {
        return Err(format!(
            "serde counts the variants of the enum in another way than its declaration: {} was read as {}; remove `#[serde(skip)]` from variants",
            E::VARIANTS[index],
            E::VARIANTS[event.index()],
        ));
    }
    Ok(event)
}

/// Reads the content of the event at an index.
pub(crate) fn decode_content<'de, E: DomainEvent, D: Deserializer<'de>>(
    index: usize,
    content: D,
) -> Result<E, D::Error> {
    let index = index as u64;
    E::deserialize(Variant { content, index })
}

fn reason_of<E: fmt::Debug>(error: DecodeError<E>) -> String {
    match error {
        DecodeError::Msg(reason) => reason,
        DecodeError::Mismatch { name, found } => {
            format!("{} stands where {name} is expected", kind_of(found))
        }
        error => format!("{error:?}"),
    }
}

/// What begins with a byte, by the major types of CBOR.
fn kind_of(first_byte: u8) -> &'static str {
    match (first_byte >> 5, first_byte & 0x1f) {
        (0, _) => "a number",
        (1, _) => "a negative number",
        (2, _) => "a byte string",
        (3, _) => "a text",
        (4, _) => "a list",
        (5, _) => "a map",
        (6, _) => "a link",
        (_, 20 | 21) => "a boolean",
        (_, 22) => "null",
        (_, 25..=27) => "a floating-point number",
        _ => "something else",
    }
}

/// Presents a plain map as the content of one variant of an enum, which is named by its place.
struct Variant<D> {
    content: D,
    index: u64,
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Variant<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        visitor.visit_enum(self)
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, D: Deserializer<'de>> EnumAccess<'de> for Variant<D> {
    type Error = D::Error;
    type Variant = Content<D>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Content<D>), D::Error> {
        let index: U64Deserializer<D::Error> = self.index.into_deserializer();
        Ok((seed.deserialize(index)?, Content(self.content)))
    }
}

/// The content of a variant.
struct Content<D>(D);

impl<'de, D: Deserializer<'de>> VariantAccess<'de> for Content<D> {
    type Error = D::Error;

    fn unit_variant(self) -> Result<(), D::Error> {
        self.0.deserialize_map(AnyMap)
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, D::Error> {
        seed.deserialize(self.0)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, D::Error> {
        Err(D::Error::custom(
            "an event cannot be a variant with several unnamed fields",
        ))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_struct("map", fields, visitor)
    }
}

/// A map whose content does not matter, as that of a unit variant.
struct AnyMap;

impl<'de> Visitor<'de> for AnyMap {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(())
    }
}
