//! The machine: edges without a command, several events of one command, staying, and how names are set.

use cim_es::machine::Edge;
use cim_es::prelude::*;
use cim_es::testing::{given, given_nothing};

use self::OrderEvent::*;

/// A machine whose name follows no convention, with discriminants of its own.
#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[machine(event = OrderEvent, command = self::Request)]
#[repr(u8)]
enum Phase {
    #[state(initial)]
    #[on(Place / Placed => Open, / Imported => Open)]
    Draft = 7,
    #[on(Place / Placed => _)]
    #[on(Pay / Paid => _)]
    #[on(Pay / Shipped => Gone)]
    #[on(Send / Shipped => Gone)]
    #[on(/ Archived => Gone)]
    Open = 3,
    #[state(terminal)]
    Gone = 200,
}

#[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
#[event(aggregate = self::Order)]
enum OrderEvent {
    Placed,
    Imported,
    Paid,
    Shipped,
    Archived,
}

#[derive(Clone, Copy, Debug)]
enum Priority {
    High,
}

#[derive(Command, Clone, Debug)]
#[command(aggregate = Order)]
enum Request {
    Place,
    Pay,
    Send(String, Priority),
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "shop", name = "order", state = Phase)]
struct Order {
    state: Phase,
}

impl Decide for Order {
    fn decide(&self, command: Request, _: &Context) -> Decision<Self> {
        match command {
            Request::Send(to, Priority::High) if to.is_empty() => nothing(),
            _ => emit(Shipped),
        }
    }
}

fn send() -> Request {
    Request::Send("here".to_owned(), Priority::High)
}

#[test]
fn an_edge_without_a_command_moves_the_state_and_accepts_no_command() {
    assert_eq!(Phase::Draft.next(&Imported), Ok(Phase::Open));
    assert_eq!(Phase::Draft.accepted_commands(), ["Place"]);
    let edge = Phase::EDGES[1];
    let expected = Edge {
        from: "Draft",
        command: None,
        event: "Imported",
        to: "Open",
    };
    assert_eq!(edge, expected);
}

#[test]
fn an_edge_without_a_command_is_only_for_a_further_event_of_a_commit() {
    assert!(!Phase::Open.allows(&Request::Pay, &Archived, false));
    assert!(Phase::Open.allows(&Request::Pay, &Archived, true));
    assert!(Phase::Open.allows(&send(), &Archived, true));
}

#[test]
fn an_event_is_allowed_under_its_own_command_alone() {
    assert!(Phase::Open.allows(&Request::Pay, &Paid, false));
    assert!(!Phase::Open.allows(&send(), &Paid, false));
    assert!(!Phase::Open.allows(&send(), &Paid, true));
    assert!(!Phase::Draft.allows(&Request::Pay, &Paid, false));
}

#[test]
fn one_command_may_give_several_events_one_after_the_other() {
    let pay = Request::Pay;
    assert!(Phase::Open.allows(&pay, &Paid, false));
    let after = Phase::Open.next(&Paid).unwrap();
    assert!(after.allows(&pay, &Shipped, true));
    assert_eq!(after.next(&Shipped), Ok(Phase::Gone));
}

#[test]
fn one_event_may_come_from_several_commands() {
    assert!(Phase::Open.allows(&Request::Pay, &Shipped, false));
    assert!(Phase::Open.allows(&send(), &Shipped, false));
}

#[test]
fn an_underscore_stays_in_the_state() {
    assert_eq!(Phase::Open.next(&Paid), Ok(Phase::Open));
    assert_eq!(Phase::EDGES[3].to, "Open");
}

#[test]
fn a_terminal_state_accepts_nothing_and_has_no_next() {
    for command in [Request::Place, Request::Pay, send()] {
        assert!(!Phase::Gone.can_accept(&command));
    }
    for event in [Placed, Imported, Paid, Shipped, Archived] {
        let error = Phase::Gone.next(&event).unwrap_err();
        assert_eq!(error.state, "Gone");
    }
}

#[test]
fn states_are_counted_in_order_of_declaration_whatever_their_discriminants() {
    for (place, state) in [Phase::Draft, Phase::Open, Phase::Gone]
        .into_iter()
        .enumerate()
    {
        assert_eq!(state.index(), place);
        assert_eq!(Phase::from_index(place), Some(state));
    }
    assert_eq!(Phase::from_index(3), None);
    assert_eq!(Phase::STATES, ["Draft", "Open", "Gone"]);
}

#[test]
fn a_machine_without_an_output_tells_nothing() {
    let () = Phase::Open.output();
}

#[test]
fn the_diagram_marks_an_edge_without_a_command() {
    assert!(Phase::DIAGRAM.contains("    Draft --> Open: / Imported\n"));
    assert!(Phase::DIAGRAM.contains("    Open --> Open: Pay / Paid\n"));
    assert!(Phase::DIAGRAM.ends_with("    Gone --> [*]\n"));
}

#[test]
fn a_command_knows_its_name_and_its_place() {
    assert_eq!((send().index(), send().name()), (2, "Send"));
    assert_eq!(Request::VARIANTS, ["Place", "Pay", "Send"]);
}

#[test]
fn the_default_error_cannot_happen() {
    fn error_of<A: Aggregate<Error = cim_es::aggregate::NoErrorInAggregateAttribute>>() {}
    error_of::<Order>();
}

/// A machine that derives nothing beside what the field of its aggregate needs.
mod fewest_derives {
    use super::*;

    #[derive(StateMachine, Clone, Serialize, Deserialize)]
    #[machine(output = bool)]
    enum GateState {
        #[state(initial, output = false)]
        #[on(Lift / Lifted => Up)]
        Down,
        #[state(output = true)]
        #[on(Lower / Lowered => Down, Lower / Jammed => _)]
        Up,
    }

    #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum GateEvent {
        Lifted,
        Lowered,
        #[apply(reason = Some(why))]
        Jammed {
            why: String,
        },
    }

    #[derive(Command, Clone, Debug)]
    enum GateCommand {
        Lift,
        Lower,
    }

    #[derive(Aggregate, Clone, Default, Serialize, Deserialize)]
    #[aggregate(domain = "yard", name = "gate")]
    struct Gate {
        state: GateState,
        #[in_state(Up)]
        reason: Option<String>,
    }

    impl Decide for Gate {
        fn decide(&self, command: GateCommand, _: &Context) -> Decision<Self> {
            match command {
                GateCommand::Lift => emit(GateEvent::Lifted),
                GateCommand::Lower if self.reason.is_none() => {
                    let why = "rust".to_owned();
                    emit(GateEvent::Jammed { why })
                }
                GateCommand::Lower => emit(GateEvent::Lowered),
            }
        }
    }

    #[test]
    fn a_machine_needs_no_derive_that_its_aggregate_does_not_ask_for() {
        let mut gate = Gate::default();
        gate.apply(GateEvent::Lifted).expect("a closed gate opens");
        assert_eq!(gate.state().name(), "Up");
        assert!(gate.state().output());
        given_nothing::<Gate>()
            .when(GateCommand::Lift)
            .then([GateEvent::Lifted]);
        let why = "rust".to_owned();
        given([GateEvent::Lifted])
            .when(GateCommand::Lower)
            .then([GateEvent::Jammed { why: why.clone() }]);
        given([GateEvent::Lifted, GateEvent::Jammed { why }])
            .when(GateCommand::Lower)
            .then([GateEvent::Lowered]);
    }
}

/// A machine whose states share edges, declared once for all of them.
mod shared {
    use super::*;

    #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[on(Draft | Review: Edit / Edited => _, Drop / Dropped => Gone)]
    #[on(Draft | Review | Printed: / Noted => _)]
    enum TextState {
        #[state(initial)]
        #[on(Submit / Submitted => Review)]
        Draft,
        #[on(Print / Printed => Printed)]
        Review,
        #[on(Drop / Dropped => Gone)]
        Printed,
        #[state(terminal)]
        Gone,
    }

    #[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
    enum TextEvent {
        Edited,
        Submitted,
        Printed,
        Noted,
        Dropped,
    }

    #[derive(Command, Clone, Debug)]
    enum TextCommand {
        Edit,
        Submit,
        Print,
        Drop,
    }

    #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
    #[aggregate(domain = "press", name = "text")]
    struct Text {
        state: TextState,
    }

    #[test]
    fn an_edge_on_the_enum_is_one_of_each_state_that_it_names() {
        use TextState::{Draft, Gone, Printed, Review};
        let edge = |state: TextState| {
            let of = |command: &TextCommand| state.can_accept(command);
            [&TextCommand::Edit, &TextCommand::Drop, &TextCommand::Print].map(of)
        };
        assert_eq!(edge(Draft), [true, true, false]);
        assert_eq!(edge(Review), [true, true, true]);
        assert_eq!(edge(Printed), [false, true, false]);
        assert_eq!(edge(Gone), [false; 3]);
        for state in [Draft, Review, Printed] {
            assert_eq!(state.next(&TextEvent::Noted), Ok(state));
            assert_eq!(state.next(&TextEvent::Dropped), Ok(Gone));
        }
        assert_eq!(Review.next(&TextEvent::Edited), Ok(Review));
        assert!(Printed.next(&TextEvent::Edited).is_err());
        let written: Vec<_> = TextState::EDGES
            .iter()
            .map(|edge| format!("{} {} {}", edge.from, edge.event, edge.to))
            .collect();
        assert_eq!(
            written,
            [
                "Draft Submitted Review",
                "Draft Edited Draft",
                "Draft Dropped Gone",
                "Draft Noted Draft",
                "Review Printed Printed",
                "Review Edited Review",
                "Review Dropped Gone",
                "Review Noted Review",
                "Printed Dropped Gone",
                "Printed Noted Printed",
            ]
        );
        let _ = Text::default();
        let _ = TextCommand::Submit;
    }
}
