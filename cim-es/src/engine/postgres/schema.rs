//! The tables, and how a schema of this library is told from any other.

use super::connection::Transaction;
use crate::store::StoreError;
use crate::store::read_model::ReadModelError;

/// The version of the tables.
const FORMAT: i64 = 1;
/// Programs that make the tables at the same time wait for each other by this lock; the letters `cim-es`.
const LOCK: i64 = 0x6369_6d2d_6573;

/// Texts stand as bytes, since a text of PostgreSQL has no NUL and an order of its own.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS format (version int8 NOT NULL);
CREATE TABLE IF NOT EXISTS views (
    number int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    version int8 NOT NULL,
    fingerprint int8 NOT NULL,
    position int8 NOT NULL,
    cid bytea,
    settled int8 NOT NULL,
    parked bytea,
    skipped bytea NOT NULL,
    holder uuid,
    held_until int8 NOT NULL,
    lease int8 NOT NULL,
    is_serving bool NOT NULL,
    is_indexed bool NOT NULL,
    UNIQUE (name, version)
);
CREATE TABLE IF NOT EXISTS documents (
    view int8 NOT NULL,
    key bytea NOT NULL,
    value bytea NOT NULL,
    PRIMARY KEY (view, key)
);
CREATE TABLE IF NOT EXISTS entries (
    view int8 NOT NULL,
    field bytea NOT NULL,
    value bytea NOT NULL,
    key bytea NOT NULL,
    PRIMARY KEY (view, field, value, key)
);
CREATE INDEX IF NOT EXISTS entries_by_key ON entries (view, key);
";

/// Makes what is missing, and refuses tables of another version.
pub(super) async fn make(transaction: &Transaction<'_>) -> Result<(), ReadModelError> {
    const MAKING: &str = "making the tables";
    let found = transaction
        .query(
            MAKING,
            "SELECT to_regclass(quote_ident($1) || '.format') IS NOT NULL",
            &[&transaction.schema()],
        )
        .await?;
    if !found.first().is_some_and(|row| row.get(0)) {
        transaction
            .query(MAKING, "SELECT pg_advisory_xact_lock($1)", &[&LOCK])
            .await?;
        // The name was checked when the options were.
        let schema = format!("CREATE SCHEMA IF NOT EXISTS \"{}\"", transaction.schema());
        transaction.run(MAKING, &schema).await?;
        transaction.run(MAKING, TABLES).await?;
        let first = "INSERT INTO format SELECT $1 WHERE NOT EXISTS (SELECT 1 FROM format)";
        transaction.execute(MAKING, first, &[&FORMAT]).await?;
    }
    let versions = transaction
        .query(MAKING, "SELECT version FROM format", &[])
        .await?;
    let versions: Vec<i64> = versions.iter().map(|row| row.get(0)).collect();
    if versions == [FORMAT] {
        return Ok(());
    }
    let reason = format!(
        "the tables in schema `{}` have version {versions:?}, this program knows {FORMAT}: use the release that made them, or another schema",
        transaction.schema()
    );
    let location = transaction.location().clone();
    Err(StoreError::Incompatible { location, reason }.into())
}
