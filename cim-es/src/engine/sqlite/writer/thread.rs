//! The thread that writes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::batch::{Batch, Memory};
use super::group::{self, Failure};
use super::heads::Heads;
use super::log::Log;
use super::queue::{Append, Job, Work};
use crate::engine::sqlite::aggregates::NameDigest;
use crate::engine::sqlite::database::Database;
use crate::engine::sqlite::options::{Access, SqliteOptions};
use crate::engine::sqlite::{failure, format, types};
use crate::store::{SealOptions, StoreError};

/// The most commits in one transaction.
const MAX_JOBS: usize = 256;
/// The size of commits past which no further one joins a transaction.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// How long the thread stays awake for the next commit.
const SPIN: Duration = Duration::from_micros(40);
/// How long to wait at most for those that may wait together.
const LONGEST_GATHERING: Duration = Duration::from_millis(10);
/// How long to wait for a log that could not be made shorter.
const AGAIN: Duration = Duration::from_secs(1);

/// The thread that writes, and what it knows.
pub(super) struct Thread {
    database: Database,
    pub(super) heads: Arc<Heads>,
    seal: SealOptions,
    digest: NameDigest,
    may_write: bool,
    patience: Duration,
    pub(super) memory: Memory,
    log: Log,
    jobs: Receiver<Job>,
    /// What was taken out of the queue and is still to be done.
    waiting: VecDeque<Job>,
    /// How many may wait together.
    expected: usize,
    /// When the last transaction began, and how long it took.
    begun: Instant,
    took: Duration,
    poll_interval: Duration,
    /// The state of the file that `last` was taken from.
    seen: i64,
    looked: Instant,
    last: watch::Sender<u64>,
}

impl Thread {
    pub(super) fn new(
        mut database: Database,
        options: &SqliteOptions,
        digest: NameDigest,
        heads: Arc<Heads>,
        last: watch::Sender<u64>,
        jobs: Receiver<Job>,
    ) -> Result<Self, StoreError> {
        let log = Log::watch(&mut database)?;
        Ok(Self {
            memory: Memory {
                types: None,
                data_version: database.data_version()?,
                schema_version: database.schema_version()?,
            },
            log,
            jobs,
            waiting: VecDeque::new(),
            expected: 1,
            begun: Instant::now(),
            took: Duration::ZERO,
            seen: database.data_version()?,
            looked: Instant::now(),
            database,
            heads,
            seal: options.seal,
            digest,
            may_write: options.access == Access::ReadWrite,
            patience: options.busy_timeout,
            poll_interval: options.poll_interval,
            last,
        })
    }

    /// Serves the queue until it is closed and empty.
    pub(super) fn run(mut self) {
        while let Some(first) = self.wait() {
            let group = self.gather(first);
            self.serve(group);
            // After the answers: nobody waits for the log to be moved.
            self.log.tend(&self.database);
            // Work that never ends must not keep the commits of other processes from the subscriptions.
            if self.is_followed() && self.looked.elapsed() >= self.poll_interval {
                self.look();
            }
        }
    }

    /// The next job; none when the store is closed. While subscriptions wait, looks for commits of other processes.
    fn wait(&mut self) -> Option<Job> {
        if let Some(job) = self.waiting.pop_front() {
            return Some(job);
        }
        // A writer that was answered often writes again at once; waking a thread that sleeps takes longer than that.
        let busy_until = Instant::now() + SPIN;
        while Instant::now() < busy_until {
            match self.jobs.try_recv() {
                Ok(job) => return Some(job),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => std::thread::yield_now(),
            }
        }
        loop {
            let pause = match (self.is_followed(), self.log.is_long()) {
                (true, _) => self.poll_interval,
                (false, true) => AGAIN,
                (false, false) => return self.jobs.recv().ok(),
            };
            match self.jobs.recv_timeout(pause) {
                Ok(job) => return Some(job),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) if self.is_followed() => self.look(),
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.log.shorten(&self.database, AGAIN);
        }
    }

    /// What waits together with a job.
    ///
    /// Writers that were answered come back a moment later, one after the other. Whoever came back first would have a
    /// transaction alone, and all others would wait for it and then for their own; so it waits for as many as there were,
    /// no longer than a transaction takes.
    fn gather(&mut self, first: Job) -> Vec<Job> {
        let mut bytes = first.bytes();
        let mut group = vec![first];
        let patience = self.took.min(LONGEST_GATHERING);
        let began = Instant::now();
        loop {
            self.take_in();
            while group.len() < MAX_JOBS
                && bytes < MAX_BYTES
                && let Some(job) = self.waiting.pop_front()
            {
                bytes += job.bytes();
                group.push(job);
            }
            let spent = began.elapsed();
            let is_full = group.len() >= self.expected.min(MAX_JOBS) || bytes >= MAX_BYTES;
            if is_full || spent >= patience {
                return group;
            }
            if spent < SPIN {
                std::thread::yield_now();
                continue;
            }
            match self.jobs.recv_timeout(patience - spent) {
                Ok(job) => self.waiting.push_back(job),
                Err(_) => return group,
            }
        }
    }

    /// Takes what has come in meanwhile.
    fn take_in(&mut self) {
        while let Ok(job) = self.jobs.try_recv() {
            self.waiting.push_back(job);
        }
    }

    /// Before the answers of a transaction: as many as are answered and as wait already may wait together next.
    fn expect_as_many(&mut self, answered: usize) {
        self.take_in();
        self.expected = answered + self.waiting.len();
        self.took = self.begun.elapsed();
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

    pub(super) fn announce(&self, last: u64) {
        self.last.send_if_modified(|known| {
            let moved = last > *known;
            *known = last.max(*known);
            moved
        });
    }

    fn serve(&mut self, jobs: Vec<Job>) {
        let mut appends = Vec::with_capacity(jobs.len());
        let mut writes = Vec::new();
        let mut imports = Vec::new();
        for job in jobs {
            match job {
                Job::Append(append) => appends.push(append),
                Job::Import(import) => imports.push(import),
                Job::Write(work) => writes.push(work),
                Job::Look => self.look(),
            }
        }
        group::store(
            appends,
            |append: &Append| !append.answer.is_closed(),
            |append, error| {
                // Whoever asked may have gone meanwhile.
                let _ = append.answer.send(Err(error));
            },
            |appends| self.append(appends),
        );
        for import in imports {
            self.import(import);
        }
        group::store(
            writes,
            |work: &Work| !work.answer.is_closed(),
            |work, error| {
                let _ = work.answer.send(Err(error));
            },
            |writes| self.write(writes),
        );
    }

    fn write(&mut self, works: &mut Vec<Work>) -> Result<(), Failure> {
        self.begin(|| works.iter().any(|work| !work.answer.is_closed()))
            .map_err(Failure::All)?;
        let written = works.iter().enumerate().try_for_each(|(index, work)| {
            (work.write)(&self.database).map_err(|error| Failure::One(index, error))
        });
        self.end(written)?;
        self.expect_as_many(works.len());
        for work in works.drain(..) {
            let _ = work.answer.send(Ok(()));
        }
        Ok(())
    }

    fn append(&mut self, appends: &mut Vec<Append>) -> Result<(), Failure> {
        self.begin(|| appends.iter().any(|append| !append.answer.is_closed()))
            .map_err(Failure::All)?;
        let (types, added) = self.add(appends);
        self.memory.types = types;
        match self.end(added) {
            Ok((outcomes, heads)) => {
                self.expect_as_many(appends.len());
                self.heads.put_all(heads);
                for (append, outcome) in appends.drain(..).zip(outcomes) {
                    let stored = outcome.map(|first| append.prepared.into_stored(first));
                    // Whoever asked may have gone meanwhile.
                    let _ = append.answer.send(stored);
                }
                if let Some(types) = &self.memory.types {
                    self.announce(types.last);
                }
                Ok(())
            }
            Err(failure) => {
                if !matches!(failure, Failure::One(..)) {
                    self.memory.types = None;
                    self.heads.clear();
                }
                Err(failure)
            }
        }
    }

    /// The open transaction, with what the thread knows.
    pub(super) fn batch(&mut self) -> Result<Batch<'_>, StoreError> {
        Batch::begin(
            &self.database,
            &self.heads,
            &self.seal,
            self.digest,
            &mut self.memory,
        )
    }

    /// Adds commits to the open transaction. Gives the types as they are then, or as they were before when it failed.
    #[expect(
        clippy::type_complexity,
        reason = "it has one caller, which takes it apart"
    )]
    fn add(
        &mut self,
        appends: &mut [Append],
    ) -> (
        Option<types::Types>,
        Result<(Vec<Result<u64, StoreError>>, Vec<super::heads::Entry>), Failure>,
    ) {
        let mut batch = match self.batch() {
            Ok(batch) => batch,
            Err(error) => return (None, Err(Failure::All(error))),
        };
        let mut outcomes = Vec::with_capacity(appends.len());
        for (index, append) in appends.iter_mut().enumerate() {
            match batch.add(&mut append.prepared) {
                Ok(outcome) => outcomes.push(outcome),
                Err(error) => return (Some(batch.undo()), Err(Failure::One(index, error))),
            }
        }
        match batch.finish() {
            Ok((types, heads)) => (Some(types), Ok((outcomes, heads))),
            Err(error) => (None, Err(Failure::Group(error))),
        }
    }

    /// Begins a transaction that writes. While another process writes, waits as long as is allowed and somebody waits for
    /// the outcome.
    pub(super) fn begin(&mut self, is_wanted: impl Fn() -> bool) -> Result<(), StoreError> {
        if !self.may_write {
            return Err(StoreError::ReadOnly {
                place: self.database.place().to_string(),
                reason: "it was opened for reading only".into(),
            });
        }
        let started = Instant::now();
        loop {
            match self.database.statement("BEGIN IMMEDIATE") {
                Ok(()) => break,
                Err(StoreError::Busy { .. })
                    if started.elapsed() < self.patience && is_wanted() => {}
                Err(error) => return Err(error),
            }
        }
        self.begun = Instant::now();
        let noticed = self.notice_changes();
        if noticed.is_err() {
            self.database.rollback();
        }
        noticed
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
        self.memory.follow_others(&self.database)?;
        self.memory.data_version = data_version;
        Ok(())
    }

    /// Commits a transaction, or rolls it back: after an error nothing of it is stored, unless the error is
    /// [`StoreError::OutcomeUnknown`].
    pub(super) fn end<T>(&mut self, outcome: Result<T, Failure>) -> Result<T, Failure> {
        let outcome = outcome.and_then(|outcome| match self.commit() {
            Ok(()) => Ok(outcome),
            Err(error @ StoreError::OutcomeUnknown { .. }) => Err(Failure::All(error)),
            Err(error) => Err(Failure::Group(error)),
        });
        if let Err(failure) = &outcome {
            self.database.rollback();
            if failure.may_lack_room() {
                self.log.make_room(&self.database);
            }
        }
        outcome
    }

    fn commit(&self) -> Result<(), StoreError> {
        self.database
            .connection
            .prepare_cached("COMMIT")
            .and_then(|mut commit| commit.execute(()).map(drop))
            .map_err(|error| failure::commit_error(self.database.place(), error))
    }
}
