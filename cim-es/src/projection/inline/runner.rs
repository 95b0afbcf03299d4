//! The task of a view that is kept with the events: it brings the view level where it is behind, and does what it is
//! told.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::sleep;

use super::view::Said;
use crate::domain::ErrorChain;
use crate::domain::message::{Clock, SystemClock, Timestamp};
use crate::engine::sqlite::{Kept, Registration, Step, Unkept};
use crate::projection::runner::SaysItStopped;
use crate::projection::running::{Answer, Command};
use crate::projection::{ControlError, Skipped, ViewState, ViewStatus, remark};
use crate::store::StoreError;
use crate::store::read_model::ReadModelError;

/// The shortest and the longest pause before a file that failed is tried again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// Why a view ends that is not in the file any more.
const GONE: &str = "its documents were removed: a later version took over, or a person did so; open it again to build it anew";

/// Keeps a view level beside the writer.
pub(super) struct InlineRunner {
    kept: Registration,
    commands: mpsc::Receiver<(Command, Answer)>,
    status: watch::Sender<ViewStatus>,
    /// Told where the view is behind.
    called: Arc<Notify>,
    pause: Pause,
}

/// How long to wait for a file that fails, and since when it does.
struct Pause {
    next: Duration,
    since: Option<Timestamp>,
}

impl Default for Pause {
    fn default() -> Self {
        Self {
            next: PAUSES.0,
            since: None,
        }
    }
}

/// What the view does next.
enum Phase {
    /// It is brought level; where it is parked, only if it is to be tried again.
    Advance { again: bool },
    /// It is level, and the writer keeps it so.
    Rest,
    /// It stands still until it is told otherwise.
    Stand,
    /// It tries again after a pause.
    Wait(String),
    /// It ends.
    End(Option<String>),
}

impl InlineRunner {
    pub(super) fn new(
        kept: Registration,
        commands: mpsc::Receiver<(Command, Answer)>,
        said: Said,
    ) -> Self {
        Self {
            kept,
            commands,
            status: said.status,
            called: said.called,
            pause: Pause::default(),
        }
    }

    pub(super) async fn run(mut self) {
        // A runtime that ends drops the task in the middle of anything.
        let mut said = SaysItStopped {
            status: self.status.clone(),
            reason: Some("its runtime ended".to_owned()),
        };
        let mut phase = Phase::Advance { again: true };
        said.reason = loop {
            phase = match phase {
                Phase::Advance { again } => self.advance(again).await,
                Phase::Rest => self.rest().await,
                Phase::Stand => self.stand().await,
                Phase::Wait(reason) => self.wait(reason).await,
                Phase::End(reason) => break reason,
            };
        };
        self.kept.end().await;
    }

    async fn advance(&mut self, again: bool) -> Phase {
        let step = self.kept.step(again).await;
        if step.is_ok() {
            self.pause = Pause::default();
        }
        match step {
            Ok(Step::Level { later }) => {
                self.remark(later.as_ref().map(remark::later));
                Phase::Rest
            }
            Ok(Step::More { former }) => {
                self.remark(former.as_ref().map(remark::former));
                self.heard_meanwhile(again).await
            }
            Ok(Step::Parked { former }) => {
                self.remark(former.as_ref().map(remark::former));
                self.say_parked().await;
                Phase::Stand
            }
            Ok(Step::Gone) => Phase::End(Some(GONE.to_owned())),
            Err(error) => self.failed(error).await,
        }
    }

    fn remark(&self, remark: Option<String>) {
        self.status.send_if_modified(|status| {
            let is_new = status.remark != remark;
            status.remark = remark;
            is_new
        });
    }

    /// Goes on to count, unless it was told something meanwhile.
    async fn heard_meanwhile(&mut self, again: bool) -> Phase {
        match self.commands.try_recv() {
            Ok(heard) => {
                let next = self.hear(heard).await;
                next.unwrap_or(Phase::Advance { again })
            }
            Err(mpsc::error::TryRecvError::Empty) => Phase::Advance { again },
            Err(mpsc::error::TryRecvError::Disconnected) => Phase::End(None),
        }
    }

    async fn failed(&mut self, error: ReadModelError) -> Phase {
        let reason = ErrorChain(&error).to_string();
        match error {
            ReadModelError::Storage(StoreError::AnotherHistory(_)) => {
                tracing::warn!(view = %self.status.borrow().view, reason, "the view is built again");
                let told = Kept::Rebuilt {
                    is_of_another_history: true,
                };
                match self.kept.tell(told).await {
                    Ok(()) => {
                        self.status.send_modify(|status| status.begin_again(reason));
                        Phase::Advance { again: true }
                    }
                    Err(refused) => Phase::Wait(reason_of(&refused)),
                }
            }
            ReadModelError::Storage(StoreError::Closed { .. } | StoreError::ReadOnly { .. })
            | ReadModelError::TablesChanged { .. } => Phase::End(Some(reason)),
            _ => Phase::Wait(reason),
        }
    }

    async fn rest(&mut self) -> Phase {
        let heard = {
            let called = pin!(self.called.notified());
            match select(pin!(self.commands.recv()), called).await {
                Either::Left((heard, _)) => heard,
                Either::Right(((), _)) => return Phase::Advance { again: false },
            }
        };
        match heard {
            // Without a handle and a manager nobody is left who could read it.
            None => Phase::End(None),
            Some(heard) => self.hear(heard).await.unwrap_or(Phase::Rest),
        }
    }

    async fn stand(&mut self) -> Phase {
        match self.commands.recv().await {
            None => Phase::End(None),
            Some(heard) => self.hear(heard).await.unwrap_or(Phase::Stand),
        }
    }

    async fn wait(&mut self, reason: String) -> Phase {
        let pause = self.pause.next;
        tracing::warn!(view = %self.status.borrow().view, reason, ?pause, "the view cannot go on and tries again");
        self.pause.next = (pause * 2).min(PAUSES.1);
        let since = *self.pause.since.get_or_insert_with(|| SystemClock.now());
        self.status
            .send_modify(|status| status.state = ViewState::Waiting { reason, since });
        let heard = {
            match select(pin!(self.commands.recv()), pin!(sleep(pause))).await {
                Either::Left((heard, _)) => heard,
                Either::Right(((), _)) => return Phase::Advance { again: false },
            }
        };
        match heard {
            None => Phase::End(None),
            Some(heard) => {
                let next = self.hear(heard).await;
                next.unwrap_or(Phase::Advance { again: false })
            }
        }
    }

    /// Does what it is told; gives what to do next, where that is something else than before.
    async fn hear(&mut self, (command, answer): (Command, Answer)) -> Option<Phase> {
        let (outcome, phase) = match command {
            Command::Stop => (Ok(()), Some(Phase::End(None))),
            Command::Pause => self.pause().await,
            Command::Resume => self.resume().await,
            Command::Rebuild => self.rebuild().await,
            Command::Skip { reason, by } => self.skip(reason, by).await,
        };
        // Whoever asked may have stopped listening.
        let _ = answer.send(outcome);
        phase
    }

    /// A parked view stands still already, and its reason is kept.
    async fn pause(&mut self) -> (Result<(), ControlError>, Option<Phase>) {
        if self.status.borrow().parked().is_some() {
            return (Ok(()), Some(Phase::Stand));
        }
        match self.kept.tell(Kept::Paused(true)).await {
            Ok(()) => {
                self.status
                    .send_modify(|status| status.state = ViewState::Paused);
                (Ok(()), Some(Phase::Stand))
            }
            Err(refused) => self.not_told(&refused),
        }
    }

    async fn resume(&mut self) -> (Result<(), ControlError>, Option<Phase>) {
        match self.kept.tell(Kept::Paused(false)).await {
            Ok(()) => {
                self.say_catching_up();
                (Ok(()), Some(Phase::Advance { again: true }))
            }
            Err(refused) => self.not_told(&refused),
        }
    }

    async fn rebuild(&mut self) -> (Result<(), ControlError>, Option<Phase>) {
        let told = Kept::Rebuilt {
            is_of_another_history: false,
        };
        let rebuilt = self.kept.tell(told).await;
        if let Err(refused) = rebuilt {
            return self.not_told(&refused);
        }
        let reason = "a person asked for it".to_owned();
        self.status
            .send_modify(|status| status.rebuilt = Some(reason));
        self.resume().await
    }

    async fn skip(
        &mut self,
        reason: String,
        by: String,
    ) -> (Result<(), ControlError>, Option<Phase>) {
        let parked = self.status.borrow().parked().cloned();
        let Some(parked) = parked else {
            let status = self.status.borrow();
            let refusal = ControlError::NotParked {
                view: status.view.clone(),
                status: status.state.to_string(),
            };
            return (Err(refusal), None);
        };
        let skipped = Skipped {
            bookmark: parked.bookmark,
            event_type: parked.event_type,
            reason,
            at: SystemClock.now(),
            by,
        };
        match self.kept.tell(Kept::Skipped(skipped)).await {
            Ok(()) => (Ok(()), Some(Phase::Advance { again: true })),
            Err(refused) => self.not_told(&refused),
        }
    }

    fn say_catching_up(&self) {
        self.status
            .send_modify(|status| status.state = ViewState::CatchingUp);
    }

    /// Another program may have parked it, of which the writer of this one has nothing to say.
    async fn say_parked(&self) {
        let Ok(Some(record)) = self.kept.record().await else {
            return;
        };
        if let Some(parked) = record.parked {
            self.status
                .send_modify(|status| status.state = ViewState::Parked(Box::new(parked)));
        }
    }

    fn not_told(&self, refused: &Unkept) -> (Result<(), ControlError>, Option<Phase>) {
        let refusal = ControlError::Storage {
            view: self.status.borrow().view.clone(),
            reason: reason_of(refused),
        };
        let phase = match refused {
            Unkept::Gone => Some(Phase::End(Some(GONE.to_owned()))),
            Unkept::Storage(_) => None,
        };
        (Err(refusal), phase)
    }
}

fn reason_of(refused: &Unkept) -> String {
    match refused {
        Unkept::Gone => GONE.to_owned(),
        Unkept::Storage(error) => ErrorChain(error).to_string(),
    }
}
