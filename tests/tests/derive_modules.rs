//! The aggregate in one module and its events in another, and what the declarations may be called.

/// Names that generated code must not take for those of the standard library or of its own.
mod names {
    #![deny(warnings, missing_docs, unused, clippy::all, clippy::pedantic)]
    #![allow(dead_code, reason = "only that it compiles counts")]

    use cim_es::prelude::{Aggregate, Command, Deserialize, DomainEvent, Serialize, StateMachine};

    /// Not the one of the standard library.
    pub struct Option;
    /// Not the one of the standard library.
    pub struct Result;
    /// Not the one of the standard library.
    pub struct String;
    /// Not one of the derive's own constants.
    pub const TEXT: u8 = 1;

    /// States with the names of associated items and of the prelude.
    #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[machine(output = u8)]
    pub enum NameState {
        /// As the associated type.
        #[state(initial, output = TEXT)]
        #[on(Some / None => Event, Ok / Err => Command, Self_ / Output => STATES)]
        Output,
        /// As the associated type.
        #[state(terminal, output = 2)]
        Event,
        /// As the associated type.
        #[state(terminal, output = 3)]
        Command,
        /// As the associated constant.
        #[state(terminal, output = 4)]
        #[allow(clippy::upper_case_acronyms)]
        STATES,
    }

    /// Events with the names of the prelude.
    #[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
    pub enum NameEvent {
        /// As in the prelude.
        None,
        /// As in the prelude.
        Err {
            /// A field with the name of a local variable of the generated code.
            aggregate: u8,
            /// A field with a name that is a keyword.
            r#move: u8,
            /// A field with the name of a macro's variable.
            event: u8,
        },
        /// As the associated type.
        #[apply(aggregate = TEXT, r#move += other)]
        Output {
            /// A field.
            other: u8,
        },
    }

    /// Commands with the names of the prelude.
    #[derive(Command, Clone, Debug)]
    pub enum NameCommand {
        /// As in the prelude.
        Some,
        /// As in the prelude.
        Ok(u8),
        /// Nearly a keyword.
        Self_ {
            /// A field.
            index: usize,
        },
    }

    /// The aggregate.
    #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
    #[aggregate(domain = "names", name = "name")]
    pub struct Name {
        state: NameState,
        aggregate: u8,
        r#move: u8,
        event: u8,
    }

    /// What the fields hold.
    #[must_use]
    pub fn fields(name: &Name) -> [u8; 3] {
        [name.aggregate, name.r#move, name.event]
    }
}

/// What an aggregate folds into, away from its events.
mod aggregate {
    use super::events::{LampCommand, LampEvent, LampState};
    use cim_es::prelude::*;

    #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
    #[aggregate(domain = "house", name = "lamp")]
    pub struct Lamp {
        pub(super) state: LampState,
        pub(super) watts: Option<u16>,
    }

    impl Decide for Lamp {
        fn decide(&self, command: LampCommand, _: &Context) -> Decision<Self> {
            match command {
                LampCommand::Light { watts } => {
                    emit_all([LampEvent::Lit { watts }, LampEvent::Out])
                }
            }
        }
    }
}

/// States, events and commands of the lamp.
mod events {
    use super::aggregate::Lamp;
    use cim_es::prelude::*;

    #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum LampState {
        #[state(initial)]
        #[on(Light / Lit => On)]
        Off,
        #[on(Light / Out => Off)]
        On,
    }

    #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub enum LampEvent {
        Lit { watts: u16 },
        Out,
    }

    #[derive(Command, Clone, Debug)]
    pub enum LampCommand {
        Light { watts: u16 },
    }
}

use cim_es::message::{Context, MessageIdentity, Timestamp};
use cim_es::prelude::{Aggregate, Decide};

#[test]
fn the_aggregate_and_its_events_may_stand_in_two_modules() {
    let mut lamp = aggregate::Lamp::default();
    let identity = MessageIdentity::new_from_user("me");
    let context = Context::new(identity, Timestamp::from_micros(0));
    let events = lamp.decide(events::LampCommand::Light { watts: 40 }, &context);
    for event in events.unwrap().into_vec() {
        lamp.apply(event).unwrap();
    }
    assert_eq!((lamp.state, lamp.watts), (events::LampState::Off, Some(40)));
}

#[test]
fn generated_code_meets_none_of_the_authors_names() {
    use names::{Name, NameEvent};
    let mut name = Name::default();
    let event = NameEvent::Err {
        aggregate: 1,
        r#move: 2,
        event: 3,
    };
    name.apply(event).unwrap();
    assert_eq!(names::fields(&name), [1, 2, 3]);
    let mut name = Name::default();
    name.apply(NameEvent::Output { other: 5 }).unwrap();
    assert_eq!(names::fields(&name), [1, 5, 0]);
}
