//! What is in the hut: each thing, and how many there are of it.

use cim_es::aggregate::{AggregateId, IdTextError};
use cim_es::prelude::*;

use self::{ItemCommand::*, ItemEvent::*};

/// The word on the label of a thing, by which everybody knows it.
#[derive(AggregateId, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Label(String);

impl Label {
    /// A label.
    ///
    /// # Errors
    /// [`IdTextError`] for an empty or too long one.
    pub fn new(word: &str) -> Result<Self, IdTextError> {
        cim_es::aggregate::IdText::new(word)?;
        Ok(Self(word.to_owned()))
    }
}

#[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
pub enum ItemState {
    #[state(initial)]
    #[on(Record / Recorded => Known)]
    Unknown,
    #[on(Recount / Recounted => _)]
    Known,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ItemEvent {
    /// It was seen for the first time.
    Recorded { count: u32 },
    /// It was counted again.
    Recounted { count: u32 },
}

#[derive(Command, Clone, Debug)]
pub enum ItemCommand {
    Record { count: u32 },
    Recount { count: u32 },
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "field", name = "item", id = Label, error = std::convert::Infallible)]
pub struct Item {
    pub state: ItemState,
    pub count: u32,
}

impl Decide for Item {
    fn decide(&self, command: ItemCommand, _: &Context) -> Decision<Self> {
        emit(match command {
            Record { count } => Recorded { count },
            Recount { count } => Recounted { count },
        })
    }
}
