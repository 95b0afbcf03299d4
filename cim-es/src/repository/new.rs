//! What commands decide, ready to be stored and folded.

use super::decide::{Decided, decide};
use super::{ExecuteError, LoadError, Root};
use crate::aggregate::{Aggregate, Command, Decide};
use crate::block::StoredEvent;
use crate::message::Context;
use crate::store::NewEvent;

/// The events that commands decided, as they are stored and as they are folded.
pub(super) struct New<A: Aggregate> {
    pub(super) encoded: Vec<NewEvent>,
    pub(super) fold: Fold<A>,
}

pub(super) enum Fold<A: Aggregate> {
    /// The aggregate after the events, where it is needed before they are stored: for the names that it then holds,
    /// and for the next command.
    Done(A),
    /// The events, to be folded once they are stored.
    Waiting(Vec<A::Event>),
}

impl<A: Decide> New<A>
where
    A::Command: Clone,
{
    /// Decides the commands, each on what the ones before it led to; none when they change nothing.
    pub(super) fn decided(
        root: &Root<A>,
        commands: &[A::Command],
        context: &Context,
    ) -> Result<Option<Self>, ExecuteError<A::Error>> {
        if let [command] = commands {
            return Self::of_one(&root.aggregate, command, context);
        }
        let (mut after, mut encoded) = (root.aggregate.clone(), Vec::new());
        for (place, command) in commands.iter().enumerate() {
            events_of(&after, command, &context.of_command(place))
                .and_then(|events| {
                    let Some((new, events)) = events else {
                        return Ok(());
                    };
                    encoded.extend(new);
                    Fold::Waiting(events).apply_to(&mut after, command)
                })
                .map_err(|error| ExecuteError::OneOfSeveral {
                    place,
                    of: commands.len(),
                    command: command.name(),
                    reason: Box::new(error),
                })?;
        }
        let fold = Fold::Done(after);
        Ok((!encoded.is_empty()).then_some(Self { encoded, fold }))
    }

    fn of_one(
        aggregate: &A,
        command: &A::Command,
        context: &Context,
    ) -> Result<Option<Self>, ExecuteError<A::Error>> {
        let Some((encoded, events)) = events_of(aggregate, command, context)? else {
            return Ok(None);
        };
        let fold = Fold::Waiting(events);
        if !A::HAS_UNIQUE_NAMES {
            return Ok(Some(Self { encoded, fold }));
        }
        let mut after = aggregate.clone();
        fold.apply_to(&mut after, command)?;
        let fold = Fold::Done(after);
        Ok(Some(Self { encoded, fold }))
    }
}

/// The events of one command as they are stored, and as they are read back; none when it changes nothing.
#[allow(
    clippy::type_complexity,
    reason = "the two belong together nowhere else"
)]
fn events_of<A: Decide>(
    aggregate: &A,
    command: &A::Command,
    context: &Context,
) -> Result<Option<(Vec<NewEvent>, Vec<A::Event>)>, ExecuteError<A::Error>>
where
    A::Command: Clone,
{
    let events = match decide(aggregate, command.clone(), context) {
        Decided::Events(events) => events,
        Decided::Nothing => return Ok(None),
        Decided::Refused(error) => return Err(error),
    };
    let events: Result<Vec<_>, _> = events.iter().map(NewEvent::and_read_back).collect();
    let events = events.map_err(ExecuteError::Payload)?;
    Ok(Some(events.into_iter().unzip()))
}

impl<A: Aggregate> New<A> {
    /// Brings an aggregate to where it is once the events are stored.
    pub(super) fn fold_into(
        self,
        root: &mut Root<A>,
        stored: &[StoredEvent],
    ) -> Result<(), LoadError> {
        match self.fold {
            Fold::Waiting(events) => {
                let mut events = events.into_iter().zip(stored);
                events.try_for_each(|(event, stored)| root.take(event, stored))
            }
            Fold::Done(after) => {
                root.aggregate = after;
                stored.iter().for_each(|stored| root.note(stored));
                Ok(())
            }
        }
    }
}

impl<A: Aggregate> Fold<A> {
    /// Brings the aggregate that the command was decided on to where it is after the events.
    fn apply_to(
        self,
        aggregate: &mut A,
        command: &A::Command,
    ) -> Result<(), ExecuteError<A::Error>> {
        match self {
            Self::Done(after) => *aggregate = after,
            Self::Waiting(events) => {
                for event in events {
                    let applied = aggregate.apply(event);
                    applied.map_err(|unexpected| ExecuteError::UndeclaredEvent {
                        state: unexpected.state,
                        command: command.name(),
                        event: unexpected.event,
                    })?;
                }
            }
        }
        Ok(())
    }
}
