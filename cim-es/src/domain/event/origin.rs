//! What events come from: an aggregate that is declared here, or one of another program.

use std::fmt;
use std::hash::Hash;

use crate::domain::aggregate::{Aggregate, AggregateId, IdError, IdText};

/// What events come from, with the type of its ids: an [`Aggregate`], or [`Elsewhere`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what events come from",
    label = "neither an aggregate nor `Elsewhere`",
    note = "add `#[derive(Aggregate)]` to the struct, or name `Elsewhere` for events that are declared with `#[event(domain = …, name = …)]`"
)]
pub trait EventOrigin: Sized + 'static {
    /// The id of one of them.
    type Id: Clone + Eq + Hash + fmt::Debug + Send + Sync + 'static;

    /// The id that a text stands for.
    ///
    /// # Errors
    /// [`IdError`] when the text is not such an id.
    fn id_of(text: &IdText) -> Result<Self::Id, IdError>;
}

impl<A: Aggregate> EventOrigin for A {
    type Id = A::Id;

    fn id_of(text: &IdText) -> Result<A::Id, IdError> {
        A::Id::from_text(text)
    }
}

/// An aggregate of another program, whose events are declared here with `#[event(domain = …, name = …)]`. Of its ids
/// only the text is known.
#[derive(Clone, Copy, Debug)]
pub enum Elsewhere {}

impl EventOrigin for Elsewhere {
    type Id = IdText;

    fn id_of(text: &IdText) -> Result<IdText, IdError> {
        Ok(text.clone())
    }
}
