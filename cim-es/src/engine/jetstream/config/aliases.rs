//! Other names of keys, under which configurations of the family have them.

use toml::{Table, Value};

use super::ConfigError;
use super::keys::Kind;
use super::read::expected;

/// What the value of another name becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// The same value of the key.
    Same,
    /// Addresses with commas between.
    Addresses,
    /// A whole number of seconds.
    Seconds,
    /// What the public subjects of the stream begin with.
    Subjects,
    /// What cannot be otherwise, for this reason.
    Always(&'static str),
}

struct Alias {
    name: &'static str,
    /// The documented key.
    key: &'static str,
    kind: Kind,
    meaning: Meaning,
}

const fn alias(name: &'static str, key: &'static str, kind: Kind, meaning: Meaning) -> Alias {
    Alias {
        name,
        key,
        kind,
        meaning,
    }
}

const ALIASES: [Alias; 12] = [
    alias("url", "servers", Kind::Text, Meaning::Addresses),
    alias("credentials_file", "credentials", Kind::Text, Meaning::Same),
    alias(
        "connection_timeout_secs",
        "connection_timeout",
        Kind::Number,
        Meaning::Seconds,
    ),
    alias(
        "stream_name",
        "event_store.stream_name",
        Kind::Text,
        Meaning::Same,
    ),
    alias(
        "subject_prefix",
        "event_store.subjects",
        Kind::Text,
        Meaning::Subjects,
    ),
    alias("tls_ca", "tls.ca_cert", Kind::Text, Meaning::Same),
    alias("tls_cert", "tls.client_cert", Kind::Text, Meaning::Same),
    alias("tls_key", "tls.client_key", Kind::Text, Meaning::Same),
    alias(
        "jetstream.stream_name",
        "event_store.stream_name",
        Kind::Text,
        Meaning::Same,
    ),
    alias(
        "jetstream.object_store_bucket",
        "object_store_bucket",
        Kind::Text,
        Meaning::Same,
    ),
    alias(
        "enable_jetstream",
        "",
        Kind::Flag,
        Meaning::Always(
            "true is expected: on servers, events are kept by JetStream; to keep them in a file alone, set `enabled` to false",
        ),
    ),
    alias(
        "enable_ipld",
        "",
        Kind::Flag,
        Meaning::Always("true is expected: every event is an IPLD block with a CID"),
    ),
];

/// Every other name with what it takes.
pub(super) fn names() -> impl Iterator<Item = (&'static str, Kind)> {
    ALIASES.iter().map(|alias| (alias.name, alias.kind))
}

/// Puts the values of other names under the documented keys.
///
/// # Errors
/// [`ConfigError`] for a value of another kind, and where two names say the same.
pub(super) fn resolve(table: &mut Table) -> Result<(), ConfigError> {
    let mut given: Vec<&Alias> = Vec::new();
    for alias in &ALIASES {
        let Some(value) = take(table, alias.name) else {
            continue;
        };
        let value = translate(alias, value)?;
        let other = given.iter().find(|other| other.key == alias.key);
        let other = other.map(|other| other.name);
        let Some(value) = value else {
            continue;
        };
        if let Some(other) = other.or_else(|| get(table, alias.key).map(|_| alias.key)) {
            return Err(ConfigError::contradiction(format!(
                "`{}` and `{other}` are two names of one setting: keep `{}`",
                alias.name, alias.key
            )));
        }
        put(table, alias.key, value)?;
        given.push(alias);
    }
    Ok(())
}

fn translate(alias: &Alias, value: Value) -> Result<Option<Value>, ConfigError> {
    let wrong = || expected(alias.name, alias.kind);
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(wrong);
    Ok(match alias.meaning {
        Meaning::Same => Some(Value::String(text(&value)?)),
        Meaning::Addresses => {
            let text = text(&value)?;
            let addresses = text
                .split(',')
                .map(|it| Value::String(it.trim().to_owned()));
            Some(Value::Array(addresses.collect()))
        }
        Meaning::Subjects => {
            let filter = format!("{}.>", text(&value)?);
            Some(Value::Array(vec![Value::String(filter)]))
        }
        Meaning::Seconds => {
            let seconds = value.as_integer().filter(|seconds| *seconds >= 0);
            Some(Value::String(format!("{}s", seconds.ok_or_else(wrong)?)))
        }
        Meaning::Always(reason) => match value.as_bool().ok_or_else(wrong)? {
            true => None,
            false => return Err(ConfigError::invalid(alias.name, reason)),
        },
    })
}

/// The value of a key, be it in a table or not.
pub(super) fn get<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    match key.split_once('.') {
        None => table.get(key),
        Some((section, key)) => table.get(section)?.as_table()?.get(key),
    }
}

fn take(table: &mut Table, key: &str) -> Option<Value> {
    match key.split_once('.') {
        None => table.remove(key),
        Some((section, key)) => table.get_mut(section)?.as_table_mut()?.remove(key),
    }
}

/// Sets a key, be it in a table or not.
///
/// # Errors
/// [`ConfigError`] where something else stands in the place of the table.
pub(super) fn put(table: &mut Table, key: &str, value: Value) -> Result<(), ConfigError> {
    let (place, name) = match key.split_once('.') {
        None => (table, key),
        Some((section, name)) => {
            let section = table
                .entry(section)
                .or_insert_with(|| Value::Table(Table::new()));
            let Value::Table(section) = section else {
                return Err(ConfigError::invalid(key, "the file has no table for it"));
            };
            (section, name)
        }
    };
    place.insert(name.to_owned(), value);
    Ok(())
}
