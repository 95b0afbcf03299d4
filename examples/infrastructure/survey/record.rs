//! Comparing what is found on a machine with what the store knows, and recording the difference.
//!
//! What is new is registered, defined and configured; what changed is updated; what vanished is removed and retired.

use std::collections::{BTreeMap, BTreeSet};

use cim_es::prelude::*;
use cim_es::repository::{ExecuteError, LoadError};
use cim_es::store::EventStore;

use super::super::compute::ComputeCommand;
use super::super::network::NetworkCommand;
use super::super::software::SoftwareCommand;
use super::super::values::{Cidr, InterfaceRef, Label, Name, Reason};
use super::super::{Compute, Network, Software};
use super::{Found, view};
use crate::infrastructure::{ComputeError, NetworkError, SoftwareError};

/// How many events a survey recorded, by their types.
pub type Changes = BTreeMap<String, usize>;

/// Why a survey ended early. What it had recorded by then stays, and the next one goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// The store could not be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A command about the machine was refused.
    #[error("the machine: {0}")]
    Compute(#[from] ExecuteError<ComputeError>),
    /// A command about a network was refused.
    #[error("a network: {0}")]
    Network(#[from] ExecuteError<NetworkError>),
    /// A command about a program was refused.
    #[error("a program: {0}")]
    Software(#[from] ExecuteError<SoftwareError>),
    /// A value could not be made.
    #[error(transparent)]
    Value(#[from] ValueError),
}

/// One survey of one machine.
struct Survey<S> {
    store: S,
    identity: MessageIdentity,
    machine: Id<Compute>,
    changes: Changes,
}

/// Brings the inventory up to what was found. `progress` is told how many of how many programs were compared.
///
/// # Errors
/// [`SurveyError`].
pub async fn record(
    store: impl EventStore + Clone,
    found: &Found,
    progress: impl Fn(usize, usize),
) -> Result<Changes, SurveyError> {
    let mut survey = Survey {
        store,
        identity: MessageIdentity::new_from_user("survey"),
        machine: Id::from_uuid(found.machine),
        changes: Changes::new(),
    };
    survey.compute(found).await?;
    survey.networks(found).await?;
    survey.software(found, progress).await?;
    Ok(survey.changes)
}

impl<S: EventStore + Clone> Survey<S> {
    async fn execute<A>(
        &mut self,
        aggregates: &Repository<A>,
        id: &A::Id,
        command: A::Command,
    ) -> Result<(), ExecuteError<A::Error>>
    where
        A: Decide,
        A::Command: Clone,
    {
        let identity = MessageIdentity::caused_by(&self.identity);
        let commit = aggregates.execute(id, command, &identity).await?;
        for event in commit.events() {
            *self
                .changes
                .entry(event.event_type().to_owned())
                .or_default() += 1;
        }
        Ok(())
    }

    async fn compute(&mut self, found: &Found) -> Result<(), SurveyError> {
        use ComputeCommand::*;
        let computes = Repository::<Compute>::new(self.store.clone());
        let id = self.machine;
        let known = computes.load(&id).await?;
        let mut commands = Vec::new();
        if known.version() == 0 {
            let (hostname, system) = (found.hostname.clone(), found.system.clone());
            commands.extend([Register { hostname, system }, Activate]);
        } else {
            commands.push(Rename {
                hostname: found.hostname.clone(),
            });
        }
        commands.extend(found.capacity.map(|capacity| Update { capacity }));
        let gone = known
            .interfaces
            .iter()
            .filter(|it| !found.interfaces.contains(it));
        commands.extend(gone.map(|it| RemoveInterface {
            name: it.name.clone(),
        }));
        let new = found
            .interfaces
            .iter()
            .filter(|it| !known.interfaces.contains(it));
        commands.extend(new.map(|it| AddInterface {
            interface: it.clone(),
        }));
        for command in commands {
            self.execute(&computes, &id, command).await?;
        }
        Ok(())
    }

    async fn networks(&mut self, found: &Found) -> Result<(), SurveyError> {
        use NetworkCommand::*;
        let networks = Repository::<Network>::new(self.store.clone());
        // Private blocks mean another network on another machine, so the machine is their scope.
        let scope: Label = self.machine.to_string().parse()?;
        let known = view::live::<Network>(&self.store).await?;
        let ours = known
            .into_iter()
            .filter(|(_, it)| it.scope.as_ref() == Some(&scope));
        let mut known: BTreeMap<Cidr, (Id<Network>, Network)> = ours
            .filter_map(|(id, it)| Some((it.blocks.first()?.clone(), (id, it))))
            .collect();
        let blocks = found.addresses.iter().map(|(.., block)| block);
        let blocks: BTreeSet<_> = blocks.chain(&found.routes).collect();
        for block in blocks {
            let (id, network) = match known.remove(block) {
                Some(known) => known,
                None => {
                    let (id, name) = (Id::new(), block.to_string().parse()?);
                    let (scope, blocks) = (scope.clone(), vec![block.clone()]);
                    let define = Define {
                        name,
                        scope,
                        blocks,
                        vlan: None,
                    };
                    self.execute(&networks, &id, define).await?;
                    (id, Network::default())
                }
            };
            let here = found.addresses.iter().filter(|(.., it)| it == block);
            let here: BTreeSet<_> = here
                .map(|(name, address, _)| (self.interface(name.clone()), address.clone()))
                .collect();
            for (interface, address) in &network.attached {
                if !here.contains(&(interface.clone(), address.clone())) {
                    let interface = interface.clone();
                    self.execute(&networks, &id, Detach { interface }).await?;
                }
            }
            let mut seen = BTreeSet::new();
            for (interface, address) in here {
                // An interface with several addresses in one network is attached by the first.
                let is_new = seen.insert(interface.clone())
                    && !network
                        .attached
                        .iter()
                        .any(|known| known.0 == interface && known.1 == address);
                if is_new {
                    self.execute(&networks, &id, Attach { interface, address })
                        .await?;
                }
            }
        }
        for (id, network) in known.into_values() {
            for (interface, _) in network.attached {
                self.execute(&networks, &id, Detach { interface }).await?;
            }
            let reason = vanished()?;
            self.execute(&networks, &id, Remove { reason }).await?;
        }
        Ok(())
    }

    fn interface(&self, name: super::super::values::DeviceName) -> InterfaceRef {
        let compute = self.machine;
        InterfaceRef { compute, name }
    }

    async fn software(
        &mut self,
        found: &Found,
        progress: impl Fn(usize, usize),
    ) -> Result<(), SurveyError> {
        use SoftwareCommand::*;
        let programs = Repository::<Software>::new(self.store.clone());
        let known = view::live::<Software>(&self.store).await?;
        let ours = known
            .into_iter()
            .filter(|(_, it)| it.compute == Some(self.machine));
        let mut known: BTreeMap<Name, (Id<Software>, Software)> = ours
            .filter_map(|(id, it)| Some((it.name.clone()?, (id, it))))
            .collect();
        for (count, (name, version)) in found.packages.iter().enumerate() {
            progress(count, found.packages.len());
            let version = version.clone();
            let (id, commands) = match known.remove(name) {
                Some((_, program)) if program.version.as_ref() == Some(&version) => continue,
                // What is installed is so, also when it is older than before.
                Some((id, _)) => (
                    id,
                    [
                        Reconfigure {
                            version,
                            allow_downgrade: true,
                        },
                        Deploy,
                    ],
                ),
                None => {
                    let (compute, name) = (self.machine, name.clone());
                    let dependencies = Vec::new();
                    let configure = Configure {
                        compute,
                        name,
                        version,
                        dependencies,
                    };
                    (Id::new(), [configure, Deploy])
                }
            };
            for command in commands {
                self.execute(&programs, &id, command).await?;
            }
        }
        for (id, _) in known.into_values() {
            let reason = vanished()?;
            self.execute(&programs, &id, Retire { reason }).await?;
        }
        Ok(())
    }
}

fn vanished() -> Result<Reason, ValueError> {
    "not found any more".parse()
}
