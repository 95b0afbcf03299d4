//! From the bytes of a payload to the typed event of the present schema.

use std::iter::Chain;
use std::{fmt, option, vec};

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
use crate::domain::event::{DomainEvent, EnvelopeView, OneToOne, Upcast, UpcastEvent};
use crate::domain::kept::{Same, Storable};

/// The event that a stored payload holds, brought up to the present schema.
///
/// # Errors
/// [`PayloadError`]: an unknown or newer type, a payload that does not decode, an upcaster that refuses it, or one that
/// takes the envelope: [`StoredEvent::decode`](crate::block::StoredEvent::decode) has it.
pub fn decode_payload<E: OneToOne>(
    event_type: &str,
    schema: u32,
    payload: &[u8],
) -> Result<E, PayloadError> {
    decode_stored(event_type, schema, None, payload)?.one(event_type, schema)
}

/// The events that are read from one that is stored, with the envelope for upcasters that take it.
pub(crate) fn decode_enveloped<E: DomainEvent>(
    envelope: &EnvelopeView<'_>,
    payload: &[u8],
) -> Result<Decoded<E>, PayloadError> {
    let (event_type, schema) = (envelope.event_type, envelope.schema);
    decode_stored(event_type, schema, Some(envelope), payload)
}

/// The event of a payload of the present schema.
pub(crate) fn decode_present<E: DomainEvent>(
    event_type: &str,
    payload: &[u8],
) -> Result<E, PayloadError> {
    let info = E::info_of(event_type);
    let schema = info.map_or(1, |info| info.schema);
    decode_stored(event_type, schema, None, payload)?.one(event_type, schema)
}

fn decode_stored<E: DomainEvent>(
    event_type: &str,
    schema: u32,
    envelope: Option<&EnvelopeView<'_>>,
    payload: &[u8],
) -> Result<Decoded<E>, PayloadError> {
    let index =
        known::<E>(event_type, schema).map_err(|known| PayloadError::NewerThanThisProgram {
            event_type: event_type.to_owned(),
            schema,
            known,
        })?;
    let form = Form {
        index,
        event_type,
        schema,
    };
    if schema == E::EVENTS[index].schema {
        let event = decode(index, payload).map_err(|reason| form.unreadable(reason))?;
        return Ok(Decoded::of(event));
    }
    let value = serde_ipld_dagcbor::from_slice(payload)
        .map_err(|error| form.unreadable(reason_of(error)))?;
    let mut decoded = Decoded::nothing();
    form.bring_up(value, envelope, None, &mut decoded)?;
    Ok(decoded)
}

/// The place of the event that is stored under a type.
///
/// # Errors
/// What this program knows instead of the type, or of its schema version.
fn known<E: DomainEvent>(event_type: &str, schema: u32) -> Result<usize, String> {
    let Some(index) = E::EVENTS.iter().position(|info| info.is_called(event_type)) else {
        return Err(
            "no event of this type (if it was renamed here, `#[event(was = …)]` is missing or misspelled)"
                .to_owned(),
        );
    };
    match E::EVENTS[index].schema {
        newest if schema > newest => Err(format!("schema versions up to {newest}")),
        _ => Ok(index),
    }
}

/// A former form of an event, on its way to the present.
struct Form<'a> {
    index: usize,
    event_type: &'a str,
    schema: u32,
}

/// A step that gave several events, and those that led to it.
struct Parting<'a> {
    index: usize,
    from: u32,
    before: Option<&'a Parting<'a>>,
}

impl Form<'_> {
    fn unreadable(&self, reason: String) -> PayloadError {
        PayloadError::NotReadable {
            event_type: self.event_type.to_owned(),
            schema: self.schema,
            reason,
        }
    }

    fn not_upcast(&self, from: u32, reason: impl Into<String>) -> PayloadError {
        PayloadError::NotUpcast {
            event_type: self.event_type.to_owned(),
            from,
            to: from + 1,
            reason: reason.into(),
        }
    }

    /// Takes a payload through the upcasters, and adds what is read from it.
    fn bring_up<E: DomainEvent>(
        &self,
        mut value: Ipld,
        envelope: Option<&EnvelopeView<'_>>,
        before: Option<&Parting<'_>>,
        decoded: &mut Decoded<E>,
    ) -> Result<(), PayloadError> {
        let info = &E::EVENTS[self.index];
        for from in self.schema..info.schema {
            let step = from
                .checked_sub(1)
                .and_then(|step| info.upcasters.get(step as usize));
            let Some(upcaster) = step else {
                return Err(self.not_upcast(from, "no upcaster is declared for this step"));
            };
            let upcast = upcaster.upcast(value, envelope);
            match upcast.map_err(|error| self.not_upcast(from, error.0))? {
                Upcast::Payload(next) => value = next,
                Upcast::Several(several) => {
                    let parting = Parting {
                        index: self.index,
                        from,
                        before,
                    };
                    if parting.is_repeated() {
                        let reason = "it is read as events which are read as itself again";
                        return Err(self.not_upcast(from, reason));
                    }
                    return self.part::<E>(several, envelope, &parting, decoded);
                }
            }
        }
        // Through bytes, so that an upcast payload reads under the same rules as one that was written this way.
        let payload = serde_ipld_dagcbor::to_vec(&value).map_err(|error| {
            self.unreadable(format!("what the upcasters gave cannot be stored: {error}"))
        })?;
        let event = decode(self.index, &payload).map_err(|reason| {
            self.unreadable(format!("what the upcasters gave does not decode: {reason}"))
        })?;
        decoded.add(event);
        Ok(())
    }

    /// Brings up the events that a step gave.
    fn part<E: DomainEvent>(
        &self,
        several: Vec<UpcastEvent>,
        envelope: Option<&EnvelopeView<'_>>,
        parting: &Parting<'_>,
        decoded: &mut Decoded<E>,
    ) -> Result<(), PayloadError> {
        for event in several {
            let (event_type, schema) = (event.event_type, event.schema);
            let index = known::<E>(event_type, schema).map_err(|known| {
                let gave = format!(
                    "it gave `{event_type}` of schema version {schema}, and this enum has {known}"
                );
                self.not_upcast(parting.from, gave)
            })?;
            let form = Form {
                index,
                event_type,
                schema,
            };
            form.bring_up(event.payload, envelope, Some(parting), decoded)?;
        }
        Ok(())
    }
}

impl Parting<'_> {
    /// Whether the same step led here: it would for ever.
    fn is_repeated(&self) -> bool {
        let mut before = self.before;
        while let Some(parting) = before {
            if (parting.index, parting.from) == (self.index, self.from) {
                return true;
            }
            before = parting.before;
        }
        false
    }
}

/// The events as which a stored one is read: nearly always one.
pub(crate) struct Decoded<E> {
    first: Option<E>,
    rest: Vec<E>,
}

impl<E> Decoded<E> {
    fn nothing() -> Self {
        Self {
            first: None,
            rest: Vec::new(),
        }
    }

    fn of(event: E) -> Self {
        Self {
            first: Some(event),
            rest: Vec::new(),
        }
    }

    fn add(&mut self, event: E) {
        match self.first {
            None => self.first = Some(event),
            Some(_) => self.rest.push(event),
        }
    }

    /// How many they are.
    pub(crate) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    /// The event, where each is read as one.
    pub(crate) fn one(self, event_type: &str, schema: u32) -> Result<E, PayloadError> {
        let count = self.len();
        match self.first {
            Some(event) if count == 1 => Ok(event),
            _ => Err(PayloadError::NotReadable {
                event_type: event_type.to_owned(),
                schema,
                reason: format!("it is read as {count} events"),
            }),
        }
    }
}

impl<E> IntoIterator for Decoded<E> {
    type Item = E;
    type IntoIter = Chain<option::IntoIter<E>, vec::IntoIter<E>>;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.rest)
    }
}

/// Decodes the present schema of the event at an index.
pub(crate) fn decode<E: DomainEvent>(index: usize, payload: &[u8]) -> Result<E, String> {
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
    E::Value::read(Variant { content, index }).map(Same::into_it)
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
