//! Checks that span types. Each is called in a const item whose tokens carry the place in the author's code, and says
//! what is wrong by a panic, which the compiler reports at that place.

use super::text::{Message, equal, position};
use crate::domain::aggregate::{Aggregate, Command};
use crate::domain::event::{AggregateEvent, DomainEvent};
use crate::domain::machine::{NO_EDGE, StateMachine};
use crate::domain::subject::pattern::{Fault, Unfit, fault, matches};

type MachineOf<A> = <A as Aggregate>::State;

/// Reports a message at the place of the const item.
#[track_caller]
pub(super) const fn report(message: &Message) -> ! {
    panic!("{}", message.as_str())
}

/// The event of the edge at a place exists.
#[track_caller]
pub const fn check_edge_event<M: StateMachine>(edge: usize, label: &str) {
    if M::TRANSITIONS[edge].event == NO_EDGE {
        let known = <M::Event as DomainEvent>::VARIANTS;
        report(&unknown("event", M::EDGES[edge].event, label, known));
    }
}

/// The command of the edge at a place exists.
#[track_caller]
pub const fn check_edge_command<M: StateMachine>(edge: usize, label: &str) {
    if let (Some(NO_EDGE), Some(name)) = (M::TRANSITIONS[edge].command, M::EDGES[edge].command) {
        let known = <M::Command as Command>::VARIANTS;
        report(&unknown("command", name, label, known));
    }
}

const fn unknown(what: &str, name: &str, label: &str, known: &[&str]) -> Message {
    Message::new(what)
        .text(" `")
        .text(name)
        .text("` does not exist in `")
        .text(label)
        .text("`")
        .suggestion(name, known, "there are")
}

/// An aggregate applies these events: its machine takes them.
#[track_caller]
pub const fn check_events_are_applied<E: AggregateEvent>(label: &str, aggregate: &str) {
    let taken = <TakenEvent<E::Aggregate> as DomainEvent>::KIND;
    // A machine that takes the events of another aggregate is reported where the aggregate is declared.
    let is_reported = !equal(taken, <E::Aggregate as Aggregate>::KIND);
    if <MachineOf<E::Aggregate> as StateMachine>::BROKEN || takes_events::<E>() || is_reported {
        return;
    }
    report(&foreign(label, aggregate, "event"));
}

/// An aggregate decides these commands: its machine takes them.
#[track_caller]
pub const fn check_commands_are_decided<C: Command>(label: &str, aggregate: &str) {
    let taken = kind_of_commands::<TakenCommand<C::Aggregate>>();
    let is_reported = !equal(taken, <C::Aggregate as Aggregate>::KIND);
    if <MachineOf<C::Aggregate> as StateMachine>::BROKEN || takes_commands::<C>() || is_reported {
        return;
    }
    report(&foreign(label, aggregate, "command"));
}

const fn foreign(label: &str, aggregate: &str, key: &str) -> Message {
    Message::new("the machine of `")
        .text(aggregate)
        .text("` does not take `")
        .text(label)
        .text("`: name it there with `#[machine(")
        .text(key)
        .text(" = ")
        .text(label)
        .text(")]`, or name another aggregate here")
}

type TakenEvent<A> = <MachineOf<A> as StateMachine>::Event;
type TakenCommand<A> = <MachineOf<A> as StateMachine>::Command;

const fn takes_events<E: AggregateEvent>() -> bool {
    <TakenEvent<E::Aggregate> as DomainEvent>::BROKEN
        || E::FINGERPRINT == <TakenEvent<E::Aggregate> as DomainEvent>::FINGERPRINT
}

const fn takes_commands<C: Command>() -> bool {
    <TakenCommand<C::Aggregate> as Command>::BROKEN
        || same_names(
            C::VARIANTS,
            <TakenCommand<C::Aggregate> as Command>::VARIANTS,
        )
}

// The kind is read where nothing but `Command` is known of the type: where the aggregate is known, the compiler takes for
// granted what these checks have to find out.
const fn kind_of_commands<C: Command>() -> &'static str {
    <C::Aggregate as Aggregate>::KIND
}

const fn same_names(a: &[&str], b: &[&str]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if !equal(a[at], b[at]) {
            return false;
        }
        at += 1;
    }
    true
}

/// An event is on at least one edge.
#[track_caller]
pub const fn check_event_is_used<E: AggregateEvent>(index: usize) {
    let transitions = <MachineOf<E::Aggregate> as StateMachine>::TRANSITIONS;
    // Where an edge names an event that does not exist, that is reported, and the event that it meant is not unused.
    let mut is_found = <MachineOf<E::Aggregate> as StateMachine>::BROKEN;
    let mut at = 0;
    while at < transitions.len() && !is_found {
        let event = transitions[at].event;
        is_found = event as usize == index || event == NO_EDGE;
        at += 1;
    }
    if is_found || !takes_events::<E>() {
        return;
    }
    let name = E::VARIANTS[index];
    report(
        &Message::new("no edge of the machine uses event `")
            .text(name)
            .text("`, so it could never be applied: add `#[on(Command / ")
            .text(name)
            .text(" => State)]` to a state, or remove the event"),
    );
}

/// A command is accepted in at least one state.
#[track_caller]
pub const fn check_command_is_accepted<C: Command>(index: usize) {
    let transitions = <MachineOf<C::Aggregate> as StateMachine>::TRANSITIONS;
    let mut is_found = <MachineOf<C::Aggregate> as StateMachine>::BROKEN;
    let mut at = 0;
    while at < transitions.len() && !is_found {
        if let Some(command) = transitions[at].command {
            is_found = command as usize == index || command == NO_EDGE;
        }
        at += 1;
    }
    if is_found || !takes_commands::<C>() {
        return;
    }
    let name = C::VARIANTS[index];
    report(
        &Message::new("no state accepts command `")
            .text(name)
            .text("`: add `#[on(")
            .text(name)
            .text(" / Event => State)]` to a state, or remove the command"),
    );
}

/// The type of an event under one of its names, at 0 the present one and then the former ones, differs from all others.
#[track_caller]
pub const fn check_type_is_distinct<E: DomainEvent>(event: usize, name: usize) {
    if E::LIFECYCLE.is_broken {
        return;
    }
    let index = match name {
        0 => event,
        name => {
            let mut before = E::EVENTS.len() + name - 1;
            let mut at = 0;
            while at < event {
                before += E::EVENTS[at].former_types.len();
                at += 1;
            }
            before
        }
    };
    let name = E::TYPES[index];
    let mut at = 0;
    while at < E::TYPES.len() {
        if at != index && equal(E::TYPES[at], name) {
            let owner = owner_of_type::<E>(at);
            report(
                &Message::new("subject `")
                    .text(name)
                    .text("` is that of event `")
                    .text(owner)
                    .text("` already: choose another"),
            );
        }
        at += 1;
    }
}

/// The variant that declares the type at a place among `E::TYPES`.
const fn owner_of_type<E: DomainEvent>(index: usize) -> &'static str {
    if index < E::VARIANTS.len() {
        return E::VARIANTS[index];
    }
    let mut left = index - E::VARIANTS.len();
    let mut at = 0;
    while at < E::EVENTS.len() {
        if left < E::EVENTS[at].former_types.len() {
            return E::VARIANTS[at];
        }
        left -= E::EVENTS[at].former_types.len();
        at += 1;
    }
    ""
}

/// A text is the present subject of an event.
#[track_caller]
pub const fn check_subject<E: DomainEvent>(subject: &str, label: &str) {
    if E::BROKEN || E::LIFECYCLE.is_broken {
        return;
    }
    let (present, former) = E::TYPES.split_at(E::VARIANTS.len());
    if position(present, subject).is_some() {
        return;
    }
    if let Some(at) = position(former, subject) {
        let owner = owner_of_type::<E>(present.len() + at);
        let Some(owner) = position(E::VARIANTS, owner) else {
            return;
        };
        report(
            &Message::new("`")
                .text(subject)
                .text("` is a former name of `")
                .text(present[owner])
                .text("`: use that"),
        );
    }
    report(
        &Message::new("`")
            .text(label)
            .text("` has no subject `")
            .text(subject)
            .text("`")
            .suggestion(subject, present, "its subjects are"),
    );
}

/// A pattern matches at least one subject, present or former.
#[track_caller]
pub const fn check_filter<E: DomainEvent>(pattern: &str, label: &str) {
    if let Some(fault) = fault(pattern) {
        report(&malformed(pattern, fault));
    }
    if E::BROKEN || E::LIFECYCLE.is_broken {
        return;
    }
    let mut at = 0;
    while at < E::TYPES.len() {
        if matches(pattern, E::TYPES[at]) {
            return;
        }
        at += 1;
    }
    let (present, _) = E::TYPES.split_at(E::VARIANTS.len());
    report(
        &Message::new("filter `")
            .text(pattern)
            .text("` matches no subject of `")
            .text(label)
            .text("`")
            .suggestion(pattern, present, "its subjects are"),
    );
}

const fn malformed(pattern: &str, fault: Fault) -> Message {
    let message = Message::new("filter `").text(pattern).text("` ");
    let (from, to, why) = match fault {
        Fault::GoesOn => {
            return message.text("goes on behind `>`, which stands for all the rest: put it last");
        }
        Fault::Token { from, to, why } => (from, to, why),
    };
    let (token, _) = pattern.split_at(from).1.split_at(to - from);
    match why {
        Unfit::Empty => message.text("has an empty token: write tokens joined by `.`"),
        Unfit::TooLong => message.text("has a token of more than 255 bytes, which no subject has"),
        Unfit::Wildcard => message
            .text("has `")
            .text(token)
            .text("`: `*` and `>` stand for whole tokens, alone between dots"),
        Unfit::Character => message
            .text("has `")
            .text(token)
            .text("`: no subject holds whitespace or control characters"),
    }
}

/// A state to which a field of an aggregate belongs exists.
#[track_caller]
pub const fn check_state_exists<A: Aggregate>(name: &str) {
    let states = <A::State as StateMachine>::STATES;
    if <A::State as StateMachine>::BROKEN || position(states, name).is_some() {
        return;
    }
    report(
        &Message::new("state `")
            .text(name)
            .text("` does not exist")
            .suggestion(name, states, "there are"),
    );
}

/// An event that sets a field leads to a state to which the field belongs, on each of its edges.
#[track_caller]
pub const fn check_event_may_set<E: AggregateEvent>(event: usize, field: &str) {
    let fields = <E::Aggregate as Aggregate>::IN_STATES;
    let mut at = 0;
    while at < fields.len() {
        if equal(fields[at].0, field) {
            leads_to::<E>(event, field, fields[at].1);
        }
        at += 1;
    }
}

#[track_caller]
const fn leads_to<E: AggregateEvent>(event: usize, field: &str, owners: &[&str]) {
    if <MachineOf<E::Aggregate> as StateMachine>::BROKEN || !takes_events::<E>() {
        return;
    }
    let states = <MachineOf<E::Aggregate> as StateMachine>::STATES;
    let mut at = 0;
    while at < owners.len() {
        // A state that does not exist is reported where it is named.
        if position(states, owners[at]).is_none() {
            return;
        }
        at += 1;
    }
    let transitions = <MachineOf<E::Aggregate> as StateMachine>::TRANSITIONS;
    let mut at = 0;
    while at < transitions.len() {
        let to = states[transitions[at].to as usize];
        if transitions[at].event as usize == event && position(owners, to).is_none() {
            report(
                &Message::new("field `")
                    .text(field)
                    .text("` belongs to ")
                    .listed(owners)
                    .text(", and event `")
                    .text(E::VARIANTS[event])
                    .text("` leads from `")
                    .text(states[transitions[at].from as usize])
                    .text("` to `")
                    .text(to)
                    .text("`, where it has its default: do not set it here, or name that state in `#[in_state(…)]` too"),
            );
        }
        at += 1;
    }
}

/// Whether a state is one of those named.
pub fn is_in_states<S: StateMachine>(state: &S, names: &[&str]) -> bool {
    names.contains(&S::STATES[state.index()])
}
