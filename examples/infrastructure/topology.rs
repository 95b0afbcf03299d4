//! A topology: networks and connections that come into being together, or not at all.
//!
//! Each part is an aggregate of its own, so no single commit can hold them. The plan is recorded first, [`provision`] then
//! makes the parts, and what became of it is recorded last.
//!
//! [`provision`]: super::provision

use std::collections::BTreeSet;

use cim_es::prelude::*;

use self::{TopologyCommand::*, TopologyError::*, TopologyEvent::*};
use super::connection::Medium;
use super::values::{Cidr, InterfaceRef, Label, Reason, Vlan};
use super::{Connection, Network};

/// A network that is to be defined.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedNetwork {
    pub id: Id<Network>,
    pub name: Label,
    pub scope: Label,
    pub blocks: Vec<Cidr>,
    pub vlan: Option<Vlan>,
}

/// A connection that is to be established.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedConnection {
    pub id: Id<Connection>,
    pub one: InterfaceRef,
    pub other: InterfaceRef,
    pub medium: Medium,
}

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TopologyState {
    #[state(initial)]
    #[on(Plan / Planned => Planned)]
    Unplanned,
    #[on(Complete / Defined => Defined, Abandon / Abandoned => Abandoned)]
    Planned,
    /// All parts are there; from here on each goes its own way.
    #[state(terminal)]
    Defined,
    /// One part was refused: those that were made are taken back.
    #[state(terminal)]
    Abandoned,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum TopologyEvent {
    /// What is to be made.
    #[event(subject = "network.topology_planned")]
    Planned {
        name: Label,
        networks: Vec<PlannedNetwork>,
        connections: Vec<PlannedConnection>,
    },
    #[event(subject = "network.topology_defined")]
    Defined,
    #[event(subject = "network.topology_abandoned")]
    #[apply(abandoned = Some(reason))]
    Abandoned { reason: Reason },
}

#[derive(Command, Clone, Debug)]
pub enum TopologyCommand {
    Plan {
        name: Label,
        networks: Vec<PlannedNetwork>,
        connections: Vec<PlannedConnection>,
    },
    Complete,
    Abandon {
        reason: Reason,
    },
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "infrastructure", name = "topology", error = TopologyError)]
pub struct Topology {
    state: TopologyState,
    pub name: Option<Label>,
    pub networks: Vec<PlannedNetwork>,
    pub connections: Vec<PlannedConnection>,
    pub abandoned: Option<Reason>,
}

/// Why a command is refused, beside those that the lifecycle refuses.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TopologyError {
    #[error("a topology has at least one part")]
    NoPart,
    #[error("{0} is planned twice: each part has an id of its own")]
    Twice(Uuid),
}

impl Decide for Topology {
    fn decide(&self, command: TopologyCommand, _: &Context) -> Decision<Self> {
        match command {
            Plan {
                name,
                networks,
                connections,
            } => {
                let ids = networks.iter().map(|it| it.id.as_uuid());
                let ids = ids.chain(connections.iter().map(|it| it.id.as_uuid()));
                let (mut known, mut is_empty) = (BTreeSet::new(), true);
                for id in ids {
                    is_empty = false;
                    if !known.insert(id) {
                        return Err(Twice(id));
                    }
                }
                if is_empty {
                    return Err(NoPart);
                }
                emit(Planned {
                    name,
                    networks,
                    connections,
                })
            }
            Complete => emit(Defined),
            Abandon { reason } => emit(Abandoned { reason }),
        }
    }
}
