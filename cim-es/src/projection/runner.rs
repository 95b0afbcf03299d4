//! The task of a view: it reads whole commits and has its home count them, and does what it is told.

mod said;
mod told;

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, sleep_until};

use super::ahead::Reading;
use super::commits::{Batch, Commits};
use super::home::{Before, Fault, Holding, Home, More, Refused};
use super::running::{Answer, Command};
use super::{Parked, ViewState, ViewStatus};
use crate::domain::ErrorChain;
use crate::domain::message::{Clock, SystemClock, Timestamp};
use crate::store::{EventStore, Position, Selection, StoreError};
pub(super) use said::SaysItStopped;

/// The shortest and the longest pause before a store that did not answer is asked again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// After what time a view that another program counts is looked at again, at most and at least.
const STANDBY: Duration = Duration::from_millis(500);
const SHORTEST_STANDBY: Duration = Duration::from_millis(10);

/// Keeps one view current.
pub(super) struct Runner<H> {
    store: Arc<dyn EventStore>,
    selection: Selection,
    home: H,
    commands: mpsc::Receiver<(Command, Answer)>,
    status: watch::Sender<ViewStatus>,
    passed_over: Arc<BTreeSet<Position>>,
    /// Batches of which some commits are on their way to the home.
    unsaid: Vec<Batch>,
    /// The event before which the view comes to a stop again, once what was torn there is made anew.
    barrier: Option<Box<Refused>>,
    pause: Duration,
    /// Since when it gets no answer.
    waiting_since: Option<Timestamp>,
    /// When the view is to be held for longer.
    due: Option<tokio::time::Instant>,
}

/// What the view does next.
enum Phase {
    /// It asks to be the one that counts.
    Hold,
    /// It counts what is there and what comes.
    Count,
    /// It stands still until it is told otherwise.
    Stand,
    /// It tries again after a pause.
    Wait(String),
    /// It ends.
    End(Option<String>),
}

/// What comes first.
enum Next<T> {
    Came(T),
    Heard(Option<(Command, Answer)>),
    /// The view is to be held for longer.
    Due,
}

/// What comes while commits are counted.
enum Step {
    Read(Result<Option<Batch>, StoreError>),
    /// What was on its way to the home arrived there, or did not.
    Stored(Result<(), Fault>),
}

impl<H: Home> Runner<H> {
    pub(super) fn new(
        store: Arc<dyn EventStore>,
        selection: Selection,
        home: H,
        commands: mpsc::Receiver<(Command, Answer)>,
        status: watch::Sender<ViewStatus>,
    ) -> Self {
        Self {
            store,
            selection,
            home,
            commands,
            status,
            passed_over: Arc::default(),
            unsaid: Vec::new(),
            barrier: None,
            pause: PAUSES.0,
            waiting_since: None,
            due: None,
        }
    }

    pub(super) async fn run(mut self) {
        // A runtime that ends drops the task in the middle of anything.
        let mut said = SaysItStopped {
            status: self.status.clone(),
            reason: Some("its runtime ended".to_owned()),
        };
        let mut phase = Phase::Hold;
        said.reason = loop {
            phase = match phase {
                Phase::Hold => self.hold().await,
                Phase::Count => self.count().await,
                Phase::Stand => self.stand().await,
                Phase::Wait(reason) => self.wait(reason).await,
                Phase::End(reason) => break reason,
            };
        };
        self.home.close().await;
        self.say_where();
    }

    /// Becomes the one that counts, and looks on as long as another program is.
    async fn hold(&mut self) -> Phase {
        loop {
            let pause = match self.home.hold().await {
                Ok(Holding::Mine) => {
                    self.note_hold();
                    return Phase::Count;
                }
                Ok(Holding::Another { pause }) => {
                    self.say_where();
                    self.say(ViewState::Standby);
                    pause.clamp(SHORTEST_STANDBY, STANDBY)
                }
                Err(fault) => return self.failed(fault).await,
            };
            match first_of(sleep(pause), &mut self.commands, None).await {
                Next::Heard(heard) => {
                    if let Some(phase) = self.hear(heard).await {
                        return phase;
                    }
                }
                Next::Came(()) | Next::Due => {}
            }
        }
    }

    /// Stays the one that counts.
    async fn hold_on(&mut self) -> Option<Phase> {
        match self.home.hold().await {
            Ok(Holding::Mine) => {
                self.note_hold();
                self.home.wants_level().then_some(Phase::Count)
            }
            Ok(Holding::Another { .. }) => {
                self.due = Some(tokio::time::Instant::now() + STANDBY);
                Some(Phase::Hold)
            }
            // Whether another has it shows when something is to be stored.
            Err(Fault::Storage {
                reason,
                is_transient: true,
            }) => {
                tracing::warn!(view = %self.view(), reason, "the view could not be held for longer");
                self.due = Some(tokio::time::Instant::now() + STANDBY);
                None
            }
            Err(fault) => Some(self.failed(fault).await),
        }
    }

    fn note_hold(&mut self) {
        let again = self.home.hold_again_in();
        self.due = again.map(|pause| tokio::time::Instant::now() + pause);
        let skipped = self.home.skipped();
        if skipped.len() != self.status.borrow().skipped.len() {
            let positions = skipped.iter().map(|event| event.bookmark.position);
            self.passed_over = Arc::new(positions.collect());
            let skipped = skipped.to_vec();
            self.status.send_modify(|status| status.skipped = skipped);
        }
        self.say_where();
    }

    /// Counts what is there, then what comes.
    async fn count(&mut self) -> Phase {
        let mut end = Position::START;
        for is_following in [false, true] {
            if is_following {
                if let Some(phase) = self.level(end).await {
                    return phase;
                }
                if let Some(refused) = self.barrier.take() {
                    return self.park(refused).await;
                }
                self.say(ViewState::Live);
            } else {
                self.say(ViewState::CatchingUp);
                // Everything up to there is given by a reading that begins now.
                end = self.end_of_store().await;
            }
            let started = (Instant::now(), self.status.borrow().counted);
            let commits = Commits::new(
                &self.store,
                &self.selection,
                self.home.up_to(),
                is_following,
                Arc::clone(&self.passed_over),
            );
            let mut commits = match is_following {
                true => Reading::as_asked(commits),
                false => Reading::ahead(commits),
            };
            let more = match is_following {
                true => More::MayCome,
                false => More::Follow,
            };
            self.unsaid.clear();
            loop {
                let before = self.home.up_to().position;
                let came = next_of(&mut commits, &mut self.home);
                let next = match first_of(came, &mut self.commands, self.due).await {
                    Next::Heard(heard) => {
                        let failed = self.stored().await;
                        match self.hear(heard).await.or(failed) {
                            Some(phase) => return phase,
                            None => continue,
                        }
                    }
                    Next::Due => {
                        let failed = self.stored().await;
                        match failed.or(self.hold_on().await) {
                            Some(phase) => return phase,
                            None => continue,
                        }
                    }
                    Next::Came(next) => next,
                };
                let phase = match next {
                    Step::Read(Ok(Some(batch))) => self.take(batch, more).await,
                    Step::Read(Ok(None)) => match self.stored().await {
                        Some(phase) => Some(phase),
                        None => break,
                    },
                    Step::Read(Err(error)) => match self.stored().await {
                        Some(phase) => Some(phase),
                        None => Some(self.store_failed(error).await),
                    },
                    Step::Stored(outcome) => self.say_stored(before, outcome).await,
                };
                if let Some(phase) = phase {
                    return phase;
                }
                if !is_following {
                    self.measure(started);
                }
                // Others on this thread are to come to their turn while there is always more.
                tokio::task::yield_now().await;
            }
        }
        Phase::Wait("the store ended a stream that does not end".to_owned())
    }

    /// Has the home count commits; gives what to do next, unless it is to go on.
    async fn take(&mut self, mut batch: Batch, mut more: More) -> Option<Phase> {
        let stop = self.barrier.as_ref().and_then(|refused| {
            let position = refused.bookmark.position;
            batch.commits().position(|commit| commit.has(position))
        });
        if let Some(commits) = stop {
            batch = batch.first(commits);
            more = More::MayCome;
        }
        if !batch.is_empty() {
            let before = self.home.up_to().position;
            let taken = self.home.take(&batch, more).await;
            self.unsaid.push(batch);
            self.say_counted(before);
            if let Err(fault) = taken {
                return Some(self.failed(fault).await);
            }
            (self.pause, self.waiting_since) = (PAUSES.0, None);
        }
        stop?;
        if let Some(phase) = self.level(Position::START).await {
            return Some(phase);
        }
        let refused = self.barrier.take()?;
        Some(self.park(refused).await)
    }

    /// Waits until all that was taken is kept; gives what to do next, unless it is to go on.
    async fn stored(&mut self) -> Option<Phase> {
        if !self.home.is_storing() {
            return None;
        }
        let before = self.home.up_to().position;
        let outcome = self.home.stored().await;
        self.say_stored(before, outcome).await
    }

    async fn say_stored(&mut self, before: Position, outcome: Result<(), Fault>) -> Option<Phase> {
        self.say_counted(before);
        match outcome {
            Ok(()) => None,
            Err(fault) => Some(self.failed(fault).await),
        }
    }

    /// Has readers shown what was built again.
    async fn level(&mut self, through: Position) -> Option<Phase> {
        if let Err(fault) = self.home.level(through).await {
            return Some(self.failed(fault).await);
        }
        self.say_where();
        None
    }

    async fn failed(&mut self, fault: Fault) -> Phase {
        self.say_where();
        match fault {
            Fault::Event(refused) => self.park(refused).await,
            Fault::Torn(refused) => {
                self.barrier = Some(refused);
                Phase::Count
            }
            Fault::Storage {
                reason,
                is_transient: true,
            } => Phase::Wait(reason),
            Fault::Unfit(reason) | Fault::Storage { reason, .. } => Phase::End(Some(reason)),
            Fault::Lost => Phase::Hold,
        }
    }

    async fn store_failed(&mut self, error: StoreError) -> Phase {
        let reason = ErrorChain(&error).to_string();
        match error {
            StoreError::AnotherHistory(_) => {
                tracing::warn!(view = %self.view(), reason, "the view is built again");
                self.barrier = None;
                if let Err(fault) = self.home.rebuild(Before::Hidden).await {
                    return self.failed(fault).await;
                }
                // A position of another history is that of another event.
                self.passed_over = Arc::default();
                self.status.send_modify(|status| status.begin_again(reason));
                Phase::Hold
            }
            StoreError::Closed { .. } | StoreError::NothingSelected(_) => Phase::End(Some(reason)),
            _ => Phase::Wait(reason),
        }
    }

    async fn park(&mut self, refused: Box<Refused>) -> Phase {
        let Refused {
            bookmark,
            event_type,
            reason,
        } = *refused;
        tracing::error!(
            view = %self.view(), position = bookmark.position.0, event_type, reason,
            "the view is parked: mend the projection and resume it, or skip the event with a reason"
        );
        let parked = Parked {
            bookmark,
            event_type,
            reason,
            since: SystemClock.now(),
        };
        if let Err(fault) = self.home.park(&parked).await {
            tracing::warn!(view = %self.view(), %fault, "that the view is parked could not be noted");
        }
        self.say_where();
        self.say(ViewState::Parked(Box::new(parked)));
        Phase::Stand
    }

    /// Stands still until it is told otherwise.
    async fn stand(&mut self) -> Phase {
        loop {
            let next = first_of(std::future::pending::<()>(), &mut self.commands, self.due).await;
            let phase = match next {
                Next::Heard(heard) => self.hear(heard).await,
                // It stands still as long as nobody says otherwise, whoever holds it.
                Next::Due => match self.hold_on().await {
                    Some(Phase::End(reason)) => Some(Phase::End(reason)),
                    _ => None,
                },
                Next::Came(()) => None,
            };
            if let Some(phase) = phase {
                return phase;
            }
        }
    }

    /// Pauses before it tries again.
    async fn wait(&mut self, reason: String) -> Phase {
        let view = self.view();
        tracing::warn!(%view, reason, pause = ?self.pause, "the view cannot go on and tries again");
        let since = *self.waiting_since.get_or_insert_with(|| SystemClock.now());
        self.say(ViewState::Waiting { reason, since });
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSES.1);
        loop {
            match first_of(sleep(pause), &mut self.commands, None).await {
                Next::Came(()) | Next::Due => return Phase::Hold,
                Next::Heard(heard) => {
                    if let Some(phase) = self.hear(heard).await {
                        return phase;
                    }
                }
            }
        }
    }
}

/// What is read next, or what became of what was taken before, where that is known first.
async fn next_of<H: Home>(commits: &mut Reading, home: &mut H) -> Step {
    if !home.is_storing() {
        return Step::Read(commits.next().await);
    }
    match select(pin!(commits.next()), pin!(home.stored())).await {
        Either::Left((next, _)) => Step::Read(next),
        Either::Right((outcome, _)) => Step::Stored(outcome),
    }
}

/// What comes first: what is waited for, or what a person asks. What is asked goes first.
async fn first_of<T>(
    awaited: impl Future<Output = T>,
    commands: &mut mpsc::Receiver<(Command, Answer)>,
    due: Option<tokio::time::Instant>,
) -> Next<T> {
    let time = async {
        match due {
            Some(due) => sleep_until(due).await,
            None => std::future::pending().await,
        }
    };
    let (command, time) = (pin!(commands.recv()), pin!(time));
    match select(select(command, time), pin!(awaited)).await {
        Either::Left((Either::Left((heard, _)), _)) => Next::Heard(heard),
        Either::Left((Either::Right(((), _)), _)) => Next::Due,
        Either::Right((came, _)) => Next::Came(came),
    }
}
