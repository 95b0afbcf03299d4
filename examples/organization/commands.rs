//! What can be asked of an organization.

use cim_es::prelude::*;

use super::Organization;
use super::values::{Code, Label, MergerType, NaiveDate, OrganizationType, Reason};

#[derive(Command, Clone, Debug)]
pub enum OrganizationCommand {
    /// The id is that under which the command is executed.
    Create {
        id: Id<Organization>,
        code: Code,
        name: Label,
        display_name: Label,
        organization_type: OrganizationType,
        parent: Option<Id<Organization>>,
    },
    Activate,
    Update {
        name: Label,
        display_name: Label,
        organization_type: OrganizationType,
    },
    Deactivate {
        reason: Reason,
    },
    Suspend {
        reason: Reason,
    },
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
    Absorb {
        absorbed: Id<Organization>,
    },
    AddChild {
        child: Id<Organization>,
    },
    RemoveChild {
        child: Id<Organization>,
    },
    /// Several commands that take effect together or not at all.
    Reorganize {
        commands: Vec<OrganizationCommand>,
    },

    CreateUnit {
        unit: Code,
        name: Label,
        parent: Option<Code>,
    },
    UpdateUnit {
        unit: Code,
        name: Label,
    },
    BeginRestructuring {
        unit: Code,
        reason: Reason,
    },
    /// Ends the restructuring of a unit with its new place.
    RestructureUnit {
        unit: Code,
        parent: Option<Code>,
    },
    /// What the unit has goes to another one.
    DissolveUnit {
        unit: Code,
        transfer_to: Option<Code>,
    },

    FormTeam {
        team: Code,
        name: Label,
        unit: Option<Code>,
    },
    UpdateTeam {
        team: Code,
        name: Label,
        unit: Option<Code>,
    },
    ActivateTeam {
        team: Code,
    },
    HoldTeam {
        team: Code,
        reason: Reason,
    },
    DisbandTeam {
        team: Code,
        reason: Reason,
    },

    CreateRole {
        role: Code,
        title: Label,
        unit: Option<Code>,
        reports_to: Option<Code>,
    },
    UpdateRole {
        role: Code,
        title: Label,
        unit: Option<Code>,
        reports_to: Option<Code>,
    },
    /// Nobody holds the role any more.
    VacateRole {
        role: Code,
    },
    /// Somebody holds the role.
    FillRole {
        role: Code,
    },
    FreezeRole {
        role: Code,
        reason: Reason,
    },
    UnfreezeRole {
        role: Code,
    },
    /// Ends a role; what reported to it reports to its replacement.
    DeprecateRole {
        role: Code,
        replacement: Option<Code>,
        effective: NaiveDate,
    },

    OpenFacility {
        facility: Code,
        name: Label,
        location: Option<Label>,
        within: Option<Code>,
    },
    UpdateFacility {
        facility: Code,
        name: Label,
        location: Option<Label>,
        within: Option<Code>,
    },
    CloseFacility {
        facility: Code,
        reason: Reason,
    },
}
