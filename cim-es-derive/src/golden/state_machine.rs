#[automatically_derived]
#[allow(deprecated)]
impl ::core::default::Default for ComputeState {
    fn default() -> Self {
        ComputeState::Unregistered
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl ::cim_es::machine::StateMachine for ComputeState {
    type Event = ComputeEvent;
    type Command = ComputeCommand;
    type Output = Availability;
    const STATES: &'static [&'static str] = &[
        "Unregistered",
        "Active",
        "Decommissioned",
    ];
    const EDGES: &'static [::cim_es::machine::Edge] = &[
        ::cim_es::__private::edge("Unregistered", "Register", "Registered", "Active"),
        ::cim_es::__private::edge("Unregistered", "", "Imported", "Active"),
        ::cim_es::__private::edge("Active", "Update", "Updated", "Active"),
        ::cim_es::__private::edge(
            "Active",
            "Decommission",
            "Decommissioned",
            "Decommissioned",
        ),
    ];
    const INITIAL: &'static str = "Unregistered";
    const DIAGRAM: &'static str = "stateDiagram-v2\n    [*] --> Unregistered\n    Unregistered --> Active: Register / Registered\n    Unregistered --> Active: / Imported\n    Active --> Active: Update / Updated\n    Active --> Decommissioned: Decommission / Decommissioned\n    Decommissioned --> [*]\n";
    const FINGERPRINT: u64 = 17248338447355005177u64;
    const TRANSITIONS: &'static [::cim_es::machine::Transition] = &::cim_es::__private::transitions::<
        ComputeState,
        4usize,
    >(&[(0u16, 1u16), (0u16, 1u16), (1u16, 1u16), (1u16, 2u16)]);
    const NEXT: &'static [u16] = &::cim_es::__private::next_table::<
        ComputeState,
        { 3usize * ::cim_es::__private::event_count::<ComputeState>() },
    >();
    fn index(&self) -> usize {
        match *self {
            ComputeState::Unregistered => 0usize,
            ComputeState::Active => 1usize,
            ComputeState::Decommissioned => 2usize,
        }
    }
    fn from_index(the_index: usize) -> ::core::option::Option<Self> {
        match the_index {
            0usize => ::core::option::Option::Some(ComputeState::Unregistered),
            1usize => ::core::option::Option::Some(ComputeState::Active),
            2usize => ::core::option::Option::Some(ComputeState::Decommissioned),
            _ => ::core::option::Option::None,
        }
    }
    fn copied(&self) -> Self {
        match *self {
            ComputeState::Unregistered => ComputeState::Unregistered,
            ComputeState::Active => ComputeState::Active,
            ComputeState::Decommissioned => ComputeState::Decommissioned,
        }
    }
    fn output(&self) -> Availability {
        match *self {
            ComputeState::Unregistered => Availability::None,
            ComputeState::Active => Availability::Schedulable,
            ComputeState::Decommissioned => Availability::None,
        }
    }
    fn is_terminal(&self) -> bool {
        match *self {
            ComputeState::Unregistered => false,
            ComputeState::Active => false,
            ComputeState::Decommissioned => true,
        }
    }
}
#[allow(deprecated)]
const _: () = ::cim_es::__private::check_edge_event::<
    ComputeState,
>(0usize, "ComputeEvent");
#[allow(deprecated)]
const _: () = ::cim_es::__private::check_edge_command::<
    ComputeState,
>(0usize, "ComputeCommand");
#[allow(deprecated)]
const _: () = ::cim_es::__private::check_edge_event::<
    ComputeState,
>(1usize, "ComputeEvent");
#[allow(deprecated)]
const _: () = ::cim_es::__private::check_edge_event::<
    ComputeState,
>(2usize, "ComputeEvent");
#[allow(deprecated)]
const _: () = ::cim_es::__private::check_edge_command::<
    ComputeState,
>(2usize, "ComputeCommand");
#[allow(deprecated)]
const _: () = ::cim_es::__private::check_edge_event::<
    ComputeState,
>(3usize, "ComputeEvent");
#[allow(deprecated)]
const _: () = ::cim_es::__private::check_edge_command::<
    ComputeState,
>(3usize, "ComputeCommand");
