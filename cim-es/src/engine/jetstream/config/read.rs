//! Reads a configuration from TOML, from the environment and from anything that serde reads.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};
use toml::{Table, Value};

use super::keys::{self, KEYS, Kind};
use super::storage::Sections;
use super::{ConfigError, EventStoreConfig, NatsAuth, NatsConfig, Secret, aliases, duration};
use crate::block::HashCode;

impl NatsConfig {
    /// From the text of a TOML file.
    ///
    /// # Errors
    /// [`ConfigError`]; no value is repeated in it.
    ///
    /// ```
    /// use cim_es::jetstream::NatsConfig;
    ///
    /// let config = NatsConfig::from_toml(r#"
    ///     servers = ["nats://one:4222", "nats://two:4222"]
    ///     credentials = "/etc/infrastructure.creds"
    ///
    ///     [event_store]
    ///     stream_name = "INFRASTRUCTURE_EVENTS"
    ///     subjects = ["infrastructure.>"]
    ///     replicas = 3
    /// "#)?;
    /// assert_eq!(config.event_store.replicas, 3);
    ///
    /// let error = NatsConfig::from_toml("[tls]\nca_cret = 'ca.pem'").unwrap_err();
    /// assert_eq!(error.to_string(), "there is no key `tls.ca_cret`; did you mean `tls.ca_cert`?");
    /// # Ok::<(), cim_es::jetstream::ConfigError>(())
    /// ```
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        Self::from_table(parse(text)?)
    }

    /// From a TOML file, where there is one, and the environment, which has precedence over the file.
    ///
    /// # Errors
    /// [`ConfigError`]; no value is repeated in it.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        Self::read(file, system_variables())
    }

    /// From the environment alone: `CIM_ES_NATS_SERVERS`, `CIM_ES_NATS_TLS_CA_CERT` and so on, each the name of a key
    /// in capitals with `_` for `.`; lists are separated by commas.
    ///
    /// # Errors
    /// [`ConfigError`]; no value is repeated in it.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::load(None)
    }

    /// From environment variables that the caller gives; those of other programs are passed over.
    ///
    /// # Errors
    /// [`ConfigError`]; no value is repeated in it.
    pub fn from_variables(
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        Self::read(None, variables)
    }

    pub(super) fn read(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let sections = Sections::of(parse_file(file)?)?;
        Self::from_tables(sections.nats.unwrap_or_default(), variables)
    }

    fn from_table(table: Table) -> Result<Self, ConfigError> {
        let sections = Sections::of(table)?;
        Self::from_tables(sections.nats.unwrap_or_default(), [])
    }

    /// From the keys of a file, and variables, which have precedence whatever name of a setting either has.
    pub(super) fn from_tables(
        mut table: Table,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        check_keys(&table)?;
        aliases::resolve(&mut table)?;
        let mut over = Table::new();
        read_variables(&mut over, variables)?;
        aliases::resolve(&mut over)?;
        for (key, _) in KEYS {
            if let Some(value) = aliases::get(&over, key) {
                aliases::put(&mut table, key, value.clone())?;
            }
        }
        let reader = Reader(table);
        let mut config = Self::default();
        reader.flag("enabled")?.set(&mut config.enabled);
        reader.number("max_retries")?.set(&mut config.max_retries);
        reader.list("servers")?.set(&mut config.servers);
        config.auth = reader.auth()?;
        reader
            .duration("connection_timeout")?
            .set(&mut config.connection_timeout);
        reader
            .number("max_reconnects")?
            .set(&mut config.max_reconnects);
        reader
            .duration("reconnect_delay")?
            .set(&mut config.reconnect_delay);
        reader
            .duration("request_timeout")?
            .set(&mut config.request_timeout);
        reader.duration("patience")?.set(&mut config.patience);
        reader
            .text("object_store_bucket")?
            .set(&mut config.object_store_bucket);
        config.tls.ca_cert = reader.text("tls.ca_cert")?.map(Into::into);
        config.tls.client_cert = reader.text("tls.client_cert")?.map(Into::into);
        config.tls.client_key = reader.text("tls.client_key")?.map(Into::into);
        reader.flag("tls.required")?.set(&mut config.tls.required);
        config.jetstream.domain = reader.text("jetstream.domain")?;
        config.jetstream.prefix = reader.text("jetstream.prefix")?;
        reader.event_store(&mut config.event_store)?;
        config.check()?;
        Ok(config)
    }
}

impl<'de> Deserialize<'de> for NatsConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = Table::deserialize(deserializer)?;
        Self::from_table(table).map_err(de::Error::custom)
    }
}

/// The variables of this process.
pub(super) fn system_variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        Some((name, value.to_string_lossy().into_owned()))
    })
}

/// The keys of a file; none where there is no file.
pub(super) fn parse_file(file: Option<&Path>) -> Result<Table, ConfigError> {
    let Some(file) = file else {
        return Ok(Table::new());
    };
    let text = std::fs::read_to_string(file).map_err(|error| ConfigError::File {
        file: file.display().to_string(),
        reason: error.to_string(),
    })?;
    parse(&text)
}

pub(super) fn parse(text: &str) -> Result<Table, ConfigError> {
    // Not the error's own text: it shows the line, and a secret may stand in it.
    text.parse::<Table>().map_err(|error| ConfigError::Syntax {
        line: error.span().map_or(1, |span| {
            text[..span.start.min(text.len())].matches('\n').count() + 1
        }),
        reason: error.message().to_owned(),
    })
}

fn check_keys(table: &Table) -> Result<(), ConfigError> {
    for (name, value) in table {
        match value {
            Value::Table(inner) => {
                for key in inner.keys() {
                    keys::check(&format!("{name}.{key}"))?;
                }
            }
            _ => keys::check(name)?,
        }
    }
    Ok(())
}

/// Sets the keys that environment variables name.
fn read_variables(
    table: &mut Table,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<(), ConfigError> {
    for (name, text) in variables {
        if !name.starts_with(keys::PREFIX) {
            continue;
        }
        let (key, kind) = keys::of_variable(&name)?;
        let value = convert(kind, &text).ok_or_else(|| expected(&name, kind))?;
        aliases::put(table, key, value)?;
    }
    Ok(())
}

pub(super) fn convert(kind: Kind, text: &str) -> Option<Value> {
    match kind {
        Kind::Text | Kind::Duration => Some(Value::String(text.to_owned())),
        Kind::Number => text.trim().parse().ok().map(Value::Integer),
        Kind::Flag => text.trim().parse().ok().map(Value::Boolean),
        Kind::List => {
            let items = text
                .split(',')
                .map(|item| Value::String(item.trim().to_owned()));
            Some(Value::Array(items.collect()))
        }
    }
}

pub(super) fn expected(key: &str, kind: Kind) -> ConfigError {
    let reason = match kind {
        Kind::Text => "a text is expected",
        Kind::Number => "a whole number from 0 is expected",
        Kind::Flag => "true or false is expected",
        Kind::List => "a list of texts is expected",
        Kind::Duration => "a text such as \"5s\" is expected",
    };
    ConfigError::invalid(key, reason)
}

/// A value that stays as it is where the configuration does not set it.
trait Set<T> {
    fn set(self, place: &mut T);
}

impl<T> Set<T> for Option<T> {
    fn set(self, place: &mut T) {
        if let Some(value) = self {
            *place = value;
        }
    }
}

struct Reader(Table);

impl Reader {
    fn get(&self, key: &str) -> Option<&Value> {
        aliases::get(&self.0, key)
    }

    fn read<'a, T>(
        &'a self,
        key: &str,
        kind: Kind,
        convert: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        convert(value).map(Some).ok_or_else(|| expected(key, kind))
    }

    fn text(&self, key: &str) -> Result<Option<String>, ConfigError> {
        self.read(key, Kind::Text, |value| value.as_str().map(str::to_owned))
    }

    fn secret(&self, key: &str) -> Result<Option<Secret>, ConfigError> {
        Ok(self.text(key)?.map(Secret::new))
    }

    fn flag(&self, key: &str) -> Result<Option<bool>, ConfigError> {
        self.read(key, Kind::Flag, Value::as_bool)
    }

    fn number<T: TryFrom<i64>>(&self, key: &str) -> Result<Option<T>, ConfigError> {
        self.read(key, Kind::Number, |value| {
            T::try_from(value.as_integer()?).ok()
        })
    }

    fn list(&self, key: &str) -> Result<Option<Vec<String>>, ConfigError> {
        self.read(key, Kind::List, |value| {
            let items = value.as_array()?.iter();
            items.map(|item| item.as_str().map(str::to_owned)).collect()
        })
    }

    fn duration(&self, key: &str) -> Result<Option<Duration>, ConfigError> {
        let Some(text) = self.read(key, Kind::Duration, Value::as_str)? else {
            return Ok(None);
        };
        let parsed = duration::parse(text).map_err(|reason| ConfigError::invalid(key, reason))?;
        Ok(Some(parsed))
    }

    fn auth(&self) -> Result<NatsAuth, ConfigError> {
        let credentials = self
            .text("credentials")?
            .map(|file| NatsAuth::Credentials(file.into()));
        let token = self.secret("token")?.map(NatsAuth::Token);
        let nkey = self.secret("nkey")?.map(NatsAuth::Nkey);
        let password = match (self.text("user")?, self.secret("password")?) {
            (Some(user), Some(password)) => Some(NatsAuth::UserPassword { user, password }),
            (None, None) => None,
            _ => {
                return Err(ConfigError::contradiction(
                    "`user` and `password` need each other: set both or neither",
                ));
            }
        };
        let mut given = [credentials, password, token, nkey].into_iter().flatten();
        let first = given.next().unwrap_or_default();
        match given.next() {
            None => Ok(first),
            Some(second) => Err(ConfigError::contradiction(format!(
                "{} and {} are both set: keep one way to log in",
                first.keys(),
                second.keys()
            ))),
        }
    }

    fn event_store(&self, config: &mut EventStoreConfig) -> Result<(), ConfigError> {
        self.text("event_store.stream_name")?
            .set(&mut config.stream_name);
        self.list("event_store.subjects")?.set(&mut config.subjects);
        config.max_age = self.duration("event_store.max_age")?;
        config.max_messages = self.number("event_store.max_messages")?;
        self.flag("event_store.accept_losing_events")?
            .set(&mut config.accept_losing_events);
        self.number("event_store.replicas")?
            .set(&mut config.replicas);
        self.duration("event_store.duplicate_window")?
            .set(&mut config.duplicate_window);
        self.number("event_store.snapshot_threshold")?
            .set(&mut config.snapshot_threshold);
        config.server_memory = self.number("event_store.server_memory")?;
        self.choice("event_store.when_full", &["refuse", "drop_oldest"])?
            .map(|choice| choice == "drop_oldest")
            .set(&mut config.drop_oldest_when_full);
        if let Some(prefix) = self.text("event_store.stored_prefix")? {
            config.stored_subjects = prefix.parse().map_err(|error| {
                ConfigError::invalid("event_store.stored_prefix", format!("{error}"))
            })?;
        }
        config.public_prefix = self.text("event_store.public_prefix")?;
        self.flag("event_store.create")?.set(&mut config.create);
        self.choice("event_store.hash", &["sha2-256", "blake3"])?
            .map(|choice| match &*choice {
                "blake3" => HashCode::Blake3_256,
                _ => HashCode::Sha2_256,
            })
            .set(&mut config.seal.hash);
        self.number("event_store.max_payload")?
            .set(&mut config.seal.max_payload);
        match self.text("event_store.retention")?.as_deref() {
            None | Some("limits") => Ok(()),
            Some(_) => Err(ConfigError::invalid(
                "event_store.retention",
                "\"limits\" is expected: under \"interest\" and \"workqueue\" the server deletes what was read, and no \
                 history would be left",
            )),
        }
    }

    fn choice(&self, key: &str, choices: &[&str]) -> Result<Option<String>, ConfigError> {
        let text = self.text(key)?;
        if text.as_deref().is_none_or(|text| choices.contains(&text)) {
            return Ok(text);
        }
        let listed: Vec<_> = choices
            .iter()
            .map(|choice| format!("\"{choice}\""))
            .collect();
        Err(ConfigError::invalid(
            key,
            format!("{} is expected", listed.join(" or ")),
        ))
    }
}
