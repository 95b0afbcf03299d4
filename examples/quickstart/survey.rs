//! What has changed on a machine since its history was written.

use cim_es::prelude::*;

use super::domain::{Compute, ComputeCommand, ComputeState};
use super::host::Host;

/// The commands that bring what is known of a machine to what was read of it; none for one that is decommissioned.
///
/// A device that has changed is removed and added again.
pub fn changes(known: &Compute, host: &Host) -> Vec<ComputeCommand> {
    let mut commands = Vec::new();
    match known.state() {
        ComputeState::Decommissioned => return commands,
        ComputeState::Unregistered => commands.push(ComputeCommand::Register {
            hostname: host.hostname.clone(),
            system: host.system.clone(),
        }),
        ComputeState::Active => {}
    }
    // The domain itself knows when there is nothing new in these two.
    commands.push(ComputeCommand::Rename {
        hostname: host.hostname.clone(),
    });
    commands.push(ComputeCommand::Update {
        capabilities: host.capabilities.clone(),
    });
    let (gone, new) = differences(&known.disks, &host.disks);
    commands.extend(gone.map(|disk| ComputeCommand::RemoveDisk {
        device: disk.device,
    }));
    commands.extend(new.map(|disk| ComputeCommand::AddDisk { disk }));
    let (gone, new) = differences(&known.interfaces, &host.interfaces);
    commands.extend(gone.map(|interface| ComputeCommand::RemoveInterface {
        name: interface.name,
    }));
    commands.extend(new.map(|interface| ComputeCommand::AddInterface { interface }));
    commands
}

/// What is only in `before`, and what is only in `after`.
fn differences<T: PartialEq + Clone>(
    before: &[T],
    after: &[T],
) -> (impl Iterator<Item = T>, impl Iterator<Item = T>) {
    let only = |these: &[T], those: &[T]| -> Vec<T> {
        let is_new = |item: &&T| !those.contains(item);
        these.iter().filter(is_new).cloned().collect()
    };
    let (gone, new) = (only(before, after), only(after, before));
    (gone.into_iter(), new.into_iter())
}
