//! The other shape: a small site as one aggregate, whose events go to the subjects of several.
//!
//! It suits an inventory that is small and changes as a whole. Every rule over all of it is decided in one place, and
//! every change waits for every other; where that is too slow, one aggregate a kind is the better shape.

use std::collections::BTreeMap;

use cim_es::prelude::*;

use self::{SiteCommand::*, SiteError::*, SiteEvent::*};
use super::values::{Cidr, Hostname, Label, Reason, SystemArchitecture};

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SiteState {
    #[state(initial)]
    #[on(RegisterCompute / ComputeRegistered => _)]
    #[on(DecommissionCompute / ComputeDecommissioned => _)]
    #[on(DefineNetwork / NetworkDefined => _)]
    Open,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum SiteEvent {
    #[event(subject = "compute.registered")]
    #[apply(computes.insert(key(&hostname), system))]
    ComputeRegistered {
        hostname: Hostname,
        system: SystemArchitecture,
    },
    #[event(subject = "compute.decommissioned")]
    #[apply(computes.remove(&key(&hostname)), _ = reason)]
    ComputeDecommissioned { hostname: Hostname, reason: Reason },
    #[event(subject = "network.defined")]
    #[apply(networks.push((name, block)))]
    NetworkDefined { name: Label, block: Cidr },
}

#[derive(Command, Clone, Debug)]
pub enum SiteCommand {
    RegisterCompute {
        hostname: Hostname,
        system: SystemArchitecture,
    },
    DecommissionCompute {
        hostname: Hostname,
        reason: Reason,
    },
    DefineNetwork {
        name: Label,
        block: Cidr,
    },
}

/// The inventory of a site. Its domain is `sites`, so that its subjects are not those of the aggregates of their own.
#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "sites", name = "site", error = SiteError)]
pub struct Site {
    state: SiteState,
    /// By their names in small letters: a host has its name in any case.
    pub computes: BTreeMap<String, SystemArchitecture>,
    pub networks: Vec<(Label, Cidr)>,
}

/// Why a command is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SiteError {
    #[error("{0} is registered already")]
    Known(Hostname),
    #[error("{0} is not registered")]
    Unknown(Hostname),
    #[error("{asked} overlaps {block}, which is {name}")]
    Overlap {
        asked: Cidr,
        block: Cidr,
        name: Label,
    },
}

fn key(hostname: &Hostname) -> String {
    hostname.as_str().to_ascii_lowercase()
}

impl Decide for Site {
    fn decide(&self, command: SiteCommand, _: &Context) -> Decision<Self> {
        let is_known = |hostname: &Hostname| self.computes.contains_key(&key(hostname));
        match command {
            RegisterCompute { hostname, .. } if is_known(&hostname) => Err(Known(hostname)),
            RegisterCompute { hostname, system } => emit(ComputeRegistered { hostname, system }),
            DecommissionCompute { hostname, .. } if !is_known(&hostname) => Err(Unknown(hostname)),
            DecommissionCompute { hostname, reason } => {
                emit(ComputeDecommissioned { hostname, reason })
            }
            DefineNetwork { name, block } => {
                match self
                    .networks
                    .iter()
                    .find(|(_, known)| known.overlaps(&block))
                {
                    Some((name, known)) => {
                        let (block, name, asked) = (known.clone(), name.clone(), block);
                        Err(Overlap { asked, block, name })
                    }
                    None => emit(NetworkDefined { name, block }),
                }
            }
        }
    }
}
