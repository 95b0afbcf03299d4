//! The switch: whether a program works on a file, on a stream, or on a file that is kept level with a stream.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, de};
use toml::{Table, Value};

use super::keys::{self, Kind};
use super::read::{convert, expected, parse, parse_file, system_variables};
use super::{ConfigError, NatsConfig};
use crate::domain::declared::nearest;

const KEYS: [(&str, Kind); 2] = [
    ("offline_mode", Kind::Flag),
    ("offline_storage", Kind::Text),
];
const PREFIX: &str = "CIM_ES_";
/// What the file is called where a folder is given.
const FILE: &str = "events.db";

/// Where a program keeps its events, as one file of configuration says it: `[nats]` and `[offline]`.
///
/// | `nats.enabled` | `offline.offline_mode` | `offline.offline_storage` | what [`storage`](Self::storage) says |
/// |---|---|---|---|
/// | `true` | `false` | | [`Storage::Stream`] |
/// | `true` | `false` | a path | [`Storage::Hybrid`] |
/// | `false`, or no `[nats]` | | a path | [`Storage::File`] |
/// | | `true` | a path | [`Storage::File`] |
///
/// `[nats]` has the keys of [`NatsConfig`], whose environment variables count too. Those of `[offline]` are
/// `CIM_ES_OFFLINE_MODE` and `CIM_ES_OFFLINE_STORAGE`. A path that ends with `/`, or is a folder, is the folder of the file
/// `events.db`.
///
/// ```
/// use cim_es::jetstream::{Storage, StorageConfig};
///
/// let config = StorageConfig::from_toml(r#"
///     [nats]
///     servers = ["nats://hub.example:4222"]
///
///     [offline]
///     offline_storage = "/var/lib/notes/events.db"
/// "#)?;
/// assert!(matches!(config.storage()?, Storage::Hybrid { .. }));
/// # Ok::<(), cim_es::jetstream::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StorageConfig {
    /// The servers; none where the configuration does not name any.
    pub nats: Option<NatsConfig>,
    /// Works on the file alone, whatever servers there are.
    pub offline_mode: bool,
    /// The file.
    pub offline_storage: Option<PathBuf>,
}

/// What a program works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// A file alone.
    File(PathBuf),
    /// A stream alone.
    Stream(Box<NatsConfig>),
    /// A file, which is kept level with a stream.
    Hybrid {
        /// The file.
        file: PathBuf,
        /// The stream.
        nats: Box<NatsConfig>,
    },
}

impl StorageConfig {
    /// From the text of a TOML file.
    ///
    /// # Errors
    /// [`ConfigError`]; no value is repeated in it.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        Self::from_table(parse(text)?, [])
    }

    /// From a TOML file, where there is one, and the environment, which has precedence over the file.
    ///
    /// # Errors
    /// [`ConfigError`]; no value is repeated in it.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        Self::read(file, system_variables())
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
        Self::from_table(parse_file(file)?, variables)
    }

    /// What the program works on.
    ///
    /// # Errors
    /// [`ConfigError`] where neither servers nor a file are named.
    pub fn storage(&self) -> Result<Storage, ConfigError> {
        let nats = self.nats.clone();
        let nats = nats.filter(|nats| nats.enabled && !self.offline_mode);
        match (nats.map(Box::new), self.file()) {
            (Some(nats), Some(file)) => Ok(Storage::Hybrid { file, nats }),
            (Some(nats), None) => Ok(Storage::Stream(nats)),
            (None, Some(file)) => Ok(Storage::File(file)),
            (None, None) => Err(ConfigError::contradiction(
                "events would be kept nowhere: name a file by `offline.offline_storage`, or servers by `nats.servers` with \
                 `nats.enabled` true and `offline.offline_mode` false",
            )),
        }
    }

    fn file(&self) -> Option<PathBuf> {
        let path = self.offline_storage.clone()?;
        let is_folder = path.as_os_str().as_encoded_bytes().ends_with(b"/") || path.is_dir();
        Some(match is_folder {
            true => path.join(FILE),
            false => path,
        })
    }

    fn from_table(
        table: Table,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut sections = Sections::of(table)?;
        let mut of_nats = Vec::new();
        for (name, text) in variables {
            if name.starts_with(keys::PREFIX) {
                of_nats.push((name, text));
            } else if let Some(key) = name
                .strip_prefix(PREFIX)
                .filter(|it| it.starts_with("OFFLINE"))
            {
                let (key, kind) = of_variable(&name, key)?;
                let value = convert(kind, &text).ok_or_else(|| expected(&name, kind))?;
                sections.offline.insert(key.to_owned(), value);
            }
        }
        let has_nats = sections.nats.is_some() || !of_nats.is_empty();
        let nats = sections.nats.unwrap_or_default();
        let nats = match has_nats {
            true => Some(NatsConfig::from_tables(nats, of_nats)?),
            false => None,
        };
        let offline = sections.offline;
        let mode = offline.get("offline_mode").map(|value| {
            let flag = value.as_bool();
            flag.ok_or_else(|| expected("offline.offline_mode", Kind::Flag))
        });
        let storage = offline.get("offline_storage").map(|value| {
            let path = value.as_str().filter(|path| !path.is_empty());
            path.map(PathBuf::from).ok_or_else(|| {
                ConfigError::invalid("offline.offline_storage", "the path of a file is expected")
            })
        });
        Ok(Self {
            nats,
            offline_mode: mode.transpose()?.unwrap_or(false),
            offline_storage: storage.transpose()?,
        })
    }
}

impl<'de> Deserialize<'de> for StorageConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = Table::deserialize(deserializer)?;
        Self::from_table(table, []).map_err(de::Error::custom)
    }
}

/// A file with the tables `[nats]` and `[offline]`, or with the keys of the first alone.
pub(super) struct Sections {
    pub(super) nats: Option<Table>,
    pub(super) offline: Table,
}

impl Sections {
    /// # Errors
    /// [`ConfigError`] for what is in neither table.
    pub(super) fn of(mut table: Table) -> Result<Self, ConfigError> {
        let nats = section(&mut table, "nats")?;
        let offline = section(&mut table, "offline")?;
        for key in offline.iter().flat_map(Table::keys) {
            check(key)?;
        }
        let offline = offline.unwrap_or_default();
        let nats = match (nats, table.keys().next()) {
            (nats, None) => nats,
            (None, Some(_)) => Some(table),
            (Some(_), Some(key)) => {
                let is_known =
                    keys::check(key).is_ok() || table.get(key).is_some_and(Value::is_table);
                return Err(ConfigError::UnknownKey {
                    key: key.clone(),
                    suggestion: is_known.then(|| format!("nats.{key}")),
                });
            }
        };
        Ok(Self { nats, offline })
    }
}

fn section(table: &mut Table, name: &str) -> Result<Option<Table>, ConfigError> {
    match table.remove(name) {
        None => Ok(None),
        Some(Value::Table(section)) => Ok(Some(section)),
        Some(_) => Err(ConfigError::invalid(name, "a table is expected")),
    }
}

fn check(key: &str) -> Result<(), ConfigError> {
    if KEYS.iter().any(|(known, _)| *known == key) {
        return Ok(());
    }
    let known = KEYS.map(|(known, _)| known);
    let short = known.iter().find(|known| known.ends_with(key)).copied();
    let suggestion = short.or_else(|| nearest(key, &known));
    Err(ConfigError::UnknownKey {
        key: format!("offline.{key}"),
        suggestion: suggestion.map(|known| format!("offline.{known}")),
    })
}

/// The key of a variable, which is the key in capitals.
fn of_variable(name: &str, key: &str) -> Result<(&'static str, Kind), ConfigError> {
    let key = key.to_lowercase();
    let found = KEYS.iter().find(|(known, _)| **known == key);
    found.copied().ok_or_else(|| {
        let known = KEYS.map(|(known, _)| known);
        ConfigError::UnknownKey {
            key: name.to_owned(),
            suggestion: nearest(&key, &known)
                .map(|known| format!("{PREFIX}{}", known.to_uppercase())),
        }
    })
}
