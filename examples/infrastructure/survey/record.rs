//! Comparing what is found on a machine with what the store knows, and recording the difference.
//!
//! What is new is registered, defined and configured; what changed is updated; what vanished is removed and retired.

use std::collections::{BTreeMap, BTreeSet};

use cim_es::prelude::*;
use cim_es::repository::{ExecuteError, LoadError};
use cim_es::store::{EventStore, StoreError};

use super::super::compute::{ComputeCommand, ComputeState};
use super::super::network::NetworkCommand;
use super::super::software::{SoftwareCommand, SoftwareState};
use super::super::values::{Address, Cidr, DeviceName, InterfaceRef, Label, Name, Reason};
use super::super::{Compute, Network, Software};
use super::{Found, view};
use crate::infrastructure::{ComputeError, NetworkError, SoftwareError};

/// How often the machine is compared again when a command was refused: another survey of it may have been quicker.
const ATTEMPTS: usize = 5;

/// How many events a survey recorded, by their types.
pub type Changes = BTreeMap<String, usize>;

/// Why a survey ended early. What it had recorded by then stays, and the next one goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// The store could not be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The inventory has it as one that is not used any more.
    #[error(
        "this machine ({0}) is decommissioned in the inventory, so nothing is recorded of it any more"
    )]
    Decommissioned(Id<Compute>),
    /// A command about the machine was refused.
    #[error("the machine was not recorded")]
    Compute(#[from] ExecuteError<ComputeError>),
    /// A command about a network was refused.
    #[error("a network was not recorded")]
    Network(#[from] ExecuteError<NetworkError>),
    /// A command about a program was refused.
    #[error("a program was not recorded")]
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
    /// The first refusal since the machine was last compared.
    refused: Option<SurveyError>,
}

/// Brings the inventory up to what was found. `progress` is told how many of how many programs were compared.
///
/// Surveys of one machine may run at the same time, and one that was cut short is taken up by the next.
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
        refused: None,
    };
    let mut attempts = 0;
    loop {
        survey.compute(found).await?;
        // What is not registered has no networks and no programs.
        if survey.refused.is_none() {
            survey.networks(found).await?;
            survey.software(found, &progress).await?;
        }
        attempts += 1;
        match survey.refused.take() {
            None => return Ok(survey.changes),
            Some(error) if attempts == ATTEMPTS => return Err(error),
            Some(_) => {}
        }
    }
}

impl<S: EventStore + Clone> Survey<S> {
    /// Executes commands together, or none of them, and counts their events; a refusal is noted, and the survey goes on.
    async fn execute<A>(
        &mut self,
        aggregates: &Repository<A>,
        id: &A::Id,
        commands: Vec<A::Command>,
    ) -> Result<(), SurveyError>
    where
        A: Decide,
        A::Command: Clone,
        SurveyError: From<ExecuteError<A::Error>>,
    {
        let identity = MessageIdentity::caused_by(&self.identity);
        if commands.is_empty() {
            return Ok(());
        }
        match aggregates.execute_all(id, commands, &identity).await {
            Ok(commit) => {
                for event in commit.events() {
                    let count = self.changes.entry(event.event_type().to_owned());
                    *count.or_default() += 1;
                }
            }
            Err(
                error @ (ExecuteError::Refused(_)
                | ExecuteError::NotAccepted { .. }
                | ExecuteError::OneOfSeveral { .. }
                | ExecuteError::NameTaken { .. }
                | ExecuteError::Store(StoreError::Conflict { .. })),
            ) => drop(self.refused.get_or_insert(error.into())),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    async fn compute(&mut self, found: &Found) -> Result<(), SurveyError> {
        use ComputeCommand::*;
        let computes = Repository::<Compute>::new(self.store.clone());
        let id = self.machine;
        let known = computes.load(&id).await?;
        let (hostname, system) = (found.hostname.clone(), found.system.clone());
        let mut commands = match known.state() {
            ComputeState::Unregistered => vec![Register { hostname, system }, Activate],
            // It runs this program, so it is in use.
            ComputeState::Provisioning => vec![Rename { hostname }, Activate],
            ComputeState::Active | ComputeState::Maintenance => vec![Rename { hostname }],
            ComputeState::Decommissioned => return Err(SurveyError::Decommissioned(id)),
        };
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
        self.execute(&computes, &id, commands).await
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
            let mut commands = Vec::new();
            let (id, network) = match known.remove(block) {
                Some(known) => known,
                None => {
                    commands.push(Define {
                        name: block.to_string().parse()?,
                        scope: scope.clone(),
                        blocks: vec![block.clone()],
                        vlan: None,
                    });
                    (Id::new(), Network::default())
                }
            };
            let here = found.addresses.iter().filter(|(.., it)| it == block);
            let here = here.map(|(name, address, _)| (self.interface(name), address.clone()));
            let wanted = wanted(block, &network.attached, &here.collect());
            let (kept, gone): (Vec<_>, Vec<_>) = network
                .attached
                .into_iter()
                .partition(|(interface, address)| wanted.get(interface) == Some(address));
            let detach = |(interface, _)| Detach { interface };
            commands.extend(gone.into_iter().map(detach));
            let new = wanted.into_iter().filter(|it| !kept.contains(it));
            commands.extend(new.map(|(interface, address)| Attach { interface, address }));
            self.execute(&networks, &id, commands).await?;
        }
        for (id, network) in known.into_values() {
            let attached = network.attached.into_iter();
            let mut commands: Vec<_> = attached
                .map(|(interface, _)| Detach { interface })
                .collect();
            let reason = vanished()?;
            commands.push(Remove { reason });
            self.execute(&networks, &id, commands).await?;
        }
        Ok(())
    }

    fn interface(&self, name: &DeviceName) -> InterfaceRef {
        let (compute, name) = (self.machine, name.clone());
        InterfaceRef { compute, name }
    }

    async fn software(
        &mut self,
        found: &Found,
        progress: &impl Fn(usize, usize),
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
                Some((id, program)) => {
                    let is_current = program.version.as_ref() == Some(&version);
                    let mut commands = match program.state() {
                        SoftwareState::Configured => vec![Deploy],
                        SoftwareState::Reconfigured if is_current => vec![Deploy],
                        _ => Vec::new(),
                    };
                    if !is_current {
                        // What is installed is so, also when it is older than before.
                        let allow_downgrade = true;
                        commands.push(Reconfigure {
                            version,
                            allow_downgrade,
                        });
                        commands.push(Deploy);
                    }
                    (id, commands)
                }
                None => {
                    let (compute, name) = (self.machine, name.clone());
                    let configure = Configure {
                        compute,
                        name,
                        version,
                        dependencies: Vec::new(),
                    };
                    (Id::new(), vec![configure, Deploy])
                }
            };
            self.execute(&programs, &id, commands).await?;
        }
        for (id, _) in known.into_values() {
            let reason = vanished()?;
            self.execute(&programs, &id, vec![Retire { reason }])
                .await?;
        }
        Ok(())
    }
}

/// By which address each interface is attached to a network: by the one that it is attached by already, or else by its
/// first one that a host may have and no other interface is attached by.
fn wanted(
    block: &Cidr,
    attached: &[(InterfaceRef, Address)],
    here: &BTreeSet<(InterfaceRef, Address)>,
) -> BTreeMap<InterfaceRef, Address> {
    let still_here = attached.iter().filter(|it| here.contains(it));
    let mut wanted: BTreeMap<_, _> = still_here.cloned().collect();
    for (interface, address) in here {
        let is_free = !wanted.values().any(|taken| taken == address);
        if is_free && block.is_for_a_host(address) {
            wanted.entry(interface.clone()).or_insert(address.clone());
        }
    }
    wanted
}

fn vanished() -> Result<Reason, ValueError> {
    "not found any more".parse()
}
