//! The keys of maps: which read back, and why the others do not.

use std::fmt;

use serde::ser::{Error as _, Impossible, Serialize, Serializer};

/// A key that does not read back.
#[derive(Debug)]
pub(crate) struct UnfitKey {
    /// How the key is shown in a path.
    pub(crate) shown: String,
    /// What is wrong with it and what to do.
    pub(crate) reason: String,
}

impl fmt::Display for UnfitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for UnfitKey {}

impl serde::ser::Error for UnfitKey {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            shown: "?".to_owned(),
            reason: message.to_string(),
        }
    }
}

/// The text of a key; an error for one that is no text, or that encodes as one but does not decode from it.
pub(crate) fn key_text<K: ?Sized + Serialize>(key: &K) -> Result<String, UnfitKey> {
    key.serialize(Key)
}

const NOT_TEXT: &str =
    "a key of a map must be a text: use a text, an enum without fields, or a list of pairs";

fn wrapped<K: ?Sized + Serialize>(key: &K, wrapper: &str, remedy: &str) -> UnfitKey {
    let shown = key_text(key).unwrap_or_else(|unfit| unfit.shown);
    let reason = format!(
        "a key of a map that is {wrapper} encodes as a text but does not decode from it: {remedy}"
    );
    UnfitKey { shown, reason }
}

struct Key;

macro_rules! shown_but_unfit {
    ($($method:ident($argument:ty);)*) => {
        $(fn $method(self, value: $argument) -> Result<String, UnfitKey> {
            Err(UnfitKey { shown: value.to_string(), reason: NOT_TEXT.to_owned() })
        })*
    };
}

macro_rules! unfit {
    ($($method:ident($($argument:ty),*) -> $ok:ty;)*) => {
        $(fn $method(self, $(_: $argument),*) -> Result<$ok, UnfitKey> {
            Err(UnfitKey::custom(NOT_TEXT))
        })*
    };
}

type Never = Impossible<String, UnfitKey>;

impl Serializer for Key {
    type Ok = String;
    type Error = UnfitKey;
    type SerializeSeq = Never;
    type SerializeTuple = Never;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeMap = Never;
    type SerializeStruct = Never;
    type SerializeStructVariant = Never;

    fn serialize_str(self, key: &str) -> Result<String, UnfitKey> {
        Ok(key.to_owned())
    }

    fn serialize_char(self, key: char) -> Result<String, UnfitKey> {
        Ok(key.to_string())
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<String, UnfitKey> {
        Ok(variant.to_owned())
    }

    fn serialize_some<K: ?Sized + Serialize>(self, key: &K) -> Result<String, UnfitKey> {
        Err(wrapped(
            key,
            "an option",
            "use a text, or leave the entry out",
        ))
    }

    fn serialize_newtype_struct<K: ?Sized + Serialize>(
        self,
        name: &'static str,
        key: &K,
    ) -> Result<String, UnfitKey> {
        let remedy = "put `#[serde(transparent)]` on it";
        Err(wrapped(key, &format!("the newtype `{name}`"), remedy))
    }

    fn serialize_newtype_variant<K: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &K,
    ) -> Result<String, UnfitKey> {
        Err(UnfitKey::custom(NOT_TEXT))
    }

    shown_but_unfit! {
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
    }

    unfit! {
        serialize_bytes(&[u8]) -> String;
        serialize_none() -> String;
        serialize_unit() -> String;
        serialize_unit_struct(&'static str) -> String;
        serialize_seq(Option<usize>) -> Never;
        serialize_tuple(usize) -> Never;
        serialize_tuple_struct(&'static str, usize) -> Never;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Never;
        serialize_map(Option<usize>) -> Never;
        serialize_struct(&'static str, usize) -> Never;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Never;
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}
