//! The one rule by which a value becomes the text of an index entry.

use std::fmt;

use serde::ser::{self, Impossible, Serialize, Serializer};

/// The texts of a value: one, or as many as a list has values.
///
/// # Errors
/// What of the value has no text.
pub(super) fn all<T: Serialize + ?Sized>(value: &T) -> Result<Vec<String>, String> {
    let mut texts = Vec::new();
    value
        .serialize(Texts(&mut texts))
        .map_err(|refused| refused.0)?;
    Ok(texts)
}

struct Texts<'a>(&'a mut Vec<String>);

/// Why a value has no text.
#[derive(Debug)]
struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl ser::Error for Refused {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

fn refuse<T>(what: &str) -> Result<T, Refused> {
    Err(Refused(format!(
        "serde writes {what}, which has no one text to be found by"
    )))
}

macro_rules! texts {
    ($($method:ident($argument:ty);)*) => {
        $(fn $method(self, value: $argument) -> Result<(), Refused> {
            self.0.push(value.to_string());
            Ok(())
        })*
    };
}

macro_rules! refused {
    ($($method:ident($($argument:ty),*) -> $answer:ty, $what:literal;)*) => {
        $(fn $method(self, $(_: $argument),*) -> Result<$answer, Refused> {
            refuse($what)
        })*
    };
}

impl Serializer for Texts<'_> {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Impossible<(), Refused>;
    type SerializeTupleVariant = Impossible<(), Refused>;
    type SerializeMap = Impossible<(), Refused>;
    type SerializeStruct = Impossible<(), Refused>;
    type SerializeStructVariant = Impossible<(), Refused>;

    texts! {
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
        serialize_char(char);
        serialize_str(&str);
    }

    refused! {
        serialize_f32(f32) -> (), "a float";
        serialize_f64(f64) -> (), "a float";
        serialize_bytes(&[u8]) -> (), "bytes";
        serialize_unit() -> (), "nothing";
        serialize_unit_struct(&'static str) -> (), "nothing";
        serialize_map(Option<usize>) -> Self::SerializeMap, "a map";
        serialize_struct(&'static str, usize) -> Self::SerializeStruct, "a struct";
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct, "a struct";
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant,
            "an enum with data";
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant,
            "an enum with data";
    }

    fn serialize_none(self) -> Result<(), Refused> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Refused> {
        value.serialize(self)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Refused> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Refused> {
        refuse("an enum with data")
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self, Refused> {
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, Refused> {
        Ok(self)
    }
}

impl ser::SerializeSeq for Texts<'_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        value.serialize(Texts(self.0))
    }

    fn end(self) -> Result<(), Refused> {
        Ok(())
    }
}

impl ser::SerializeTuple for Texts<'_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        value.serialize(Texts(self.0))
    }

    fn end(self) -> Result<(), Refused> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde::Serialize;
    use uuid::Uuid;

    use super::*;
    use crate::domain::aggregate::Id;

    #[derive(Serialize)]
    #[serde(rename_all = "snake_case")]
    enum Shelf {
        OpenAccess,
        #[serde(rename = "V")]
        Vault,
        Other(u8),
    }

    #[derive(Serialize)]
    struct Number(i16);

    #[test]
    fn each_value_has_the_text_that_serde_writes() {
        let uuid = Uuid::from_u128(7);
        let texts = |texts: &[&str]| Ok(texts.iter().map(|text| (*text).to_owned()).collect());
        let shown = "00000000-0000-0000-0000-000000000007";
        assert_eq!(all("a b"), texts(&["a b"]));
        assert_eq!(all(&-7_i64), texts(&["-7"]));
        assert_eq!(
            all(&u128::MAX),
            texts(&["340282366920938463463374607431768211455"])
        );
        assert_eq!(all(&true), texts(&["true"]));
        assert_eq!(all(&uuid), texts(&[shown]));
        assert_eq!(all(&Id::<()>::from_uuid(uuid)), texts(&[shown]));
        assert_eq!(all(&Number(3)), texts(&["3"]));
        assert_eq!(
            all(&[Shelf::OpenAccess, Shelf::Vault]),
            texts(&["open_access", "V"])
        );
        assert_eq!(all(&None::<u8>), texts(&[]));
        assert_eq!(
            all(&Some(vec![Some("a"), None, Some("")])),
            texts(&["a", ""])
        );
        assert_eq!(all(&BTreeSet::from([2, 1])), texts(&["1", "2"]));
    }

    #[test]
    fn what_has_no_one_text_is_refused() {
        assert!(all(&1.5).is_err());
        assert!(all(&Shelf::Other(1)).is_err());
        assert!(all(&BTreeMap::from([("a", 1)])).is_err());
        assert!(all(&()).is_err());
    }
}
