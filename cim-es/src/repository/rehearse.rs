//! What a command would lead to.

use super::ExecuteError;
use super::pending::{PendingCommit, refused};
use crate::block::payload::decode_present;
use crate::domain::aggregate::Decide;
use crate::domain::message::Context;
use crate::store::NewEvent;

/// Decides a command as a [`Repository`](crate::Repository) would, without storing anything, and moves the aggregate
/// to where its events lead: a dry run, such as of an import that reports every bad row before it stores the first.
///
/// A command that changes nothing gives no event. What only the store knows is not checked: whether a
/// [`UniqueName`](crate::aggregate::UniqueName) is free, and whether the events are small enough.
///
/// ```
/// use cim_es::message::{Clock, SystemClock};
/// use cim_es::prelude::*;
/// use cim_es::repository::rehearse;
/// # #[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
/// # enum LampState { #[state(initial)] #[on(Mount / Mounted => Ready)] Boxed, #[on(Switch / Switched => _)] Ready }
/// # #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
/// # enum LampEvent { Mounted, Switched { on: bool } }
/// # #[derive(Command, Clone, Debug)]
/// # enum LampCommand { Mount, Switch }
/// # #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
/// # #[aggregate(domain = "home", name = "lamp")]
/// # struct Lamp { state: LampState, on: bool }
/// # impl Decide for Lamp {
/// #     fn decide(&self, command: LampCommand, _: &Context) -> Decision<Self> {
/// #         match command {
/// #             LampCommand::Mount => emit(LampEvent::Mounted),
/// #             LampCommand::Switch => emit(LampEvent::Switched { on: !self.on }),
/// #         }
/// #     }
/// # }
/// let context = Context::new(MessageIdentity::new_from_user("me"), SystemClock.now());
/// let mut lamp = Lamp::default();
/// assert!(rehearse(&mut lamp, LampCommand::Switch, &context).is_err());
/// rehearse(&mut lamp, LampCommand::Mount, &context)?;
/// assert_eq!(
///     rehearse(&mut lamp, LampCommand::Switch, &context)?,
///     [LampEvent::Switched { on: true }]
/// );
/// assert!(lamp.on);
/// # Ok::<(), cim_es::repository::ExecuteError<cim_es::aggregate::NoErrorInAggregateAttribute>>(())
/// ```
///
/// # Errors
/// [`ExecuteError`] says why the command would be refused; the aggregate is then as it was. Only after
/// [`ExecuteError::FoldPanicked`] it is to be thrown away.
pub fn rehearse<A>(
    aggregate: &mut A,
    command: A::Command,
    context: &Context,
) -> Result<Vec<A::Event>, ExecuteError<A::Error>>
where
    A: Decide,
    A::Command: Clone,
{
    let pending = PendingCommit::decide(aggregate, &command, context)?;
    let read_back = |new: &NewEvent| decode_present(&new.event_type, &new.payload);
    let events: Result<Vec<_>, _> = pending.new_events().iter().map(read_back).collect();
    let events = events.map_err(ExecuteError::Payload)?;
    // The machine has said already that each has its edge, so from here on nothing is refused half way.
    pending
        .apply_to(aggregate)
        .map_err(refused::<A>(&command))?;
    Ok(events)
}
