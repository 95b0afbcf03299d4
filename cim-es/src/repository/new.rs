//! What commands decide, ready to be stored and folded.

use super::decide::decide;
use super::{ExecuteError, LoadError, Root};
use crate::block::StoredEvent;
use crate::domain::aggregate::{Aggregate, Command, Decide};
use crate::domain::message::Context;
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
            decide(&after, command.clone(), &context.of_command(place))
                .and_then(|events| {
                    let (new, events): (Vec<_>, Vec<_>) = encode::<A>(&events)?.into_iter().unzip();
                    encoded.extend(new);
                    apply(&mut after, command.name(), events)
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
        let events = decide(aggregate, command.clone(), context)?;
        let (encoded, events): (Vec<_>, Vec<_>) = encode::<A>(&events)?.into_iter().unzip();
        if encoded.is_empty() {
            return Ok(None);
        }
        if !A::HAS_UNIQUE_NAMES {
            let fold = Fold::Waiting(events);
            return Ok(Some(Self { encoded, fold }));
        }
        let mut after = aggregate.clone();
        apply(&mut after, command.name(), events)?;
        let fold = Fold::Done(after);
        Ok(Some(Self { encoded, fold }))
    }
}

/// An event as it is stored, and as it is read back.
type Encoded<A> = (NewEvent, <A as Aggregate>::Event);

/// The events that a command gave, to be stored and to be folded.
pub(super) fn encode<A: Aggregate>(
    events: &[A::Event],
) -> Result<Vec<Encoded<A>>, ExecuteError<A::Error>> {
    let encoded = events.iter().map(NewEvent::and_read_back).collect();
    Result::map_err(encoded, ExecuteError::Payload)
}

/// Brings an aggregate to where it is after the events that a command gave.
pub(super) fn apply<A: Aggregate>(
    aggregate: &mut A,
    command: &'static str,
    events: impl IntoIterator<Item = A::Event>,
) -> Result<(), ExecuteError<A::Error>> {
    for event in events {
        let applied = aggregate.apply(event);
        applied.map_err(|unexpected| ExecuteError::UndeclaredEvent {
            state: unexpected.state,
            command,
            event: unexpected.event,
        })?;
    }
    Ok(())
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
