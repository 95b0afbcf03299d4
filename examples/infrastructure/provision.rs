//! Making the parts of a planned topology: a chain of commands under one correlation id, taken back in reverse when one of
//! them is refused.
//!
//! Every command has an identity that follows from the plan's event, so a run that stopped midway, or that another process
//! does as well, is simply done again: what took effect takes no effect twice.

use cim_es::ErrorChain;
use cim_es::prelude::*;
use cim_es::repository::{ExecuteError, LoadError};
use cim_es::store::EventStore;

use super::connection::ConnectionCommand::{Connect, Sever};
use super::network::NetworkCommand::{Define, Remove};
use super::topology::{TopologyCommand, TopologyState};
use super::values::Reason;
use super::{Connection, Network, Topology, TopologyError};

/// Why a topology is not there.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    #[error("nothing is planned under {0}: record a plan first")]
    NotPlanned(Id<Topology>),
    #[error("the topology was abandoned, and what was made of it is taken back: {0}")]
    Abandoned(Reason),
    #[error("the topology was abandoned, and a part of it cannot be taken back: {0}")]
    NotTakenBack(String),
    #[error("the topology was not decided on")]
    Undecided(#[from] ExecuteError<TopologyError>),
    #[error("a part was not decided on; run it again: {0}")]
    Interrupted(String),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("why a part was refused cannot be recorded")]
    Reason(#[from] ValueError),
}

/// Makes the parts of a planned topology and completes it, or takes back what was made of it.
///
/// # Errors
/// [`ProvisionError`]; after [`ProvisionError::Interrupted`], and whenever the program ended in between, run it again.
pub async fn provision(
    store: impl EventStore + Clone,
    id: &Id<Topology>,
) -> Result<(), ProvisionError> {
    let topologies = Repository::<Topology>::new(store.clone());
    let history = topologies.history(id).await?;
    let planned = history.into_iter().next();
    let planned = planned.ok_or(ProvisionError::NotPlanned(*id))?.stored;
    let parts = Parts {
        networks: Repository::new(store.clone()),
        connections: Repository::new(store),
        identity: |purpose: &str| {
            MessageIdentity::caused_once_by(&planned, purpose).with_actor("provisioning")
        },
    };
    loop {
        let topology = topologies.load(id).await?;
        if let Some(reason) = &topology.abandoned {
            parts.take_back(&topology, reason).await?;
            return Err(ProvisionError::Abandoned(reason.clone()));
        }
        if topology.state() == TopologyState::Defined {
            return Ok(());
        }
        let (purpose, command) = match parts.make(&topology).await? {
            Ok(()) => ("complete", TopologyCommand::Complete),
            Err(reason) => ("abandon", TopologyCommand::Abandon { reason }),
        };
        match topologies
            .execute(id, command, &(parts.identity)(purpose))
            .await
        {
            // Another process was first, with its answer: look at that.
            Ok(_) | Err(ExecuteError::NotAccepted { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The parts of one plan.
struct Parts<I> {
    networks: Repository<Network>,
    connections: Repository<Connection>,
    identity: I,
}

impl<I: Fn(&str) -> MessageIdentity> Parts<I> {
    /// Makes one part after the other. The inner error is why the domain refuses one.
    async fn make(&self, topology: &Topology) -> Result<Result<(), Reason>, ProvisionError> {
        for it in topology.networks.clone() {
            let identity = (self.identity)(&format!("define {}", it.id));
            let command = Define {
                name: it.name,
                scope: it.scope,
                blocks: it.blocks,
                vlan: it.vlan,
            };
            if let Err(error) = self.networks.execute(&it.id, command, &identity).await {
                return refusal(&error);
            }
        }
        for it in topology.connections.clone() {
            let identity = (self.identity)(&format!("connect {}", it.id));
            let command = Connect {
                one: it.one,
                other: it.other,
                medium: it.medium,
            };
            if let Err(error) = self.connections.execute(&it.id, command, &identity).await {
                return refusal(&error);
            }
        }
        Ok(Ok(()))
    }

    /// Takes back what was made, the last part first.
    async fn take_back(&self, topology: &Topology, reason: &Reason) -> Result<(), ProvisionError> {
        for it in topology.connections.iter().rev() {
            let identity = (self.identity)(&format!("sever {}", it.id));
            let reason = reason.clone();
            let severed = self
                .connections
                .execute(&it.id, Sever { reason }, &identity);
            taken_back(severed.await)?;
        }
        for it in topology.networks.iter().rev() {
            let identity = (self.identity)(&format!("remove {}", it.id));
            let reason = reason.clone();
            let removed = self.networks.execute(&it.id, Remove { reason }, &identity);
            taken_back(removed.await)?;
        }
        Ok(())
    }
}

/// Tells what the domain refuses, which stays so, from what may go well another time.
fn refusal<E: std::error::Error>(
    error: &ExecuteError<E>,
) -> Result<Result<(), Reason>, ProvisionError> {
    let said = ErrorChain(error).to_string();
    match error {
        ExecuteError::Refused(_)
        | ExecuteError::NameTaken { .. }
        | ExecuteError::NotAccepted { .. } => Ok(Err(reason(&said)?)),
        _ => Err(ProvisionError::Interrupted(said)),
    }
}

/// A text as a reason: in one line, and not too long.
fn reason(text: &str) -> Result<Reason, ValueError> {
    let line: String = text
        .chars()
        .map(|it| if it.is_control() { ' ' } else { it })
        .collect();
    let start = &line[..line.floor_char_boundary(500)];
    start.trim().to_owned().try_into()
}

/// What was never made, or was taken back before, needs nothing.
fn taken_back<T, E: std::error::Error>(
    outcome: Result<T, ExecuteError<E>>,
) -> Result<(), ProvisionError> {
    match outcome {
        Ok(_) | Err(ExecuteError::NotAccepted { .. }) => Ok(()),
        Err(error @ ExecuteError::Refused(_)) => {
            Err(ProvisionError::NotTakenBack(ErrorChain(&error).to_string()))
        }
        Err(error) => Err(ProvisionError::Interrupted(ErrorChain(&error).to_string())),
    }
}
