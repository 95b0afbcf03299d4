//! Ids, times and positions in statements of an author's own, in the form in which people read them.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use super::database::stored;
use crate::domain::aggregate::Id;
use crate::domain::message::Timestamp;
use crate::store::Position;

/// As `TEXT`, as it prints.
impl<A> ToSql for Id<A> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.to_string().into())
    }
}

/// From `TEXT`.
impl<A> FromSql for Id<A> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map_err(FromSqlError::other)
    }
}

/// As `TEXT`, such as `2026-03-01T08:00:00.000000Z`: it is ordered by time, and the functions of SQLite take it.
impl ToSql for Timestamp {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.to_string().into())
    }
}

/// From `TEXT`.
impl FromSql for Timestamp {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map_err(FromSqlError::other)
    }
}

/// As `INTEGER`.
impl ToSql for Position {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(stored(self.0).into())
    }
}

/// From `INTEGER`.
impl FromSql for Position {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = value.as_i64()?;
        let number = u64::try_from(number).map_err(|_| FromSqlError::OutOfRange(number))?;
        Ok(Self(number))
    }
}
