//! Opening the store that a command is about: as it is, and without making anything.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::GetStreamErrorKind;
use cim_es::SqliteEventStore;
use cim_es::jetstream::{ConfigError, Connection, JetStreamEventStore, NatsAuth, NatsConfig};
use cim_es::store::{AggregatePage, AggregateQuery, EventStore, StoreError, StoredType};
use clap::Args;
use clap::parser::ValueSource;
use futures_util::TryStreamExt;

use crate::contents::Contents;
use crate::failure::{Failure, Kind};
use crate::made::{Found, Free};
use crate::meant::{self, nearest};

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
    /// Whether the command names a second store, which the options for servers are of.
    #[arg(skip)]
    pub is_of_two: bool,
}

/// What a command does with the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads it.
    Read,
    /// Writes to one that is there.
    Write,
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
            Named::File(path) => {
                if is_missing(&path) {
                    return Err(no_file(&path));
                }
                self.open_file(&path, access)
            }
            Named::Servers { url, stream } => {
                self.is_for_servers()?;
                let (connection, config) = self.connect(url).await?;
                let name = self.stream_name(&connection, stream, &config).await?;
                open_stream(connection, config, name).await
            }
        }
    }

    /// Looks what is there: what is there is opened to be written to, and what is not can be made.
    pub async fn look(&self, source: Option<ValueSource>) -> Result<Found, Failure> {
        match self.named(source)? {
            Named::File(path) if is_missing(&path) => {
                self.is_for_a_file(Access::Write)?;
                Ok(Found::Free(Free::File(path)))
            }
            Named::File(path) => Ok(Found::There(self.open_file(&path, Access::Write)?)),
            Named::Servers { url, stream } => {
                self.is_for_servers()?;
                let (connection, mut config) = self.connect(url).await?;
                let name = match self.one_name(stream)? {
                    Some(name) => name,
                    None => {
                        let names = streams(&connection).await;
                        let configured = &config.event_store.stream_name;
                        chosen(&names, configured)?.unwrap_or_else(|| configured.clone())
                    }
                };
                if is_there(&connection, &name).await {
                    return Ok(Found::There(open_stream(connection, config, name).await?));
                }
                config.event_store.stream_name = name;
                Ok(Found::Free(Free::Stream(Box::new((connection, config)))))
            }
        }
    }

    fn named(&self, source: Option<ValueSource>) -> Result<Named, Failure> {
        let Some(store) = self.store.as_ref().filter(|it| !it.is_empty()) else {
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
        self.is_for_a_file(access)?;
        let options = SqliteEventStore::options();
        let options = match (self.immutable, access) {
            (true, _) => options.immutable(),
            (false, Access::Read) => options.read_only(),
            (false, Access::Write) => options,
        };
        match options.open(path) {
            Ok(store) => Ok(Store::File(store)),
            Err(error) => Err(not_opened(error, path)),
        }
    }

    /// Refuses what says something of servers.
    fn is_for_a_file(&self, access: Access) -> Result<(), Failure> {
        let named = [
            ("--stream", self.stream.is_some()),
            ("--creds", self.creds.is_some()),
        ];
        if let Some((option, _)) = named
            .iter()
            .find(|(_, is_given)| *is_given && !self.is_of_two)
        {
            let message = format!("`{option}` is of servers, and the store is a file");
            return Err(Failure::usage(message).help(format!(
                "leave `{option}` out, or give an address such as nats://127.0.0.1:4222"
            )));
        }
        match self.immutable && access == Access::Write {
            true => Err(Failure::usage(
                "the command writes to the store, which `--immutable` rules out",
            )
            .help("leave `--immutable` out")),
            false => Ok(()),
        }
    }

    /// Refuses what says something of a file.
    fn is_for_servers(&self) -> Result<(), Failure> {
        match self.immutable {
            true => Err(
                Failure::usage("`--immutable` is of a file, and the store is on servers")
                    .help("leave `--immutable` out"),
            ),
            false => Ok(()),
        }
    }

    async fn connect(&self, url: Option<String>) -> Result<(Connection, NatsConfig), Failure> {
        let file = self.config.as_deref();
        let mut config = NatsConfig::load(file).map_err(|error| config_failure(error, file))?;
        if let Some(url) = url {
            config.servers = vec![url];
        }
        if let Some(creds) = &self.creds {
            config.auth = NatsAuth::Credentials(creds.clone());
        }
        config.check()?;
        let connection = config.connect().await?;
        connection.check_jetstream().await?;
        Ok((connection, config))
    }

    /// The stream that is named: by the address, or by the option.
    fn one_name(&self, stream: Option<String>) -> Result<Option<String>, Failure> {
        match (&self.stream, stream) {
            (Some(named), Some(other)) if *named != other => Err(Failure::usage(format!(
                "the address names stream `{other}`, and `--stream` names `{named}`"
            ))
            .help("name one")),
            (Some(named), _) => Ok(Some(named.clone())),
            (None, other) => Ok(other),
        }
    }

    /// Which stream is meant: the one that is named, or that the configuration names, or the only one that keeps events.
    async fn stream_name(
        &self,
        connection: &Connection,
        stream: Option<String>,
        config: &NatsConfig,
    ) -> Result<String, Failure> {
        let named = self.one_name(stream)?;
        let names = streams(connection).await;
        let Some(named) = named else {
            let chosen = chosen(&names, &config.event_store.stream_name)?;
            return chosen.ok_or_else(|| {
                Failure::new(Kind::Store, "no stream of events was found in this account").help(
                    "name it with `--stream NAME` if this user may not list streams; look whether the account and the JetStream domain are right",
                )
            });
        };
        if names.is_empty() || names.contains(&named) {
            return Ok(named);
        }
        let known = names.iter().map(String::as_str);
        let help = match nearest(&named, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("streams of events are: {}", names.join(", ")),
        };
        let message = format!("there is no stream of events `{named}`");
        Err(Failure::new(Kind::Store, message).help(help))
    }
}

async fn open_stream(
    connection: Connection,
    config: NatsConfig,
    name: String,
) -> Result<Store, Failure> {
    let events = JetStreamEventStore::open_existing(connection.clone(), &name).await?;
    Ok(Store::Stream(Box::new(Stream {
        events,
        connection,
        config,
    })))
}

/// The streams of events of the account, in the order of their names; none where this user may not list them.
async fn streams(connection: &Connection) -> Vec<String> {
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
    names
}

/// The stream that is meant where none is named; none where there is none.
fn chosen(names: &[String], configured: &str) -> Result<Option<String>, Failure> {
    match names {
        [] => Ok(None),
        names if names.iter().any(|it| it == configured) => Ok(Some(configured.to_owned())),
        [one] => Ok(Some(one.clone())),
        names => Err(Failure::usage(format!(
            "the account has several streams of events: {}",
            names.join(", ")
        ))
        .help("name one with `--stream NAME`")),
    }
}

/// Whether there is a stream of a name. What cannot be asked is found out when it is opened.
async fn is_there(connection: &Connection, name: &str) -> bool {
    match connection.jetstream().get_stream(name).await {
        Ok(_) => true,
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(error) => {
                error.error_code() != ErrorCode::STREAM_NOT_FOUND
            }
            _ => true,
        },
    }
}

fn is_missing(path: &Path) -> bool {
    std::fs::metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

/// Why a file is not opened, and what it is if it is no store.
fn not_opened(error: StoreError, path: &Path) -> Failure {
    if let Err(denied) = std::fs::File::open(path)
        && denied.kind() == ErrorKind::PermissionDenied
    {
        let message = format!("the file {} cannot be read: {denied}", path.display());
        return Failure::new(Kind::Store, message)
            .help("give this user the right to read it, and its directory");
    }
    // Nothing more can be told of one that cannot be opened.
    let failure = Failure::from(error).without_help();
    let shown = path.display();
    match Contents::of(path) {
        Contents::Bundle | Contents::JsonLines => failure.help(format!(
            "it holds events for another store: `cim-es -s STORE import {shown}` takes them in"
        )),
        Contents::Encrypted => failure.help(format!(
            "it is encrypted: `cim-es -s STORE import {shown} --identity FILE` takes in what is in it"
        )),
        Contents::Store if failure.says("immutable") => {
            failure.help("`--immutable` opens it so, where nobody writes to it")
        }
        Contents::Store | Contents::Other => failure,
    }
}

/// What is wrong with the configuration, and in which file.
fn config_failure(error: ConfigError, file: Option<&Path>) -> Failure {
    let failure = Failure::from(error.clone());
    match (error, file) {
        (ConfigError::File { .. }, _) | (_, None) => failure,
        (_, Some(file)) => failure.help(format!(
            "it stands in {}, or in a variable CIM_ES_NATS_…",
            file.display()
        )),
    }
}

/// Says that a file is missing, and which was probably meant.
fn no_file(path: &Path) -> Failure {
    let missing = |what: &str, path: &Path| {
        let message = format!("{what} {} does not exist", path.display());
        Failure::new(Kind::Store, message)
    };
    let parent = path.parent();
    if let Some(parent) = parent.filter(|it| !it.as_os_str().is_empty() && !it.is_dir()) {
        return missing("the directory", parent).help("look whether the path is right");
    }
    let failure = missing("the file", path);
    if let Some(near) = meant::near_file(path) {
        return failure.help(format!("did you mean `{}`?", near.display()));
    }
    let text = path.to_string_lossy();
    match text.strip_prefix("nats:").or_else(|| text.strip_prefix("tls:")) {
        Some(rest) => failure.help(format!(
            "an address is written `nats://{}`",
            rest.trim_start_matches('/')
        )),
        None => failure.help("look whether the path is right; a program makes a store when it opens it, and `cim-es import --create` makes one of a bundle"),
    }
}
