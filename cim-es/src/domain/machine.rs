//! The lifecycle of an aggregate: a Mealy machine on its edges, a Moore machine in its states.

pub use cim_es_derive::StateMachine;

use crate::domain::aggregate::Command;
use crate::domain::event::DomainEvent;

/// One edge of a machine as it was declared: in `from`, `command` may emit `event`, which leads to `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The state in which the edge starts.
    pub from: &'static str,
    /// The command that takes the edge; none for an edge that only a further event of a commit, or history, takes.
    pub command: Option<&'static str>,
    /// The event that moves the aggregate along the edge.
    pub event: &'static str,
    /// The state in which the edge ends.
    pub to: &'static str,
}

/// The states of an aggregate and the edges between them; `#[derive(StateMachine)]` writes it.
///
/// One table of transitions feeds [`can_accept`](Self::can_accept), [`next`](Self::next), the fold of the aggregate,
/// the test kit and the diagram.
///
/// It asks for no other derive on the enum, which needs only what the aggregate's own derives ask of the field `state`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a state machine",
    label = "this type has no declared states and edges",
    note = "add `#[derive(StateMachine)]` to the enum of states"
)]
pub trait StateMachine: Default + Send + Sync + 'static {
    /// The events that move the machine.
    type Event: DomainEvent;
    /// The commands that the machine accepts or refuses.
    type Command: Command;
    /// What a state tells the outside (Moore); `()` when the machine declares no output.
    type Output;

    /// The names of the states, in order of declaration.
    const STATES: &'static [&'static str];
    /// The edges, in order of declaration.
    const EDGES: &'static [Edge];
    /// The name of the initial state, which is also the default.
    const INITIAL: &'static str;
    /// The machine as a Mermaid `stateDiagram-v2`.
    const DIAGRAM: &'static str;
    /// A digest of the machine's declaration, part of the tag of snapshots.
    const FINGERPRINT: u64;
    /// The transitions by index, resolved from the names at compile time.
    #[doc(hidden)]
    const TRANSITIONS: &'static [Transition];
    /// `NEXT[state * EVENTS + event]` is the next state, or [`NO_EDGE`].
    #[doc(hidden)]
    const NEXT: &'static [u16];
    /// Set when the declaration has errors: what builds on it is then not checked, so one mistake gives one error.
    #[doc(hidden)]
    const BROKEN: bool = false;

    /// The place of this state in [`STATES`](Self::STATES).
    fn index(&self) -> usize;
    /// The state at a place in [`STATES`](Self::STATES).
    fn from_index(index: usize) -> Option<Self>;
    /// This state once more.
    #[doc(hidden)]
    fn copied(&self) -> Self;
    /// What this state tells the outside.
    fn output(&self) -> Self::Output;
    /// Whether nothing leaves this state.
    fn is_terminal(&self) -> bool;

    /// The name of this state.
    fn name(&self) -> &'static str {
        Self::STATES[self.index()]
    }

    /// Whether this state has an edge for the command.
    fn can_accept(&self, command: &Self::Command) -> bool {
        let (state, command) = (self.index() as u16, command.index() as u16);
        Self::TRANSITIONS
            .iter()
            .any(|edge| edge.from == state && edge.command == Some(command))
    }

    /// The commands for which this state has an edge, in order of declaration, each once.
    fn accepted_commands(&self) -> Vec<&'static str> {
        let mut commands = Vec::new();
        for edge in Self::EDGES.iter().filter(|edge| edge.from == self.name()) {
            if let Some(command) = edge.command
                && !commands.contains(&command)
            {
                commands.push(command);
            }
        }
        commands
    }

    /// The state after the event.
    ///
    /// # Errors
    /// [`UnexpectedEvent`] when this state has no edge for the event.
    fn next(&self, event: &Self::Event) -> Result<Self, UnexpectedEvent> {
        let event = event.index();
        let events = <Self::Event as DomainEvent>::VARIANTS;
        let next = Self::NEXT[self.index() * events.len() + event];
        Self::from_index(usize::from(next)).ok_or(UnexpectedEvent {
            state: self.name(),
            event: events[event],
        })
    }

    /// Whether the event may follow in this state from the command, or, for a further event of the same commit
    /// (`further`), from no command at all.
    fn allows(&self, command: &Self::Command, event: &Self::Event, further: bool) -> bool {
        let (state, command, event) = (
            self.index() as u16,
            command.index() as u16,
            event.index() as u16,
        );
        Self::TRANSITIONS.iter().any(|edge| {
            edge.from == state
                && edge.event == event
                && (edge.command == Some(command) || (further && edge.command.is_none()))
        })
    }
}

/// An edge by the places of its state, command and event.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    pub from: u16,
    pub command: Option<u16>,
    pub event: u16,
    pub to: u16,
}

/// Stands in [`StateMachine::NEXT`] where a state has no edge for an event.
#[doc(hidden)]
pub const NO_EDGE: u16 = u16::MAX;

/// An event met a state that has no edge for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "state `{state}` has no edge for event `{event}`: declare it with `#[on(/ {event} => …)]`, or correct the history's machine"
)]
pub struct UnexpectedEvent {
    /// The state in which the event was met.
    pub state: &'static str,
    /// The event's variant.
    pub event: &'static str,
}
