//! Opening the store that a command is about: as it is, and without making anything.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cim_es::SqliteEventStore;
use cim_es::jetstream::{Connection, JetStreamEventStore, NatsAuth, NatsConfig};
use cim_es::store::{AggregatePage, AggregateQuery, EventStore, StoreError, StoredType};
use clap::Args;
use clap::parser::ValueSource;
use futures_util::TryStreamExt;

use crate::failure::{Failure, Kind};
use crate::meant::nearest;

/// How long the account may take to name its streams.
const NAMING: Duration = Duration::from_secs(5);
/// What is asked when no store is named.
const UNNAMED: &str =
    "name one with `--store FILE` or `--store nats://HOST:4222`, or in the variable `CIM_ES_STORE`";

/// Which store, and how to reach it.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "The store")]
pub struct Place {
    /// The store: a file, or servers as nats://HOST:4222 or nats://HOST:4222/STREAM
    #[arg(
        long,
        short,
        global = true,
        env = "CIM_ES_STORE",
        hide_env_values = true,
        value_name = "FILE|URL"
    )]
    pub store: Option<OsString>,
    /// The stream with the events, where the account has several
    #[arg(long, global = true, value_name = "NAME")]
    pub stream: Option<String>,
    /// A file with a NATS user's JWT and seed
    #[arg(long, global = true, value_name = "FILE")]
    pub creds: Option<PathBuf>,
    /// How to reach the servers: a TOML file of `NatsConfig`; the variables CIM_ES_NATS_… come before it
    #[arg(
        long,
        global = true,
        env = "CIM_ES_CONFIG",
        hide_env_values = true,
        value_name = "FILE"
    )]
    pub config: Option<PathBuf>,
    /// The file is on a medium that nobody writes to
    #[arg(long, global = true)]
    pub immutable: bool,
}

/// What a command does with the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads it.
    Read,
    /// Writes to one that is there.
    Write,
    /// Writes to one, and makes it if it is not there.
    Create,
}

/// A store that is open.
pub enum Store {
    File(SqliteEventStore),
    Stream(Box<Stream>),
}

/// A stream, and how it was reached.
pub struct Stream {
    pub events: JetStreamEventStore,
    pub connection: Connection,
    pub config: NatsConfig,
}

impl Store {
    /// The port for its events.
    pub fn events(&self) -> &dyn EventStore {
        match self {
            Self::File(store) => store,
            Self::Stream(stream) => &stream.events,
        }
    }

    /// The same, for who keeps it.
    pub fn shared(&self) -> Arc<dyn EventStore> {
        match self {
            Self::File(store) => Arc::new(store.clone()),
            Self::Stream(stream) => Arc::new(stream.events.clone()),
        }
    }

    /// What files beside it are called after.
    pub fn name(&self) -> PathBuf {
        match self {
            Self::File(store) => store.path().to_owned(),
            Self::Stream(stream) => PathBuf::from(stream.events.stream_name()),
        }
    }

    /// A page of its aggregates.
    pub async fn aggregates(&self, query: AggregateQuery) -> Result<AggregatePage, StoreError> {
        match self {
            Self::File(store) => store.aggregates(query).await,
            Self::Stream(stream) => stream.events.aggregates(query).await,
        }
    }

    /// The types of events that it has.
    pub async fn event_types(&self) -> Result<Vec<StoredType>, StoreError> {
        match self {
            Self::File(store) => store.event_types().await,
            Self::Stream(stream) => stream.events.event_types().await,
        }
    }

    /// Leaves it.
    pub async fn close(self) {
        if let Self::File(store) = self {
            store.close().await;
        }
    }
}

/// What a store is, before it is opened.
enum Named {
    File(PathBuf),
    Servers {
        url: Option<String>,
        stream: Option<String>,
    },
}

impl Place {
    /// Opens it. Where it was named on the command line, it may hold no login.
    pub async fn open(
        &self,
        source: Option<ValueSource>,
        access: Access,
    ) -> Result<Store, Failure> {
        match self.named(source)? {
            Named::File(path) => self.open_file(&path, access),
            Named::Servers { url, stream } => self.open_stream(url, stream, access).await,
        }
    }

    fn named(&self, source: Option<ValueSource>) -> Result<Named, Failure> {
        let Some(store) = &self.store else {
            let has_servers =
                self.config.is_some() || std::env::var_os("CIM_ES_NATS_SERVERS").is_some();
            return match has_servers {
                true => Ok(Named::Servers {
                    url: None,
                    stream: None,
                }),
                false => Err(Failure::usage("no store is named").help(UNNAMED)),
            };
        };
        let path = || Ok(Named::File(PathBuf::from(store)));
        let Some(text) = store.to_str() else {
            return path();
        };
        let Some((scheme, rest)) = text.split_once("://") else {
            return path();
        };
        if !matches!(scheme, "nats" | "tls") {
            let failure = Failure::usage(format!("a store is not reached by `{scheme}://`"));
            return Err(failure
                .help("give the path of a file, or an address such as nats://127.0.0.1:4222"));
        }
        if rest.contains('@') && source == Some(ValueSource::CommandLine) {
            let failure = Failure::usage(
                "the address holds a login, and other users of this machine can read the command line",
            );
            return Err(failure.help("set `CIM_ES_STORE` to it, or give `--creds FILE`"));
        }
        let (address, stream) = match rest.split_once('/') {
            Some((address, stream)) => (address, Some(stream).filter(|name| !name.is_empty())),
            None => (rest, None),
        };
        Ok(Named::Servers {
            url: Some(format!("{scheme}://{address}")),
            stream: stream.map(str::to_owned),
        })
    }

    fn open_file(&self, path: &Path, access: Access) -> Result<Store, Failure> {
        let is_missing =
            std::fs::metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound);
        if is_missing && access != Access::Create {
            return Err(no_file(path));
        }
        let options = SqliteEventStore::options();
        let options = match (self.immutable, access) {
            (true, _) => options.immutable(),
            (false, Access::Read) => options.read_only(),
            (false, Access::Write | Access::Create) => options,
        };
        Ok(Store::File(options.open(path)?))
    }

    async fn open_stream(
        &self,
        url: Option<String>,
        stream: Option<String>,
        access: Access,
    ) -> Result<Store, Failure> {
        let mut config = NatsConfig::load(self.config.as_deref())?;
        if let Some(url) = url {
            config.servers = vec![url];
        }
        if let Some(creds) = &self.creds {
            config.auth = NatsAuth::Credentials(creds.clone());
        }
        config.check()?;
        let connection = config.connect().await?;
        connection.check_jetstream().await?;
        let named = match (&self.stream, stream) {
            (Some(named), Some(other)) if *named != other => {
                return Err(Failure::usage(format!(
                    "the address names stream `{other}`, and `--stream` names `{named}`"
                ))
                .help("name one"));
            }
            (Some(named), _) => Some(named.clone()),
            (None, other) => other,
        };
        let events = match access {
            Access::Create => {
                if let Some(named) = named {
                    config.event_store.stream_name = named;
                }
                let options = config.event_store.clone();
                JetStreamEventStore::open(connection.clone(), options).await?
            }
            Access::Read | Access::Write => {
                let configured = &config.event_store.stream_name;
                let name = stream_name(&connection, named, configured).await?;
                JetStreamEventStore::open_existing(connection.clone(), &name).await?
            }
        };
        Ok(Store::Stream(Box::new(Stream {
            events,
            connection,
            config,
        })))
    }
}

/// Which stream is meant: the one that is named, or that the configuration names, or the only one that keeps events.
async fn stream_name(
    connection: &Connection,
    named: Option<String>,
    configured: &str,
) -> Result<String, Failure> {
    let listing = async {
        let mut streams = connection.jetstream().streams();
        let mut names = Vec::new();
        while let Ok(Some(info)) = streams.try_next().await {
            let keeps_events = info.config.subjects.iter().any(|it| it.contains(".*.*."));
            if keeps_events {
                names.push(info.config.name);
            }
        }
        names
    };
    // Who may not list them must name the stream.
    let listed = tokio::time::timeout(NAMING, listing).await;
    let mut names = listed.unwrap_or_default();
    names.sort();
    let has = |name: &str| names.iter().any(|it| it == name);
    match (named, names.as_slice()) {
        (Some(named), _) if has(&named) || names.is_empty() => Ok(named),
        (Some(named), _) => {
            let known = names.iter().map(String::as_str);
            let help = match nearest(&named, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("streams of events are: {}", names.join(", ")),
            };
            Err(Failure::new(Kind::Store, format!("there is no stream of events `{named}`")).help(help))
        }
        (None, _) if has(configured) => Ok(configured.to_owned()),
        (None, [one]) => Ok(one.clone()),
        (None, []) => Err(Failure::new(
            Kind::Store,
            "no stream of events was found in this account",
        )
        .help("name it with `--stream NAME` if this user may not list streams; look whether the account and the JetStream domain are right")),
        (None, names) => Err(Failure::usage(format!(
            "the account has several streams of events: {}",
            names.join(", ")
        ))
        .help("name one with `--stream NAME`")),
    }
}

/// Says that a file is missing, and which was probably meant.
fn no_file(path: &Path) -> Failure {
    let missing = |what: &str, path: &Path| {
        Failure::new(
            Kind::Store,
            format!("{what} {} does not exist", path.display()),
        )
    };
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let directory = parent.unwrap_or(Path::new("."));
    if !directory.is_dir() {
        return missing("the directory", directory).help("look whether the path is right");
    }
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.file_type().is_ok_and(|it| !it.is_dir()));
    let names: Vec<_> = files
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    let wanted = path
        .file_name()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default();
    let is_store = |name: &&str| !name.ends_with("-wal") && !name.ends_with("-shm");
    let known = names.iter().map(String::as_str).filter(is_store);
    match nearest(&wanted, known) {
        Some(near) => missing("the file", path).help(format!("did you mean `{}`?", directory.join(near).display())),
        None => missing("the file", path)
            .help("look whether the path is right; a program makes a store when it opens it, and `cim-es import --create` makes one of a bundle"),
    }
}
