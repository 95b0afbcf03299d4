//! What can be asked of an organization.

use cim_es::prelude::*;

use super::Organization;
use super::values::{Code, Label, MergerType, NaiveDate, OrganizationType, Reason};

/// What can be asked of an organization, of its lifecycle first, then of each kind of part.
#[derive(Command, Clone, Debug)]
pub enum OrganizationCommand {
    /// Makes it known; the id is that under which the command is executed.
    Create {
        id: Id<Organization>,
        code: Code,
        name: Label,
        display_name: Label,
        organization_type: OrganizationType,
        parent: Option<Id<Organization>>,
    },
    /// Brings it into business, for the first time or again.
    Activate,
    /// Says anew what it is called and of what type it is.
    Update {
        name: Label,
        display_name: Label,
        organization_type: OrganizationType,
    },
    /// Lets it rest by its own decision.
    Deactivate { reason: Reason },
    /// Stops it from outside.
    Suspend { reason: Reason },
    /// Lifts what stopped it.
    Reinstate,
    /// Ends the organization and all of its parts.
    Dissolve {
        reason: Reason,
        effective: NaiveDate,
    },
    /// Ends the organization in favour of another one, which absorbs it.
    MergeInto {
        survivor: Id<Organization>,
        merger: MergerType,
        effective: NaiveDate,
    },
    /// Notes on the survivor that it continues another one.
    Absorb { absorbed: Id<Organization> },
    /// Has another organization belong to it.
    AddChild { child: Id<Organization> },
    /// Sets a child free.
    RemoveChild { child: Id<Organization> },

    /// Adds a unit.
    CreateUnit {
        unit: Code,
        name: Label,
        parent: Option<Code>,
    },
    /// Says anew what a unit is called.
    UpdateUnit { unit: Code, name: Label },
    /// Opens the place of a unit.
    BeginRestructuring { unit: Code, reason: Reason },
    /// Ends the restructuring of a unit with its new place.
    RestructureUnit { unit: Code, parent: Option<Code> },
    /// What the unit has goes to another one.
    DissolveUnit {
        unit: Code,
        transfer_to: Option<Code>,
    },

    /// Adds a team, which looks for members at first.
    FormTeam {
        team: Code,
        name: Label,
        unit: Option<Code>,
    },
    /// Says anew what a team is called and where it belongs.
    UpdateTeam {
        team: Code,
        name: Label,
        unit: Option<Code>,
    },
    /// Has a team work, for the first time or again.
    ActivateTeam { team: Code },
    /// Lets a team rest.
    HoldTeam { team: Code, reason: Reason },
    /// Ends a team.
    DisbandTeam { team: Code, reason: Reason },

    /// Adds a role.
    CreateRole {
        role: Code,
        title: Label,
        unit: Option<Code>,
        reports_to: Option<Code>,
    },
    /// Says anew what a role is called, where it belongs and to whom it reports.
    UpdateRole {
        role: Code,
        title: Label,
        unit: Option<Code>,
        reports_to: Option<Code>,
    },
    /// Nobody holds the role any more.
    VacateRole { role: Code },
    /// Somebody holds the role.
    FillRole { role: Code },
    /// Keeps a role from being given to anybody.
    FreezeRole { role: Code, reason: Reason },
    /// Lets a role be held again.
    UnfreezeRole { role: Code },
    /// Ends a role; what reported to it reports to its replacement.
    DeprecateRole {
        role: Code,
        replacement: Option<Code>,
        effective: NaiveDate,
    },

    /// Adds a facility.
    OpenFacility {
        facility: Code,
        name: Label,
        location: Option<Label>,
        within: Option<Code>,
    },
    /// Says anew what a facility is called and where it is.
    UpdateFacility {
        facility: Code,
        name: Label,
        location: Option<Label>,
        within: Option<Code>,
    },
    /// Ends a facility in which no other one lies.
    CloseFacility { facility: Code, reason: Reason },
}
