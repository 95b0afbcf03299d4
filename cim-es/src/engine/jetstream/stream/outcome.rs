//! What comes of a commit: the next step after each answer of a server, and after each look at the leader's history.
//!
//! An outcome is known only when it was seen. A message without an answer may be stored later. A refusal is no better:
//! while the servers elect a leader two of them can take the same message, one that refuses it and one that stores it,
//! and the refusal can be the answer that comes. So every refusal leads to a look at what stands behind the values that
//! the guards had, and only what is seen there, or a single server without replicas, decides.
//!
//! ```text
//! send ── stored ──────────────────────────────> done      (a batch on one server: looked at first)
//!   │  ── refused, silent, known ──> look ── this commit ──> done
//!   │                                  │  ── another event ──> moved: the guard can never be met again
//!   └<── pause <── nothing there ──────┘  ── a part of it ──> damaged
//! ```

use std::time::Duration;

use crate::domain::ErrorChain;
use crate::engine::jetstream::api::{ApiFailure, Class, errors};
use crate::engine::jetstream::retry::DEPOSED;
use crate::store::StoreError;

/// What one attempt came to, as far as its answer says.
#[derive(Debug)]
pub(super) enum Answer {
    /// The server says that it has stored the commit, the last event at this sequence.
    Stored(u64),
    /// The server says that it knows the message ids.
    Known,
    /// A server refused the attempt.
    Refused(ApiFailure),
    /// The attempt reached no server that could have stored it.
    NotSent(ApiFailure),
    /// There was no answer, or none that can be read.
    Silent(ApiFailure),
}

/// What the leader has behind the values that the guards had.
#[derive(Debug)]
pub(super) enum Found {
    /// This commit, its last event at this sequence.
    Commit(u64),
    /// A part of this commit, from this sequence on.
    Part(u64),
    /// Another event: this commit can no longer be stored.
    Another,
    /// Nothing.
    Nothing,
    /// Less than the guards say, and for how long it was so.
    Less(Duration),
    /// The leader could not be asked.
    Unseen,
    /// What is there cannot be read.
    Unreadable(StoreError),
}

/// What is known so far, or becomes known.
#[derive(Debug)]
pub(super) enum Input {
    Answer(Answer),
    Found(Found),
    /// There is no time for another attempt.
    Late,
}

/// What to do next.
#[derive(Debug)]
pub(super) enum Step {
    /// The commit is stored, its last event at this sequence.
    Done(u64),
    /// Look whether all of it is stored up to this sequence, as the server says.
    Check(u64),
    /// Look at what the leader has.
    Look,
    /// Send the same bytes again after a pause.
    Again,
    /// Another event stands behind a guard: seal again on what is there now.
    Moved,
    /// Tell the caller.
    Fail(End),
}

/// How a commit ends that is not stored.
#[derive(Debug)]
pub(super) enum End {
    /// Nothing of it is stored, and nothing will be.
    Refused(ApiFailure),
    /// Nothing of it is stored; it may be sent again.
    Busy(String),
    /// It is not known.
    Unknown(String),
    /// A part of it is stored, from this sequence on.
    Part(u64),
}

/// What is known of a commit that is on its way.
#[derive(Debug)]
pub(super) struct Progress {
    /// Whether several servers keep the stream, so that one can refuse what another stores.
    is_replicated: bool,
    /// Whether it is sent as a batch.
    is_batch: bool,
    /// Why an attempt may be stored that was not seen.
    silent: Option<String>,
    /// The last refusal, and how many looks in a row showed nothing behind one that does not pass.
    refused: Option<ApiFailure>,
    fruitless: u32,
    /// The sequence of a part that was seen.
    part: Option<u64>,
    last: String,
}

impl Progress {
    pub(super) fn new(is_replicated: bool, is_batch: bool) -> Self {
        Self {
            is_replicated,
            is_batch,
            silent: None,
            refused: None,
            fruitless: 0,
            part: None,
            last: String::new(),
        }
    }

    /// The next step. It asks no server and no clock.
    pub(super) fn next(&mut self, input: Input) -> Step {
        match input {
            Input::Answer(answer) => self.answered(answer),
            Input::Found(found) => self.looked(found),
            Input::Late => Step::Fail(self.late()),
        }
    }

    fn answered(&mut self, answer: Answer) -> Step {
        match answer {
            // One server stores the messages of a batch one by one, up to a limit that is reached in the middle.
            Answer::Stored(last) if self.is_batch && !self.is_replicated => Step::Check(last),
            Answer::Stored(last) => Step::Done(last),
            Answer::Known => self.is_silent("the server knows the message ids".to_owned()),
            Answer::Silent(failure) => self.is_silent(failure.to_string()),
            Answer::NotSent(failure) if self.is_open() => {
                self.last = failure.to_string();
                Step::Look
            }
            Answer::NotSent(failure)
                if failure.is_transient() || matches!(failure, ApiFailure::Client(_)) =>
            {
                self.last = failure.to_string();
                Step::Again
            }
            Answer::NotSent(failure) => Step::Fail(End::Refused(failure)),
            Answer::Refused(failure)
                if failure.has_error(errors::BATCH_REPEATS)
                    || failure.has_error(errors::DUPLICATE_IN_FLIGHT) =>
            {
                self.is_silent(failure.to_string())
            }
            Answer::Refused(failure) => {
                self.last = failure.to_string();
                self.refused = Some(failure);
                Step::Look
            }
        }
    }

    fn is_silent(&mut self, reason: String) -> Step {
        self.last.clone_from(&reason);
        self.silent = Some(reason);
        self.refused = None;
        Step::Look
    }

    fn looked(&mut self, found: Found) -> Step {
        match found {
            Found::Commit(last) => Step::Done(last),
            Found::Another => Step::Moved,
            // A replica may have applied the rest of it a moment later; a single server has what it has.
            Found::Part(first) if !self.is_replicated => Step::Fail(End::Part(first)),
            Found::Part(first) => {
                self.part = Some(first);
                Step::Again
            }
            Found::Less(time) if !self.is_replicated || time >= DEPOSED => Step::Moved,
            Found::Nothing => self.nothing(),
            Found::Less(_) | Found::Unseen => Step::Again,
            Found::Unreadable(error) => Step::Fail(match self.is_open() {
                true => End::Unknown(format!("{}; then: {}", self.last, ErrorChain(&error))),
                false => End::Busy(ErrorChain(&error).to_string()),
            }),
        }
    }

    /// Nothing stands behind the guards, as far as the server that was asked knows.
    fn nothing(&mut self) -> Step {
        let may_pass =
            |failure: &ApiFailure| matches!(failure.class(), Class::Transient | Class::Conflict);
        let Some(refused) = self.refused.take_if(|refused| !may_pass(refused)) else {
            return Step::Again;
        };
        self.fruitless += 1;
        // Where another server may have taken the message, it is asked twice.
        let is_settled = !self.is_replicated || self.fruitless > 1;
        match &self.silent {
            _ if !is_settled => Step::Again,
            None => Step::Fail(End::Refused(refused)),
            Some(reason) => Step::Fail(End::Unknown(format!("{reason}; then: {refused}"))),
        }
    }

    /// Whether an attempt may be stored that was not seen.
    fn is_open(&self) -> bool {
        self.silent.is_some() || (self.is_replicated && self.refused.is_some())
    }

    fn late(&mut self) -> End {
        let reason = std::mem::take(&mut self.last);
        match self.part {
            Some(first) => End::Part(first),
            None if self.is_open() => End::Unknown(self.silent.take().unwrap_or(reason)),
            None => End::Busy(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(error: u64, code: u16) -> Input {
        Input::Answer(Answer::Refused(ApiFailure::Refused {
            code,
            error,
            description: format!("error {error}"),
        }))
    }

    fn silent() -> Input {
        Input::Answer(Answer::Silent(ApiFailure::TimedOut(Duration::ZERO)))
    }

    fn replicated() -> Progress {
        Progress::new(true, false)
    }

    fn alone() -> Progress {
        Progress::new(false, false)
    }

    const CONFLICTS: [u64; 2] = [10071, 10164];

    #[test]
    fn a_refused_guard_is_looked_at_before_it_is_believed() {
        for error in CONFLICTS {
            for mut progress in [alone(), replicated()] {
                assert!(matches!(progress.next(refused(error, 400)), Step::Look));
                let stored = progress.next(Input::Found(Found::Commit(7)));
                assert!(matches!(stored, Step::Done(7)), "{stored:?}");
            }
        }
    }

    #[test]
    fn a_guard_has_moved_once_another_event_was_seen_behind_it() {
        for error in CONFLICTS {
            let mut progress = replicated();
            progress.next(refused(error, 400));
            assert!(matches!(
                progress.next(Input::Found(Found::Nothing)),
                Step::Again
            ));
            progress.next(refused(error, 400));
            let moved = progress.next(Input::Found(Found::Another));
            assert!(matches!(moved, Step::Moved), "{moved:?}");
        }
    }

    #[test]
    fn a_refused_guard_behind_which_nothing_is_seen_in_time_leaves_the_outcome_open() {
        let mut progress = replicated();
        progress.next(refused(10071, 400));
        progress.next(Input::Found(Found::Nothing));
        let late = progress.next(Input::Late);
        assert!(matches!(late, Step::Fail(End::Unknown(_))), "{late:?}");
        let mut alone = alone();
        alone.next(refused(10164, 400));
        alone.next(Input::Found(Found::Nothing));
        let late = alone.next(Input::Late);
        assert!(matches!(late, Step::Fail(End::Busy(_))), "{late:?}");
    }

    #[test]
    fn what_the_server_knows_already_is_looked_for() {
        for input in [
            refused(10158, 409),
            refused(10201, 400),
            Input::Answer(Answer::Known),
        ] {
            let mut progress = alone();
            assert!(matches!(progress.next(input), Step::Look));
            progress.next(Input::Found(Found::Nothing));
            let late = progress.next(Input::Late);
            assert!(matches!(late, Step::Fail(End::Unknown(_))), "{late:?}");
        }
    }

    #[test]
    fn a_full_stream_is_full_only_when_nothing_of_the_commit_is_there() {
        let mut alone = Progress::new(false, true);
        assert!(matches!(alone.next(refused(10077, 503)), Step::Look));
        let part = alone.next(Input::Found(Found::Part(3)));
        assert!(matches!(part, Step::Fail(End::Part(3))), "{part:?}");
        let mut alone = Progress::new(false, true);
        alone.next(refused(10077, 503));
        let full = alone.next(Input::Found(Found::Nothing));
        assert!(matches!(full, Step::Fail(End::Refused(_))), "{full:?}");
    }

    #[test]
    fn a_refusal_by_one_of_several_servers_is_asked_for_twice() {
        let mut progress = replicated();
        progress.next(refused(10109, 400));
        assert!(matches!(
            progress.next(Input::Found(Found::Nothing)),
            Step::Again
        ));
        progress.next(refused(10109, 400));
        let sealed = progress.next(Input::Found(Found::Nothing));
        assert!(matches!(sealed, Step::Fail(End::Refused(_))), "{sealed:?}");
    }

    #[test]
    fn a_refusal_behind_a_lost_answer_leaves_the_outcome_open() {
        let mut progress = alone();
        progress.next(silent());
        progress.next(Input::Found(Found::Nothing));
        progress.next(refused(10077, 503));
        let unknown = progress.next(Input::Found(Found::Nothing));
        assert!(
            matches!(unknown, Step::Fail(End::Unknown(_))),
            "{unknown:?}"
        );
    }

    #[test]
    fn what_reached_no_server_is_sent_again_and_was_not_stored() {
        let mut progress = replicated();
        let unheard = || Input::Answer(Answer::NotSent(ApiFailure::NoResponders));
        assert!(matches!(progress.next(unheard()), Step::Again));
        let late = progress.next(Input::Late);
        assert!(matches!(late, Step::Fail(End::Busy(_))), "{late:?}");
        progress.next(silent());
        assert!(matches!(progress.next(unheard()), Step::Look));
    }

    #[test]
    fn a_batch_that_one_server_acknowledged_is_looked_at() {
        let stored = || Input::Answer(Answer::Stored(9));
        let mut batch = Progress::new(false, true);
        assert!(matches!(batch.next(stored()), Step::Check(9)));
        for mut progress in [alone(), replicated(), Progress::new(true, true)] {
            assert!(matches!(progress.next(stored()), Step::Done(9)));
        }
    }

    #[test]
    fn a_leader_that_knows_less_than_the_guards_say_is_believed_once_it_cannot_be_deposed() {
        let less = |time| Input::Found(Found::Less(time));
        let mut progress = replicated();
        progress.next(refused(10071, 400));
        assert!(matches!(progress.next(less(Duration::ZERO)), Step::Again));
        assert!(matches!(progress.next(less(DEPOSED)), Step::Moved));
        let mut alone = alone();
        alone.next(refused(10071, 400));
        assert!(matches!(alone.next(less(Duration::ZERO)), Step::Moved));
    }

    #[test]
    fn a_part_of_a_commit_on_several_servers_may_become_whole() {
        let mut progress = Progress::new(true, true);
        progress.next(silent());
        assert!(matches!(
            progress.next(Input::Found(Found::Part(3))),
            Step::Again
        ));
        let late = progress.next(Input::Late);
        assert!(matches!(late, Step::Fail(End::Part(3))), "{late:?}");
    }
}
