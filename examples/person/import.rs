//! Recording what the cards of a file say: each card is one commit, or none.

use std::collections::BTreeMap;
use std::error::Error;

use cim_es::ErrorChain;
use cim_es::message::{Clock, SystemClock};
use cim_es::prelude::*;
use cim_es::repository::{ExecuteError, LoadError};
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::values::{Label, Reason};
use super::vcard::{BadCard, Card, Cards};
use super::{Person, PersonCommand, PersonError};

/// How many cards are worked on at a time: stores write several commits in the time of one.
const AT_ONCE: usize = 32;

/// What became of the cards of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// People who were not known before.
    pub new: usize,
    /// People of whom something was new or different.
    pub changed: usize,
    /// People who are known as the file has them.
    pub unchanged: usize,
    /// People whose records are archived or merged: they stay as they are.
    pub closed: usize,
    /// The events that were recorded, by their types.
    pub events: BTreeMap<String, usize>,
    /// The cards that could not be read or were refused, in the order of the file.
    pub bad: Vec<BadCard>,
}

/// Whether one bad card keeps the others from being imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Every good card is imported.
    EachCard,
    /// All cards are checked first, against the people who are known; when one is bad, nothing is recorded. Somebody who
    /// changes the same people in that time can still bring about a refusal behind the check.
    AllOrNothing,
}

/// Why an import ended early. What was recorded by then stays, and the next import goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A person could not be loaded for the check.
    #[error("the card at line {line} was not taken")]
    Load {
        /// The line of the card.
        line: usize,
        /// What went wrong.
        source: LoadError,
    },
    /// The store did not take a card, or could not be read.
    #[error("the card at line {line} was not taken")]
    Execute {
        /// The line of the card.
        line: usize,
        /// What went wrong.
        source: Box<ExecuteError<PersonError>>,
    },
}

/// What became of one card.
enum Taken {
    New(Vec<String>),
    Changed(Vec<String>),
    Unchanged,
    Closed,
    Bad(BadCard),
}

/// Records what the cards say about people. `progress` is told of each card that is done, and in
/// [`Mode::AllOrNothing`] also of each that is checked.
///
/// A second import of the same file changes nothing: what a person is already known for gives no event.
///
/// # Errors
/// [`ImportError`] for what is no fault of a card.
pub async fn import(
    persons: &Repository<Person>,
    cards: &Cards,
    source: &Label,
    mode: Mode,
    progress: impl Fn(),
) -> Result<Outcome, ImportError> {
    let mut outcome = Outcome {
        bad: cards.bad.clone(),
        ..Outcome::default()
    };
    let root = &MessageIdentity::new_from_user("vcard import");
    // By their places: a closure over references would keep the future from being sent to another thread.
    let places = || stream::iter(0..cards.people.len());
    if mode == Mode::AllOrNothing {
        let checks = places().map(|at| check(persons, &cards.people[at], source, root));
        let mut checks = checks.buffer_unordered(AT_ONCE);
        while let Some(refused) = checks.try_next().await? {
            progress();
            outcome.bad.extend(refused);
        }
        if !outcome.bad.is_empty() {
            outcome.bad.sort_by_key(|bad| bad.line);
            return Ok(outcome);
        }
    }
    let taken = places().map(|at| take(persons, &cards.people[at], source, root));
    let mut taken = taken.buffer_unordered(AT_ONCE);
    while let Some(taken) = taken.try_next().await? {
        progress();
        outcome.count(taken);
    }
    outcome.bad.sort_by_key(|bad| bad.line);
    Ok(outcome)
}

impl Outcome {
    fn count(&mut self, taken: Taken) {
        let events = match taken {
            Taken::New(events) => {
                self.new += 1;
                events
            }
            Taken::Changed(events) => {
                self.changed += 1;
                events
            }
            Taken::Unchanged => return self.unchanged += 1,
            Taken::Closed => return self.closed += 1,
            Taken::Bad(bad) => return self.bad.push(bad),
        };
        for event in events {
            *self.events.entry(event).or_default() += 1;
        }
    }
}

fn bad(card: &Card, error: &(impl Error + 'static)) -> BadCard {
    BadCard {
        line: card.line,
        reason: ErrorChain(error).to_string(),
    }
}

fn command(card: &Card, source: &Label) -> Result<PersonCommand, ValueError> {
    let reason: Reason = match &card.revision {
        Some(revision) => format!("in {source}, revision {revision}").parse()?,
        None => format!("in {source}").parse()?,
    };
    Ok(PersonCommand::Import {
        record: card.record.clone(),
        source: source.clone(),
        reason,
    })
}

async fn take(
    persons: &Repository<Person>,
    card: &Card,
    source: &Label,
    root: &MessageIdentity,
) -> Result<Taken, ImportError> {
    let command = match command(card, source) {
        Ok(command) => command,
        Err(error) => return Ok(Taken::Bad(bad(card, &error))),
    };
    let identity = MessageIdentity::caused_by(root);
    let commit = match persons.execute(&card.id, command, &identity).await {
        Ok(commit) => commit,
        Err(ExecuteError::NotAccepted { .. }) => return Ok(Taken::Closed),
        Err(ExecuteError::Refused(error)) => return Ok(Taken::Bad(bad(card, &error))),
        Err(ExecuteError::Payload(error)) => return Ok(Taken::Bad(bad(card, &error))),
        Err(source) => {
            let (line, source) = (card.line, Box::new(source));
            return Err(ImportError::Execute { line, source });
        }
    };
    let types: Vec<_> = commit
        .events()
        .iter()
        .map(|event| event.event_type().to_owned())
        .collect();
    Ok(match types.len() as u64 {
        0 => Taken::Unchanged,
        all if all == commit.version() => Taken::New(types),
        _ => Taken::Changed(types),
    })
}

/// Decides a card without recording anything; gives why it would be refused.
async fn check(
    persons: &Repository<Person>,
    card: &Card,
    source: &Label,
    root: &MessageIdentity,
) -> Result<Option<BadCard>, ImportError> {
    let line = card.line;
    let command = match command(card, source) {
        Ok(command) => command,
        Err(error) => return Ok(Some(bad(card, &error))),
    };
    let loaded = persons.load(&card.id).await;
    let person = loaded.map_err(|source| ImportError::Load { line, source })?;
    if person.state().is_terminal() {
        return Ok(None);
    }
    let context = Context::new(MessageIdentity::caused_by(root), SystemClock.now());
    let decided = person.decide(command, &context);
    Ok(decided.err().map(|error| bad(card, &error)))
}
