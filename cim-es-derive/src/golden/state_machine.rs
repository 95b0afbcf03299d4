#[automatically_derived]
impl ::core::default::Default for ComputeState {
    fn default() -> Self {
        ComputeState::Unregistered
    }
}
#[automatically_derived]
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
    const FINGERPRINT: u64 = 4517793772023017903u64;
    const TRANSITIONS: &'static [::cim_es::machine::Transition] = &::cim_es::__private::transitions::<
        ComputeState,
        4usize,
    >();
    const NEXT: &'static [u16] = &::cim_es::__private::next_table::<
        ComputeState,
        { 3usize * ::cim_es::__private::event_count::<ComputeState>() },
    >();
    fn index(self) -> usize {
        match self {
            ComputeState::Unregistered => 0usize,
            ComputeState::Active => 1usize,
            ComputeState::Decommissioned => 2usize,
        }
    }
    fn from_index(index: usize) -> ::core::option::Option<Self> {
        [ComputeState::Unregistered, ComputeState::Active, ComputeState::Decommissioned]
            .get(index)
            .copied()
    }
    fn output(self) -> Availability {
        match self {
            ComputeState::Unregistered => Availability::None,
            ComputeState::Active => Availability::Schedulable,
            ComputeState::Decommissioned => Availability::None,
        }
    }
    fn is_terminal(self) -> bool {
        [
            false, false, true,
        ][<ComputeState as ::cim_es::machine::StateMachine>::index(self)]
    }
}
const _: () = ::cim_es::__private::check_edge_event::<
    ComputeState,
>("Registered", "ComputeEvent");
const _: () = ::cim_es::__private::check_edge_command::<
    ComputeState,
>("Register", "ComputeCommand");
const _: () = ::cim_es::__private::check_edge_event::<
    ComputeState,
>("Imported", "ComputeEvent");
const _: () = ::cim_es::__private::check_edge_event::<
    ComputeState,
>("Updated", "ComputeEvent");
const _: () = ::cim_es::__private::check_edge_command::<
    ComputeState,
>("Update", "ComputeCommand");
const _: () = ::cim_es::__private::check_edge_event::<
    ComputeState,
>("Decommissioned", "ComputeEvent");
const _: () = ::cim_es::__private::check_edge_command::<
    ComputeState,
>("Decommission", "ComputeCommand");
