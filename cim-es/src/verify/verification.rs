//! One verification of a store, step by step.

use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::future::{Either, select};

use super::judge::{Judged, JudgedPage};
use super::progress::{Stage, VerificationProgress, VerificationReport};
use super::ranges::Ranges;
use super::read::ReadEvents;
use super::run::Run;
use super::state::VerificationState;
use super::tables;
use super::workers::Workers;
use crate::block::Position;
use crate::store::raw::{RawEvents, RawPages, SoundPart};
use crate::store::{AnotherHistory, Bookmark, Damage, EventStore, StoreError};

/// How many times what was stored meanwhile is looked at as well; a writer that is never still
/// does not keep a verification from ending.
const MOST_ROUNDS: u32 = 16;

/// What a step of a verification came to.
#[derive(Clone, Debug)]
pub enum Step {
    /// All that is wrong at one place: with an event, its place in its history and its commit, and what stands beside it.
    /// There is one at least.
    Damaged(Vec<Damage>),
    /// It goes on; nothing more is wrong up to here.
    Progress(VerificationProgress),
}

/// A verification of a whole store; see the [module](crate::verify).
pub struct Verification {
    raw: Arc<dyn RawEvents>,
    threads: usize,
    /// What goes on from the state, once it was begun.
    begun: Option<Begun>,
    run: Run,
    started: Instant,
    own_from: u64,
}

struct Begun {
    source: Source,
    page: Option<Judging>,
    rounds: u32,
}

/// Where judged pages come from.
enum Source {
    /// The threads that read judge as well.
    Ranges(Ranges),
    /// Others do.
    Pages {
        workers: Workers,
        pages: Option<RawPages>,
    },
}

/// A page of which some blocks were looked at.
struct Judging {
    items: Vec<Judged>,
    /// How many of them were looked at.
    done: usize,
    reached: Position,
    removed: u64,
    lists_have_kinds: bool,
    sound: Option<SoundPart>,
}

impl From<JudgedPage> for Judging {
    fn from(page: JudgedPage) -> Self {
        Self {
            items: page.items,
            done: 0,
            reached: page.reached,
            removed: page.removed,
            lists_have_kinds: page.lists_have_kinds,
            sound: page.sound,
        }
    }
}

impl Verification {
    /// Of everything in a store. It begins with the first step.
    pub fn of(store: impl EventStore) -> Self {
        let raw = match store.settings().raw {
            Some(raw) => raw,
            None => Arc::new(ReadEvents::of(Arc::new(store))) as Arc<dyn RawEvents>,
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            run: Run::new(&*raw, VerificationState::default()),
            raw,
            threads,
            begun: None,
            started: Instant::now(),
            own_from: 0,
        }
    }

    /// With so many threads that decode and hash, 1 at least; as many as there are cores by default. With 1, reading and
    /// hashing take turns, so that no more than one core is used. Of a file they are the threads that read, at most as many
    /// as it was opened with, two unless it was told otherwise.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// Goes on where another verification of the same store stood.
    pub fn resume(mut self, state: VerificationState) -> Self {
        self.own_from = state.counts.events;
        self.run = Run::new(&*self.raw, state);
        self
    }

    /// The next step; none when everything was looked at. It may be dropped and called again at any time, and after an
    /// error: it goes on where it stood.
    ///
    /// # Errors
    /// What keeps the engine from reading; [`StoreError::AnotherHistory`] where it goes on from a state of another history.
    /// What is damaged is a step and not an error.
    pub async fn next(&mut self) -> Result<Option<Step>, StoreError> {
        if self.begun.is_none() {
            self.begin().await?;
        }
        let step = match self.run.state.stage {
            Stage::Events => self.events().await,
            Stage::Aggregates => tables::aggregates(&mut self.run, &self.raw).await,
            Stage::Types => tables::types(&mut self.run, &*self.raw).await,
            Stage::Beside => tables::beside(&mut self.run, &*self.raw).await,
            Stage::Done => return Ok(None),
        };
        let damages = match step {
            Ok(damages) => damages,
            Err(error) => {
                self.begun = None;
                return Err(error);
            }
        };
        self.run.state.counts.damages += damages.len() as u64;
        Ok(Some(match damages.is_empty() {
            true => Step::Progress(self.progress()),
            false => Step::Damaged(damages),
        }))
    }

    /// Looks at all that is left, and tells each damage.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn finish(
        &mut self,
        mut tell: impl FnMut(Damage),
    ) -> Result<VerificationReport, StoreError> {
        while let Some(step) = self.next().await? {
            if let Step::Damaged(damages) = step {
                damages.into_iter().for_each(&mut tell);
            }
        }
        Ok(self.report())
    }

    /// Where it stands: all that was told up to now is behind it, and nothing else.
    pub fn state(&self) -> VerificationState {
        self.run.state.saved()
    }

    /// How far it has come.
    pub fn progress(&self) -> VerificationProgress {
        let counts = self.run.state.counts;
        VerificationProgress {
            stage: self.run.state.stage,
            events: counts.events,
            bytes: counts.bytes,
            position: self.run.state.at,
            end: self.run.until.max(self.run.state.at),
            damages: counts.damages,
            elapsed: self.started.elapsed(),
            own_events: counts.events.saturating_sub(self.own_from),
        }
    }

    /// What it came to, as far as it has come.
    pub fn report(&self) -> VerificationReport {
        let state = &self.run.state;
        VerificationReport {
            events: state.counts.events,
            bytes: state.counts.bytes,
            aggregates: state.chains.heads.len(),
            cut_aggregates: state.chains.cut,
            others: state.counts.others,
            removed: state.counts.removed,
            damages: state.counts.damages,
            position: state.at,
            is_complete: state.stage == Stage::Done,
            elapsed: self.started.elapsed(),
        }
    }

    /// Compares the state with the store, and begins to read where it stands.
    async fn begin(&mut self) -> Result<(), StoreError> {
        self.run.until = self.raw.end().await?;
        self.check_history().await?;
        let mut begun = Begun {
            source: match self.raw.ranges() {
                Some(raw) => {
                    Source::Ranges(Ranges::new(raw, self.run.location.clone(), self.threads))
                }
                None => Source::Pages {
                    workers: Workers::start(self.threads, &self.run.location)?,
                    pages: None,
                },
            },
            page: None,
            rounds: 0,
        };
        if self.run.state.stage == Stage::Events {
            begun.read(&self.raw, self.run.read_from(), self.run.until);
        }
        self.begun = Some(begun);
        Ok(())
    }

    async fn check_history(&mut self) -> Result<(), StoreError> {
        let Some((position, cid)) = self.run.state.last else {
            return Ok(());
        };
        let before = Position(position.0.saturating_sub(1));
        let mut pages = Arc::clone(&self.raw).pages(before, position);
        let found = match pages.next().await.transpose()? {
            Some(page) => tables::cid_at(&page, position),
            None => None,
        };
        if found == Some(cid) {
            return Ok(());
        }
        Err(StoreError::AnotherHistory(Box::new(AnotherHistory {
            location: self.run.location.clone(),
            known: Bookmark {
                position,
                cid: Some(cid),
            },
            last: self.run.until,
            found,
        })))
    }

    /// Looks at events until something is wrong, or a page is done.
    async fn events(&mut self) -> Result<Vec<Damage>, StoreError> {
        let Some(begun) = &mut self.begun else {
            return Ok(Vec::new());
        };
        if begun.page.is_none() {
            begun.page = begun.next_page().await?.map(Judging::from);
            let items = begun.page.iter().flat_map(|page| &page.items);
            self.run
                .state
                .chains
                .heads
                .fetch(items.filter_map(Judged::name));
        }
        if let Some(page) = &mut begun.page {
            for judged in page.items.get(page.done..).unwrap_or_default() {
                page.done += 1;
                let damages = self.run.take(judged, page.lists_have_kinds);
                if !damages.is_empty() {
                    return Ok(damages);
                }
            }
            self.run.reach(page.reached, page.removed, page.sound);
            begun.page = None;
            return Ok(Vec::new());
        }
        self.level().await
    }

    /// Looks whether something was stored meanwhile; if not, all events were looked at.
    async fn level(&mut self) -> Result<Vec<Damage>, StoreError> {
        if self.run.state.commits.is_open() {
            self.raw.settle().await;
        }
        let end = self.raw.end().await?;
        let until = self.run.until;
        if let Some(begun) = &mut self.begun
            && end > until
            && begun.rounds < MOST_ROUNDS
        {
            begun.rounds += 1;
            begun.read(&self.raw, until, end);
            self.run.until = end;
            return Ok(Vec::new());
        }
        self.run.state.stage = Stage::Aggregates;
        Ok(self.run.finish_commits(end))
    }
}

impl Begun {
    /// Goes on between two positions.
    fn read(&mut self, raw: &Arc<dyn RawEvents>, after: Position, until: Position) {
        match &mut self.source {
            Source::Ranges(ranges) => ranges.go_on(after, until),
            Source::Pages { pages, .. } => *pages = Some(Arc::clone(raw).pages(after, until)),
        }
    }

    /// The next page that was judged; none when there is no more.
    async fn next_page(&mut self) -> Result<Option<JudgedPage>, StoreError> {
        let (workers, source) = match &mut self.source {
            Source::Ranges(ranges) => return ranges.next().await,
            Source::Pages { workers, pages } => (workers, pages),
        };
        loop {
            let pages = source.as_mut().filter(|_| workers.has_room());
            let Some(pages) = pages else {
                return match workers.is_idle() {
                    true => Ok(None),
                    false => workers.next().await.map(Some),
                };
            };
            let read = match select(pages.next(), Box::pin(workers.next())).await {
                Either::Left((read, _)) => read.transpose()?,
                Either::Right((page, _)) => return page.map(Some),
            };
            match read {
                Some(page) => workers.hand_over(page)?,
                None => *source = None,
            }
        }
    }
}

impl std::fmt::Debug for Verification {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verification")
            .field("location", &self.run.location)
            .field("progress", &self.progress())
            .finish_non_exhaustive()
    }
}
