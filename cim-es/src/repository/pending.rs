//! What commands decided: ready to be stored, and to be folded once it is.

use super::ExecuteError;
use super::decide::decide;
use super::fold::{FoldFault, fold};
use crate::domain::aggregate::{Aggregate, Command, Decide};
use crate::domain::kept::copy_of;
use crate::domain::message::Context;
use crate::store::NewEvent;

/// The events that commands gave, as they are stored and as they are folded.
pub(crate) struct PendingCommit<A: Aggregate> {
    new: Vec<NewEvent>,
    effect: Effect<A>,
}

/// What the events make of the aggregate.
enum Effect<A: Aggregate> {
    /// The aggregate after them, where it is needed before they are stored: for the names that it then holds, and for
    /// the next command.
    Folded(A),
    /// The events as everybody will read them, still to be folded.
    Waiting(Vec<A::Event>),
}

impl<A: Decide> PendingCommit<A>
where
    A::Command: Clone,
{
    /// Decides one command; its events wait to be folded.
    pub(crate) fn decide(
        aggregate: &A,
        command: &A::Command,
        context: &Context,
    ) -> Result<Self, ExecuteError<A::Error>> {
        Self::decide_watched(aggregate, command, context, |_, _| {})
    }

    /// The same, which shows each event as it was decided beside what everybody will read.
    pub(crate) fn decide_watched(
        aggregate: &A,
        command: &A::Command,
        context: &Context,
        watch: impl Fn(&A::Event, &A::Event),
    ) -> Result<Self, ExecuteError<A::Error>> {
        let events = decide(aggregate, command.clone(), context)?;
        let (mut new, mut read_back) = (Vec::with_capacity(events.len()), Vec::new());
        for event in events.iter() {
            let (stored, again) = NewEvent::and_read_back(event).map_err(ExecuteError::Payload)?;
            watch(event, &again);
            new.push(stored);
            read_back.push(again);
        }
        let effect = Effect::Waiting(read_back);
        Ok(Self { new, effect })
    }

    /// Decides the commands, each on what the ones before it led to.
    pub(super) fn decide_all(
        aggregate: &A,
        commands: &[A::Command],
        context: &Context,
    ) -> Result<Self, ExecuteError<A::Error>> {
        if let [command] = commands {
            let pending = Self::decide(aggregate, command, context)?;
            return match A::UNIQUE_NAMES.is_some() && !pending.is_empty() {
                true => pending.folded(copy_of(aggregate), command),
                false => Ok(pending),
            };
        }
        let (mut after, mut new) = (copy_of(aggregate), Vec::new());
        for (place, command) in commands.iter().enumerate() {
            let mut take = || {
                let context = context.of_command(place);
                let mut pending = Self::decide(&after, command, &context)?;
                new.append(&mut pending.new);
                pending.apply_to(&mut after).map_err(refused::<A>(command))
            };
            take().map_err(|error| ExecuteError::OneOfSeveral {
                place,
                of: commands.len(),
                command: command.name(),
                reason: Box::new(error),
            })?;
        }
        let effect = Effect::Folded(after);
        Ok(Self { new, effect })
    }

    /// The same with the events folded.
    fn folded(
        mut self,
        mut aggregate: A,
        command: &A::Command,
    ) -> Result<Self, ExecuteError<A::Error>> {
        let new = std::mem::take(&mut self.new);
        self.apply_to(&mut aggregate)
            .map_err(refused::<A>(command))?;
        let effect = Effect::Folded(aggregate);
        Ok(Self { new, effect })
    }
}

/// What keeps the events of a command from being folded, before they are stored.
pub(super) fn refused<A: Decide>(
    command: &A::Command,
) -> impl FnOnce(FoldFault) -> ExecuteError<A::Error> {
    let command = command.name();
    move |fault| match fault {
        FoldFault::Unexpected(unexpected) => ExecuteError::UndeclaredEvent {
            state: unexpected.state,
            command,
            event: unexpected.event,
        },
        FoldFault::Panicked { event, reason } => ExecuteError::FoldPanicked {
            command,
            event,
            reason,
        },
    }
}

impl<A: Aggregate> PendingCommit<A> {
    /// What no command gave.
    pub(super) fn nothing() -> Self {
        Self {
            new: Vec::new(),
            effect: Effect::Waiting(Vec::new()),
        }
    }

    /// Whether the commands change nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.new.is_empty()
    }

    /// The events as they are stored.
    pub(crate) fn new_events(&self) -> &[NewEvent] {
        &self.new
    }

    /// The aggregate after the events, where they are folded already.
    pub(super) fn after(&self) -> Option<&A> {
        match &self.effect {
            Effect::Folded(after) => Some(after),
            Effect::Waiting(_) => None,
        }
    }

    /// Brings the aggregate which the commands were decided to where the events lead.
    pub(crate) fn apply_to(self, aggregate: &mut A) -> Result<(), FoldFault> {
        match self.effect {
            Effect::Folded(after) => *aggregate = after,
            Effect::Waiting(events) => {
                for event in events {
                    fold(aggregate, event)?;
                }
            }
        }
        Ok(())
    }
}
