//! What there is at the moment: machines, the networks that they are on, and the connections between them.
//!
//! A view over several kinds of aggregates: none of them knows the others, and the questions are about all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use cim_es::prelude::*;
use cim_es::projection::{InMemoryView, NotReady, UpTo};
use petgraph::algo::astar;
use petgraph::graphmap::UnGraphMap;

use super::connection::Medium;
use super::values::{
    Address, Cidr, DeviceName, Hostname, InterfaceRef, Label, MacAddress, Name, Version,
};
use super::{
    Compute, ComputeEvent, Connection, ConnectionEvent, Network, NetworkEvent, Software,
    SoftwareEvent,
};

/// The topology: everything that is in use, and how it hangs together.
#[derive(Projection, Clone, Debug, Default)]
#[projection(
    name = "topology",
    version = 1,
    events = [ComputeEvent, NetworkEvent, ConnectionEvent, SoftwareEvent]
)]
pub struct CurrentTopology {
    computes: BTreeMap<Id<Compute>, CurrentCompute>,
    networks: BTreeMap<Id<Network>, CurrentNetwork>,
    connections: BTreeMap<Id<Connection>, CurrentConnection>,
    software: BTreeMap<Id<Software>, CurrentSoftware>,
}

/// A machine that is not decommissioned.
#[derive(Clone, Debug, PartialEq)]
pub struct CurrentCompute {
    pub hostname: Hostname,
    /// Whether it is in use; not while it is provisioned or maintained.
    pub is_active: bool,
    pub interfaces: BTreeMap<DeviceName, MacAddress>,
}

/// A network that is not removed.
#[derive(Clone, Debug, PartialEq)]
pub struct CurrentNetwork {
    pub name: Label,
    pub blocks: Vec<Cidr>,
    pub attached: BTreeMap<InterfaceRef, Address>,
}

/// A connection that is not severed.
#[derive(Clone, Debug, PartialEq)]
pub struct CurrentConnection {
    pub first: InterfaceRef,
    pub second: InterfaceRef,
    pub medium: Medium,
}

/// A program that is not retired.
#[derive(Clone, Debug, PartialEq)]
pub struct CurrentSoftware {
    pub compute: Id<Compute>,
    pub name: Name,
    pub version: Version,
    pub is_deployed: bool,
}

/// A stage of a path: a machine, or a network between machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    Compute(Id<Compute>),
    Network(Id<Network>),
}

impl From<Id<Compute>> for Stage {
    fn from(compute: Id<Compute>) -> Self {
        Self::Compute(compute)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compute(id) => write!(f, "machine {id}"),
            Self::Network(id) => write!(f, "network {id}"),
        }
    }
}

impl Project<ComputeEvent> for CurrentTopology {
    fn project(&mut self, event: ComputeEvent, at: &Source<'_, Compute>) {
        use ComputeEvent::*;
        let id = at.id();
        if let Registered { hostname, .. } = event {
            let compute = CurrentCompute {
                hostname,
                is_active: false,
                interfaces: BTreeMap::new(),
            };
            self.computes.insert(id, compute);
            return;
        }
        let Some(compute) = self.computes.get_mut(&id) else {
            return;
        };
        match event {
            Activated | MaintenanceEnded => compute.is_active = true,
            MaintenanceStarted { .. } => compute.is_active = false,
            Renamed { hostname } => compute.hostname = hostname,
            InterfaceAdded { interface } => {
                compute.interfaces.insert(interface.name, interface.mac);
            }
            InterfaceRemoved { name } => {
                compute.interfaces.remove(&name);
            }
            Decommissioned { .. } => {
                self.computes.remove(&id);
            }
            Registered { .. }
            | Updated { .. }
            | OwnerAssigned { .. }
            | OrganizationAssigned { .. }
            | LocationAssigned { .. }
            | GuestPlaced { .. }
            | GuestRemoved { .. } => {}
        }
    }
}

impl Project<NetworkEvent> for CurrentTopology {
    fn project(&mut self, event: NetworkEvent, at: &Source<'_, Network>) {
        let id = at.id();
        let network = self.networks.get_mut(&id);
        match (event, network) {
            (NetworkEvent::Defined { name, blocks, .. }, _) => {
                let attached = BTreeMap::new();
                let network = CurrentNetwork {
                    name,
                    blocks,
                    attached,
                };
                self.networks.insert(id, network);
            }
            (NetworkEvent::Resized { blocks }, Some(network)) => network.blocks = blocks,
            (NetworkEvent::Attached { interface, address }, Some(network)) => {
                network.attached.insert(interface, address);
            }
            (NetworkEvent::Detached { interface }, Some(network)) => {
                network.attached.remove(&interface);
            }
            (NetworkEvent::Removed { .. }, _) => {
                self.networks.remove(&id);
            }
            (_, None) => {}
        }
    }
}

impl Project<ConnectionEvent> for CurrentTopology {
    fn project(&mut self, event: ConnectionEvent, at: &Source<'_, Connection>) {
        match event {
            ConnectionEvent::Established {
                first,
                second,
                medium,
            } => {
                let connection = CurrentConnection {
                    first,
                    second,
                    medium,
                };
                self.connections.insert(at.id(), connection);
            }
            ConnectionEvent::Severed { .. } => {
                self.connections.remove(&at.id());
            }
        }
    }
}

impl Project<SoftwareEvent> for CurrentTopology {
    fn project(&mut self, event: SoftwareEvent, at: &Source<'_, Software>) {
        let id = at.id();
        let software = self.software.get_mut(&id);
        match (event, software) {
            (
                SoftwareEvent::Configured {
                    compute,
                    name,
                    version,
                    ..
                },
                _,
            ) => {
                let software = CurrentSoftware {
                    compute,
                    name,
                    version,
                    is_deployed: false,
                };
                self.software.insert(id, software);
            }
            (SoftwareEvent::Deployed, Some(software)) => software.is_deployed = true,
            (SoftwareEvent::Reconfigured { version }, Some(software)) => {
                software.version = version;
                software.is_deployed = false;
            }
            (SoftwareEvent::Retired { .. }, _) => {
                self.software.remove(&id);
            }
            (_, None) => {}
        }
    }
}

impl CurrentTopology {
    /// The machines that are in use.
    pub fn active_compute_resources(&self) -> BTreeMap<Id<Compute>, &CurrentCompute> {
        self.computes_that(|compute| compute.is_active)
    }

    /// The machines that are there and not in use: those that are provisioned or maintained.
    pub fn inactive_compute_resources(&self) -> BTreeMap<Id<Compute>, &CurrentCompute> {
        self.computes_that(|compute| !compute.is_active)
    }

    fn computes_that(
        &self,
        is_wanted: impl Fn(&CurrentCompute) -> bool,
    ) -> BTreeMap<Id<Compute>, &CurrentCompute> {
        let computes = self
            .computes
            .iter()
            .filter(|(_, compute)| is_wanted(compute));
        computes.map(|(id, compute)| (*id, compute)).collect()
    }

    /// The networks that are defined.
    pub fn active_networks(&self) -> &BTreeMap<Id<Network>, CurrentNetwork> {
        &self.networks
    }

    /// The connections that are established.
    pub fn active_connections(&self) -> &BTreeMap<Id<Connection>, CurrentConnection> {
        &self.connections
    }

    /// The programs on a machine.
    pub fn software_on(&self, compute: &Id<Compute>) -> Vec<&CurrentSoftware> {
        let on_it = |software: &&CurrentSoftware| software.compute == *compute;
        self.software.values().filter(on_it).collect()
    }

    /// The machines with an interface on a network; none for a network that is not there.
    pub fn resources_on(&self, network: &Id<Network>) -> BTreeSet<Id<Compute>> {
        let attached = self.networks.get(network).into_iter();
        let attached = attached.flat_map(|network| network.attached.keys());
        let computes = attached.map(|interface| interface.compute);
        computes
            .filter(|compute| self.computes.contains_key(compute))
            .collect()
    }

    /// The machines that one reaches without another between them: over a network that both are on, or a connection.
    pub fn neighbours(&self, compute: &Id<Compute>) -> BTreeSet<Id<Compute>> {
        let graph = self.graph();
        let mut found = BTreeSet::new();
        for near in graph.neighbors(Stage::Compute(*compute)) {
            match near {
                Stage::Compute(other) => found.extend([other]),
                Stage::Network(network) => found.extend(self.resources_on(&network)),
            }
        }
        found.remove(compute);
        found
    }

    /// A shortest path from one machine to another, both of them among its stages; none where nothing joins them.
    pub fn path(&self, from: &Id<Compute>, to: &Id<Compute>) -> Option<Vec<Stage>> {
        let (from, to) = (Stage::Compute(*from), Stage::Compute(*to));
        let graph = self.graph();
        if !graph.contains_node(from) {
            return None;
        }
        let found = astar(&graph, from, |stage| stage == to, |_| 1_u32, |_| 0);
        found.map(|(_, stages)| stages)
    }

    /// Machines and networks, with an edge for each interface on a network and for each connection.
    fn graph(&self) -> UnGraphMap<Stage, ()> {
        let mut graph = UnGraphMap::new();
        for id in self.computes.keys() {
            graph.add_node(Stage::Compute(*id));
        }
        for id in self.networks.keys() {
            for compute in self.resources_on(id) {
                graph.add_edge(Stage::Compute(compute), Stage::Network(*id), ());
            }
        }
        for connection in self.connections.values() {
            let ends = [&connection.first, &connection.second].map(|end| end.compute);
            if ends.iter().all(|end| self.computes.contains_key(end)) {
                let [one, other] = ends.map(Stage::Compute);
                graph.add_edge(one, other, ());
            }
        }
        graph
    }
}

/// Asks the view for the topology.
pub trait GetTopology {
    /// The topology as it is now, with the position up to which it is true. It is a copy, to be asked at leisure.
    ///
    /// # Errors
    /// [`NotReady`] when the view was stopped.
    fn get_topology(&self) -> impl Future<Output = Result<UpTo<CurrentTopology>, NotReady>> + Send;
}

impl GetTopology for InMemoryView<CurrentTopology> {
    async fn get_topology(&self) -> Result<UpTo<CurrentTopology>, NotReady> {
        self.read(Clone::clone).await
    }
}
