//! A program on a machine: configured, deployed, changed, and in the end retired.

use cim_es::prelude::*;

use self::{SoftwareCommand::*, SoftwareError::*, SoftwareEvent::*};
use super::Compute;
use super::values::{Name, Reason, Version};

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SoftwareState {
    #[state(initial)]
    #[on(Configure / Configured => Configured)]
    Unconfigured,
    #[on(Deploy / Deployed => Deployed)]
    #[on(Retire / Retired => Retired)]
    Configured,
    #[on(Reconfigure / Reconfigured => Reconfigured)]
    #[on(Retire / Retired => Retired)]
    Deployed,
    /// Its new version is known and not deployed yet.
    #[on(Reconfigure / Reconfigured => _)]
    #[on(Deploy / Deployed => Deployed)]
    #[on(Retire / Retired => Retired)]
    Reconfigured,
    #[state(terminal)]
    Retired,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum SoftwareEvent {
    Configured {
        compute: Id<Compute>,
        name: Name,
        version: Version,
        dependencies: Vec<Name>,
    },
    Deployed,
    Reconfigured {
        version: Version,
    },
    #[apply(_ = reason)]
    Retired {
        reason: Reason,
    },
}

#[derive(Command, Clone, Debug)]
pub enum SoftwareCommand {
    Configure {
        compute: Id<Compute>,
        name: Name,
        version: Version,
        dependencies: Vec<Name>,
    },
    Deploy,
    Reconfigure {
        version: Version,
        allow_downgrade: bool,
    },
    Retire {
        reason: Reason,
    },
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(
    domain = "infrastructure",
    name = "software",
    error = SoftwareError,
    unique = Software::unique_names
)]
pub struct Software {
    state: SoftwareState,
    pub compute: Option<Id<Compute>>,
    pub name: Option<Name>,
    pub version: Option<Version>,
    pub dependencies: Vec<Name>,
}

/// Why a command is refused, beside those that the lifecycle refuses.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SoftwareError {
    #[error("{0} cannot depend on itself")]
    DependsOnItself(Name),
    #[error("{asked} is older than {present}: allow the downgrade if it is meant")]
    Downgrade { present: Version, asked: Version },
}

impl Software {
    /// A program stands once on a machine, until it is retired.
    fn unique_names(&self) -> Option<UniqueName> {
        let (compute, name) = self.compute.as_ref().zip(self.name.as_ref())?;
        let is_live = self.state != SoftwareState::Retired;
        is_live.then(|| UniqueName::new("installed", format!("{compute}/{name}")))
    }

    fn reconfigured(&self, version: Version, allow_downgrade: bool) -> Decision<Self> {
        match &self.version {
            Some(present) if *present == version => nothing(),
            Some(present) if version.is_older_than(present) && !allow_downgrade => Err(Downgrade {
                present: present.clone(),
                asked: version,
            }),
            _ => emit(Reconfigured { version }),
        }
    }
}

impl Decide for Software {
    fn decide(&self, command: SoftwareCommand, _: &Context) -> Decision<Self> {
        match command {
            Configure {
                name, dependencies, ..
            } if dependencies.contains(&name) => Err(DependsOnItself(name)),
            Configure {
                compute,
                name,
                version,
                dependencies,
            } => emit(Configured {
                compute,
                name,
                version,
                dependencies,
            }),
            Deploy => emit(Deployed),
            Reconfigure {
                version,
                allow_downgrade,
            } => self.reconfigured(version, allow_downgrade),
            Retire { reason } => emit(Retired { reason }),
        }
    }
}
