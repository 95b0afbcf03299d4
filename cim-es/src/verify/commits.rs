//! Whole commits, checked over all aggregates, and found again behind what is damaged.

use serde::{Deserialize, Serialize};

use super::shown::Shown;
use crate::block::{CommitPart, CommitVerifier, Position, Verdict};

/// Checks commits in the store's order. After a fault it waits for the first event of a commit.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Commits {
    /// Made again from the events that stand behind `begun`.
    #[serde(skip)]
    verifier: CommitVerifier,
    /// Whether the events that come belong to a commit that cannot be counted any more.
    is_lost: bool,
    /// Where the commit begins of which events are still to come.
    begun: Option<Position>,
}

impl Commits {
    /// What a state keeps of it.
    pub(super) fn saved(&self) -> Self {
        Self {
            verifier: CommitVerifier::new(),
            is_lost: self.is_lost,
            begun: self.begun,
        }
    }

    /// Where reading has to begin so that it knows what it knew.
    pub(super) fn begun(&self) -> Option<Position> {
        self.begun
    }

    /// Whether events of a commit are still to come.
    pub(super) fn is_open(&self) -> bool {
        !self.is_lost && self.verifier.is_open()
    }

    /// Takes the next event.
    pub(super) fn accept(&mut self, event: &Shown) -> Option<Box<Verdict>> {
        if event.commit == CommitPart::ALONE && !self.verifier.is_open() {
            (self.is_lost, self.begun) = (false, None);
            return None;
        }
        self.accept_one_of_several(event).map(Box::new)
    }

    fn accept_one_of_several(&mut self, event: &Shown) -> Option<Verdict> {
        if self.is_lost && !event.commit.is_first_of_whole() {
            return None;
        }
        self.is_lost = false;
        let mut verdict = None;
        let mut accepted = self.accept_part(event);
        if accepted.is_err() && event.commit.is_first_of_whole() && self.verifier.is_open() {
            verdict = accepted.err();
            self.begin_anew();
            accepted = self.accept_part(event);
        }
        match accepted {
            Ok(true) => self.begun = None,
            Ok(false) => drop(self.begun.get_or_insert(event.position)),
            Err(refused) => {
                verdict = verdict.or(Some(refused));
                self.interrupt();
            }
        }
        verdict
    }

    fn accept_part(&mut self, event: &Shown) -> Result<bool, Verdict> {
        let aggregate = || (event.kind(), event.id());
        self.verifier
            .accept_part(event.place(), event.commit, event.timestamp, aggregate)
    }

    /// Says that an event cannot be read.
    pub(super) fn interrupt(&mut self) {
        self.begin_anew();
        self.is_lost = true;
    }

    /// Says that no event follows.
    pub(super) fn finish(&mut self) -> Option<Verdict> {
        let verifier = std::mem::take(&mut self.verifier);
        self.begun = None;
        match self.is_lost {
            true => None,
            false => verifier.finish().err(),
        }
    }

    fn begin_anew(&mut self) {
        self.verifier = CommitVerifier::new();
        self.begun = None;
    }
}
