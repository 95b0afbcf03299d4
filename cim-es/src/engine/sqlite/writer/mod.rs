//! The one thread that writes: it takes what waits, stores it in one transaction, and answers everybody.

mod answer;
mod batch;
mod heads;
mod prepare;

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use self::answer::Answers;
use self::batch::{Batch, Memory};
use self::heads::Heads;
use self::prepare::Prepared;
use super::aggregates::NameDigest;
use super::database::Database;
use super::options::{Access, SqliteOptions};
use super::reader::closed;
use super::{failure, format, types};
use crate::block::StoredEvent;
use crate::store::{CommitRequest, SealOptions, StoreError};

/// The most commits in one transaction.
const MAX_JOBS: usize = 256;
/// The size of commits past which no further one joins a transaction.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// How long the thread stays awake for the next commit.
const SPIN: Duration = Duration::from_micros(40);

type Answer<T> = oneshot::Sender<Result<T, StoreError>>;
type Write = Box<dyn FnOnce(&Database) -> Result<(), StoreError> + Send>;

enum Job {
    Append(Prepared, Answer<Vec<StoredEvent>>),
    Write(Write, Answer<()>),
    /// A subscription began to wait: look for commits of other processes from now on.
    Look,
}

/// The way to the thread that writes.
pub(super) struct Writer {
    jobs: Mutex<Option<Sender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    heads: Arc<Heads>,
    options: SealOptions,
    last: watch::Receiver<u64>,
    answers: Answers,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(
        database: Database,
        options: &SqliteOptions,
        digest: NameDigest,
    ) -> Result<Self, StoreError> {
        let place = database.place().clone();
        let (moved, last) = watch::channel(database.read(types::last_position)?);
        let heads = Arc::new(Heads::new());
        let (sender, receiver) = channel();
        let thread = Thread {
            memory: Memory {
                types: None,
                data_version: database.data_version()?,
                schema_version: database.schema_version()?,
            },
            seen: database.data_version()?,
            looked: Instant::now(),
            database,
            heads: heads.clone(),
            seal: options.seal,
            digest,
            may_write: options.access == Access::ReadWrite,
            poll_interval: options.poll_interval,
            last: moved,
        };
        let thread = std::thread::Builder::new()
            .name("cim-es-write".into())
            .spawn(move || thread.run(&receiver))
            .map_err(|error| StoreError::Engine {
                place: place.to_string(),
                operation: "starting the writing thread",
                source: Arc::new(error),
            })?;
        Ok(Self {
            jobs: Mutex::new(Some(sender)),
            thread: Mutex::new(Some(thread)),
            heads,
            options: options.seal,
            last,
            answers: Answers::default(),
        })
    }

    /// Stores a commit.
    pub(super) async fn append(
        &self,
        request: CommitRequest,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let prepared = prepare::prepare(request, &self.heads, &self.options)?;
        let (answer, question) = oneshot::channel();
        self.send(Job::Append(prepared, answer))?;
        self.answers.wait(question).await
    }

    /// Runs another write in a transaction with the others that wait.
    pub(super) async fn write(
        &self,
        write: impl FnOnce(&Database) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), StoreError> {
        let (answer, question) = oneshot::channel();
        self.send(Job::Write(Box::new(write), answer))?;
        self.answers.wait(question).await
    }

    /// Follows the last position, also as other processes move it.
    pub(super) fn follow(&self) -> Result<watch::Receiver<u64>, StoreError> {
        let last = self.last.clone();
        self.send(Job::Look)?;
        Ok(last)
    }

    /// Lets the thread end after the writes that wait, and waits for it.
    pub(super) fn stop(&self) {
        self.jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        // Held while it ends, so that whoever else stops it waits as well.
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the writing thread failed");
        }
    }

    fn send(&self, job: Job) -> Result<(), StoreError> {
        self.jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .ok_or_else(closed)?
            .send(job)
            .map_err(|_| StoreError::Closed {
                reason: "the writing thread failed; open the file again".into(),
            })
    }
}

struct Thread {
    database: Database,
    heads: Arc<Heads>,
    seal: SealOptions,
    digest: NameDigest,
    may_write: bool,
    memory: Memory,
    poll_interval: Duration,
    /// The state of the file that `last` was taken from.
    seen: i64,
    looked: Instant,
    last: watch::Sender<u64>,
}

impl Thread {
    fn run(mut self, jobs: &Receiver<Job>) {
        while let Some(first) = self.wait(jobs) {
            let mut waiting = vec![first];
            let mut bytes = waiting[0].bytes();
            while waiting.len() < MAX_JOBS && bytes < MAX_BYTES {
                let Ok(job) = jobs.try_recv() else {
                    break;
                };
                bytes += job.bytes();
                waiting.push(job);
            }
            self.serve(waiting);
            // Work that never ends must not keep the commits of other processes from the subscriptions.
            if self.is_followed() && self.looked.elapsed() >= self.poll_interval {
                self.look();
            }
        }
    }

    /// The next job; none when the store is closed. While subscriptions wait, looks for commits of other processes.
    fn wait(&mut self, jobs: &Receiver<Job>) -> Option<Job> {
        // A writer that was answered often writes again at once; waking a thread that sleeps takes longer than that.
        let busy_until = Instant::now() + SPIN;
        while Instant::now() < busy_until {
            match jobs.try_recv() {
                Ok(job) => return Some(job),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => std::thread::yield_now(),
            }
        }
        loop {
            if !self.is_followed() {
                return jobs.recv().ok();
            }
            match jobs.recv_timeout(self.poll_interval) {
                Ok(job) => return Some(job),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => self.look(),
            }
        }
    }

    /// Whether subscriptions wait; one receiver is the handle's own.
    fn is_followed(&self) -> bool {
        self.last.receiver_count() > 1
    }

    fn look(&mut self) {
        self.looked = Instant::now();
        let moved = self.database.data_version().and_then(|version| {
            if version == self.seen {
                return Ok(None);
            }
            let last = self.database.read(types::last_position)?;
            self.seen = version;
            Ok(Some(last))
        });
        match moved {
            Ok(Some(last)) => self.announce(last),
            Ok(None) => {}
            Err(error) => {
                // The subscriptions read for themselves and then see what is wrong.
                tracing::warn!(%error, "could not look for commits of other processes");
                self.last.send_modify(|_| {});
            }
        }
    }

    fn announce(&self, last: u64) {
        self.last.send_if_modified(|known| {
            let moved = last > *known;
            *known = last.max(*known);
            moved
        });
    }

    fn serve(&mut self, jobs: Vec<Job>) {
        let mut appends = Vec::with_capacity(jobs.len());
        let mut writes = Vec::new();
        for job in jobs {
            match job {
                // Nobody waits for the outcome any more, so nobody may count on it.
                Job::Append(_, answer) if answer.is_closed() => {}
                Job::Append(prepared, answer) => appends.push((prepared, answer)),
                Job::Write(write, answer) => writes.push((write, answer)),
                Job::Look => self.look(),
            }
        }
        if !appends.is_empty() {
            self.append(appends);
        }
        if !writes.is_empty() {
            let (writes, answers): (Vec<_>, Vec<_>) = writes.into_iter().unzip();
            let outcome = self.transaction(|this| {
                writes
                    .into_iter()
                    .try_for_each(|write| write(&this.database))
            });
            for answer in answers {
                let _ = answer.send(outcome.clone());
            }
        }
    }

    fn append(&mut self, jobs: Vec<(Prepared, Answer<Vec<StoredEvent>>)>) {
        let (jobs, answers): (Vec<_>, Vec<_>) = jobs.into_iter().unzip();
        let outcome = self.transaction(|this| {
            let mut batch = Batch::begin(
                &this.database,
                &this.heads,
                &this.seal,
                this.digest,
                &mut this.memory,
            )?;
            let mut outcomes = Vec::with_capacity(jobs.len());
            for job in jobs {
                outcomes.push(batch.add(job)?);
            }
            Ok((outcomes, batch.finish()?))
        });
        match outcome {
            Ok((outcomes, known)) => {
                let last = known.types.last;
                self.memory.types = Some(known.types);
                self.heads.put_all(known.heads);
                for (answer, outcome) in answers.into_iter().zip(outcomes) {
                    // Whoever asked may have gone meanwhile.
                    let _ = answer.send(outcome);
                }
                self.announce(last);
            }
            Err(error) => {
                self.memory.types = None;
                self.heads.clear();
                for answer in answers {
                    let _ = answer.send(Err(error.clone()));
                }
            }
        }
    }

    /// Looks, at the start of a transaction, at what others may have changed since the last one.
    fn notice_changes(&mut self) -> Result<(), StoreError> {
        self.database.check_files()?;
        let data_version = self.database.data_version()?;
        if data_version == self.memory.data_version {
            return Ok(());
        }
        let schema_version = self.database.schema_version()?;
        if schema_version != self.memory.schema_version {
            format::check_schema(&self.database)?;
            self.memory.schema_version = schema_version;
        }
        self.heads.clear();
        self.memory.types = None;
        self.memory.data_version = data_version;
        Ok(())
    }

    /// Runs `work` in a transaction of its own and commits it; after an error nothing of it is stored, unless the
    /// error is [`StoreError::OutcomeUnknown`].
    fn transaction<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if !self.may_write {
            return Err(StoreError::ReadOnly {
                place: self.database.place().to_string(),
                reason: "it was opened for reading only".into(),
            });
        }
        self.database.statement("BEGIN IMMEDIATE")?;
        let begun = self.notice_changes();
        let outcome = begun.and_then(|()| work(self)).and_then(|outcome| {
            self.database
                .connection
                .prepare_cached("COMMIT")
                .and_then(|mut commit| commit.execute(()))
                .map_err(|error| failure::commit_error(self.database.place(), error))?;
            Ok(outcome)
        });
        if outcome.is_err() {
            self.database.rollback();
        }
        outcome
    }
}

impl Job {
    fn bytes(&self) -> usize {
        match self {
            Self::Append(prepared, _) => prepared.bytes,
            Self::Write(..) | Self::Look => 0,
        }
    }
}
