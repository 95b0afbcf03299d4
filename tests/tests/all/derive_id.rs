//! Ids of the author's own.

use std::net::Ipv4Addr;

use cim_es::aggregate::{IdText, IdTextError};
use cim_es::prelude::*;
use cim_es::subject::Token;

#[derive(AggregateId, Clone, Debug, PartialEq, Eq, Hash)]
struct MachineId(String);

#[derive(AggregateId, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Number(u32);

#[derive(AggregateId, Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Address(Ipv4Addr);

#[test]
fn an_id_prints_and_parses_as_what_it_holds() {
    let id = MachineId("web-1".to_owned());
    assert_eq!(id.to_string(), "web-1");
    assert_eq!("web-1".parse::<MachineId>().unwrap(), id);
    assert_eq!(Number(7).text().unwrap().as_str(), "7");
    assert_eq!(format!("{:>4}", Number(7)), "   7");
}

#[test]
fn an_id_comes_back_from_its_text() {
    let id = MachineId("web-1".to_owned());
    assert_eq!(MachineId::from_text(&id.text().unwrap()).unwrap(), id);
}

#[test]
fn a_text_that_is_no_id_is_refused_with_the_reason() {
    let error = "seven".parse::<Number>().unwrap_err();
    assert_eq!((error.text.as_str(), error.expected), ("seven", "Number"));
    let text = IdText::new("seven").unwrap();
    assert!(Number::from_text(&text).is_err());
    let error = "seven".parse::<Id<Machine>>().unwrap_err().to_string();
    assert!(
        error.starts_with("`seven` is no id of Machine: "),
        "{error}"
    );
}

#[test]
fn what_does_not_print_is_escaped_in_a_message() {
    let error = Token::new("a\nb").unwrap_err().to_string();
    assert!(error.starts_with("`a\\nb` cannot stand"), "{error}");
    let error = "\u{1b}[2J".parse::<Number>().unwrap_err().to_string();
    assert!(error.starts_with("`\\u{1b}[2J` is no id"), "{error}");
}

#[test]
fn an_id_that_no_token_holds_is_escaped_in_a_subject_alone() {
    let id = Address(Ipv4Addr::LOCALHOST).text().unwrap();
    assert_eq!(id.as_str(), "127.0.0.1");
    assert_eq!(id.token(), "127%2E0%2E0%2E1");
    assert_eq!(MachineId(String::new()).text(), Err(IdTextError::Empty));
}

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum MachineState {
    #[state(initial)]
    #[on(Start / Started => _)]
    Running,
}

#[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
enum MachineEvent {
    Started,
}

#[derive(Command, Clone, Debug)]
enum MachineCommand {
    Start,
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "shop", name = "machine", id = MachineId)]
struct Machine {
    state: MachineState,
}

#[test]
fn an_aggregate_names_the_type_of_its_id() {
    fn has_id<A: Aggregate<Id = MachineId>>() {}
    has_id::<Machine>();
    assert!(
        Machine::default()
            .state()
            .can_accept(&MachineCommand::Start)
    );
    let mut machine = Machine::default();
    assert_eq!(machine.apply(MachineEvent::Started), Ok(()));
}
