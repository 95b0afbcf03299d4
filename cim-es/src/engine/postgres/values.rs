//! Ids, times and positions in statements of an author's own.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use uuid::Uuid;

use crate::domain::aggregate::Id;
use crate::domain::message::Timestamp;
use crate::store::Position;

type Answer<T> = Result<T, Box<dyn Error + Sync + Send>>;

/// As `uuid`, or as a text.
impl<A> ToSql for Id<A> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Answer<IsNull> {
        match *kind {
            Type::UUID => {
                out.put_slice(self.as_uuid().as_bytes());
                Ok(IsNull::No)
            }
            _ => self.to_string().to_sql(kind, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::UUID || <String as ToSql>::accepts(kind)
    }

    to_sql_checked!();
}

/// From `uuid`, or from a text.
impl<'a, A> FromSql<'a> for Id<A> {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Answer<Self> {
        match *kind {
            Type::UUID => Ok(Uuid::from_sql(kind, raw)?.into()),
            _ => Ok(<&str>::from_sql(kind, raw)?.parse()?),
        }
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::UUID || <&str as FromSql>::accepts(kind)
    }
}

/// Where `timestamptz` begins to count, in microseconds from 1970.
const YEAR_2000: i64 = 946_684_800_000_000;

/// As `timestamptz`.
impl ToSql for Timestamp {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Answer<IsNull> {
        out.put_i64(self.as_micros().saturating_sub(YEAR_2000));
        Ok(IsNull::No)
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::TIMESTAMPTZ
    }

    to_sql_checked!();
}

/// From `timestamptz`.
impl<'a> FromSql<'a> for Timestamp {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Answer<Self> {
        let micros = i64::from_sql(&Type::INT8, raw)?;
        Ok(Self::from_micros(micros.saturating_add(YEAR_2000)))
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::TIMESTAMPTZ
    }
}

/// As `int8`.
impl ToSql for Position {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Answer<IsNull> {
        i64::try_from(self.0)?.to_sql(kind, out)
    }

    fn accepts(kind: &Type) -> bool {
        <i64 as ToSql>::accepts(kind)
    }

    to_sql_checked!();
}

/// From `int8`.
impl<'a> FromSql<'a> for Position {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Answer<Self> {
        Ok(Self(u64::try_from(i64::from_sql(kind, raw)?)?))
    }

    fn accepts(kind: &Type) -> bool {
        <i64 as FromSql>::accepts(kind)
    }
}
