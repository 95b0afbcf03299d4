//! Making the tables of a view, telling whether they are as they were made, and removing them.

use std::collections::BTreeSet;

use super::super::connection::Transaction;
use super::super::views::View;
use super::{permitted, said};
use crate::store::read_model::{
    Made, RECORD, ReadModelError, TableNames, TablesRecord, quoted, statements,
};
use crate::store::{Damage, StoreError};

/// Runs the text that declares the tables of a view that was just made, and records what it made.
pub(super) async fn make(
    transaction: &Transaction<'_>,
    view: &View,
    names: &TableNames,
    text: &str,
) -> Result<(), ReadModelError> {
    let invalid = |reason: String| ReadModelError::InvalidTables {
        view: names.view().clone(),
        reason,
    };
    let sql = names
        .resolve(text)
        .map_err(|error| invalid(error.to_string()))?;
    let before = relations(transaction).await?;
    for (at, statement) in statements(&sql).into_iter().enumerate() {
        let number = at + 1;
        permitted::in_declaration(statement, &names.prefix())
            .map_err(|reason| invalid(format!("statement {number}: {reason}")))?;
        let done = transaction.run_given("making the tables of a view", statement);
        if let Err(error) = done.await? {
            let remedy = match error.code() {
                Some(code) if code.code() == "42P07" => {
                    "; somebody else made it: drop it or rename it"
                }
                _ => "",
            };
            return Err(invalid(format!(
                "statement {number}: {}{remedy}",
                said(&error)
            )));
        }
    }
    let new: Vec<_> = relations(transaction)
        .await?
        .into_iter()
        .filter(|relation| !before.contains(relation))
        .collect();
    let has = |is_table: Option<bool>, name: &str| {
        let name = names.in_database(name);
        let is_it =
            |(known, is): &(String, bool)| *known == name && is_table.is_none_or(|it| it == *is);
        new.iter().any(is_it)
    };
    if let Some(missing) = names.declared().find(|name| !has(None, name)) {
        return Err(invalid(format!(
            "`{{{missing}}}` is named and not made: write `CREATE TABLE {{{missing}}} (…)`, or, where `{}` is there already, drop it",
            names.in_database(missing)
        )));
    }
    let tables: BTreeSet<String> = names
        .declared()
        .filter(|name| has(Some(true), name))
        .map(str::to_owned)
        .collect();
    let is_named = |name: &str| names.declared().any(|it| names.in_database(it) == name);
    if let Some((other, _)) = new
        .iter()
        .find(|(name, is_table)| *is_table && !is_named(name))
    {
        return Err(invalid(format!(
            "it makes table `{other}`, which no name in braces stands for: name it in braces"
        )));
    }
    let full: Vec<String> = tables.iter().map(|name| names.in_database(name)).collect();
    let made = declared(transaction, &full).await?;
    let stands_elsewhere = |name: &&str| {
        let full = names.in_database(name);
        !tables.contains(*name) && !made.iter().any(|it| it.name == full)
    };
    if let Some(other) = names.declared().find(stands_elsewhere) {
        return Err(invalid(format!(
            "`{{{other}}}` is not an index on a table of this view"
        )));
    }
    if tables.is_empty() {
        return Err(invalid("it makes no table".to_owned()));
    }
    let record = TablesRecord {
        names: names.declared().map(str::to_owned).collect(),
        tables,
        made,
    };
    // Texts alone: they always encode.
    let value = serde_ipld_dagcbor::to_vec(&record).unwrap_or_default();
    transaction
        .execute(
            "recording the tables of a view",
            "INSERT INTO documents (view, key, value) VALUES ($1, $2, $3)",
            &[&view.number, &RECORD.as_bytes(), &value],
        )
        .await?;
    Ok(())
}

/// The tables and indexes in the schema by name, and whether each is a table.
async fn relations(transaction: &Transaction<'_>) -> Result<Vec<(String, bool)>, StoreError> {
    let rows = transaction
        .query(
            "reading the schema",
            "SELECT relname::text, relkind IN ('r', 'p') FROM pg_class
             WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'i', 'I')",
            &[],
        )
        .await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// How tables are declared, and what stands on them.
async fn declared(
    transaction: &Transaction<'_>,
    tables: &[String],
) -> Result<Vec<Made>, StoreError> {
    let rows = transaction
        .query(
            "reading the schema",
            "WITH mine AS (
                SELECT oid, relname::text AS name, relpersistence FROM pg_class
                WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND relname = ANY($1)
             )
             SELECT 'table', name, name,
                ARRAY(
                    SELECT concat(attname, ' ', format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN ' not null' END,
                        ' default ' || pg_get_expr(adbin, adrelid), ' identity ' || nullif(attidentity::text, ''),
                        ' generated ' || nullif(attgenerated::text, ''))
                    FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
                    WHERE attrelid = mine.oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum
                ) || ARRAY(
                    SELECT concat(conname, ' ', pg_get_constraintdef(oid)) FROM pg_constraint
                    WHERE conrelid = mine.oid AND contype <> 'n' ORDER BY conname
                ) || CASE WHEN relpersistence <> 'p' THEN ARRAY['unlogged'] END,
                true
             FROM mine
             UNION ALL
             SELECT 'index', pg_class.relname::text, mine.name, ARRAY[pg_get_indexdef(indexrelid)], indisunique
             FROM mine JOIN pg_index ON indrelid = mine.oid JOIN pg_class ON pg_class.oid = indexrelid
             WHERE NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x'))
             UNION ALL
             SELECT 'trigger', tgname::text, mine.name, ARRAY[pg_get_triggerdef(pg_trigger.oid)], true
             FROM mine JOIN pg_trigger ON tgrelid = mine.oid WHERE NOT tgisinternal",
            &[&tables],
        )
        .await?;
    let made = rows.iter().map(|row| Made {
        kind: row.get(0),
        name: row.get(1),
        table: row.get(2),
        declared: row.get(3),
        is_decisive: row.get(4),
    });
    Ok(made.collect())
}

/// What a view made; none for a view of documents.
pub(super) async fn record(
    transaction: &Transaction<'_>,
    view: i64,
) -> Result<Option<TablesRecord>, StoreError> {
    let rows = transaction
        .query(
            "reading what is recorded of the tables of a view",
            "SELECT value FROM documents WHERE view = $1 AND key = $2",
            &[&view, &RECORD.as_bytes()],
        )
        .await?;
    let value = rows.first().map(|row| row.get::<_, &[u8]>(0));
    value
        .map(|value| read(value, transaction.location()))
        .transpose()
}

/// The record in its bytes.
pub(super) fn read(
    value: &[u8],
    location: &crate::store::Location,
) -> Result<TablesRecord, StoreError> {
    serde_ipld_dagcbor::from_slice(value).map_err(|error| {
        let reason = format!("what is recorded of the tables of a view cannot be read: {error}");
        Damage::new(location.clone(), None, None, reason).into()
    })
}

/// Refuses tables that are not as they were made.
pub(super) async fn check(
    transaction: &Transaction<'_>,
    view: &View,
) -> Result<(), ReadModelError> {
    let changed = |differs: String| ReadModelError::TablesChanged {
        location: transaction.location().clone(),
        view: view.record.view.clone(),
        differs,
    };
    let record = record(transaction, view.number).await?;
    let record =
        record.ok_or_else(|| changed("what is recorded of its tables is gone".to_owned()))?;
    let tables: Vec<String> = record.made_tables().map(|it| it.name.clone()).collect();
    let found = declared(transaction, &tables).await?;
    match record.difference(&found) {
        None => Ok(()),
        Some(differs) => Err(changed(differs)),
    }
}

/// Removes the tables of a view, whatever became of them.
pub(super) async fn remove(
    transaction: &Transaction<'_>,
    record: &TablesRecord,
) -> Result<(), ReadModelError> {
    let tables: Vec<String> = record
        .made_tables()
        .map(|made| quoted(&made.name))
        .collect();
    if tables.is_empty() {
        return Ok(());
    }
    // Together, since their rows may refer to each other.
    let sql = format!("DROP TABLE IF EXISTS {}", tables.join(", "));
    transaction.wait_for_readers().await?;
    Ok(transaction
        .run("removing the tables of a view", &sql)
        .await?)
}
