//! What a projection wrote to, by the locks that its transaction holds.
//!
//! A statement does not say what it writes to: a function that it calls, or a trigger, may write. PostgreSQL locks what is
//! written to until the transaction ends, so its locks do say.

use super::super::connection::Link;
use crate::store::read_model::TableNames;

/// Says so where the transaction of a connection writes to something else than the tables of a view, or keeps others from
/// writing there.
///
/// Rows of other tables may be locked for reading, as foreign keys do. A sequence is no table: its numbers are taken for
/// ever, whatever becomes of the transaction.
pub(super) async fn others(
    link: &Link,
    schema: &str,
    names: &TableNames,
) -> Result<Option<String>, tokio_postgres::Error> {
    let own: Vec<_> = names
        .declared()
        .map(|name| names.in_database(name))
        .collect();
    let rows = link
        .query(
            "SELECT format('%I.%I', nspname, relname) FROM pg_locks
             JOIN pg_class ON pg_class.oid = relation JOIN pg_namespace ON pg_namespace.oid = relnamespace
             WHERE pid = pg_backend_pid() AND locktype = 'relation'
                AND mode NOT IN ('AccessShareLock', 'RowShareLock') AND relkind IN ('r', 'p', 'f', 'm')
                AND NOT (nspname = $1 AND relname = ANY($2))
             ORDER BY 1 LIMIT 1",
            &[&schema, &own],
        )
        .await?;
    Ok(rows.first().map(|row| {
        let table: String = row.get(0);
        format!(
            "it writes to `{table}`, which is not a table of this view; write to those that it declares"
        )
    }))
}
