#[automatically_derived]
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
const _: () = ::cim_es::__private::check_commands_are_decided::<
    ComputeCommand,
>("ComputeCommand", "Compute");
const _: () = ::cim_es::__private::check_command_is_accepted::<ComputeCommand>(0usize);
const _: () = ::cim_es::__private::check_command_is_accepted::<ComputeCommand>(1usize);
const _: () = ::cim_es::__private::check_command_is_accepted::<ComputeCommand>(2usize);
