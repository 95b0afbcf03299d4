//! What a decision gives.

use super::Aggregate;

/// What a decision gives: events, or why the command is refused.
pub type Decision<A> = Result<Events<A>, <A as Aggregate>::Error>;

/// The events of a decision; never empty by accident: only [`nothing`] says that a command changes nothing, and an
/// empty list given to [`emit_all`] is an error of the program that `execute` reports.
#[derive(Clone, Debug, PartialEq)]
pub struct Events<A: Aggregate> {
    events: Vec<A::Event>,
    is_deliberate: bool,
}

impl<A: Aggregate> Events<A> {
    /// Whether the decision said [`nothing`].
    pub fn is_nothing(&self) -> bool {
        self.is_deliberate && self.events.is_empty()
    }

    /// Whether the decision gave an empty list without saying [`nothing`].
    pub fn is_empty_by_accident(&self) -> bool {
        !self.is_deliberate && self.events.is_empty()
    }

    /// The events in order.
    pub fn as_slice(&self) -> &[A::Event] {
        &self.events
    }

    /// The events in order, by value.
    pub fn into_vec(self) -> Vec<A::Event> {
        self.events
    }
}

/// One event.
///
/// # Errors
/// Never: the result fits the end of a `decide`.
pub fn emit<A: Aggregate>(event: A::Event) -> Decision<A> {
    emit_all([event])
}

/// Several events of one commit, at least one, in order.
///
/// # Errors
/// Never: the result fits the end of a `decide`.
pub fn emit_all<A: Aggregate>(events: impl IntoIterator<Item = A::Event>) -> Decision<A> {
    Ok(Events {
        events: events.into_iter().collect(),
        is_deliberate: false,
    })
}

/// The command is accepted and changes nothing.
///
/// Nothing is stored, not even that it came: sent again later under the same identity, it is decided anew and may take
/// effect then. Where that must not be, emit an event that says that it was done.
///
/// # Errors
/// Never: the result fits the end of a `decide`.
pub fn nothing<A: Aggregate>() -> Decision<A> {
    Ok(Events {
        events: Vec::new(),
        is_deliberate: true,
    })
}
