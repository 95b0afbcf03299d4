//! What a person tells a view.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Phase, Runner};
use crate::domain::message::{Clock, SystemClock};
use crate::projection::home::{Before, Fault, Home};
use crate::projection::running::{Answer, Command};
use crate::projection::{ControlError, Skipped, ViewState};

impl<H: Home> Runner<H> {
    /// Does what it is told; gives what to do next, where that is something else than before.
    pub(super) async fn hear(&mut self, heard: Option<(Command, Answer)>) -> Option<Phase> {
        // Without a handle and a manager nobody is left who could read it.
        let Some((command, answer)) = heard else {
            return Some(Phase::End(None));
        };
        let is_elsewhere = self.status.borrow().state == ViewState::Standby;
        let (outcome, phase) = match command {
            Command::Skip { .. } | Command::Rebuild | Command::Resume if is_elsewhere => {
                let view = self.view();
                (Err(ControlError::ElsewhereKept { view }), None)
            }
            Command::Stop => (Ok(()), Some(Phase::End(None))),
            Command::Pause => (Ok(()), self.pause()),
            Command::Resume => (Ok(()), self.resume()),
            Command::Rebuild => self.rebuild().await,
            Command::Skip { reason, by } => self.skip(reason, by).await,
        };
        // Who asked looks at the status next, and is not to find there what was before.
        if let Some(Phase::Hold | Phase::Count) = phase {
            self.say(ViewState::CatchingUp);
        }
        // Whoever asked may have stopped listening.
        let _ = answer.send(outcome);
        phase
    }

    /// A parked view stands still already, and its reason is kept.
    fn pause(&mut self) -> Option<Phase> {
        if self.parked().is_none() {
            self.say(ViewState::Paused);
        }
        Some(Phase::Stand)
    }

    fn resume(&mut self) -> Option<Phase> {
        let is_counting = matches!(
            self.status.borrow().state,
            ViewState::Live | ViewState::CatchingUp
        );
        (!is_counting).then_some(Phase::Hold)
    }

    async fn rebuild(&mut self) -> (Result<(), ControlError>, Option<Phase>) {
        self.barrier = None;
        match self.home.rebuild(Before::Shown).await {
            Ok(()) => {
                self.say_where();
                let reason = "a person asked for it".to_owned();
                self.status
                    .send_modify(|status| status.rebuilt = Some(reason));
                (Ok(()), Some(Phase::Hold))
            }
            Err(fault) => self.not_told(fault),
        }
    }

    async fn skip(
        &mut self,
        reason: String,
        by: String,
    ) -> (Result<(), ControlError>, Option<Phase>) {
        let Some(parked) = self.parked() else {
            let refusal = ControlError::NotParked {
                view: self.view(),
                status: self.status.borrow().state.to_string(),
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
        if let Err(fault) = self.home.skip(&skipped).await {
            return self.not_told(fault);
        }
        let mut passed_over = BTreeSet::clone(&self.passed_over);
        passed_over.insert(skipped.bookmark.position);
        self.passed_over = Arc::new(passed_over);
        self.status
            .send_modify(|status| status.skipped.push(skipped));
        (Ok(()), Some(Phase::Count))
    }

    fn not_told(&self, fault: Fault) -> (Result<(), ControlError>, Option<Phase>) {
        let refusal = ControlError::Storage {
            view: self.view(),
            reason: fault.to_string(),
        };
        (Err(refusal), None)
    }
}
