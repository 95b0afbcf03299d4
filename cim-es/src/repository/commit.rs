//! What a command led to.

use super::loaded::read;
use super::{LoadError, Recorded};
use crate::block::StoredEvent;
use crate::domain::event::DomainEvent;
use crate::store::Position;

/// What a command led to: the events as they are stored, each with its CID, and the version after them.
#[derive(Clone, Debug)]
pub struct Commit {
    pub(super) events: Vec<StoredEvent>,
    pub(super) version: u64,
    pub(super) is_repeated: bool,
}

impl Commit {
    /// What an earlier message stored.
    pub(super) fn earlier(events: Vec<StoredEvent>) -> Self {
        Self {
            version: events.last().map_or(0, |event| event.envelope.sequence),
            events,
            is_repeated: true,
        }
    }

    /// The events of the commit in order; empty for a command that was accepted and changes nothing.
    pub fn events(&self) -> &[StoredEvent] {
        &self.events
    }

    /// The events as the author declared them, in order; of an earlier commit, each as what it is read as today.
    ///
    /// ```
    /// # use cim_es::prelude::*;
    /// # #[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
    /// # enum LampState { #[state(initial)] #[on(Switch / Switched => _)] Any }
    /// # #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
    /// # enum LampEvent { Switched { on: bool } }
    /// # #[derive(Command, Clone, Debug)]
    /// # enum LampCommand { Switch }
    /// # #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
    /// # #[aggregate(domain = "home", name = "lamp")]
    /// # struct Lamp { state: LampState, on: bool }
    /// # impl Decide for Lamp {
    /// #     fn decide(&self, _: LampCommand, _: &Context) -> Decision<Self> {
    /// #         emit(LampEvent::Switched { on: !self.on })
    /// #     }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let lamps = Repository::<Lamp>::new(MemoryEventStore::new());
    /// let request = MessageIdentity::new_from_user("me");
    /// let commit = lamps.execute(&Id::new(), LampCommand::Switch, &request).await?;
    /// assert_eq!(commit.typed::<LampEvent>()?, [LampEvent::Switched { on: true }]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`LoadError::Unreadable`] for an event that this program cannot read, as an earlier commit may have.
    pub fn typed<E: DomainEvent>(&self) -> Result<Vec<E>, LoadError> {
        let mut typed = Vec::with_capacity(self.events.len());
        for stored in &self.events {
            typed.extend(read(stored)?);
        }
        Ok(typed)
    }

    /// The events as the author declared them, each with what is stored of it.
    ///
    /// # Errors
    /// As [`typed`](Self::typed).
    pub fn recorded<E: DomainEvent>(&self) -> Result<Vec<Recorded<E>>, LoadError> {
        Recorded::all(self.events.iter().cloned())
    }

    /// The position of its last event in the store, for who waits until a view has counted it; the start for a commit
    /// without events.
    pub fn position(&self) -> Position {
        self.events
            .last()
            .map_or(Position::START, |event| event.position)
    }

    /// The version of the aggregate after the commit.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether the command had taken effect before: the events are those of that time, and nothing was stored now.
    pub fn is_repeated(&self) -> bool {
        self.is_repeated
    }
}
