//! A machine: registered, brought into use, maintained, and in the end decommissioned.

use cim_es::prelude::*;

use self::{ComputeCommand::*, ComputeError::*, ComputeEvent::*};
use super::values::{
    Capacity, DeviceName, Hostname, Interface, Label, MacAddress, Reason, SystemArchitecture,
};

/// What a scheduler may do with a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Availability {
    None,
    Draining,
    Schedulable,
}

/// How much it matters that a machine went out of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Severity {
    /// It was in use: what was connected to it is to be severed.
    Critical,
    /// It was out of use already.
    Planned,
    /// It never came into use.
    FailedProvision,
}

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[machine(output = Availability)]
#[on(Provisioning | Active | Maintenance: Rename / Renamed => _, Update / Updated => _)]
#[on(Provisioning | Active | Maintenance: AddInterface / InterfaceAdded => _, RemoveInterface / InterfaceRemoved => _)]
#[on(Provisioning | Active | Maintenance: AssignOwner / OwnerAssigned => _, AssignLocation / LocationAssigned => _)]
#[on(Provisioning | Active | Maintenance: AssignOrganization / OrganizationAssigned => _)]
#[on(Provisioning | Active | Maintenance: Decommission / Decommissioned => Decommissioned)]
#[on(Active | Maintenance: RemoveGuest / GuestRemoved => _)]
pub enum ComputeState {
    #[state(initial, output = Availability::None)]
    #[on(Register / Registered => Provisioning)]
    Unregistered,
    #[state(output = Availability::None)]
    #[on(Activate / Activated => Active)]
    Provisioning,
    #[state(output = Availability::Schedulable)]
    #[on(BeginMaintenance / MaintenanceStarted => Maintenance, PlaceGuest / GuestPlaced => _)]
    Active,
    #[state(output = Availability::Draining)]
    #[on(EndMaintenance / MaintenanceEnded => Active)]
    Maintenance,
    #[state(terminal, output = Availability::None)]
    Decommissioned,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ComputeEvent {
    /// The machine is known from now on.
    Registered {
        hostname: Hostname,
        system: SystemArchitecture,
    },
    /// It is in use from now on.
    Activated,
    /// It has another name.
    Renamed { hostname: Hostname },
    /// It can give more or less.
    Updated { capacity: Capacity },
    /// It has a further network interface.
    #[apply(interfaces.push(interface))]
    InterfaceAdded { interface: Interface },
    /// A network interface is gone.
    #[apply(interfaces.retain(|known| known.name != name))]
    InterfaceRemoved { name: DeviceName },
    /// It is being worked on, and takes no further guests.
    #[apply(_ = reason)]
    MaintenanceStarted { reason: Reason },
    /// It is in use again.
    MaintenanceEnded,
    /// Somebody answers for it.
    OwnerAssigned { owner: Label },
    /// It belongs to an organization.
    OrganizationAssigned { organization: Label },
    /// It stands somewhere else.
    LocationAssigned { location: Label },
    /// Another machine runs on this one.
    #[apply(guests.push((guest, needs)))]
    GuestPlaced { guest: Id<Compute>, needs: Capacity },
    /// A guest runs here no longer.
    #[apply(guests.retain(|(known, _)| *known != guest))]
    GuestRemoved { guest: Id<Compute> },
    /// It is not used any more.
    #[apply(_ = reason, _ = severity)]
    Decommissioned { reason: Reason, severity: Severity },
}

#[derive(Command, Clone, Debug)]
pub enum ComputeCommand {
    Register {
        hostname: Hostname,
        system: SystemArchitecture,
    },
    Activate,
    Rename {
        hostname: Hostname,
    },
    Update {
        capacity: Capacity,
    },
    AddInterface {
        interface: Interface,
    },
    RemoveInterface {
        name: DeviceName,
    },
    BeginMaintenance {
        reason: Reason,
    },
    EndMaintenance,
    AssignOwner {
        owner: Label,
    },
    AssignOrganization {
        organization: Label,
    },
    AssignLocation {
        location: Label,
    },
    PlaceGuest {
        guest: Id<Compute>,
        needs: Capacity,
    },
    RemoveGuest {
        guest: Id<Compute>,
    },
    Decommission {
        reason: Reason,
    },
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(
    domain = "infrastructure",
    name = "compute",
    error = ComputeError,
    unique = Compute::unique_names
)]
pub struct Compute {
    state: ComputeState,
    pub hostname: Option<Hostname>,
    pub system: Option<SystemArchitecture>,
    pub capacity: Option<Capacity>,
    pub interfaces: Vec<Interface>,
    pub guests: Vec<(Id<Compute>, Capacity)>,
    pub owner: Option<Label>,
    pub organization: Option<Label>,
    pub location: Option<Label>,
}

/// Why a command is refused, beside those that the lifecycle refuses.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ComputeError {
    #[error("interface {0} is known already")]
    KnownInterface(DeviceName),
    #[error("another interface has address {0}")]
    KnownAddress(MacAddress),
    #[error("interface {0} is not known")]
    UnknownInterface(DeviceName),
    #[error("a machine is not its own guest: name another")]
    OwnGuest,
    #[error("guest {0} is placed already")]
    KnownGuest(Id<Compute>),
    #[error("guest {0} is not placed here")]
    UnknownGuest(Id<Compute>),
    #[error("no room: {cores} cores and {memory_mib} MiB are free")]
    NoRoom { cores: u32, memory_mib: u32 },
    #[error("guests are placed here ({guests}): remove them first")]
    HasGuests { guests: usize },
}

impl Compute {
    /// A live machine holds its name, the addresses of its interfaces and its guests.
    fn unique_names(&self) -> Vec<UniqueName> {
        if self.state == ComputeState::Decommissioned {
            return Vec::new();
        }
        let hostname = self
            .hostname
            .iter()
            .map(|name| UniqueName::new("hostname", name.as_str().to_ascii_lowercase()));
        let addresses = self
            .interfaces
            .iter()
            .map(|it| UniqueName::new("mac", &it.mac));
        let guests = self.guests.iter();
        let guests = guests.map(|(guest, _)| UniqueName::new("guest", guest));
        hostname.chain(addresses).chain(guests).collect()
    }

    fn has_interface(&self, name: &DeviceName) -> bool {
        self.interfaces.iter().any(|known| known.name == *name)
    }

    fn has_guest(&self, guest: &Id<Compute>) -> bool {
        self.guests.iter().any(|(known, _)| known == guest)
    }

    /// What guests do not use, as cores and MiB.
    fn free(&self) -> (u32, u32) {
        let of = |part: fn(&Capacity) -> u32| {
            let used = self.guests.iter().map(|(_, needs)| part(needs));
            let all = self.capacity.as_ref().map_or(0, part);
            used.fold(all, u32::saturating_sub)
        };
        (of(|it| it.cores.get()), of(|it| it.memory_mib.get()))
    }

    fn added(&self, interface: Interface) -> Decision<Self> {
        if self.has_interface(&interface.name) {
            return Err(KnownInterface(interface.name));
        }
        match self
            .interfaces
            .iter()
            .any(|known| known.mac == interface.mac)
        {
            true => Err(KnownAddress(interface.mac)),
            false => emit(InterfaceAdded { interface }),
        }
    }

    fn placed(&self, guest: Id<Compute>, needs: Capacity) -> Decision<Self> {
        let (cores, memory_mib) = self.free();
        let fits = needs.cores.get() <= cores && needs.memory_mib.get() <= memory_mib;
        match (self.has_guest(&guest), fits) {
            (true, _) => Err(KnownGuest(guest)),
            (_, false) => Err(NoRoom { cores, memory_mib }),
            _ => emit(GuestPlaced { guest, needs }),
        }
    }

    fn decommissioned(&self, reason: Reason) -> Decision<Self> {
        let guests = self.guests.len();
        if guests > 0 {
            return Err(HasGuests { guests });
        }
        let severity = match self.state {
            ComputeState::Active => Severity::Critical,
            ComputeState::Provisioning => Severity::FailedProvision,
            _ => Severity::Planned,
        };
        emit(Decommissioned { reason, severity })
    }
}

impl Decide for Compute {
    fn decide(&self, command: ComputeCommand, context: &Context) -> Decision<Self> {
        match command {
            Register { hostname, system } => emit(Registered { hostname, system }),
            Activate => emit(Activated),
            Rename { hostname } if self.hostname.as_ref() == Some(&hostname) => nothing(),
            Rename { hostname } => emit(Renamed { hostname }),
            Update { capacity } if self.capacity == Some(capacity) => nothing(),
            Update { capacity } => emit(Updated { capacity }),
            AddInterface { interface } => self.added(interface),
            RemoveInterface { name } if !self.has_interface(&name) => Err(UnknownInterface(name)),
            RemoveInterface { name } => emit(InterfaceRemoved { name }),
            BeginMaintenance { reason } => emit(MaintenanceStarted { reason }),
            EndMaintenance => emit(MaintenanceEnded),
            AssignOwner { owner } if self.owner.as_ref() == Some(&owner) => nothing(),
            AssignOwner { owner } => emit(OwnerAssigned { owner }),
            AssignOrganization { organization: it } if self.organization.as_ref() == Some(&it) => {
                nothing()
            }
            AssignOrganization { organization } => emit(OrganizationAssigned { organization }),
            AssignLocation { location } if self.location.as_ref() == Some(&location) => nothing(),
            AssignLocation { location } => emit(LocationAssigned { location }),
            PlaceGuest { guest, .. } if context.is_for(&guest) => Err(OwnGuest),
            PlaceGuest { guest, needs } => self.placed(guest, needs),
            RemoveGuest { guest } if !self.has_guest(&guest) => Err(UnknownGuest(guest)),
            RemoveGuest { guest } => emit(GuestRemoved { guest }),
            Decommission { reason } => self.decommissioned(reason),
        }
    }
}
