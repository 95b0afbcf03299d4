//! Which statements an author's SQL may have. PostgreSQL prepares one statement at a time, so its first words say what it
//! does.

use crate::store::read_model::quoted_name;

/// What a projection may do.
const OF_A_PROJECTION: [&str; 10] = [
    "DELETE",
    "EXPLAIN",
    "INSERT",
    "LOCK",
    "MERGE",
    "RELEASE",
    "SAVEPOINT",
    "SELECT",
    "UPDATE",
    "VALUES",
];

/// Whether a projection may run a statement; why not.
pub(super) fn in_projection(sql: &str) -> Result<(), String> {
    let words = first_words::<2>(sql);
    let [first, second] = [words[0].as_str(), words[1].as_str()];
    if OF_A_PROJECTION.contains(&first) || first == "WITH" || goes_back(sql) {
        return Ok(());
    }
    Err(match (first, second) {
        ("ABORT" | "BEGIN" | "COMMIT" | "END" | "PREPARE" | "ROLLBACK" | "START", _) => {
            "the transaction is begun and ended with the position of the view; leave that out"
        }
        ("ALTER" | "CREATE" | "DROP" | "TRUNCATE" | "COMMENT", _) => {
            "a projection writes rows; what is declared is changed in the declaration, with the version of the view raised"
        }
        ("", _) => "it is empty",
        _ => "a projection reads and writes rows; the connection is that of the storage, and stays as it is",
    }
    .to_owned())
}

/// Whether a statement goes back to a savepoint.
pub(super) fn goes_back(sql: &str) -> bool {
    let words = first_words::<3>(sql);
    let is_back = |words: [&str; 2]| matches!(words, ["TO", _] | ["WORK" | "TRANSACTION", "TO"]);
    words[0] == "ROLLBACK" && is_back([&words[1], &words[2]])
}

/// Whether a statement of a declaration makes a table or an index whose name begins so, or fills such a table; why not.
pub(super) fn in_declaration(sql: &str, prefix: &str) -> Result<(), String> {
    let is_own = |name: Option<String>| name.is_some_and(|name| name.starts_with(prefix));
    let named = |kind: &str| {
        format!(
            "the {kind} is not named for the version of the view: write its name in braces, as `{{units}}`"
        )
    };
    let rest = behind(sql, &["CREATE", "TABLE"]);
    if let Some(rest) = rest {
        return match is_own(name_behind(rest, &["IF", "NOT", "EXISTS"])) {
            true => Ok(()),
            false => Err(named("table")),
        };
    }
    let rest =
        behind(sql, &["CREATE", "INDEX"]).or_else(|| behind(sql, &["CREATE", "UNIQUE", "INDEX"]));
    if let Some(rest) = rest {
        return match is_own(name_behind(rest, &["IF", "NOT", "EXISTS"])) {
            true => Ok(()),
            false => Err(named("index")),
        };
    }
    if let Some(rest) = behind(sql, &["INSERT", "INTO"]) {
        return match is_own(name_behind(rest, &[])) {
            true => Ok(()),
            false => Err("it writes to what is not a table of this view".to_owned()),
        };
    }
    Err("the tables of a view are declared by `CREATE TABLE {…}` and `CREATE INDEX {…} ON {…}`, and by nothing else; what is unlogged or temporary would be lost without its position".to_owned())
}

/// The quoted name that follows, where some words may stand before it.
fn name_behind(sql: &str, optional: &[&str]) -> Option<String> {
    let sql = behind(sql, optional).unwrap_or(sql);
    quoted_name(without_comments(sql))
}

/// What stands behind some words; none where others stand there.
fn behind<'a>(sql: &'a str, words: &[&str]) -> Option<&'a str> {
    let mut rest = sql;
    for wanted in words {
        let (word, after) = first_word(rest)?;
        if !word.eq_ignore_ascii_case(wanted) {
            return None;
        }
        rest = after;
    }
    Some(rest)
}

/// The first words in capitals, empty ones where there are no more.
fn first_words<const N: usize>(sql: &str) -> [String; N] {
    let mut rest = sql;
    std::array::from_fn(|_| match first_word(rest) {
        Some((word, after)) => {
            rest = after;
            word.to_ascii_uppercase()
        }
        None => String::new(),
    })
}

/// The first word, and what is behind it; parentheses may stand before it, as before `(SELECT 1)`.
fn first_word(sql: &str) -> Option<(&str, &str)> {
    let sql = without_comments(sql).trim_start_matches('(');
    let sql = without_comments(sql);
    let end = sql
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(sql.len());
    (end > 0).then(|| sql.split_at(end))
}

fn without_comments(sql: &str) -> &str {
    let mut rest = sql.trim_start();
    loop {
        let end = if rest.starts_with("--") {
            rest.find('\n')
        } else if rest.starts_with("/*") {
            rest.find("*/").map(|end| end + 1)
        } else {
            return rest;
        };
        rest = end.map_or("", |end| &rest[end + 1..]).trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_projection_reads_and_writes_rows_and_goes_back_to_its_savepoints() {
        for sql in [
            "SELECT 1",
            " -- why\n /* and */ (select 1)",
            "WITH a AS (SELECT 1) DELETE FROM b",
            "ROLLBACK TO here",
            "rollback work to savepoint here",
            "SAVEPOINT here",
        ] {
            assert_eq!(in_projection(sql), Ok(()), "{sql}");
        }
        for (sql, said) in [
            ("COMMIT", "begun and ended"),
            ("rollback", "begun and ended"),
            ("END; SELECT 1", "begun and ended"),
            ("/* a */ DROP TABLE a", "declaration"),
            ("SET search_path TO b", "stays as it is"),
            ("", "empty"),
        ] {
            assert!(in_projection(sql).unwrap_err().contains(said), "{sql}");
        }
    }

    #[test]
    fn a_declaration_makes_tables_and_indexes_with_the_names_of_the_version() {
        let said = |sql| in_declaration(sql, "heads_1_");
        for sql in [
            "CREATE TABLE \"heads_1_units\" (id text)",
            "create table if not exists \"heads_1_units\" (id text)",
            "-- a\nCREATE UNIQUE INDEX \"heads_1_i\" ON \"heads_1_units\" (id)",
            "INSERT INTO \"heads_1_units\" VALUES ('a')",
        ] {
            assert_eq!(said(sql), Ok(()), "{sql}");
        }
        for sql in [
            "CREATE TABLE units (id text)",
            "CREATE TABLE \"heads_2_units\" (id text)",
            "CREATE UNLOGGED TABLE \"heads_1_units\" (id text)",
            "CREATE TEMP TABLE \"heads_1_units\" (id text)",
            "CREATE INDEX i ON \"heads_1_units\" (id)",
            "INSERT INTO views VALUES (1)",
            "DROP TABLE \"heads_1_units\"",
            "COMMIT",
        ] {
            assert!(said(sql).is_err(), "{sql}");
        }
    }
}
