#[automatically_derived]
#[allow(deprecated)]
impl ::cim_es::aggregate::Command for ComputeCommand {
    type Aggregate = Compute;
    const VARIANTS: &'static [&'static str] = &["Register", "Update", "Decommission"];
    fn index(&self) -> usize {
        match *self {
            ComputeCommand::Register { .. } => 0usize,
            ComputeCommand::Update { .. } => 1usize,
            ComputeCommand::Decommission { .. } => 2usize,
        }
    }
}
#[allow(deprecated)]
const _: () = ::cim_es::__private::check_commands_are_decided::<
    ComputeCommand,
>("ComputeCommand", "Compute");
#[allow(deprecated)]
const _: () = ::cim_es::__private::check_command_is_accepted::<ComputeCommand>(0usize);
#[allow(deprecated)]
const _: () = ::cim_es::__private::check_command_is_accepted::<ComputeCommand>(1usize);
#[allow(deprecated)]
const _: () = ::cim_es::__private::check_command_is_accepted::<ComputeCommand>(2usize);
