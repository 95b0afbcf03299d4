//! Deciding a command, without storing anything: the machine, the author's `decide`, and the check of what it emitted.

use super::ExecuteError;
use crate::domain::aggregate::{Command, Decide};
use crate::domain::event::DomainEvent;
use crate::domain::machine::StateMachine;
use crate::domain::message::Context;

/// Decides a command and checks what it emitted against the machine; no event when it changes nothing.
pub(crate) fn decide<A: Decide>(
    aggregate: &A,
    command: A::Command,
    context: &Context,
) -> Result<Vec<A::Event>, ExecuteError<A::Error>>
where
    A::Command: Clone,
{
    let state = aggregate.state();
    let name = command.name();
    if !state.can_accept(&command) {
        let accepted = state.accepted_commands();
        let state = state.name();
        return Err(ExecuteError::NotAccepted {
            state,
            command: name,
            accepted,
        });
    }
    let decided = aggregate.decide(command.clone(), context);
    let events = decided.map_err(ExecuteError::Refused)?;
    if events.is_empty_by_accident() {
        let state = state.name();
        return Err(ExecuteError::NoEvents {
            state,
            command: name,
        });
    }
    let events = events.into_vec();
    match undeclared::<A>(state, &command, &events) {
        Some(error) => Err(error),
        None => Ok(events),
    }
}

/// The first event for which the state reached so far has no edge under the command, or for a further event under
/// none.
fn undeclared<A: Decide>(
    mut state: A::State,
    command: &A::Command,
    events: &[A::Event],
) -> Option<ExecuteError<A::Error>> {
    for (place, event) in events.iter().enumerate() {
        let next = state
            .next(event)
            .ok()
            .filter(|_| state.allows(command, event, place > 0));
        let Some(next) = next else {
            return Some(ExecuteError::UndeclaredEvent {
                state: state.name(),
                command: command.name(),
                event: A::Event::VARIANTS[event.index()],
            });
        };
        state = next;
    }
    None
}
