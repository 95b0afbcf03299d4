//! Checks of the events that a projection lists.

use super::check::report;
use super::text::{Message, equal, position};
use crate::domain::event::DomainEvent;

/// An event that a projection chooses exists.
#[track_caller]
pub const fn check_event_exists<E: DomainEvent>(name: &str, label: &str) {
    if E::BROKEN || position(E::VARIANTS, name).is_some() {
        return;
    }
    report(
        &Message::new("event `")
            .text(name)
            .text("` does not exist in `")
            .text(label)
            .text("`")
            .suggestion(name, E::VARIANTS, "there are"),
    );
}

/// Two enums that a projection lists are of different aggregates, or an event would be one of both.
#[track_caller]
pub const fn check_other_aggregate<One: DomainEvent, Other: DomainEvent>(one: &str, other: &str) {
    let is_broken =
        One::BROKEN || Other::BROKEN || One::LIFECYCLE.is_broken || Other::LIFECYCLE.is_broken;
    if is_broken || !shares_a_kind::<One, Other>() {
        return;
    }
    report(
        &Message::new("`")
            .text(other)
            .text("` has the events of `")
            .text(Other::KIND)
            .text("`, as `")
            .text(one)
            .text("` does: list one of the two"),
    );
}

const fn shares_a_kind<One: DomainEvent, Other: DomainEvent>() -> bool {
    equal(One::KIND, Other::KIND)
        || position(One::FORMER_KINDS, Other::KIND).is_some()
        || position(Other::FORMER_KINDS, One::KIND).is_some()
}
