//! What commands led to, as a scenario compares and prints it.

use std::fmt::{self, Debug};

use crate::block::StoredEvent;
use crate::block::payload::differing_path;
use crate::domain::ErrorChain;
use crate::domain::aggregate::UniqueName;
use crate::domain::event::DomainEvent;
use crate::repository::ExecuteError;
use crate::store::NewEvent;

/// What a command led to, in a form that compares and prints.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    Events(Vec<Shown>),
    Refused {
        /// As it prints for a programmer and for a user: one of them may hide a part.
        error: String,
        message: String,
    },
    NotAccepted,
    NameTaken(UniqueName),
    Failed(String),
}

/// An event as it is stored, which counts, and as it prints, which may hide a part or order it otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    event_type: String,
    schema: u32,
    payload: Vec<u8>,
    text: String,
}

impl Shown {
    pub(crate) fn new<E: Debug>(stored: &NewEvent, event: &E) -> Self {
        Self {
            event_type: stored.event_type.clone(),
            schema: stored.schema,
            payload: stored.payload.clone(),
            text: format!("{event:?}"),
        }
    }

    pub(crate) fn to_new(&self) -> NewEvent {
        NewEvent::from_payload(self.event_type.clone(), self.schema, self.payload.clone())
    }

    pub(crate) fn of_stored<E: DomainEvent + Debug>(stored: &StoredEvent) -> Self {
        Self {
            event_type: stored.event_type().to_owned(),
            schema: stored.envelope.schema,
            payload: stored.payload().to_owned(),
            text: match stored.decode_all::<E>() {
                Ok(events) => {
                    let events = events.iter().map(|event| format!("{event:?}"));
                    events.collect::<Vec<_>>().join(", ")
                }
                Err(error) => error.to_string(),
            },
        }
    }
}

impl PartialEq for Shown {
    fn eq(&self, other: &Self) -> bool {
        (&self.event_type, self.schema, &self.payload)
            == (&other.event_type, other.schema, &other.payload)
    }
}

#[track_caller]
pub(crate) fn compare(place: &str, commands: &[impl Debug], expected: &Answer, found: &Answer) {
    let commands: Vec<_> = commands.iter().map(|it| format!("{it:?}")).collect();
    let commands = commands.join(", then ");
    assert!(
        found == expected,
        "{place}, after {commands}:\n  expected: {expected}\n     found: {found}{}",
        hidden_difference(expected, found),
    );
}

/// What differs although it prints alike.
pub(crate) fn hidden_difference(expected: &Answer, found: &Answer) -> String {
    if expected.to_string() != found.to_string() {
        return String::new();
    }
    let (Answer::Events(expected), Answer::Events(found)) = (expected, found) else {
        return String::new();
    };
    let mut pairs = expected.iter().zip(found).enumerate();
    match pairs.find(|(_, (expected, found))| expected != found) {
        Some((place, (expected, found))) => format!(
            "\n  both print alike, but are stored otherwise: event {}, at `{}`",
            place + 1,
            differing_path(&expected.payload, &found.payload)
        ),
        None => String::new(),
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Events(events) if events.is_empty() => f.write_str("nothing changes"),
            Self::Events(events) => {
                let texts: Vec<_> = events.iter().map(|event| event.text.as_str()).collect();
                f.write_str(&texts.join(", "))
            }
            Self::Refused { error, .. } => write!(f, "refused: {error}"),
            Self::NotAccepted => f.write_str("not accepted in the present state"),
            Self::NameTaken(name) => write!(f, "refused: {name} is held by another"),
            Self::Failed(error) => write!(f, "failed: {error}"),
        }
    }
}

pub(crate) fn refused<E: std::error::Error>(error: &E) -> Answer {
    Answer::Refused {
        error: format!("{error:?}"),
        message: error.to_string(),
    }
}

pub(crate) fn refusal<E: std::error::Error>(error: &ExecuteError<E>) -> Answer {
    match error {
        ExecuteError::Refused(error) => refused(error),
        ExecuteError::NotAccepted { .. } => Answer::NotAccepted,
        ExecuteError::OneOfSeveral { reason, .. } => refusal(reason),
        ExecuteError::NameTaken { name, .. } => Answer::NameTaken(name.clone()),
        error => Answer::Failed(ErrorChain(error).to_string()),
    }
}
