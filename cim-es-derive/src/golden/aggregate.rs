#[automatically_derived]
#[allow(deprecated)]
impl ::cim_es::aggregate::Aggregate for Compute {
    type Value = Compute;
    type Id = ::cim_es::aggregate::Id<Compute>;
    type State = ComputeState;
    type Event = <ComputeState as ::cim_es::machine::StateMachine>::Event;
    type Command = <ComputeState as ::cim_es::machine::StateMachine>::Command;
    type Error = ComputeError;
    const DOMAIN: &'static str = "infrastructure";
    const NAME: &'static str = "compute";
    const KIND: &'static str = "infrastructure.compute";
    const FINGERPRINT: u64 = 3148445382626701430u64;
    fn state(&self) -> ComputeState {
        ::cim_es::__private::copied_state::<Self>(&self.state)
    }
    fn set_state(&mut self, the_state: ComputeState) {
        self.state = the_state;
    }
    const UNIQUE_NAMES: ::core::option::Option<
        fn(&Self) -> ::std::vec::Vec<::cim_es::aggregate::UniqueName>,
    > = ::core::option::Option::Some(|__aggregate| ::cim_es::__private::unique_names(
        Compute::names(__aggregate),
    ));
}
