//! From a typed event to the bytes of its payload.

use std::collections::{BTreeSet, TryReserveError};
use std::sync::Mutex;

use serde::ser::{Error as _, Impossible, Serialize, Serializer};
use serde_ipld_dagcbor::EncodeError;
use serde_ipld_dagcbor::ser::{BufWriter, CollectMap, Serializer as BlockSerializer};

use super::PayloadError;
use super::check::{check_keys, compare, list_of_bytes};
use super::decode::decode;
use super::inspect::{Inspection, Refused, inspect};
use super::orders::{self, Way};
use super::probe::{is_unordered, misfit};
use crate::block::canonical;
use crate::block::reader::{Reader, major};
use crate::domain::event::DomainEvent;
use crate::domain::kept::{Plain, Same, Storable, Written};

/// The payload block of an event: canonical dag-cbor, readable again.
///
/// # Errors
/// [`PayloadError::NotStorable`] with the field's path.
pub fn encode_payload<E: DomainEvent>(event: &E) -> Result<Vec<u8>, PayloadError> {
    let (payload, _) = encode_readable(event)?;
    check_block(event.event_type(), &payload)?;
    Ok(payload)
}

/// As [`encode_payload`], for a store that checks the bytes itself when it seals them; with the event as it reads back.
pub(crate) fn encode_readable<E: DomainEvent>(event: &E) -> Result<(Vec<u8>, E), PayloadError> {
    let index = event.index();
    let refuse = |refused| not_storable(event.event_type(), refused);
    let value = Written(E::Value::of_ref(event));
    // First, because it bounds how deep the encoder recurses.
    let met = inspect(&value, Inspection::Values).map_err(refuse)?;
    let payload = write(event).map_err(refuse)?;
    check_keys(&payload).map_err(refuse)?;
    let read_back = match decode::<E>(index, &payload) {
        Ok(read_back) => read_back,
        Err(reason) => return Err(unreadable(event, reason, &payload)),
    };
    // Only a list can have no order.
    let lists = match met.list.get() && is_unordered::<E>(index) {
        true => lists(&value).map_err(refuse)?,
        false => Vec::new(),
    };
    let is_to_try = !orders::are_known::<E>(index, &lists);
    let read = || decode::<E>(index, &payload).map(|event| Plain(E::Value::of(event)));
    let read_back = Plain(E::Value::of(read_back));
    let again = |event: &Plain<E::Value>| write_value(&event.0);
    let read = is_to_try.then_some(read);
    compare(&value, &read_back, &payload, &met, again, read).map_err(refuse)?;
    if is_to_try {
        orders::remember::<E>(index, &lists);
    }
    if met.bytes.get() {
        hint_at_bytes(event.event_type(), &payload);
    }
    Ok((payload, read_back.0.into_it()))
}

/// The lists of several elements in an event.
fn lists<T: Serialize>(value: &T) -> Result<Vec<Way>, Refused> {
    inspect(value, Inspection::Lists).map(|met| met.lists.take())
}

fn write<E: DomainEvent>(event: &E) -> Result<Vec<u8>, Refused> {
    write_value(E::Value::of_ref(event))
}

fn write_value<T: Storable>(event: &T) -> Result<Vec<u8>, Refused> {
    let mut serializer = BlockSerializer::new(BufWriter::new(Vec::with_capacity(256)));
    if let Err(error) = event.write(Variant(&mut serializer)) {
        let unfit = inspect(&Written(event), Inspection::Keys).err();
        return Err(unfit.unwrap_or_else(|| Refused::new(reason_of(error))));
    }
    Ok(serializer.into_inner().into_inner())
}

/// Checks the bytes of a payload: one canonical map.
pub(crate) fn check_block(event_type: &str, payload: &[u8]) -> Result<(), PayloadError> {
    let checked = canonical::check(payload)
        .and_then(|()| Reader::new(payload).expect(major::MAP, "the payload is not a map"));
    match checked {
        Ok(_) => check_keys(payload).map_err(|refused| not_storable(event_type, refused)),
        Err(refusal) => Err(PayloadError::NotStorable {
            event_type: event_type.to_owned(),
            reason: format!("{} (byte {} of the payload)", refusal.reason, refusal.at),
            path: refusal.path,
        }),
    }
}

/// Says once for a type of event that a list of numbers is shorter as bytes.
#[cold]
fn hint_at_bytes(event_type: &'static str, payload: &[u8]) {
    static TOLD: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());
    let is_new = TOLD.lock().is_ok_and(|mut told| told.insert(event_type));
    if is_new && let Some(path) = list_of_bytes(payload) {
        tracing::warn!(
            event_type,
            path,
            "bytes are stored as a list of numbers, up to twice as long: put `#[serde(with = \"serde_bytes\")]` on the field"
        );
    }
}

/// Blames what is known not to read back: bytes that are not canonical first, then keys, then values with two forms.
#[cold]
fn unreadable<E: DomainEvent>(event: &E, reason: String, payload: &[u8]) -> PayloadError {
    if let Err(error) = check_block(event.event_type(), payload) {
        return error;
    }
    if let Err(refused) = inspect(&Written(E::Value::of_ref(event)), Inspection::Keys) {
        return not_storable(event.event_type(), refused);
    }
    let path = misfit::<E>(event.index(), payload).unwrap_or_default();
    let refused = two_forms_under(event, &path).unwrap_or_else(|| Refused {
        path,
        reason: format!(
            "it encodes but does not read back: {reason}; make its Serialize and Deserialize fit each other"
        ),
    });
    not_storable(event.event_type(), refused)
}

/// The first value with two forms at a path or under it.
fn two_forms_under<E: DomainEvent>(event: &E, path: &str) -> Option<Refused> {
    let value = Written(E::Value::of_ref(event));
    (0..)
        .map_while(|place| inspect(&value, Inspection::Forms(place)).err())
        .find(|refused| refused.path.starts_with(path))
}

fn not_storable(event_type: &str, refused: Refused) -> PayloadError {
    PayloadError::NotStorable {
        event_type: event_type.to_owned(),
        path: refused.path,
        reason: refused.reason,
    }
}

fn reason_of(error: EncodeError<TryReserveError>) -> String {
    match error {
        EncodeError::Msg(reason) => reason,
        error => format!("{error:?}"),
    }
}

const SHAPE: &str = "an event must be an enum in serde's default form (externally tagged), each variant a unit, \
    with named fields, or one struct: remove `#[serde(tag)]`, `#[serde(untagged)]` and tuples";

type Error = EncodeError<TryReserveError>;

/// Takes the variant of an enum and writes its content as a plain map, without the variant's name.
struct Variant<'a>(&'a mut BlockSerializer<BufWriter>);

macro_rules! refuse {
    ($($method:ident($($argument:ty),*);)*) => {
        $(fn $method(self, $(_: $argument),*) -> Result<(), Error> {
            Err(Error::custom(SHAPE))
        })*
    };
}

macro_rules! refuse_compound {
    ($($method:ident($($argument:ty),*) -> $compound:ident;)*) => {
        $(fn $method(self, $(_: $argument),*) -> Result<Self::$compound, Error> {
            Err(Error::custom(SHAPE))
        })*
    };
}

impl<'a> Serializer for Variant<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Impossible<(), Error>;
    type SerializeTuple = Impossible<(), Error>;
    type SerializeTupleStruct = Impossible<(), Error>;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeMap = Impossible<(), Error>;
    type SerializeStruct = Impossible<(), Error>;
    type SerializeStructVariant = CollectMap<'a, BufWriter>;

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        self.0.serialize_struct(name, len)
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
    ) -> Result<(), Error> {
        serde::ser::SerializeStruct::end(self.0.serialize_struct(name, 0)?)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self.0)
    }

    refuse! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_i128(i128);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_u128(u128);
        serialize_f32(f32);
        serialize_f64(f64);
        serialize_char(char);
        serialize_str(&str);
        serialize_bytes(&[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(&'static str);
    }

    refuse_compound! {
        serialize_seq(Option<usize>) -> SerializeSeq;
        serialize_tuple(usize) -> SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> SerializeTupleVariant;
        serialize_map(Option<usize>) -> SerializeMap;
        serialize_struct(&'static str, usize) -> SerializeStruct;
    }

    fn serialize_some<T: ?Sized + Serialize>(self, _: &T) -> Result<(), Error> {
        Err(Error::custom(SHAPE))
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: &T,
    ) -> Result<(), Error> {
        Err(Error::custom(SHAPE))
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;

    fn bytes<T: Serialize>(value: &T) -> Result<Vec<u8>, String> {
        let mut serializer = BlockSerializer::new(BufWriter::new(Vec::new()));
        match value.serialize(Variant(&mut serializer)) {
            Ok(()) => Ok(serializer.into_inner().into_inner()),
            Err(error) => Err(reason_of(error)),
        }
    }

    #[derive(Serialize)]
    struct Content {
        a: u8,
    }

    #[derive(Serialize)]
    enum Plain {
        Unit,
        Fields { a: u8 },
        One(Content),
        Pair(u8, u8),
    }

    #[derive(Serialize)]
    #[serde(tag = "kind")]
    enum Tagged {
        Fields { a: u8 },
    }

    #[derive(Serialize)]
    #[serde(tag = "kind", content = "content")]
    enum Adjacent {
        Fields { a: u8 },
    }

    #[derive(Serialize)]
    #[serde(untagged)]
    enum Untagged {
        One(Vec<u8>),
    }

    #[test]
    fn a_variant_is_written_without_its_name() {
        let map = [0xa1, 0x61, b'a', 7];
        assert_eq!(bytes(&Plain::Unit).unwrap(), [0xa0]);
        assert_eq!(bytes(&Plain::Fields { a: 7 }).unwrap(), map);
        assert_eq!(bytes(&Plain::One(Content { a: 7 })).unwrap(), map);
    }

    #[test]
    fn a_shape_that_is_no_plain_variant_is_refused_with_what_to_do() {
        let refused = [
            bytes(&Plain::Pair(1, 2)),
            bytes(&Tagged::Fields { a: 7 }),
            bytes(&Adjacent::Fields { a: 7 }),
            bytes(&Untagged::One(vec![1])),
            bytes(&Content { a: 7 }),
            bytes(&Some(Plain::Unit)),
            bytes(&7_u8),
            bytes(&"text"),
            bytes(&()),
        ];
        for (number, refused) in refused.into_iter().enumerate() {
            assert_eq!(refused.unwrap_err(), SHAPE, "case {number}");
        }
    }
}
