//! The aggregate: what events fold into, and where commands are decided.

mod events;
mod id;
mod id_field;
mod id_text;
mod no_error;
mod unique;

pub use cim_es_derive::{Aggregate, AggregateId, Command};
pub use events::{Decision, Events, emit, emit_all, nothing};
pub use id::{AggregateId, Id, IdError};
#[doc(hidden)]
pub use id_field::IdField;
pub use id_text::{IdText, IdTextError};
#[doc(hidden)]
pub use no_error::DeclaredError;
pub use no_error::NoErrorInAggregateAttribute;
pub use unique::UniqueName;

use crate::domain::event::AggregateEvent;
use crate::domain::kept::{Keepable, Same};
use crate::domain::machine::{StateMachine, UnexpectedEvent};
use crate::domain::message::Context;

/// What the events of one id fold into; `#[derive(Aggregate)]` writes it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an aggregate",
    label = "this type is not declared as an aggregate",
    note = "add `#[derive(Aggregate)]` and `#[aggregate(domain = \"…\", name = \"…\")]` to the struct"
)]
pub trait Aggregate: Sized + Send + Sync + 'static {
    /// The aggregate's own type, of which is asked here what is asked of it: `Clone`, `Default`, `Serialize` and
    /// `Deserialize`.
    #[doc(hidden)]
    type Value: Keepable + Same<Self>;
    /// The id of one aggregate of this kind.
    type Id: AggregateId;
    /// The machine of its lifecycle.
    type State: StateMachine<Event = Self::Event, Command = Self::Command>;
    /// Its events.
    type Event: AggregateEvent<Aggregate = Self>;
    /// Its commands.
    type Command: Command<Aggregate = Self>;
    /// Why a decision refuses a command.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The first tokens of its subjects.
    const DOMAIN: &'static str;
    /// The tokens after the domain.
    const NAME: &'static str;
    /// `<domain>.<name>`: what stands as `aggregate` in every envelope.
    const KIND: &'static str;
    /// Former kinds, whose histories are this aggregate's too: `#[aggregate(was = "…")]`.
    const FORMER_KINDS: &'static [&'static str] = &[];
    /// The domain in each of these.
    #[doc(hidden)]
    const FORMER_DOMAINS: &'static [&'static str] = &[];
    /// The kinds of other aggregates that may have the same ids: `#[aggregate(shares_ids_with = "…")]`.
    const SHARES_IDS_WITH: &'static [&'static str] = &[];
    /// The scopes of its unique names, where `#[aggregate(scope = "…")]` says them: no others are used then, and
    /// [`domain!`](crate::domain!) refuses one that is the name of another aggregate.
    const SCOPES: &'static [&'static str] = &[];
    /// The fields that belong to states, by name: `#[in_state(…)]`. They have their defaults in all other states.
    const IN_STATES: &'static [(&'static str, &'static [&'static str])] = &[];
    /// A digest of the declaration and of `#[aggregate(fold = N)]`, part of the tag of snapshots.
    const FINGERPRINT: u64;
    /// Set when the declaration has errors: what builds on it is then not checked.
    #[doc(hidden)]
    const BROKEN: bool = false;
    /// Lists the names that an aggregate holds in its present state, where `#[aggregate(unique = …)]` says so; see
    /// [`UniqueName`]. It is no method, so that the path of the author's own function can never mean it.
    const UNIQUE_NAMES: Option<fn(&Self) -> Vec<UniqueName>> = None;

    /// Whether a kind is this aggregate's, present or former.
    fn is_kind(kind: &str) -> bool {
        kind == Self::KIND || Self::FORMER_KINDS.contains(&kind)
    }

    /// The present state.
    fn state(&self) -> Self::State;

    /// Sets the state; [`apply`](Self::apply) is what to call.
    #[doc(hidden)]
    fn set_state(&mut self, state: Self::State);

    /// Clears the fields that do not belong to the present state.
    #[doc(hidden)]
    fn leave_states(&mut self) {}

    /// Moves the state along the event's edge, then takes the event's fields, which cannot move it elsewhere.
    ///
    /// # Errors
    /// [`UnexpectedEvent`] when the present state has no edge for the event; the aggregate is then unchanged.
    fn apply(&mut self, event: Self::Event) -> Result<(), UnexpectedEvent> {
        let next = self.state().next(&event)?;
        self.set_state(next.copied());
        event.fold_into(self);
        // What takes the fields sees the new state, and cannot move the aggregate elsewhere.
        self.set_state(next);
        self.leave_states();
        Ok(())
    }
}

/// The only hand-written logic: which events a command gives in the present state.
///
/// The machine has already refused the commands that the present state does not accept. A decision reads no clock,
/// draws no random number and does no input or output: time, ids and the actor come from the [`Context`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not decide its commands",
    label = "`impl Decide for {Self}` is missing",
    note = "write `impl Decide for {Self} {{ fn decide(&self, command: …Command, context: &Context) -> Decision<Self> }}`"
)]
pub trait Decide: Aggregate {
    /// The events that the command gives: `emit(event)`, `emit_all([…])`, `nothing()`, or why it is refused.
    ///
    /// # Errors
    /// The aggregate's own error when a rule of the domain refuses the command.
    fn decide(&self, command: Self::Command, context: &Context) -> Decision<Self>;
}

/// The commands of an aggregate; `#[derive(Command)]` writes it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a command",
    label = "this type is not declared as the commands of an aggregate",
    note = "add `#[derive(Command)]` to the enum of commands"
)]
pub trait Command: Send + 'static {
    /// The aggregate that decides these commands; its machine takes them, which the derive checks.
    type Aggregate: Aggregate;

    /// The names of the variants, in order of declaration.
    const VARIANTS: &'static [&'static str];
    /// Set when the declaration has errors: what builds on it is then not checked.
    #[doc(hidden)]
    const BROKEN: bool = false;

    /// The place of this command in [`VARIANTS`](Self::VARIANTS).
    fn index(&self) -> usize;

    /// The name of this command.
    fn name(&self) -> &'static str {
        Self::VARIANTS[self.index()]
    }
}
