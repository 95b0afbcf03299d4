//! What an author declares: the events of a view, and what it makes of each.

use super::{ProjectionError, Source};
use crate::block::StoredEvent;
use crate::domain::event::{DomainEvent, EventOrigin};
use crate::store::Selection;

/// How a view is made of events: its name and version, and the events that it takes; `#[derive(Projection)]` writes it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a projection",
    label = "this type does not say which events it is made of",
    note = "add `#[derive(Projection)]` and `#[projection(name = \"…\", version = 1, events = […])]` to the struct"
)]
pub trait Projection: Sized + Send + Sync + 'static {
    /// The name of the view.
    const NAME: &'static str;
    /// The version of the view, from 1: raised whenever what the projection makes of events changes.
    const VERSION: u32;
    /// A digest of the declaration, of those of its events and of that of its documents. What was kept under another
    /// one is not used under the same version.
    const FINGERPRINT: u64;

    /// The events that it takes.
    fn selection() -> Selection;
}

/// What a projection makes of the events of an enum, in the value itself.
///
/// It is a plain function without clock, randomness, input or output, as the apply of an aggregate is: the view is made
/// again from the same events, and must come out the same. Where it panics, the view stops before the commit of that
/// event ([`Parked`](super::Parked)), and no other view does.
///
/// ```
/// # use std::collections::BTreeSet;
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
/// /// The lamps that are on.
/// #[derive(Projection, Debug, Default)]
/// #[projection(name = "lit", version = 1, events = [LampEvent])]
/// struct Lit {
///     lamps: BTreeSet<Id<Lamp>>,
/// }
///
/// impl Project<LampEvent> for Lit {
///     fn project(&mut self, event: LampEvent, at: &Source<Lamp>) {
///         match event {
///             LampEvent::Switched { on: true } => self.lamps.insert(at.id()),
///             LampEvent::Switched { on: false } => self.lamps.remove(&at.id()),
///         };
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` lists `{E}` and does not say what it makes of it",
    label = "`impl Project<{E}> for {Self}` is missing",
    note = "write `impl Project<{E}> for {Self} {{ fn project(&mut self, event: {E}, at: &Source<…>) {{ … }} }}`, with the aggregate of these events in `Source<…>`, or take them out of `events = […]`"
)]
pub trait Project<E: DomainEvent<Origin: EventOrigin>>: Projection + Lists<E> {
    /// Takes the next event. `at` says where it stands: its aggregate, time, position, actor.
    fn project(&mut self, event: E, at: &Source<'_, E::Origin>);
}

/// Says that a projection lists an enum of events; `#[derive(Projection)]` writes it for each in `events = […]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not list `{E}`, so it would never be given one",
    label = "`{E}` is not in `events = […]` of this projection",
    note = "add it: `#[projection(events = [{E}, …])]`"
)]
pub trait Lists<E> {
    /// The variants that it takes; empty for all of them.
    #[doc(hidden)]
    const CHOICE: &'static [&'static str];
}

/// A projection whose view is the value itself; `#[derive(Projection)]` writes it where no other home is named.
#[diagnostic::on_unimplemented(
    message = "the view of `{Self}` is not kept in the value itself",
    label = "not a projection in memory",
    note = "a projection with `documents = …` is opened by `manager.documents::<{Self}>(storage)`, one with `tables = …` by `manager.tables::<{Self}>(models)`"
)]
pub trait InMemory: Projection {
    /// Takes an event that the selection gives.
    ///
    /// # Errors
    /// [`ProjectionError`] for an event that this program cannot read.
    #[doc(hidden)]
    fn take(&mut self, event: &StoredEvent, is_new: bool) -> Result<(), ProjectionError>;
}
