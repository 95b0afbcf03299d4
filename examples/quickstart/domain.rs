//! The domain: a machine that is registered, kept up to date, and in the end decommissioned.

use cim_es::prelude::*;

use self::{ComputeCommand::*, ComputeError::*, ComputeEvent::*};
use super::values::{DeviceName, Disk, Hostname, Interface, Reason, ResourceCapabilities, System};

/// What a scheduler may do with a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Availability {
    None,
    Schedulable,
}

/// The lifecycle: on each edge, a command and the event that it leads to.
#[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
#[machine(output = Availability)]
pub enum ComputeState {
    #[state(initial, output = Availability::None)]
    #[on(Register / Registered => Active)]
    Unregistered,
    #[state(output = Availability::Schedulable)]
    #[on(Rename / Renamed => _)]
    #[on(Update / Updated => _)]
    #[on(AddDisk / DiskAdded => _)]
    #[on(RemoveDisk / DiskRemoved => _)]
    #[on(AddInterface / InterfaceAdded => _)]
    #[on(RemoveInterface / InterfaceRemoved => _)]
    #[on(Decommission / Decommissioned => Decommissioned)]
    Active,
    #[state(terminal, output = Availability::None)]
    Decommissioned,
}

/// What happened, published as `infrastructure.compute.registered` and so on.
#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ComputeEvent {
    /// The machine is known from now on.
    Registered { hostname: Hostname, system: System },
    /// It has another name.
    Renamed { hostname: Hostname },
    /// It can give more, less or something else.
    Updated { capabilities: ResourceCapabilities },
    /// A disk is new, or new in its size or its file system.
    #[apply(disks.push(disk))]
    DiskAdded { disk: Disk },
    /// A disk is gone.
    #[apply(disks.retain(|known| known.device != device))]
    DiskRemoved { device: DeviceName },
    /// A network interface is new, or has a new address.
    #[apply(interfaces.push(interface))]
    InterfaceAdded { interface: Interface },
    /// A network interface is gone.
    #[apply(interfaces.retain(|known| known.name != name))]
    InterfaceRemoved { name: DeviceName },
    /// The machine is not used any more.
    Decommissioned { reason: Reason },
}

/// What can be asked of a machine.
#[derive(Command, Clone, Debug)]
pub enum ComputeCommand {
    Register { hostname: Hostname, system: System },
    Rename { hostname: Hostname },
    Update { capabilities: ResourceCapabilities },
    AddDisk { disk: Disk },
    RemoveDisk { device: DeviceName },
    AddInterface { interface: Interface },
    RemoveInterface { name: DeviceName },
    Decommission { reason: Reason },
}

/// What the events fold into.
#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "infrastructure", name = "compute", error = ComputeError)]
pub struct Compute {
    state: ComputeState,
    pub hostname: Option<Hostname>,
    pub system: Option<System>,
    pub capabilities: Option<ResourceCapabilities>,
    pub disks: Vec<Disk>,
    pub interfaces: Vec<Interface>,
    pub reason: Option<Reason>,
}

/// Why a command is refused, beside those that the lifecycle refuses.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ComputeError {
    #[error("{0} is known already")]
    Duplicate(DeviceName),
    #[error("{0} is not known")]
    Unknown(DeviceName),
}

impl Compute {
    fn has_disk(&self, device: &DeviceName) -> bool {
        self.disks.iter().any(|disk| disk.device == *device)
    }

    fn has_interface(&self, name: &DeviceName) -> bool {
        self.interfaces
            .iter()
            .any(|interface| interface.name == *name)
    }
}

/// The rules; the lifecycle has already refused what the present state does not accept.
impl Decide for Compute {
    fn decide(&self, command: ComputeCommand, _: &Context) -> Decision<Self> {
        match command {
            Register { hostname, system } => emit(Registered { hostname, system }),
            Rename { hostname } if self.hostname.as_ref() == Some(&hostname) => nothing(),
            Rename { hostname } => emit(Renamed { hostname }),
            Update { capabilities } if self.capabilities.as_ref() == Some(&capabilities) => {
                nothing()
            }
            Update { capabilities } => emit(Updated { capabilities }),
            AddDisk { disk } if self.has_disk(&disk.device) => Err(Duplicate(disk.device)),
            AddDisk { disk } => emit(DiskAdded { disk }),
            RemoveDisk { device } if !self.has_disk(&device) => Err(Unknown(device)),
            RemoveDisk { device } => emit(DiskRemoved { device }),
            AddInterface { interface } if self.has_interface(&interface.name) => {
                Err(Duplicate(interface.name))
            }
            AddInterface { interface } => emit(InterfaceAdded { interface }),
            RemoveInterface { name } if !self.has_interface(&name) => Err(Unknown(name)),
            RemoveInterface { name } => emit(InterfaceRemoved { name }),
            Decommission { reason } => emit(Decommissioned { reason }),
        }
    }
}
