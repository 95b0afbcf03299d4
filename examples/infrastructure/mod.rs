//! Infrastructure: the machines of an organization, the networks between them, what runs on them and what holds for them.
//!
//! One aggregate a kind: [`Compute`], [`Network`], [`Connection`], [`Software`] and [`Policy`], each in a module of its own
//! with its rules; a [`Topology`] brings several into being together, by [`provision()`](provision::provision); [`site`] is the other shape, one aggregate whose events go to the subjects of several.
//! `examples/infrastructure/README.md` shows lifecycles, subjects and rules.

pub mod compute;
pub mod connection;
pub mod current;
pub mod network;
pub mod policy;
pub mod provision;
pub mod site;
pub mod software;
pub mod survey;
pub mod topology;
pub mod values;

pub use compute::{Compute, ComputeCommand, ComputeError, ComputeEvent};
pub use connection::{Connection, ConnectionCommand, ConnectionError, ConnectionEvent};
pub use network::{Network, NetworkCommand, NetworkError, NetworkEvent};
pub use policy::{Policy, PolicyCommand, PolicyEvent};
pub use site::Site;
pub use software::{Software, SoftwareCommand, SoftwareError, SoftwareEvent};
pub use topology::{Topology, TopologyCommand, TopologyError, TopologyEvent};

use cim_es::prelude::*;

domain! {
    /// Every subject of the domain; two events on one subject would not compile.
    pub INFRASTRUCTURE = [ComputeEvent, NetworkEvent, ConnectionEvent, SoftwareEvent, PolicyEvent, TopologyEvent]
}
