//! What writes: the connection, and what is known of the file. Who has it stores what it is given, in one transaction,
//! and answers: the thread that writes, or a caller whose commit is alone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use tokio::sync::watch;

use super::answer::Sleepers;
use super::batch::{Batch, Memory, Refusal};
use super::group::{self, Failure};
use super::heads::{Entry, Heads};
use super::line::Line;
use super::log::{BUSY, Log};
use super::queue::{Append, Job, Work};
use super::repeats::Added;
use crate::domain::ErrorChain;
use crate::engine::sqlite::aggregates::NameDigest;
use crate::engine::sqlite::database::Database;
use crate::engine::sqlite::options::{Access, SqliteOptions};
use crate::engine::sqlite::read_models::inline::Inline;
use crate::engine::sqlite::{epochs, failure, format, types};
use crate::store::{BranchError, SealOptions, StoreError};

/// What became of each of some commits, and the heads of aggregates that are known once they are stored.
type Outcomes = (Vec<Result<Added, StoreError>>, Vec<Entry>);

/// The connection that writes, and what it knows.
pub(super) struct Desk {
    pub(super) database: Database,
    pub(super) heads: Arc<Heads>,
    pub(super) seal: SealOptions,
    pub(super) digest: NameDigest,
    may_write: bool,
    patience: Duration,
    longest_block: Duration,
    pub(super) memory: Memory,
    log: Log,
    /// The state of the file that `last` was taken from.
    seen: i64,
    last: watch::Sender<u64>,
    /// When the last transaction began.
    begun: Instant,
    /// How long the last transaction took that stored one commit.
    took: Duration,
}

impl Desk {
    pub(super) fn new(
        mut database: Database,
        options: &SqliteOptions,
        digest: NameDigest,
        heads: Arc<Heads>,
        last: watch::Sender<u64>,
        inline: Arc<Inline>,
    ) -> Result<Self, StoreError> {
        let log = Log::watch(&mut database)?;
        Ok(Self {
            memory: Memory {
                types: None,
                epoch: database.read(epochs::number)?,
                data_version: database.data_version()?,
                schema_version: database.schema_version()?,
                inline,
            },
            log,
            seen: database.data_version()?,
            database,
            heads,
            seal: options.seal,
            digest,
            may_write: options.access == Access::ReadWrite,
            patience: options.busy_timeout,
            longest_block: options.longest_block,
            last,
            begun: Instant::now(),
            took: Duration::ZERO,
        })
    }

    /// Whether subscriptions wait; one receiver is the handle's own.
    pub(super) fn is_followed(&self) -> bool {
        self.last.receiver_count() > 1
    }

    /// Looks for commits of other processes.
    pub(super) fn look(&mut self) {
        let moved = self.database.data_version().and_then(|version| {
            if version == self.seen {
                return Ok(None);
            }
            let last = self.database.read(types::last_position)?;
            self.seen = version;
            self.memory.inline.call();
            Ok(Some(last))
        });
        match moved {
            // Also where it is no later one: another process may have replaced a branch.
            Ok(Some(last)) => self.announce_another_epoch(last),
            Ok(None) => {}
            Err(error) => {
                // The subscriptions read for themselves and then see what is wrong.
                tracing::warn!(error = %ErrorChain(&error), "could not look for commits of other processes");
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

    /// Has all who follow look again: the last position may be an earlier one, or the same of another history.
    pub(super) fn announce_another_epoch(&self, last: u64) {
        self.last.send_replace(last);
    }

    /// Whether the log is so long that readers must be waited for.
    pub(super) fn has_long_log(&self) -> bool {
        self.log.is_long()
    }

    /// Moves the log when it is due.
    pub(super) fn tend_log(&mut self) {
        self.log.tend(&self.database);
    }

    /// Tries again to shorten a log that is long although nobody writes.
    pub(super) fn shorten_log(&mut self, pause: Duration) {
        self.log.shorten(&self.database, pause);
    }

    /// Stores a commit, on the thread of its caller, and answers; gives it back, untouched, where that may take long.
    /// Whether the log is to be tended then, which takes long.
    pub(super) fn append_alone(&mut self, append: Append) -> Result<bool, Append> {
        let takes_long = self.took >= self.longest_block || append.prepared.sealed.is_none();
        if takes_long || self.begin_at_once().is_err() {
            return Err(append);
        }
        let mut appends = vec![append];
        if let Err(failure) = self.append_begun(&mut appends, None) {
            let error = failure.into_error();
            for append in appends {
                append.answer.send(Err(error.clone()));
            }
        }
        Ok(self.log.is_due())
    }

    /// Begins a transaction that writes, unless another process writes.
    fn begin_at_once(&mut self) -> Result<(), StoreError> {
        let waits = |connection: &Connection, time| {
            connection
                .busy_timeout(time)
                .map_err(self.database.failed("setting how long to wait"))
        };
        waits(&self.database.connection, Duration::ZERO)?;
        let begun = self
            .database
            .begin_to_write(self.may_write, Duration::ZERO, || true);
        waits(&self.database.connection, self.patience.min(BUSY))?;
        begun?;
        self.notice_begin()
    }

    /// Stores jobs, and the commits that join them, and answers them. The line is told how many were stored together,
    /// before they are answered.
    pub(super) fn serve(&mut self, jobs: Vec<Job>, line: &mut Line) {
        let mut appends = Vec::with_capacity(jobs.len());
        let mut others = Vec::new();
        for job in jobs {
            match job {
                Job::Append(append) => appends.push(append),
                job => others.push(job),
            }
        }
        group::store(
            appends,
            |append: &Append| append.answer.is_wanted(),
            |append, error| append.answer.send(Err(error)),
            |appends| self.append(appends, line),
        );
        others.extend(line.take_aside());
        let mut writes = Vec::new();
        let mut replaces = Vec::new();
        for job in others {
            match job {
                // They are among those above.
                Job::Append(_) => {}
                Job::Import(import) => self.import(import),
                Job::Replace(replace) => replaces.push(replace),
                Job::Write(work) => writes.push(work),
                Job::Look => self.look(),
            }
        }
        for replace in replaces {
            self.replace(replace);
        }
        group::store(
            writes,
            |work: &Work| work.answer.is_wanted(),
            |work, error| work.answer.send(Err(error)),
            |writes| self.write(writes, line),
        );
    }

    fn write(&mut self, works: &mut Vec<Work>, line: &mut Line) -> Result<(), Failure> {
        self.begin(|| works.iter().any(|work| work.answer.is_wanted()))
            .map_err(Failure::All)?;
        let written = works.iter().enumerate().try_for_each(|(index, work)| {
            (work.write)(&self.database).map_err(|error| Failure::One(index, error))
        });
        self.end(written)?;
        line.expect_as_many(works.len(), self.begun.elapsed());
        let sleepers = Arc::new(Sleepers::default());
        for work in works.drain(..) {
            work.answer.send_with(Ok(()), &sleepers);
        }
        sleepers.wake();
        Ok(())
    }

    fn append(&mut self, appends: &mut Vec<Append>, line: &mut Line) -> Result<(), Failure> {
        self.begin(|| appends.iter().any(|append| append.answer.is_wanted()))
            .map_err(Failure::All)?;
        self.append_begun(appends, Some(line))
    }

    /// Stores commits in the transaction that was begun, with those that join them, and answers them.
    fn append_begun(
        &mut self,
        appends: &mut Vec<Append>,
        mut line: Option<&mut Line>,
    ) -> Result<(), Failure> {
        let mut ended = self.add_and_end(appends, line.as_deref_mut());
        // A view that could not be written is left out.
        while ended.is_err() && self.memory.inline.is_at_fault() {
            self.begin(|| true).map_err(Failure::All)?;
            ended = self.add_and_end(appends, None);
        }
        match ended {
            Ok((outcomes, heads)) => {
                let waited = line.as_deref().map_or(Duration::ZERO, Line::waited);
                let took = self.begun.elapsed().saturating_sub(waited);
                if appends.len() == 1 {
                    self.took = took;
                }
                if let Some(line) = line {
                    line.expect_as_many(appends.len(), took);
                }
                self.heads.put_all(heads);
                let sleepers = Arc::new(Sleepers::default());
                for (append, outcome) in appends.drain(..).zip(outcomes) {
                    let outcome = outcome.map(|added| (added, append.prepared));
                    append.answer.send_with(outcome, &sleepers);
                }
                sleepers.wake();
                if let Some(types) = &self.memory.types {
                    self.announce(types.last);
                }
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    }

    /// Adds commits to the open transaction and ends it.
    fn add_and_end(
        &mut self,
        appends: &mut Vec<Append>,
        line: Option<&mut Line>,
    ) -> Result<Outcomes, Failure> {
        let (types, added) = self.add(appends, line);
        self.memory.types = types;
        let ended = self.end(added);
        if matches!(ended, Err(Failure::Group(_) | Failure::All(_))) {
            self.memory.types = None;
            self.heads.clear();
        }
        ended
    }

    /// The open transaction, with what is known.
    pub(super) fn batch(&mut self) -> Result<Batch<'_>, StoreError> {
        Batch::begin(
            &self.database,
            &self.heads,
            &self.seal,
            self.digest,
            &mut self.memory,
        )
    }

    /// Adds commits to the open transaction, and those that join them. Gives the types as they are then, or as they were
    /// before when it failed.
    fn add(
        &mut self,
        appends: &mut Vec<Append>,
        mut line: Option<&mut Line>,
    ) -> (Option<types::Types>, Result<Outcomes, Failure>) {
        let mut batch = match self.batch() {
            Ok(batch) => batch,
            Err(error) => return (None, Err(Failure::All(error))),
        };
        let mut outcomes = Vec::with_capacity(appends.len());
        for index in 0.. {
            if index == appends.len() {
                match line.as_mut().and_then(|line| line.join()) {
                    Some(append) => appends.push(append),
                    None => break,
                }
            }
            let append = &mut appends[index];
            match batch.add(&mut append.prepared) {
                Ok(added) => outcomes.push(Ok(added)),
                Err(Refusal::Commit(refusal)) => outcomes.push(Err(refusal)),
                Err(Refusal::Transaction(error)) => {
                    return (Some(batch.undo()), Err(Failure::One(index, error)));
                }
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
        self.database
            .begin_to_write(self.may_write, self.patience, is_wanted)?;
        self.notice_begin()
    }

    fn notice_begin(&mut self) -> Result<(), StoreError> {
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
            format::check_identity(&self.database)?;
            format::check_schema(&self.database)?;
            self.memory.schema_version = schema_version;
        }
        self.heads.clear();
        self.memory.follow_others(&self.database, &self.heads)?;
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
        if outcome.is_ok() {
            self.memory.inline.committed();
        }
        if let Err(failure) = &outcome {
            self.database.rollback();
            self.memory.inline.rolled_back();
            if failure.may_lack_room() {
                self.log.make_room(&self.database);
            }
        }
        outcome
    }

    /// Rolls a transaction back in which something was refused that was not stored yet.
    pub(super) fn roll_back(&mut self, refused: &BranchError) {
        self.database.rollback();
        if let BranchError::Store(StoreError::Full { .. } | StoreError::Engine { .. }) = refused {
            self.log.make_room(&self.database);
        }
    }

    fn commit(&self) -> Result<(), StoreError> {
        self.database
            .connection
            .prepare_cached("COMMIT")
            .and_then(|mut commit| commit.execute(()).map(drop))
            .map_err(|error| failure::commit_error(self.database.location(), error))
    }
}
