//! Read models in a PostgreSQL database.
//!
//! All views stand in three tables of one schema of the database, `cim_es` unless another is named:
//!
//! ```text
//! views      a row for each version of a view: what it is, up to where it is true, who holds it
//! documents  the documents of all views, by view and key
//! entries    the index entries, each with the key of its document
//! ```
//!
//! A commit writes all three in one transaction of three round trips: it begins with the view's row, locked; what it writes
//! goes out together; it is committed once all of that was answered. Every other question is one statement, so it sees one
//! moment of the database.

mod connection;
mod documents;
mod failure;
mod schema;
mod tables;
mod values;
mod views;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio_postgres::config::Host;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{Config, NoTls, Socket};
use uuid::Uuid;

pub(crate) use self::tables::TablesTransaction;
pub use self::tables::{PostgresTables, PostgresTablesSnapshot};

use self::connection::Connections;
use crate::store::read_model::{
    DocumentPage, Hold, IndexEntry, Page, ReadModelError, ReadModelStorage, TableError, TableNames,
    UpTo, ViewChanges, ViewDeclaration, ViewId, ViewRecord,
};
use crate::store::{Location, StoreError};

/// Keeps read models in a PostgreSQL database.
///
/// It has two connections of its own, one to write and one to read. One that is lost is made again when it is needed
/// next; until then every question is answered by an error that may pass
/// ([`ReadModelError::is_transient`]). A clone is another handle to the same connections.
///
/// ```no_run
/// use cim_es::PostgresReadModels;
///
/// # async fn open() -> Result<(), cim_es::store::read_model::ReadModelError> {
/// let models = PostgresReadModels::open("postgresql://app@localhost/library").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresReadModels {
    connections: Arc<Connections>,
}

/// How read models are kept in a PostgreSQL database.
///
/// ```no_run
/// use std::time::Duration;
///
/// use cim_es::{PostgresOptions, PostgresReadModels};
///
/// # async fn open() -> Result<(), cim_es::store::read_model::ReadModelError> {
/// let options = PostgresOptions::new("host=localhost dbname=library user=app")?
///     .schema("reports")
///     .timeout(Duration::from_secs(5));
/// let models = PostgresReadModels::open_with(options).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    config: Config,
    schema: String,
    timeout: Duration,
}

/// How long an answer may take, unless a program says otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);
/// What an address looks like.
const ADDRESS: &str = "write `postgresql://user@host/database`, or `host=… dbname=… user=…`";
/// The longest name of a schema in bytes, as PostgreSQL has it.
const LONGEST_NAME: usize = 63;

impl PostgresOptions {
    /// A database by its address, in one of the forms of libpq: `postgresql://user@host/database`, or
    /// `host=… dbname=… user=…`.
    ///
    /// # Errors
    /// [`StoreError::Incompatible`] for a text that is no address, which it does not repeat: there may be a password in it.
    pub fn new(address: &str) -> Result<Self, ReadModelError> {
        let config =
            address
                .parse()
                .map_err(|error: tokio_postgres::Error| StoreError::Incompatible {
                    location: "the PostgreSQL database".into(),
                    reason: format!(
                        "its address cannot be read ({}): {ADDRESS}",
                        crate::domain::ErrorChain(&error)
                    ),
                })?;
        Ok(Self::of(config))
    }

    /// A database by settings that were made elsewhere.
    pub fn of(config: Config) -> Self {
        Self {
            config,
            schema: "cim_es".to_owned(),
            timeout: TIMEOUT,
        }
    }

    /// The schema of the database that has the tables; made when it is missing. Programs with views of their own in one
    /// database take one each.
    #[must_use]
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    /// How long an answer may take, waiting for another program's transaction included: 30 seconds unless it is said. A
    /// connection that does not answer in that time is given up.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    fn location(&self) -> Location {
        let database = self.config.get_dbname().or(self.config.get_user());
        let database = database.map_or_else(
            || "the database of the user".to_owned(),
            |name| format!("database `{name}`"),
        );
        let mut hosts: Vec<_> = self.config.get_hosts().iter().map(host_text).collect();
        if hosts.is_empty() {
            let addresses = self.config.get_hostaddrs().iter();
            hosts = addresses.map(ToString::to_string).collect();
        }
        // One port is that of all hosts.
        let ports = self.config.get_ports().iter().cycle();
        let with_ports = hosts.iter().zip(ports);
        let with_ports: Vec<_> = with_ports
            .map(|(host, port)| format!("{host}:{port}"))
            .collect();
        let hosts = match with_ports.is_empty() {
            true => hosts,
            false => with_ports,
        };
        format!("{database} on {}", hosts.join(", ")).into()
    }

    fn check(&self, location: &Location) -> Result<(), StoreError> {
        if self.config.get_hosts().is_empty() && self.config.get_hostaddrs().is_empty() {
            return Err(StoreError::Incompatible {
                location: "the PostgreSQL database".into(),
                reason: format!("its address names no host: {ADDRESS}"),
            });
        }
        let is_plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
        let has_length = (1..=LONGEST_NAME).contains(&self.schema.len());
        let begins = self
            .schema
            .starts_with(|first: char| first.is_ascii_lowercase());
        if has_length && begins && self.schema.bytes().all(is_plain) {
            return Ok(());
        }
        Err(StoreError::Incompatible {
            location: location.clone(),
            reason: format!(
                "`{}` is not taken as the name of a schema: write 1 to {LONGEST_NAME} of `a` to `z`, `0` to `9` and `_`, a letter first",
                self.schema.escape_debug()
            ),
        })
    }
}

fn host_text(host: &Host) -> String {
    match host {
        Host::Tcp(host) => host.clone(),
        #[cfg(unix)]
        Host::Unix(path) => path.display().to_string(),
    }
}

impl PostgresReadModels {
    /// Opens a database by its address, and makes the tables when they are missing. Without TLS: for a server on the same
    /// machine or in a network of one's own.
    ///
    /// # Errors
    /// An address that cannot be read, a server that cannot be reached ([`StoreError::Unreachable`], which may pass), one
    /// that lets this user make no tables, tables of another version.
    pub async fn open(address: &str) -> Result<Self, ReadModelError> {
        Self::open_with(PostgresOptions::new(address)?).await
    }

    /// The same with options.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_with(options: PostgresOptions) -> Result<Self, ReadModelError> {
        Self::open_over(options, NoTls).await
    }

    /// The same over TLS, by a connector such as that of `tokio-postgres-rustls`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_over<T>(options: PostgresOptions, tls: T) -> Result<Self, ReadModelError>
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send + 'static,
        T::TlsConnect: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        let location = options.location();
        options.check(&location)?;
        let connections = Arc::new(Connections::new(options, location, tls));
        let transaction = connections.begin().await?;
        let made = schema::make(&transaction).await;
        transaction.finish(made).await?;
        Ok(Self { connections })
    }
}

/// Tables of an author's own.
impl PostgresReadModels {
    /// Makes a view with its tables, or gives what is known of the one that is there.
    pub(crate) async fn open_tables(
        &self,
        declaration: &ViewDeclaration,
        names: &TableNames,
        text: &str,
    ) -> Result<ViewRecord, ReadModelError> {
        let transaction = self.connections.begin().await?;
        let opened = tables::open(&transaction, declaration, names, text).await;
        transaction.finish(opened).await
    }

    /// Begins a transaction in which a projection changes the tables of a view, with what changes of the view itself.
    pub(crate) async fn begin_tables<'a>(
        &'a self,
        names: &'a TableNames,
        changes: &ViewChanges,
        is_checked: bool,
    ) -> Result<TablesTransaction<'a>, ReadModelError> {
        TablesTransaction::begin(&self.connections, names, changes, is_checked).await
    }

    /// Refuses tables that are not as a view made them.
    pub(crate) async fn check_tables(&self, view: &ViewId) -> Result<(), ReadModelError> {
        let transaction = self.connections.begin().await?;
        let checked = tables::check(&transaction, view).await;
        transaction.finish(checked).await
    }

    /// The tables of the version of a view that serves, at one moment.
    pub(crate) async fn read_tables(
        &self,
        name: &str,
    ) -> Result<PostgresTablesSnapshot, TableError> {
        PostgresTablesSnapshot::take(&self.connections, name).await
    }
}

impl std::fmt::Debug for PostgresReadModels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresReadModels")
            .field("location", &self.connections.location())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl ReadModelStorage for PostgresReadModels {
    fn location(&self) -> Location {
        self.connections.location().clone()
    }

    async fn open_view(&self, declaration: &ViewDeclaration) -> Result<ViewRecord, ReadModelError> {
        let transaction = self.connections.begin().await?;
        let opened = views::open(&transaction, declaration).await;
        transaction.finish(opened).await
    }

    async fn views(&self, name: &str) -> Result<Vec<ViewRecord>, ReadModelError> {
        views::named(&self.connections, name).await
    }

    async fn hold(
        &self,
        view: &ViewId,
        holder: Uuid,
        lease: Duration,
    ) -> Result<Hold, ReadModelError> {
        let (transaction, view) = views::begin(&self.connections, view).await?;
        let hold = views::hold(&transaction, view, holder, lease).await;
        transaction.finish(hold).await
    }

    async fn release(&self, view: &ViewId, holder: Uuid) -> Result<(), ReadModelError> {
        let transaction = self.connections.begin().await?;
        let released = views::release(&transaction, view, holder).await;
        transaction.finish(released).await
    }

    async fn commit(&self, view: &ViewId, changes: ViewChanges) -> Result<(), ReadModelError> {
        changes.check(view)?;
        documents::check_sizes(self.connections.location(), view, &changes)?;
        let (transaction, view) = views::begin(&self.connections, view).await?;
        let written = documents::write(&transaction, view, &changes).await;
        transaction.finish(written).await
    }

    async fn read(
        &self,
        view: &ViewId,
        keys: &[&str],
    ) -> Result<UpTo<Vec<Option<Bytes>>>, ReadModelError> {
        documents::read(&self.connections, view, keys).await
    }

    async fn find(
        &self,
        view: &ViewId,
        entry: &IndexEntry,
        page: &Page,
    ) -> Result<UpTo<DocumentPage>, ReadModelError> {
        documents::find(&self.connections, view, entry, page).await
    }

    async fn list(&self, view: &ViewId, page: &Page) -> Result<UpTo<DocumentPage>, ReadModelError> {
        documents::list(&self.connections, view, page).await
    }

    async fn serve(&self, view: &ViewId) -> Result<(), ReadModelError> {
        let transaction = self.connections.begin().await?;
        let served = views::serve(&transaction, view).await;
        transaction.finish(served).await
    }

    async fn remove_view(&self, view: &ViewId) -> Result<(), ReadModelError> {
        let transaction = self.connections.begin().await?;
        let removed = views::remove(&transaction, view).await;
        transaction.finish(removed).await
    }
}
