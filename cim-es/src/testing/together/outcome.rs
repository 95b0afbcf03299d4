//! What commands on several aggregates led to, as a scenario compares and prints it.

use std::fmt;

use super::step::Step;
use crate::domain::ErrorChain;
use crate::repository::{Commit, TogetherError};
use crate::store::AggregateKey;
use crate::testing::scenario::{Answer, REPEATED, Shown, hidden_difference};

/// What a commit gave.
pub(super) type Committed = Result<Vec<Commit>, TogetherError>;

#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    /// The aggregates that get events, in one order whoever names them.
    Stored(Vec<(AggregateKey, Answer)>),
    /// A command, by its place from 1, and why it is refused.
    Refused {
        place: usize,
        answer: Answer,
    },
    /// What was to stay unchanged is not.
    Moved(AggregateKey),
    Failed(String),
}

impl Outcome {
    pub(super) fn stored(events: Vec<(AggregateKey, Vec<Shown>)>) -> Self {
        let mut stored: Vec<_> = events
            .into_iter()
            .filter(|(_, events)| !events.is_empty())
            .map(|(key, events)| (key, Answer::Events(events)))
            .collect();
        stored.sort_by_cached_key(|(key, _)| key.to_string());
        Self::Stored(stored)
    }

    pub(super) fn of(committed: Committed, steps: &[Box<dyn Step>]) -> Self {
        match committed {
            Ok(commits) if commits.iter().any(Commit::is_repeated) => {
                Self::Failed(REPEATED.to_owned())
            }
            Ok(commits) => {
                // Each aggregate once, as it was first named; its commands know how to show its events.
                let mut named: Vec<&AggregateKey> = Vec::new();
                for step in steps {
                    if !named.contains(&step.key()) {
                        named.push(step.key());
                    }
                }
                let of_command = |key: &AggregateKey| {
                    let mut steps = steps.iter();
                    steps.find(|step| step.key() == key && step.is_command())
                };
                let events = named.into_iter().zip(&commits).map(|(key, commit)| {
                    let step = of_command(key);
                    let shown = step.map(|step| step.shown(commit.events()));
                    (key.clone(), shown.unwrap_or_default())
                });
                Self::stored(events.collect())
            }
            Err(TogetherError::Command { place, reason, .. }) => {
                let step = steps.iter().filter(|step| step.is_command()).nth(place);
                let text = ErrorChain(&*reason).to_string();
                let answer = step.map_or(Answer::Failed(text), |step| step.answer(&*reason));
                let place = place + 1;
                Self::Refused { place, answer }
            }
            Err(TogetherError::Moved { aggregate, .. }) => Self::Moved(*aggregate),
            Err(error) => Self::Failed(ErrorChain(&error).to_string()),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stored(events) if events.is_empty() => f.write_str("nothing changes"),
            Self::Stored(events) => {
                let texts: Vec<_> = events
                    .iter()
                    .map(|(key, events)| format!("{key}: {events}"))
                    .collect();
                f.write_str(&texts.join("; "))
            }
            Self::Refused { place, answer } => write!(f, "command {place}: {answer}"),
            Self::Moved(key) => write!(f, "{key} was to stay unchanged, and has moved"),
            Self::Failed(error) => write!(f, "failed: {error}"),
        }
    }
}

#[track_caller]
pub(super) fn compare(place: &str, steps: &[String], expected: &Outcome, found: &Outcome) {
    assert!(
        found == expected,
        "{place}, after {}:\n  expected: {expected}\n     found: {found}{}",
        steps.join(", with "),
        alike(expected, found),
    );
}

/// What differs although it prints alike.
fn alike(expected: &Outcome, found: &Outcome) -> String {
    let (Outcome::Stored(expected), Outcome::Stored(found)) = (expected, found) else {
        return String::new();
    };
    let pairs = expected.iter().zip(found);
    let hidden = pairs.map(|((_, expected), (_, found))| hidden_difference(expected, found));
    hidden.collect()
}
