//! The aggregate in one module and its events in another, and what the declarations may be called.

/// Names that generated code must not take for those of the standard library or of its own.
mod names {
    #![deny(warnings, missing_docs, unused, unused_qualifications)]
    #![deny(clippy::all, clippy::pedantic, clippy::nursery)]
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
    pub const fn fields(name: &Name) -> [u8; 3] {
        [name.aggregate, name.r#move, name.event]
    }
}

/// Declarations that another macro writes, with names from its caller and statements of its own.
mod written {
    use cim_es::prelude::*;

    macro_rules! counter {
        ($state:ident, $event:ident, $command:ident, $counter:ident, $counted:ident, $name:literal) => {
            #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
            #[machine(event = $event, command = $command)]
            pub enum $state {
                #[state(initial)]
                #[on(Count / $counted => _, Count / Noted => _)]
                Counting,
            }

            #[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
            #[event(aggregate = $counter)]
            pub enum $event {
                #[apply(total += by)]
                $counted { by: u32 },
                #[apply(total = event.total, note = Some(format!("{}", event.total)))]
                Noted(Note),
            }

            #[derive(Command, Clone, Debug)]
            #[command(aggregate = $counter)]
            pub enum $command {
                Count,
            }

            #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
            #[aggregate(domain = "tools", name = $name)]
            pub struct $counter {
                pub(super) state: $state,
                pub(super) total: u32,
                pub(super) note: Option<String>,
            }
        };
    }

    #[derive(Clone, Debug, Serialize, Deserialize)]
    pub struct Note {
        pub total: u32,
    }

    counter!(TallyPhase, TallyFact, TallyOrder, Tally, Raised, "tally");
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
use cim_es::prelude::{Aggregate, Decide, DomainEvent, StateMachine};

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
fn a_macro_may_write_the_declarations() {
    use written::{Note, Tally, TallyFact, TallyOrder, TallyPhase};
    let mut tally = Tally::default();
    assert!(tally.state.can_accept(&TallyOrder::Count));
    tally.apply(TallyFact::Raised { by: 3 }).unwrap();
    assert_eq!((tally.state, tally.total), (TallyPhase::Counting, 3));
    tally.apply(TallyFact::Noted(Note { total: 9 })).unwrap();
    assert_eq!((tally.total, tally.note.as_deref()), (9, Some("9")));
    assert_eq!(
        TallyFact::TYPES,
        ["tools.tally.raised", "tools.tally.noted"]
    );
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
