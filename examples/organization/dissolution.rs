//! The end of an organization that has more parts than one commit takes: its parts end in several, the rest with itself.

use cim_es::prelude::*;
use cim_es::repository::ExecuteError;

use super::lifecycle::UnitState;
use super::values::{NaiveDate, Reason};
use super::{Organization, OrganizationCommand, OrganizationCommand::*, OrganizationError};

/// How many parts end in one commit. A store takes 1,000 events at once, and a child that is set free is three: its own,
/// and one for each of its two names.
const PARTS: usize = 300;

/// Ends an organization with all of its parts; gives the number of events.
///
/// One with many parts can do so only while it is Pending or Active. When it is cut short, the organization is there with
/// the parts that are left, and dissolving it again goes on from there.
///
/// # Errors
/// [`ExecuteError`].
pub async fn dissolve(
    organizations: &Repository<Organization>,
    id: Id<Organization>,
    (reason, effective): (Reason, NaiveDate),
    identity: &MessageIdentity,
) -> Result<usize, ExecuteError<OrganizationError>> {
    let mut events = 0;
    loop {
        let mut commands = organizations
            .load(&id)
            .await?
            .ends_of_parts(&reason, effective);
        let is_last = commands.len() <= PARTS;
        if is_last {
            let reason = reason.clone();
            commands = vec![Dissolve { reason, effective }];
        }
        commands.truncate(PARTS);
        let identity = MessageIdentity::caused_by(identity);
        let commit = organizations.execute_all(&id, commands, &identity);
        events += commit.await?.events().len();
        if is_last {
            return Ok(events);
        }
    }
}

impl Organization {
    /// The commands that end each part, in the order of [`Dissolve`].
    fn ends_of_parts(&self, reason: &Reason, effective: NaiveDate) -> Vec<OrganizationCommand> {
        let mut commands = Vec::new();
        commands.extend(self.teams.bottom_up().into_iter().map(|team| DisbandTeam {
            team,
            reason: reason.clone(),
        }));
        commands.extend(
            self.roles
                .bottom_up()
                .into_iter()
                .map(|role| DeprecateRole {
                    role,
                    replacement: None,
                    effective,
                }),
        );
        for unit in self.units.bottom_up() {
            // A unit whose place is open is not dissolved by a command of its own, so it is left where it is.
            let known = self.units.get(&unit);
            if let Some(known) = known.filter(|it| it.state == UnitState::Restructuring) {
                let (unit, parent) = (unit.clone(), known.parent.clone());
                commands.push(RestructureUnit { unit, parent });
            }
            let transfer_to = None;
            commands.push(DissolveUnit { unit, transfer_to });
        }
        let facilities = self.facilities.bottom_up().into_iter();
        commands.extend(facilities.map(|facility| CloseFacility {
            facility,
            reason: reason.clone(),
        }));
        commands.extend(self.children.iter().map(|&child| RemoveChild { child }));
        commands
    }
}
