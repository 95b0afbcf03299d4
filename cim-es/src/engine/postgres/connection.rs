//! The two connections: made when they are needed, given up when they do not answer.

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::sync::{Arc, PoisonError};

use futures_core::future::BoxFuture;
use futures_util::{FutureExt, future};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row, Socket, Statement};

use super::PostgresOptions;
use super::failure::{is_of_statement, store_error};
use crate::domain::ErrorChain;
use crate::store::read_model::{ReadModelError, ViewId, quoted};
use crate::store::{Location, StoreError};

/// What a statement is given.
pub type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

/// What is done, by which statement, and what that is given.
pub(super) type Execute<'a> = (&'static str, &'static str, Parameters<'a>);

type Dial = dyn Fn() -> BoxFuture<'static, Result<Client, Error>> + Send + Sync;

/// The connections to one database.
pub(super) struct Connections {
    options: PostgresOptions,
    location: Location,
    dial: Box<Dial>,
    /// For transactions, one after the other.
    writer: Mutex<Option<Link>>,
    /// For questions of one statement, many at the same time.
    reader: Mutex<Option<Arc<Link>>>,
    /// For questions of several statements at one moment.
    idle: std::sync::Mutex<Vec<Arc<Link>>>,
}

/// How many connections are kept for the next one who asks several questions at one moment.
const IDLE: usize = 4;
/// How many statements a connection keeps prepared; a program has a few, unless it writes values into them.
const PREPARED: usize = 256;

/// A connection, with the statements that the server has prepared for it.
pub(super) struct Link {
    client: Client,
    statements: std::sync::Mutex<HashMap<String, Statement>>,
}

impl Link {
    async fn statement(&self, sql: &str) -> Result<Statement, Error> {
        let known = |link: &Self| {
            let statements = link
                .statements
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            statements.get(sql).cloned()
        };
        if let Some(statement) = known(self) {
            return Ok(statement);
        }
        let statement = self.client.prepare(sql).await?;
        let mut statements = self
            .statements
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if statements.len() < PREPARED {
            statements.insert(sql.to_owned(), statement.clone());
        }
        Ok(statement)
    }

    pub(super) async fn query(&self, sql: &str, given: Parameters<'_>) -> Result<Vec<Row>, Error> {
        let statement = self.statement(sql).await?;
        self.client.query(&statement, given).await
    }

    pub(super) async fn execute(&self, sql: &str, given: Parameters<'_>) -> Result<u64, Error> {
        let statement = self.statement(sql).await?;
        self.client.execute(&statement, given).await
    }
}

impl Connections {
    pub(super) fn new<T>(options: PostgresOptions, location: Location, tls: T) -> Self
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send + 'static,
        T::TlsConnect: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        let config = options.config.clone();
        let dial = move || -> BoxFuture<'static, Result<Client, Error>> {
            let (config, tls) = (config.clone(), tls.clone());
            Box::pin(async move {
                let (client, connection) = config.connect(tls).await?;
                // It ends with the client, or with the server.
                tokio::spawn(async move {
                    if let Err(error) = connection.await {
                        tracing::debug!(error = %ErrorChain(&error), "a connection to PostgreSQL ended");
                    }
                });
                Ok(client)
            })
        };
        Self {
            options,
            location,
            dial: Box::new(dial),
            writer: Mutex::default(),
            reader: Mutex::default(),
            idle: std::sync::Mutex::default(),
        }
    }

    pub(super) fn location(&self) -> &Location {
        &self.location
    }

    pub(super) fn schema(&self) -> &str {
        &self.options.schema
    }

    /// A new connection, on which tables are those of the schema.
    ///
    /// # Errors
    /// One that may pass is [`StoreError::Unreachable`]: nothing was asked of the database yet.
    async fn link(&self) -> Result<Link, StoreError> {
        self.connect().await.map_err(|error| match error {
            StoreError::Busy { location, reason } => StoreError::Unreachable { location, reason },
            error => error,
        })
    }

    async fn connect(&self) -> Result<Link, StoreError> {
        const CONNECTING: &str = "connecting";
        let client = self.in_time(CONNECTING, (self.dial)()).await?;
        // The name was checked when the options were.
        let path = format!("SET search_path TO \"{}\"", self.schema());
        self.in_time(CONNECTING, client.batch_execute(&path))
            .await?;
        Ok(Link {
            client,
            statements: std::sync::Mutex::default(),
        })
    }

    async fn in_time<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, StoreError> {
        match timeout(self.options.timeout, work).await {
            Ok(done) => done.map_err(|error| store_error(&self.location, operation, error)),
            Err(_) => Err(self.silent(operation)),
        }
    }

    /// What is answered in time, as it comes.
    pub(super) async fn answer<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        timeout(self.options.timeout, work).await.ok()
    }

    pub(super) fn silent(&self, operation: &str) -> StoreError {
        let limit = self.options.timeout.as_millis();
        StoreError::Busy {
            location: self.location.clone(),
            reason: format!("{operation}: no answer within {limit} ms"),
        }
    }

    /// Asks a question of one statement.
    pub(super) async fn query(
        &self,
        operation: &'static str,
        sql: &'static str,
        given: Parameters<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        let link = {
            let mut reader = self.reader.lock().await;
            match &*reader {
                Some(link) if !link.client.is_closed() => Arc::clone(link),
                _ => {
                    let link = Arc::new(self.link().await?);
                    *reader = Some(Arc::clone(&link));
                    link
                }
            }
        };
        let Ok(answer) = timeout(self.options.timeout, link.query(sql, given)).await else {
            let mut reader = self.reader.lock().await;
            if reader.as_ref().is_some_and(|it| Arc::ptr_eq(it, &link)) {
                *reader = None;
            }
            return Err(self.silent(operation));
        };
        answer.map_err(|error| store_error(&self.location, operation, error))
    }

    /// The connection for writing, once the transaction before has ended.
    async fn for_writing(&self) -> Result<(MutexGuard<'_, Option<Link>>, Link), StoreError> {
        let mut slot = self.writer.lock().await;
        let link = match slot.take().filter(|link| !link.client.is_closed()) {
            Some(link) => link,
            None => self.link().await?,
        };
        Ok((slot, link))
    }

    /// Begins a transaction, once the one before it has ended.
    pub(super) async fn begin(&self) -> Result<Transaction<'_>, StoreError> {
        let (slot, link) = self.for_writing().await?;
        let begun = link.client.batch_execute(BEGIN);
        self.in_time(BEGINNING, begun).await?;
        Ok(Transaction {
            connections: self,
            slot,
            link,
        })
    }

    /// Begins a transaction and asks its first question, in one round trip.
    pub(super) async fn begin_with(
        &self,
        operation: &'static str,
        sql: &'static str,
        given: Parameters<'_>,
    ) -> Result<(Transaction<'_>, Result<Vec<Row>, StoreError>), StoreError> {
        let (slot, link) = self.for_writing().await?;
        let (begun, answer) = future::join(
            self.in_time(BEGINNING, link.client.batch_execute(BEGIN)),
            self.in_time(operation, link.query(sql, given)),
        )
        .await;
        begun?;
        let transaction = Transaction {
            connections: self,
            slot,
            link,
        };
        Ok((transaction, answer))
    }
}

const BEGIN: &str = "BEGIN";
const BEGINNING: &str = "beginning a transaction";

/// One moment of the database, on a connection of its own.
pub(super) struct Snapshot {
    connections: Arc<Connections>,
    link: Arc<Link>,
    is_closed: bool,
}

/// A transaction on the connection for writing. Where it is dropped before its end, the connection goes with it, and the
/// server forgets what was done.
pub(super) struct Transaction<'a> {
    connections: &'a Connections,
    slot: MutexGuard<'a, Option<Link>>,
    link: Link,
}

impl Transaction<'_> {
    /// Runs statements in one round trip, once they are prepared. They are run in order, and where one fails, none behind it
    /// does anything.
    pub(super) async fn execute_all(&self, all: &[Execute<'_>]) -> Result<(), StoreError> {
        let mut prepared = Vec::with_capacity(all.len());
        for (operation, sql, given) in all {
            let statement = self.link.statement(sql);
            let statement = self.connections.in_time(operation, statement).await?;
            prepared.push((operation, statement, given));
        }
        let mut sent = Vec::with_capacity(all.len());
        for (operation, statement, given) in &prepared {
            let done = self.link.client.execute(statement, given);
            let mut answer = Box::pin(self.connections.in_time(operation, done));
            // Polled once it is sent, and no answer of another is waited for.
            let answered = answer.as_mut().now_or_never();
            sent.push((answer, answered));
        }
        for (answer, answered) in sent {
            match answered {
                Some(answered) => answered?,
                None => answer.await?,
            };
        }
        Ok(())
    }

    pub(super) fn connections(&self) -> &Connections {
        self.connections
    }

    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    /// Runs a statement that an author wrote; what is wrong with it is no failure of the database.
    pub(super) async fn run_given(
        &self,
        operation: &'static str,
        sql: &str,
    ) -> Result<Result<(), Error>, StoreError> {
        let answer = self.connections.answer(self.link.client.batch_execute(sql));
        match answer.await {
            None => Err(self.connections.silent(operation)),
            Some(Err(error)) if !is_of_statement(&error) => {
                Err(store_error(self.location(), operation, error))
            }
            Some(done) => Ok(done),
        }
    }

    /// Has what follows wait a moment for those who read a table that is to go, and not hold up those who come after them
    /// for longer: it fails then, and is tried again.
    pub(super) async fn wait_for_readers(&self) -> Result<(), StoreError> {
        let sql = "SET LOCAL lock_timeout = '2s'";
        self.run("waiting for those who read", sql).await
    }

    /// Stores nothing of what was done.
    pub(super) async fn roll_back(mut self) {
        let ended = self.link.client.batch_execute("ROLLBACK");
        // One that cannot be rolled back is given up.
        if let Some(Ok(())) = self.connections.answer(ended).await {
            *self.slot = Some(self.link);
        }
    }

    pub(super) fn location(&self) -> &Location {
        &self.connections.location
    }

    pub(super) fn schema(&self) -> &str {
        self.connections.schema()
    }

    pub(super) async fn query(
        &self,
        operation: &'static str,
        sql: &'static str,
        given: Parameters<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        let asked = self.link.query(sql, given);
        self.connections.in_time(operation, asked).await
    }

    pub(super) async fn execute(
        &self,
        operation: &'static str,
        sql: &'static str,
        given: Parameters<'_>,
    ) -> Result<u64, StoreError> {
        let done = self.link.execute(sql, given);
        self.connections.in_time(operation, done).await
    }

    /// Runs statements that take nothing.
    pub(super) async fn run(&self, operation: &'static str, sql: &str) -> Result<(), StoreError> {
        let done = self.link.client.batch_execute(sql);
        self.connections.in_time(operation, done).await
    }

    /// Commits what was done, or rolls it back where it failed.
    pub(super) async fn finish<T>(
        mut self,
        done: Result<T, ReadModelError>,
    ) -> Result<T, ReadModelError> {
        let time = self.connections.options.timeout;
        let Ok(value) = done else {
            self.roll_back().await;
            return done;
        };
        let reason = match timeout(time, self.link.client.batch_execute("COMMIT")).await {
            Ok(Ok(())) => {
                *self.slot = Some(self.link);
                return Ok(value);
            }
            // The server has answered: nothing was stored.
            Ok(Err(error)) if error.as_db_error().is_some() => {
                return Err(store_error(&self.connections.location, "committing", error).into());
            }
            Ok(Err(error)) => ErrorChain(&error).to_string(),
            Err(_) => format!("no answer within {} ms", time.as_millis()),
        };
        let location = &self.connections.location;
        Err(ReadModelError::OutcomeUnknown {
            reason: format!("{location} went away while it was to commit ({reason})"),
        })
    }
}

impl Connections {
    /// Begins to read at one moment.
    pub(super) async fn snapshot(self: &Arc<Self>) -> Result<Snapshot, StoreError> {
        const BEGINNING: &str = "beginning to read";
        const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let idle = || {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.pop()
        };
        // One that was idle may be lost without a word.
        while let Some(link) = idle() {
            if let Some(Ok(())) = self.answer(link.client.batch_execute(BEGIN)).await {
                return Ok(Snapshot::new(self, link));
            }
        }
        let link = Arc::new(self.link().await?);
        self.in_time(BEGINNING, link.client.batch_execute(BEGIN))
            .await?;
        Ok(Snapshot::new(self, link))
    }

    /// Ends a transaction that read, and keeps its connection for the next.
    async fn put_back(&self, link: Arc<Link>) {
        if let Some(Ok(())) = self.answer(link.client.batch_execute("ROLLBACK")).await {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < IDLE {
                idle.push(link);
            }
        }
    }
}

impl Snapshot {
    fn new(connections: &Arc<Connections>, link: Arc<Link>) -> Self {
        Self {
            connections: Arc::clone(connections),
            link,
            is_closed: false,
        }
    }

    pub(super) fn connections(&self) -> &Connections {
        &self.connections
    }

    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    pub(super) async fn query(
        &self,
        operation: &'static str,
        sql: &'static str,
        given: Parameters<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        let asked = self.link.query(sql, given);
        self.connections.in_time(operation, asked).await
    }

    /// Keeps tables from being dropped as long as this reads.
    pub(super) async fn keep(
        &self,
        view: &ViewId,
        tables: &BTreeSet<String>,
    ) -> Result<(), ReadModelError> {
        const KEEPING: &str = "keeping the tables of a view";
        let tables: Vec<String> = tables.iter().map(|table| quoted(table)).collect();
        let sql = format!("LOCK TABLE {} IN ACCESS SHARE MODE", tables.join(", "));
        let location = &self.connections.location;
        match self
            .connections
            .answer(self.link.client.batch_execute(&sql))
            .await
        {
            None => Err(self.connections.silent(KEEPING).into()),
            Some(Ok(())) => Ok(()),
            Some(Err(error)) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => {
                Err(ReadModelError::TablesChanged {
                    location: location.clone(),
                    view: view.clone(),
                    differs: ErrorChain(&error).to_string(),
                })
            }
            Some(Err(error)) => Err(store_error(location, KEEPING, error).into()),
        }
    }

    /// Lets the connection be used again at once.
    pub(super) async fn close(mut self) {
        self.is_closed = true;
        self.connections.put_back(Arc::clone(&self.link)).await;
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        // Without a runtime the connection goes, and the server forgets what it read.
        if !self.is_closed
            && let Ok(runtime) = Handle::try_current()
        {
            let (connections, link) = (Arc::clone(&self.connections), Arc::clone(&self.link));
            runtime.spawn(async move { connections.put_back(link).await });
        }
    }
}
