//! The page of the domain author: declared types, and what follows from them.

use cim_es::message::{Context, MessageIdentity, Timestamp};
use cim_es::prelude::*;

use self::{ComputeCommand::*, ComputeEvent::*};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Availability {
    None,
    Schedulable,
}

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[machine(output = Availability)]
enum ComputeState {
    #[state(initial, output = Availability::None)]
    #[on(Register / Registered => Active)]
    Unregistered,
    #[state(output = Availability::Schedulable)]
    #[on(Update / Updated => _)]
    #[on(AddInterface / InterfaceAdded => _)]
    #[on(Decommission / Decommissioned => Decommissioned)]
    Active,
    #[state(terminal, output = Availability::None)]
    Decommissioned,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
enum ComputeEvent {
    Registered {
        hostname: String,
        system: String,
    },
    Updated {
        capabilities: u64,
    },
    #[apply(interfaces.push(interface))]
    InterfaceAdded {
        interface: String,
    },
    #[apply(_ = reason)]
    Decommissioned {
        reason: String,
    },
}

#[derive(Command, Clone, Debug)]
enum ComputeCommand {
    Register { hostname: String, system: String },
    Update { capabilities: u64 },
    AddInterface { interface: String },
    Decommission { reason: String },
}

#[derive(Debug, PartialEq)]
struct ComputeError(String);

impl std::fmt::Display for ComputeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "interface `{}` is there already", self.0)
    }
}

impl std::error::Error for ComputeError {}

#[derive(Aggregate, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[aggregate(domain = "infrastructure", name = "compute", error = ComputeError)]
struct Compute {
    state: ComputeState,
    hostname: Option<String>,
    system: Option<String>,
    capabilities: u64,
    interfaces: Vec<String>,
}

impl Decide for Compute {
    fn decide(&self, command: ComputeCommand, _: &Context) -> Decision<Self> {
        match command {
            Register { hostname, system } => emit(Registered { hostname, system }),
            Update { capabilities } if capabilities == self.capabilities => nothing(),
            Update { capabilities } => emit(Updated { capabilities }),
            AddInterface { interface } if self.interfaces.contains(&interface) => {
                Err(ComputeError(interface))
            }
            AddInterface { interface } => emit(InterfaceAdded { interface }),
            Decommission { reason } => emit(Decommissioned { reason }),
        }
    }
}

fn registered() -> ComputeEvent {
    Registered {
        hostname: "one".to_owned(),
        system: "x86-64".to_owned(),
    }
}

fn active() -> Compute {
    let mut compute = Compute::default();
    compute.apply(registered()).unwrap();
    compute
}

#[test]
fn the_default_state_is_the_initial_one() {
    assert_eq!(ComputeState::default(), ComputeState::Unregistered);
    assert_eq!(ComputeState::INITIAL, "Unregistered");
    assert_eq!(Compute::default().state(), ComputeState::Unregistered);
}

#[test]
fn applying_moves_the_state_and_then_takes_the_fields() {
    let mut compute = active();
    let interface = "eth0".to_owned();
    compute.apply(InterfaceAdded { interface }).unwrap();
    compute.apply(Updated { capabilities: 7 }).unwrap();
    let expected = Compute {
        state: ComputeState::Active,
        hostname: Some("one".to_owned()),
        system: Some("x86-64".to_owned()),
        capabilities: 7,
        interfaces: vec!["eth0".to_owned()],
    };
    assert_eq!(compute, expected);
}

#[test]
fn an_event_without_an_edge_is_an_error_and_changes_nothing() {
    let mut compute = active();
    let before = compute.clone();
    let error = compute.apply(registered()).unwrap_err();
    assert_eq!((error.state, error.event), ("Active", "Registered"));
    assert_eq!(compute, before);
}

#[test]
fn a_command_is_accepted_where_its_state_has_an_edge_for_it() {
    let update = Update { capabilities: 1 };
    assert!(ComputeState::Active.can_accept(&update));
    assert!(!ComputeState::Unregistered.can_accept(&update));
    assert!(!ComputeState::Decommissioned.can_accept(&update));
    assert_eq!(
        ComputeState::Active.accepted_commands(),
        ["Update", "AddInterface", "Decommission"]
    );
}

#[test]
fn a_state_tells_its_output_and_whether_it_is_terminal() {
    assert_eq!(ComputeState::Active.output(), Availability::Schedulable);
    assert_eq!(ComputeState::Unregistered.output(), Availability::None);
    assert!(ComputeState::Decommissioned.is_terminal());
    assert!(!ComputeState::Active.is_terminal());
}

#[test]
fn the_diagram_shows_states_and_edges() {
    let expected = "stateDiagram-v2
    [*] --> Unregistered
    Unregistered --> Active: Register / Registered
    Active --> Active: Update / Updated
    Active --> Active: AddInterface / InterfaceAdded
    Active --> Decommissioned: Decommission / Decommissioned
    Decommissioned --> [*]
";
    assert_eq!(ComputeState::DIAGRAM, expected);
}

#[test]
fn a_subject_is_domain_aggregate_and_operation() {
    assert_eq!(
        ComputeEvent::TYPES,
        [
            "infrastructure.compute.registered",
            "infrastructure.compute.updated",
            "infrastructure.compute.interface_added",
            "infrastructure.compute.decommissioned",
        ]
    );
    assert_eq!(Compute::KIND, "infrastructure.compute");
    let info = registered().info();
    assert_eq!(info.variant, "Registered");
    assert_eq!(info.event_type, "infrastructure.compute.registered");
    assert_eq!(info.fields, ["hostname", "system"]);
    assert_eq!((info.schema, info.upcasters.len()), (1, 0));
}

#[test]
fn a_decision_gives_events_nothing_or_an_error() {
    let identity = MessageIdentity::new_from_user("me");
    let context = Context::new(identity, Timestamp::from_micros(0));
    let register = Register {
        hostname: "one".to_owned(),
        system: "x86-64".to_owned(),
    };
    let registered = Compute::default().decide(register, &context).unwrap();
    assert_eq!(registered.as_slice(), [self::registered()]);
    let reason = "broken".to_owned();
    assert!(active().decide(Decommission { reason }, &context).is_ok());

    let mut compute = active();
    let add = |compute: &Compute| {
        let interface = "eth0".to_owned();
        compute.decide(AddInterface { interface }, &context)
    };
    let events = add(&compute).unwrap().into_vec();
    for event in events {
        compute.apply(event).unwrap();
    }
    assert_eq!(add(&compute).unwrap_err(), ComputeError("eth0".to_owned()));
    let unchanged = compute.decide(Update { capabilities: 0 }, &context);
    assert!(unchanged.unwrap().is_nothing());
}
