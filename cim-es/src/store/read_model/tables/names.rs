//! Names in braces, and what they stand for.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use super::TableError;
use crate::store::read_model::{ReadModelError, ViewId};

/// The longest name of a table in bytes that every database takes as it is.
const LONGEST_TABLE: usize = 63;
/// How many statements are kept as they were resolved; a program has a few, unless it writes values into them.
const KEPT: usize = 256;

/// The tables and indexes that one version of a view declares, and the names that they have in the database.
#[derive(Debug)]
pub(crate) struct TableNames {
    view: ViewId,
    declared: BTreeSet<String>,
    resolved: Mutex<HashMap<String, Arc<str>>>,
}

impl TableNames {
    /// The names in braces in the text that declares the tables.
    ///
    /// # Errors
    /// [`ReadModelError::InvalidTables`] for a text that declares none, and for a name that is not a plain one or too long.
    pub(crate) fn declared_in(view: &ViewId, text: &str) -> Result<Self, ReadModelError> {
        let mut declared = BTreeSet::new();
        let mut misnamed = None;
        parts(text, |part| {
            if let Part::Name(name) = part {
                if !is_plain(name) {
                    misnamed.get_or_insert_with(|| name.to_owned());
                }
                declared.insert(name.to_owned());
            }
        });
        let invalid = |reason: String| ReadModelError::InvalidTables {
            view: view.clone(),
            reason,
        };
        if let Some(name) = misnamed {
            return Err(invalid(format!(
                "`{{{name}}}` is not taken as the name of a table: write `a` to `z`, `0` to `9` and `_`, a letter first"
            )));
        }
        if declared.is_empty() {
            return Err(invalid(
                "it names no table in braces; write `CREATE TABLE {units} (…)`, and the table is named for the version of the view"
                    .to_owned(),
            ));
        }
        let names = Self::new(view.clone(), declared);
        if let Some(name) =
            (names.declared.iter()).find(|name| names.in_database(name).len() > LONGEST_TABLE)
        {
            let (full, bytes) = (names.in_database(name), names.in_database(name).len());
            return Err(invalid(format!(
                "`{{{name}}}` is `{full}` in the database, which has {bytes} bytes, and {LONGEST_TABLE} at most are taken: shorten it or the name of the view"
            )));
        }
        Ok(names)
    }

    pub(crate) fn new(view: ViewId, declared: BTreeSet<String>) -> Self {
        Self {
            view,
            declared,
            resolved: Mutex::default(),
        }
    }

    /// The view that declares them.
    pub(crate) fn view(&self) -> &ViewId {
        &self.view
    }

    /// The names as they stand in braces.
    pub(crate) fn declared(&self) -> impl Iterator<Item = &str> {
        self.declared.iter().map(String::as_str)
    }

    /// How the names of this version, and of this build of it, begin in the database.
    pub(crate) fn prefix(&self) -> String {
        let (name, version) = (self.view.name(), self.view.version());
        match self.view.build() {
            0 => format!("{name}_{version}_"),
            build => format!("{name}_{version}b{build}_"),
        }
    }

    /// The name of a table in the database, without quotes: `heads_1_units` for `units`.
    pub(crate) fn in_database(&self, name: &str) -> String {
        format!("{}{name}", self.prefix())
    }

    /// The name by which any program reads a table of the version that serves: `heads_units` for `units`.
    pub(crate) fn unversioned(view: &str, name: &str) -> String {
        format!("{view}_{name}")
    }

    /// A statement with the names of the database in place of those in braces. Its end says whose it is, so that it is no
    /// statement of a storage's own.
    ///
    /// # Errors
    /// [`TableError::UnknownName`].
    pub(crate) fn resolve(&self, statement: &str) -> Result<Arc<str>, TableError> {
        let lock = || {
            let resolved = self.resolved.lock();
            resolved.unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(known) = lock().get(statement) {
            return Ok(Arc::clone(known));
        }
        let mut sql = String::with_capacity(statement.len() + 32);
        let mut unknown = None;
        parts(statement, |part| match part {
            Part::Text(text) => sql.push_str(text),
            Part::Name(name) if self.declared.contains(name) => {
                sql.push_str(&quoted(&self.in_database(name)));
            }
            Part::Name(name) => {
                unknown.get_or_insert_with(|| name.to_owned());
            }
        });
        if let Some(name) = unknown {
            return Err(TableError::UnknownName {
                view: self.view.clone(),
                name,
                declared: self.declared.iter().cloned().collect(),
                statement: one_line(statement),
            });
        }
        sql.push_str(&format!(" -- {}", self.view));
        let sql: Arc<str> = sql.into();
        let mut resolved = lock();
        if resolved.len() < KEPT {
            resolved.insert(statement.to_owned(), Arc::clone(&sql));
        }
        Ok(sql)
    }
}

/// A name that a database takes as it stands.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A statement on one line, for errors.
pub(crate) fn one_line(statement: &str) -> String {
    const LONGEST: usize = 300;
    let line = statement.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        None => line,
        Some((end, _)) => format!("{}…", &line[..end]),
    }
}

/// The quoted name that stands at the beginning.
#[cfg(feature = "postgres")]
pub(crate) fn quoted_name(sql: &str) -> Option<String> {
    let (name, _) = sql.strip_prefix('"')?.split_once('"')?;
    Some(name.to_owned())
}

/// The statements of a text, without those that are empty.
#[cfg(feature = "postgres")]
pub(crate) fn statements(sql: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let (mut begun, mut at, mut is_empty) = (0, 0, true);
    while at < sql.len() {
        let rest = &sql[at..];
        let is_comment = rest.starts_with("--") || rest.starts_with("/*");
        let length = opaque(rest);
        if rest.starts_with(';') {
            if !is_empty {
                all.push(&sql[begun..at]);
            }
            (begun, is_empty) = (at + 1, true);
        } else {
            is_empty &= is_comment || rest.starts_with(char::is_whitespace);
        }
        at += length.unwrap_or_else(|| rest.chars().next().map_or(1, char::len_utf8));
    }
    if !is_empty {
        all.push(&sql[begun..]);
    }
    all
}

fn is_plain(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

/// A part of a statement.
enum Part<'a> {
    /// What stays as it is.
    Text(&'a str),
    /// A name that stood in braces.
    Name(&'a str),
}

/// Takes a statement apart. In texts, quoted names and comments nothing stands for a table, and what is no identifier
/// stays as it is wherever it stands.
fn parts<'a>(statement: &'a str, mut part: impl FnMut(Part<'a>)) {
    let mut begun = 0;
    let mut at = 0;
    while at < statement.len() {
        let rest = &statement[at..];
        if let Some(name) = name_at(rest) {
            part(Part::Text(&statement[begun..at]));
            part(Part::Name(name));
            at += name.len() + 2;
            begun = at;
            continue;
        }
        at += opaque(rest).unwrap_or_else(|| rest.chars().next().map_or(1, char::len_utf8));
    }
    part(Part::Text(&statement[begun..]));
}

/// The name where `{name}` stands at the beginning.
fn name_at(text: &str) -> Option<&str> {
    let (name, _) = text.strip_prefix('{')?.split_once('}')?;
    let is_identifier = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_identifier.then_some(name)
}

/// How long the text, the quoted name or the comment is that stands at the beginning.
fn opaque(text: &str) -> Option<usize> {
    let (open, close) = [("'", "'"), ("\"", "\""), ("--", "\n"), ("/*", "*/")]
        .into_iter()
        .find(|(open, _)| text.starts_with(open))?;
    let inner = &text[open.len()..];
    // One that has no end goes on to the end; a doubled quote is an end, and a beginning.
    let length = inner.find(close).map(|end| open.len() + end + close.len());
    Some(length.unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heads() -> ViewId {
        ViewId::new("open-heads", 2).unwrap()
    }

    #[test]
    fn a_name_in_braces_is_that_of_the_version_and_nothing_else_changes() {
        let names = TableNames::declared_in(&heads(), "CREATE TABLE {units} (id TEXT)").unwrap();
        for (written, meant) in [
            (
                "SELECT * FROM {units} AS u",
                "SELECT * FROM \"open-heads_2_units\" AS u",
            ),
            (
                "SELECT '{people}', \"{people}\", {\"a\": 1}, { units }, {} -- {people}\n, {units}",
                "SELECT '{people}', \"{people}\", {\"a\": 1}, { units }, {} -- {people}\n, \"open-heads_2_units\"",
            ),
            (
                "/* {people} */ SELECT 'it''s {people}', 'ä{units}' || {units}.ä",
                "/* {people} */ SELECT 'it''s {people}', 'ä{units}' || \"open-heads_2_units\".ä",
            ),
            ("SELECT '{units}", "SELECT '{units}"),
            ("SELECT {units", "SELECT {units"),
            ("", ""),
        ] {
            let resolved = names.resolve(written).unwrap();
            assert_eq!(*resolved, format!("{meant} -- open-heads v2"), "{written}");
        }
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn a_text_is_taken_apart_into_statements() {
        let text = "-- first; \nCREATE TABLE a (t text DEFAULT ';'); ;\n /* ; */ INSERT INTO \"a;\"; -- end";
        assert_eq!(
            statements(text),
            [
                "-- first; \nCREATE TABLE a (t text DEFAULT ';')",
                "\n /* ; */ INSERT INTO \"a;\""
            ]
        );
    }

    #[test]
    fn an_unknown_name_is_an_error_that_lists_those_declared() {
        let text = "CREATE TABLE {units} (id TEXT); CREATE INDEX {units_by_head} ON {units} (id)";
        let names = TableNames::declared_in(&heads(), text).unwrap();
        let error = names.resolve("DELETE FROM\n  {unit}").unwrap_err();
        assert_eq!(
            error.to_string(),
            "view `open-heads v2` declares no `{unit}`: it has `{units}`, `{units_by_head}`; in statement `DELETE FROM {unit}`"
        );
    }

    #[test]
    fn a_declaration_names_tables_in_plain_letters() {
        let refused = |text: &str| {
            TableNames::declared_in(&heads(), text)
                .unwrap_err()
                .to_string()
        };
        assert!(refused("CREATE TABLE units (id TEXT)").contains("names no table in braces"));
        assert!(refused("CREATE TABLE {Units} (id TEXT)").contains("`{Units}` is not taken"));
        let long = format!("CREATE TABLE {{{}}} (id TEXT)", "a".repeat(60));
        assert!(refused(&long).contains("63 at most"));
    }
}
