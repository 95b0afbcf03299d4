//! A network: blocks of addresses that interfaces take theirs from.

use cim_es::prelude::*;

use self::{NetworkCommand::*, NetworkError::*, NetworkEvent::*};
use super::values::{Address, Cidr, InterfaceRef, Label, Reason, Vlan};

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkState {
    #[state(initial)]
    #[on(Define / Defined => Defined)]
    Undefined,
    #[on(Resize / Resized => _)]
    #[on(Attach / Attached => _)]
    #[on(Detach / Detached => _)]
    #[on(Remove / Removed => Removed)]
    Defined,
    #[state(terminal)]
    Removed,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum NetworkEvent {
    /// The scope is where its addresses and its VLAN mean this network: a site, a tenant.
    Defined {
        name: Label,
        scope: Label,
        blocks: Vec<Cidr>,
        vlan: Option<Vlan>,
    },
    Resized {
        blocks: Vec<Cidr>,
    },
    #[event(operation = "interface_attached")]
    #[apply(attached.push((interface, address)))]
    Attached {
        interface: InterfaceRef,
        address: Address,
    },
    #[event(operation = "interface_detached")]
    #[apply(attached.retain(|(known, _)| *known != interface))]
    Detached {
        interface: InterfaceRef,
    },
    #[apply(_ = reason)]
    Removed {
        reason: Reason,
    },
}

#[derive(Command, Clone, Debug)]
pub enum NetworkCommand {
    Define {
        name: Label,
        scope: Label,
        blocks: Vec<Cidr>,
        vlan: Option<Vlan>,
    },
    Resize {
        blocks: Vec<Cidr>,
    },
    Attach {
        interface: InterfaceRef,
        address: Address,
    },
    Detach {
        interface: InterfaceRef,
    },
    Remove {
        reason: Reason,
    },
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(
    domain = "infrastructure",
    name = "network",
    error = NetworkError,
    unique = Network::unique_names
)]
pub struct Network {
    state: NetworkState,
    pub name: Option<Label>,
    pub scope: Option<Label>,
    pub blocks: Vec<Cidr>,
    pub vlan: Option<Vlan>,
    pub attached: Vec<(InterfaceRef, Address)>,
}

/// Why a command is refused, beside those that the lifecycle refuses.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NetworkError {
    #[error("a network has at least one block of addresses")]
    NoBlock,
    #[error("{0} and {1} overlap")]
    Overlap(Cidr, Cidr),
    #[error("{0} is no address for a host of this network")]
    NotForAHost(Address),
    #[error("{0} is taken")]
    Taken(Address),
    #[error("interface {0} is attached already")]
    IsAttached(InterfaceRef),
    #[error("interface {0} is not attached")]
    NotAttached(InterfaceRef),
    #[error("{attached} interfaces are attached: detach them first")]
    InUse { attached: usize },
}

impl Network {
    /// A live network holds its name, its VLAN and its blocks, each within its scope.
    fn unique_names(&self) -> Vec<UniqueName> {
        let Some(scope) = self
            .scope
            .as_ref()
            .filter(|_| self.state == NetworkState::Defined)
        else {
            return Vec::new();
        };
        let name = self.name.iter();
        // A label can have anything in it, so one of the two stands in quotation marks.
        let names =
            name.map(|it| UniqueName::new("network_name", format!("{:?} in {scope}", it.as_str())));
        let vlans = self.vlan.iter().map(|it| {
            let vlan = u16::from(*it);
            UniqueName::new("vlan", format!("{vlan} in {scope}"))
        });
        let blocks = self.blocks.iter();
        let blocks = blocks.map(|it| UniqueName::new("block", format!("{it} in {scope}")));
        names.chain(vlans).chain(blocks).collect()
    }

    fn has_attached(&self, interface: &InterfaceRef) -> bool {
        self.attached.iter().any(|(known, _)| known == interface)
    }

    fn attach(&self, interface: InterfaceRef, address: Address) -> Decision<Self> {
        if self.has_attached(&interface) {
            return Err(IsAttached(interface));
        }
        if !self
            .blocks
            .iter()
            .any(|block| block.is_for_a_host(&address))
        {
            return Err(NotForAHost(address));
        }
        match self.attached.iter().any(|(_, taken)| *taken == address) {
            true => Err(Taken(address)),
            false => emit(Attached { interface, address }),
        }
    }

    /// Blocks that make a network: one at least, none overlapping, with room for every address in use.
    fn checked(&self, blocks: Vec<Cidr>) -> Result<Vec<Cidr>, NetworkError> {
        if blocks.is_empty() {
            return Err(NoBlock);
        }
        for (place, block) in blocks.iter().enumerate() {
            if let Some(other) = blocks[..place].iter().find(|it| it.overlaps(block)) {
                return Err(Overlap(other.clone(), block.clone()));
            }
        }
        let addresses = self.attached.iter().map(|(_, address)| address);
        let mut lost = addresses.filter(|it| !blocks.iter().any(|block| block.is_for_a_host(it)));
        match lost.next() {
            Some(address) => Err(NotForAHost(address.clone())),
            None => Ok(blocks),
        }
    }
}

impl Decide for Network {
    fn decide(&self, command: NetworkCommand, _: &Context) -> Decision<Self> {
        match command {
            Define {
                name,
                scope,
                blocks,
                vlan,
            } => {
                let blocks = self.checked(blocks)?;
                emit(Defined {
                    name,
                    scope,
                    blocks,
                    vlan,
                })
            }
            Resize { blocks } if self.blocks == blocks => nothing(),
            Resize { blocks } => emit(Resized {
                blocks: self.checked(blocks)?,
            }),
            Attach { interface, address } => self.attach(interface, address),
            Detach { interface } if !self.has_attached(&interface) => Err(NotAttached(interface)),
            Detach { interface } => emit(Detached { interface }),
            Remove { .. } if !self.attached.is_empty() => Err(InUse {
                attached: self.attached.len(),
            }),
            Remove { reason } => emit(Removed { reason }),
        }
    }
}
