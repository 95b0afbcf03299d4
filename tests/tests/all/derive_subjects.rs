//! `subject!`, `filter!` and `domain!`.

use cim_es::prelude::*;

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum ComputeState {
    #[state(initial)]
    #[on(Register / Registered => _, Register / Updated => _)]
    Any,
}

#[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
enum ComputeEvent {
    #[event(was = "announced")]
    Registered,
    #[event(subject = "inventory.updated")]
    Updated,
}

#[derive(Command, Clone, Debug)]
enum ComputeCommand {
    Register,
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "infrastructure", name = "compute")]
struct Compute {
    state: ComputeState,
}

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum NetworkState {
    #[state(initial)]
    #[on(Define / Defined => Up)]
    Planned,
    #[state(terminal)]
    Up,
}

#[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
enum NetworkEvent {
    Defined,
}

#[derive(Command, Clone, Debug)]
enum NetworkCommand {
    Define,
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "infrastructure", name = "network")]
struct Network {
    state: NetworkState,
}

domain!(pub INFRASTRUCTURE = [ComputeEvent, NetworkEvent]);

domain! {
    /// Documented by hand, and private.
    COMPUTES = [self::ComputeEvent]
}

const REGISTERED: Subject<ComputeEvent> =
    subject!(ComputeEvent, "infrastructure.compute.registered");

#[test]
fn a_subject_is_checked_and_usable_as_a_constant() {
    assert_eq!(REGISTERED.as_str(), "infrastructure.compute.registered");
    let updated = subject!(self::ComputeEvent, "infrastructure.inventory.updated");
    assert_eq!(updated.to_string(), "infrastructure.inventory.updated");
    assert_ne!(REGISTERED, updated);
    assert_eq!(ComputeEvent::Registered.event_type(), REGISTERED.as_str());
}

#[test]
fn a_filter_matches_what_its_pattern_says() {
    let computes = filter!(ComputeEvent, "infrastructure.compute.*");
    assert!(computes.matches("infrastructure.compute.registered"));
    assert!(!computes.matches("infrastructure.inventory.updated"));
    let all = filter!(ComputeEvent, "infrastructure.>");
    assert!(
        ComputeEvent::TYPES
            .iter()
            .all(|subject| all.matches(subject))
    );
}

#[test]
fn a_filter_may_match_a_former_subject_alone() {
    let former = filter!(ComputeEvent, "infrastructure.compute.announced");
    assert_eq!(former.as_str(), "infrastructure.compute.announced");
}

#[test]
fn all_subjects_of_an_enum_can_be_listed() {
    let subjects: Vec<_> = Subject::<ComputeEvent>::all()
        .map(|subject| subject.as_str())
        .collect();
    assert_eq!(
        subjects,
        [
            "infrastructure.compute.registered",
            "infrastructure.inventory.updated"
        ]
    );
    assert_eq!(Subject::of(&ComputeEvent::Registered), REGISTERED);
}

#[test]
fn a_domain_lists_its_aggregates_and_their_subjects() {
    assert_eq!(INFRASTRUCTURE.name(), "infrastructure");
    let kinds: Vec<_> = INFRASTRUCTURE
        .aggregates()
        .iter()
        .map(|info| info.kind)
        .collect();
    assert_eq!(kinds, ["infrastructure.compute", "infrastructure.network"]);
    let subjects: Vec<_> = INFRASTRUCTURE.subjects().collect();
    assert_eq!(
        subjects,
        [
            "infrastructure.compute.registered",
            "infrastructure.inventory.updated",
            "infrastructure.network.defined",
        ]
    );
    assert_eq!(COMPUTES.aggregates().len(), 1);
}

#[test]
fn a_domain_finds_an_aggregate_and_an_event_also_by_a_former_name() {
    let network = INFRASTRUCTURE.aggregate("infrastructure.network").unwrap();
    assert_eq!(network.states, ["Planned", "Up"]);
    assert_eq!(network.commands, ["Define"]);
    assert_eq!(network.edges.len(), 1);
    assert_eq!(network.diagram, NetworkState::DIAGRAM);
    let event = INFRASTRUCTURE
        .event("infrastructure.compute.announced")
        .unwrap();
    assert_eq!(event.variant, "Registered");
    assert!(
        INFRASTRUCTURE
            .event("infrastructure.compute.lost")
            .is_none()
    );
}

#[test]
fn every_declaration_is_alive() {
    assert!(ComputeState::Any.can_accept(&ComputeCommand::Register));
    assert!(NetworkState::Planned.can_accept(&NetworkCommand::Define));
    let mut compute = Compute::default();
    compute.apply(ComputeEvent::Updated).unwrap();
    let mut network = Network::default();
    network.apply(NetworkEvent::Defined).unwrap();
    assert!(network.state().is_terminal());
}
