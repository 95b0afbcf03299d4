//! Declarations that macros write, from tokens of their own and of their callers, and names that
//! others have too.
#![deny(warnings)]

use cim_es::prelude::*;

use self::tools::{Limits, Tally, TallyEvent};

mod tools {
    use cim_es::prelude::*;

    /// A constant with the name of what a payload is called in statements.
    #[allow(non_upper_case_globals)]
    pub const event: u32 = 9;
    /// A constant with the name of what events fold into.
    #[allow(non_upper_case_globals, dead_code)]
    pub const aggregate: u32 = 8;

    #[derive(Clone, Debug, Serialize, Deserialize)]
    pub struct Limits {
        pub by: u32,
        pub limit: u32,
    }

    macro_rules! tally {
        (
            $by:ident, $factor:expr, $output:expr, $unique:path, $value:ty, $text:literal, $whole:expr, $part:expr,
            [$($statement:tt)*]
        ) => {
            #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
            #[machine(output = u32)]
            pub enum TallyState {
                #[state(initial, output = 10 - $output)]
                #[on(Count / Raised => _, Count / Noted => _, Count / Set => _, Count / Given => _, Count / Both => _)]
                Counting,
            }

            #[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
            pub enum TallyEvent {
                #[apply(total += $by * $factor, note = format!($text, $factor * 2, $by))]
                Raised { $by: u32 },
                #[apply(note = format!("{word}"), $($statement)*)]
                Noted { word: String },
                #[apply(by = event.by, limit = event.limit)]
                Set(Limits),
                #[apply($whole)]
                Given { word: String },
                #[apply(total += u32::try_from(word.len()).unwrap_or_default(), total += $part)]
                Both { word: String },
            }

            #[derive(Command, Clone, Debug)]
            #[allow(dead_code, reason = "only what the events do counts")]
            pub enum TallyCommand {
                Count,
            }

            #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
            #[aggregate(domain = "tools", name = "tally", unique = $unique)]
            pub struct Tally {
                pub state: TallyState,
                pub total: $value,
                pub note: String,
                pub by: u32,
                pub limit: u32,
            }
        };
    }

    tally!(
        by,
        1 + 1,
        2 + 3,
        Tally::held,
        u32,
        "{}:{}",
        total += u32::try_from(word.len()).unwrap_or_default(),
        2 * u32::try_from(word.len()).unwrap_or_default(),
        [total += u32::try_from(word.len()).unwrap_or_default()]
    );

    impl Tally {
        fn held(&self) -> Vec<UniqueName> {
            vec![UniqueName::new("total", self.total.to_string())]
        }
    }
}

/// A field and an event that are on their way out.
mod old {
    use cim_es::prelude::*;

    #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum LampState {
        #[state(initial)]
        #[on(Light / Lit => On, Light / Glimmered => On)]
        Off,
        #[deprecated(note = "use another")]
        #[state(terminal)]
        On,
    }

    #[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
    pub enum LampEvent {
        #[apply(bright = watts > 40, _ = volts)]
        Lit {
            #[deprecated(note = "use another")]
            watts: u32,
            #[deprecated(note = "use another")]
            volts: u32,
            #[deprecated(note = "use another")]
            color: String,
        },
        #[deprecated(note = "use another")]
        Glimmered,
    }

    #[derive(Command, Clone, Debug)]
    #[allow(dead_code, reason = "only that it compiles counts")]
    pub enum LampCommand {
        #[deprecated(note = "use another")]
        Light,
    }

    #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
    #[aggregate(domain = "house", name = "lamp")]
    pub struct Lamp {
        state: LampState,
        #[deprecated(note = "use another")]
        bright: bool,
        #[deprecated(note = "use another")]
        color: Option<String>,
    }
}

#[test]
fn what_a_macro_was_given_keeps_together() {
    let mut tally = Tally::default();
    tally.apply(TallyEvent::Raised { by: 5 }).unwrap();
    assert_eq!(tally.total, 10, "5 * (1 + 1)");
    assert_eq!(tally.note, "4:5", "(1 + 1) * 2");
    assert_eq!(tally.state.output(), 5, "10 - (2 + 3)");
}

#[test]
fn statements_and_fields_may_come_from_two_macros() {
    let mut tally = Tally::default();
    let word = || "four".to_owned();
    tally.apply(TallyEvent::Noted { word: word() }).unwrap();
    assert_eq!((tally.total, tally.note.as_str()), (4, "four"));
    tally.apply(TallyEvent::Given { word: word() }).unwrap();
    assert_eq!(tally.total, 8);
    tally.apply(TallyEvent::Both { word: word() }).unwrap();
    assert_eq!(tally.total, 20);
    let names = Tally::UNIQUE_NAMES.expect("a tally holds names");
    assert_eq!(names(&tally), [UniqueName::new("total", "20")]);
}

#[test]
fn a_constant_may_be_called_as_what_statements_name() {
    let mut tally = Tally::default();
    let limits = Limits {
        by: tools::event,
        limit: 2,
    };
    tally.apply(TallyEvent::Set(limits)).unwrap();
    assert_eq!((tally.by, tally.limit), (9, 2));
}

#[test]
fn what_is_deprecated_warns_where_the_author_uses_it_alone() {
    assert_eq!(old::LampEvent::VARIANTS, ["Lit", "Glimmered"]);
    assert_eq!(old::Lamp::default().state(), old::LampState::Off);
}

domain!(
    HOUSE = [
        #[cfg(any())]
        missing::MissingEvent,
        old::LampEvent,
        #[cfg(all())]
        door::DoorEvent,
        #[cfg(any())]
        missing::OtherEvent,
    ]
);

mod door {
    use cim_es::prelude::*;

    #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum DoorState {
        #[state(initial)]
        #[on(Open / Opened => _)]
        Any,
    }

    #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub enum DoorEvent {
        #[apply(with = Self::opened)]
        Opened { by: String },
    }

    #[derive(Command, Clone, Debug)]
    #[allow(dead_code, reason = "only what the events do counts")]
    pub enum DoorCommand {
        Open,
    }

    /// Its functions and its statements try to move it.
    #[derive(Aggregate, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    #[aggregate(domain = "house", name = "door")]
    pub struct Door {
        state: DoorState,
        pub by: String,
    }

    impl Door {
        fn opened(&mut self, by: String) {
            self.by = by;
        }
    }

    impl Decide for Door {
        fn decide(&self, DoorCommand::Open: DoorCommand, _: &Context) -> Decision<Self> {
            emit(DoorEvent::Opened { by: "Ann".into() })
        }
    }
}

#[test]
fn a_member_of_a_domain_may_stand_under_a_condition() {
    let kinds: Vec<_> = HOUSE
        .aggregates()
        .iter()
        .map(|aggregate| aggregate.kind)
        .collect();
    assert_eq!(kinds, ["house.lamp", "house.door"]);
}

#[test]
fn self_in_front_of_a_function_is_the_aggregate() {
    let mut door = door::Door::default();
    door.apply(door::DoorEvent::Opened { by: "Ann".into() })
        .unwrap();
    assert_eq!(door.by, "Ann");
}

/// An aggregate whose fold does what only the machine may.
mod gate {
    use cim_es::prelude::*;

    #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum GateState {
        #[state(initial)]
        #[on(Open / Opened => Ajar)]
        Closed,
        #[on(Open / Reset => _, Open / Cleared => _, Open / Moved => _)]
        Ajar,
    }

    #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub enum GateEvent {
        #[apply(was_ajar = self.state == GateState::Ajar)]
        Opened,
        #[apply(with = Gate::reset)]
        Reset,
        #[apply(times = { *self = Self::default(); 1 })]
        Cleared,
        #[apply(times = self.moved())]
        Moved,
    }

    #[derive(Command, Clone, Debug)]
    #[allow(dead_code, reason = "only what the events do counts")]
    pub enum GateCommand {
        Open,
    }

    #[derive(Aggregate, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    #[aggregate(domain = "house", name = "gate")]
    pub struct Gate {
        pub state: GateState,
        pub times: u32,
        pub was_ajar: bool,
    }

    impl Gate {
        fn reset(&mut self) {
            *self = Self::default();
        }

        fn moved(&mut self) -> u32 {
            self.state = GateState::Closed;
            7
        }
    }
}

#[test]
fn only_the_machine_moves_the_aggregate() {
    use gate::{Gate, GateEvent, GateState};
    for event in [GateEvent::Reset, GateEvent::Cleared, GateEvent::Moved] {
        let mut gate = Gate::default();
        gate.apply(GateEvent::Opened).unwrap();
        assert!(gate.was_ajar, "the fold sees the new state");
        gate.apply(event.clone()).unwrap();
        assert_eq!(gate.state, GateState::Ajar, "{event:?}");
    }
}

/// Statics with the names that variables have in the code that derives write: no variable may be called like a static.
mod statics {
    #![allow(non_upper_case_globals, dead_code)]
    use cim_es::prelude::*;
    use cim_es::projection::{Documents, ProjectDocuments, ProjectionError};

    macro_rules! statics {
        ($($name:ident)*) => {
            $(pub static $name: u32 = 7;)*
        };
    }
    statics!(documents event formatter from index is_new next state tables text value);

    #[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
    pub enum BellState {
        #[state(initial)]
        #[on(Ring / Rung => _)]
        Hung,
    }

    #[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
    pub enum BellEvent {
        #[apply(times += times)]
        Rung {
            times: u32,
            #[event(keep)]
            by: Option<String>,
        },
    }

    #[derive(Command, Clone, Debug)]
    pub enum BellCommand {
        Ring,
    }

    #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
    #[aggregate(domain = "tools", name = "bell", id = BellId)]
    pub struct Bell {
        state: BellState,
        pub times: u32,
        pub by: Option<String>,
    }

    #[derive(AggregateId, Clone, Debug, PartialEq, Eq, Hash)]
    pub struct BellId(String);

    #[derive(Projection, Debug, Default)]
    #[projection(name = "bells", version = 1, events = [BellEvent])]
    pub struct Bells(u32);

    impl Project<BellEvent> for Bells {
        fn project(&mut self, _: BellEvent, _: &Source<Bell>) {
            self.0 += 1;
        }
    }

    #[derive(Document, Serialize, Deserialize)]
    pub struct Card {
        #[index]
        by: String,
    }

    #[derive(Projection, Debug)]
    #[projection(name = "cards", version = 1, events = [BellEvent], documents = Card)]
    pub struct Cards;

    impl ProjectDocuments<BellEvent> for Cards {
        async fn project(
            &self,
            _: BellEvent,
            _: &Source<'_, Bell>,
            _: &mut Documents<'_, Card>,
        ) -> Result<(), ProjectionError> {
            Ok(())
        }
    }
}

#[test]
fn a_static_may_be_called_like_a_variable_of_the_generated_code() {
    let mut bell = statics::Bell::default();
    let by = Some("Ann".to_owned());
    let rung = statics::BellEvent::Rung { times: 2, by };
    bell.apply(rung).expect("a bell is rung");
    assert_eq!((bell.times, bell.by.as_deref()), (2, Some("Ann")));
}
