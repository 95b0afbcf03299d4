//! Writing: one thread takes what waits, stores it in one transaction, and answers everybody.
//!
//! A commit that is alone is stored by the thread of its caller, where that takes no longer than
//! [`longest_block`](SqliteOptions::longest_block): to hand it to another thread and back takes as long as to store it,
//! since a core that has nothing to do sleeps, and takes its time to wake.

mod answer;
mod batch;
mod desk;
mod group;
mod heads;
mod import;
mod line;
mod log;
mod prepare;
mod queue;
mod repeats;
mod replace;
mod thread;
mod turns;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::watch;
use tokio::task::coop::unconstrained;

use self::answer::{Callers, question};
use self::desk::Desk;
use self::heads::Heads;
pub(super) use self::log::{BUSY, Log};
pub(super) use self::prepare::LookedFor;
use self::queue::{Append, Import, Job, Queue, Replace, Served, Work};
pub(super) use self::repeats::Appended;
use self::thread::{SharedDesk, Thread};
use self::turns::{Turn, Turns};
use super::aggregates::NameDigest;
use super::aside::Aside;
use super::database::Database;
use super::options::SqliteOptions;
use super::read_models::inline::Inline;
use super::types;
use crate::block::StoredEvent;
use crate::store::{
    AggregateKey, AppendedCommit, Branch, BranchError, CommitRequest, Head, ProvedCommit,
    ReplacedBranches, SealOptions, SealedCommit, StateChange, StoreError,
};

/// The size in bytes up to which a commit may be stored by the thread of its caller.
const SMALL: usize = 32 * 1024;

/// The way to write.
pub(super) struct Writer {
    desk: SharedDesk,
    queue: Arc<Queue>,
    thread: Mutex<Option<JoinHandle<()>>>,
    heads: Arc<Heads>,
    aside: Aside,
    turns: Turns,
    options: SealOptions,
    last: watch::Receiver<u64>,
    callers: Callers,
    inline: Arc<Inline>,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(
        database: Database,
        options: &SqliteOptions,
        digest: NameDigest,
    ) -> Result<Self, StoreError> {
        let location = database.location().clone();
        let last = match database.read(types::last_position) {
            // Nobody writes, and each reader meets the damage itself.
            Err(StoreError::Damaged(_)) if options.accepts_damage => 0,
            last => last?,
        };
        let (moved, last) = watch::channel(last);
        let heads = Arc::new(Heads::new());
        let queue = Arc::new(Queue::new());
        let served = Served::new(queue.clone());
        let inline = Arc::new(Inline::default());
        let desk = Desk::new(
            database,
            options,
            digest,
            heads.clone(),
            moved,
            inline.clone(),
        )?;
        let desk = Arc::new(Mutex::new(Some(desk)));
        let thread = Thread::new(desk.clone(), served, options.poll_interval);
        let thread = std::thread::Builder::new()
            .name("cim-es-write".into())
            .spawn(move || thread.run())
            .map_err(|error| StoreError::Engine {
                location: location.clone(),
                operation: "starting the writing thread",
                source: Arc::new(error),
            })?;
        Ok(Self {
            desk,
            queue,
            thread: Mutex::new(Some(thread)),
            heads,
            aside: Aside::new(),
            turns: Turns::default(),
            options: options.seal,
            last,
            callers: Callers::default(),
            inline,
        })
    }

    /// Whether to seal a commit takes long, and some of its heads are not known: they are better read before than by the
    /// writer, who would then seal while the others wait.
    pub(super) fn wants_heads(&self, request: &CommitRequest) -> bool {
        prepare::bytes(request) >= super::aside::LONG
    }

    /// Stores a commit, unless it may have been stored before. `guesses` are heads of its aggregates, in order, that may
    /// have been read before.
    pub(super) async fn append(
        &self,
        request: CommitRequest,
        guesses: Vec<Option<Head>>,
        looked_for: LookedFor,
    ) -> Result<Appended, StoreError> {
        // See `Readers::read` for the budget.
        unconstrained(async {
            let bytes = prepare::bytes(&request);
            let place = self.queue.place(bytes).await?;
            let (heads, options) = (self.heads.clone(), self.options);
            let prepare = move || prepare::prepare(request, &guesses, looked_for, &heads, &options);
            let prepared = Box::new(self.aside.run(bytes, prepare).await??);
            let caller = self.callers.add();
            let (answer, question) = question();
            let append = Append {
                prepared,
                answer,
                _place: place,
            };
            let in_line = match bytes <= SMALL && caller.is_alone().await {
                true => self.append_alone(append),
                false => Some(append),
            };
            if let Some(append) = in_line {
                self.queue.send(Job::Append(append))?;
            }
            let (added, prepared) = caller.wait(question).await?;
            Ok(added.into_appended(*prepared, &self.heads))
        })
        .await
    }

    /// Stores a commit here and answers, or gives it back for the line.
    fn append_alone(&self, append: Append) -> Option<Append> {
        let Ok(mut desk) = self.desk.try_lock() else {
            return Some(append);
        };
        let outcome = catch_unwind(AssertUnwindSafe(move || match desk.as_mut() {
            Some(desk) => desk.append_alone(append),
            None => Err(append),
        }));
        match outcome {
            Ok(Err(append)) => return Some(append),
            Ok(Ok(false)) => {}
            // The thread tends the log, or finds that the desk is not to be used any more.
            Ok(Ok(true)) | Err(_) => drop(self.queue.send(Job::Look)),
        }
        None
    }

    /// Proves commits that were sealed elsewhere, and stores them behind those that were given before.
    pub(super) async fn append_sealed(
        &self,
        commits: Vec<SealedCommit>,
    ) -> Result<Vec<AppendedCommit>, StoreError> {
        unconstrained(async {
            let mut turn = self.turns.take();
            let blocks = commits.iter().flat_map(|commit| &commit.events);
            let bytes = blocks.map(|block| block.body.len()).sum();
            let options = self.options;
            let prove = move || {
                let commits = commits.into_iter();
                let proved = commits.map(|commit| commit.prove(&options));
                proved.collect::<Result<Vec<_>, _>>()
            };
            let commits = self.aside.run(bytes, prove).await??;
            turn.come().await;
            self.import(commits, bytes, turn).await
        })
        .await
    }

    /// Stores commits that were proved behind those that were given before.
    pub(super) async fn append_proved(
        &self,
        commits: Vec<ProvedCommit>,
    ) -> Result<Vec<AppendedCommit>, StoreError> {
        unconstrained(async {
            let mut turn = self.turns.take();
            let mut bytes = 0;
            for commit in &commits {
                commit.fits(&self.options)?;
                let events = commit.events().iter();
                bytes += events.map(|event| event.body().len()).sum::<usize>();
            }
            turn.come().await;
            self.import(commits, bytes, turn).await
        })
        .await
    }

    /// Stores commits of some bytes, whose turn has come.
    async fn import(
        &self,
        commits: Vec<ProvedCommit>,
        bytes: usize,
        turn: Turn,
    ) -> Result<Vec<AppendedCommit>, StoreError> {
        let place = self.queue.place(bytes).await?;
        let (answer, question) = question();
        self.queue.send(Job::Import(Import {
            commits,
            answer,
            _place: place,
        }))?;
        drop(turn);
        let imported = self.callers.add().wait(question).await?;
        let appended = self.aside.run(bytes, move || imported.into_appended());
        appended.await.map_err(|error| StoreError::OutcomeUnknown {
            reason: format!("the commits are stored, and where is not known: {error}"),
        })
    }

    /// Replaces branches by commits of some bytes.
    pub(super) async fn replace(
        &self,
        bytes: usize,
        branches: Vec<Branch>,
        commits: Vec<ProvedCommit>,
        changes: Vec<StateChange>,
    ) -> Result<ReplacedBranches, BranchError> {
        unconstrained(async {
            let place = self.queue.place(bytes).await?;
            let (answer, question) = question();
            self.queue.send(Job::Replace(Replace {
                branches,
                commits,
                changes,
                answer,
                _place: place,
            }))?;
            self.callers.add().wait(question).await?
        })
        .await
    }

    /// Runs another write, of some bytes, in a transaction with the others that wait. Where one of them fails, it is run
    /// again without that one.
    pub(super) async fn write(
        &self,
        bytes: usize,
        write: impl Fn(&Database) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), StoreError> {
        unconstrained(async {
            let place = self.queue.place(bytes).await?;
            let (answer, question) = question();
            self.queue.send(Job::Write(Work {
                write: Box::new(write),
                answer,
                _place: place,
            }))?;
            self.callers.add().wait(question).await
        })
        .await
    }

    /// Does work that takes the processor long elsewhere, when it is about many bytes.
    pub(super) async fn aside<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        self.aside.run(bytes, work).await
    }

    /// Remembers the message behind an event of an aggregate that was read.
    pub(super) fn note_message(&self, aggregate: &AggregateKey, event: &StoredEvent) {
        self.heads.messages().note(aggregate, event);
    }

    /// The views that are kept with the events.
    pub(super) fn inline(&self) -> &Arc<Inline> {
        &self.inline
    }

    /// Follows the last position, also as other processes move it.
    pub(super) fn follow(&self) -> Result<watch::Receiver<u64>, StoreError> {
        let last = self.last.clone();
        self.queue.send(Job::Look)?;
        Ok(last)
    }

    /// Lets the thread end after the writes that somebody waits for, and waits for it.
    pub(super) fn stop(&self) {
        self.queue.close();
        // Held while it ends, so that whoever else stops it waits as well.
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the writing thread failed");
        }
        // Who keeps them looks, and finds the store closed.
        self.inline.call();
    }
}
