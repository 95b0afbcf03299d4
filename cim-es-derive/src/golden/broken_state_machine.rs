::core::compile_error! {
    "state `Actve` does not exist; did you mean `Active`?"
}
::core::compile_error! {
    "no state is initial: mark the one in which an aggregate begins with `#[state(initial)]`"
}
#[automatically_derived]
#[allow(deprecated)]
impl ::core::default::Default for ComputeState {
    fn default() -> Self {
        ::core::unreachable!()
    }
}
#[automatically_derived]
#[allow(deprecated)]
impl ::cim_es::machine::StateMachine for ComputeState {
    type Event = ComputeEvent;
    type Command = ComputeCommand;
    type Output = ();
    const STATES: &'static [&'static str] = &["Unregistered", "Active"];
    const EDGES: &'static [::cim_es::machine::Edge] = &[];
    const INITIAL: &'static str = "";
    const DIAGRAM: &'static str = "";
    const FINGERPRINT: u64 = 0;
    const TRANSITIONS: &'static [::cim_es::machine::Transition] = &[];
    const NEXT: &'static [u16] = &[];
    const BROKEN: bool = true;
    fn index(&self) -> usize {
        0
    }
    fn from_index(_: usize) -> ::core::option::Option<Self> {
        ::core::option::Option::None
    }
    fn copied(&self) -> Self {
        ::core::unreachable!()
    }
    fn output(&self) -> () {
        ::core::unreachable!()
    }
    fn is_terminal(&self) -> bool {
        false
    }
}
