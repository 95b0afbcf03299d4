//! What happens to an organization and its parts, and how it folds.

use cim_es::prelude::*;

use super::Organization;
use super::lifecycle::{FacilityState, RoleState, TeamState, UnitState};
use super::parts::{Facility, Role, Team, Unit};
use super::values::{Code, Label, MergerType, NaiveDate, OrganizationType, Reason};

/// What happened, published as `organization.organization.created`, `organization.team.formed` and so on.
#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum OrganizationEvent {
    /// The organization is known from now on.
    Created {
        id: Id<Organization>,
        code: Code,
        name: Label,
        display_name: Label,
        organization_type: OrganizationType,
        parent: Option<Id<Organization>>,
    },
    /// It is in business, for the first time or again.
    Activated,
    /// It has other names, or is of another type.
    Updated {
        name: Label,
        display_name: Label,
        organization_type: OrganizationType,
    },
    /// It rests by its own decision.
    #[apply(_ = reason)]
    Deactivated { reason: Reason },
    /// Others stopped it.
    #[apply(_ = reason)]
    Suspended { reason: Reason },
    /// What stopped it is settled.
    Reinstated,
    /// It ended; events in the same commit have ended its parts.
    #[apply(_ = (reason, effective))]
    Dissolved {
        reason: Reason,
        effective: NaiveDate,
    },
    /// It ended in favour of another one.
    #[apply(merged_into = Some(survivor), _ = (merger, effective))]
    Merged {
        survivor: Id<Organization>,
        merger: MergerType,
        effective: NaiveDate,
    },
    /// It continues another one that ended.
    #[apply(absorbed.insert(absorbed))]
    Absorbed { absorbed: Id<Organization> },
    /// Another organization belongs to it.
    #[apply(children.insert(child))]
    ChildAdded { child: Id<Organization> },
    /// A child stands on its own, or under another one.
    #[apply(children.remove(&child))]
    ChildRemoved { child: Id<Organization> },

    /// A unit is there.
    #[event(subject = "organizational_unit.created")]
    #[apply(units.add(unit, Unit { state: UnitState::Active, name, parent }))]
    UnitCreated {
        unit: Code,
        name: Label,
        parent: Option<Code>,
    },
    /// The unit has another name.
    #[event(subject = "organizational_unit.updated")]
    #[apply(units.change(&unit, |it| it.name = name))]
    UnitUpdated { unit: Code, name: Label },
    /// The place of the unit is open.
    #[event(subject = "organizational_unit.restructuring_begun")]
    #[apply(units.change(&unit, |it| it.state = UnitState::Restructuring), _ = reason)]
    RestructuringBegun { unit: Code, reason: Reason },
    /// The unit has its place.
    #[event(subject = "organizational_unit.restructured")]
    #[apply(units.change(&unit, |it| { it.state = UnitState::Active; it.parent = parent; }))]
    UnitRestructured { unit: Code, parent: Option<Code> },
    /// The unit ended; events in the same commit have moved what it had.
    #[event(subject = "organizational_unit.dissolved")]
    #[apply(units.change(&unit, |it| it.state = UnitState::Dissolved), _ = transfer_to)]
    UnitDissolved {
        unit: Code,
        transfer_to: Option<Code>,
    },

    /// A team is there, and looks for members.
    #[event(subject = "team.formed")]
    #[apply(teams.add(team, Team { state: TeamState::Forming, name, unit }))]
    TeamFormed {
        team: Code,
        name: Label,
        unit: Option<Code>,
    },
    /// The team has another name or belongs to another unit.
    #[event(subject = "team.updated")]
    #[apply(teams.change(&team, |it| { it.name = name; it.unit = unit; }))]
    TeamUpdated {
        team: Code,
        name: Label,
        unit: Option<Code>,
    },
    /// The team works, for the first time or again.
    #[event(subject = "team.activated")]
    #[apply(teams.change(&team, |it| it.state = TeamState::Active))]
    TeamActivated { team: Code },
    /// The team rests.
    #[event(subject = "team.put_on_hold")]
    #[apply(teams.change(&team, |it| it.state = TeamState::OnHold), _ = reason)]
    TeamPutOnHold { team: Code, reason: Reason },
    /// The team ended.
    #[event(subject = "team.disbanded")]
    #[apply(teams.change(&team, |it| it.state = TeamState::Disbanded), _ = reason)]
    TeamDisbanded { team: Code, reason: Reason },

    /// A role is there.
    #[event(subject = "role.created")]
    #[apply(roles.add(role, Role { state: RoleState::Active, title, unit, reports_to }))]
    RoleCreated {
        role: Code,
        title: Label,
        unit: Option<Code>,
        reports_to: Option<Code>,
    },
    /// The role has another title, unit or superior.
    #[event(subject = "role.updated")]
    #[apply(roles.change(&role, |it| { it.title = title; it.unit = unit; it.reports_to = reports_to; }))]
    RoleUpdated {
        role: Code,
        title: Label,
        unit: Option<Code>,
        reports_to: Option<Code>,
    },
    /// Nobody holds the role any more.
    #[event(subject = "role.vacated")]
    #[apply(roles.change(&role, |it| it.state = RoleState::Vacant))]
    RoleVacated { role: Code },
    /// Somebody holds the role again.
    #[event(subject = "role.filled")]
    #[apply(roles.change(&role, |it| it.state = RoleState::Active))]
    RoleFilled { role: Code },
    /// The role is not to be given to anybody for now.
    #[event(subject = "role.frozen")]
    #[apply(roles.change(&role, |it| it.state = RoleState::Frozen), _ = reason)]
    RoleFrozen { role: Code, reason: Reason },
    /// The role may be held again.
    #[event(subject = "role.unfrozen")]
    #[apply(roles.change(&role, |it| it.state = RoleState::Active))]
    RoleUnfrozen { role: Code },
    /// The role ended; events in the same commit have moved those that reported to it.
    #[event(subject = "role.deprecated")]
    #[apply(roles.change(&role, |it| it.state = RoleState::Deprecated), _ = (replacement, effective))]
    RoleDeprecated {
        role: Code,
        replacement: Option<Code>,
        effective: NaiveDate,
    },

    /// A facility is open.
    #[event(subject = "facility.created")]
    #[apply(facilities.add(facility, Facility { state: FacilityState::Open, name, location, within }))]
    FacilityOpened {
        facility: Code,
        name: Label,
        location: Option<Label>,
        within: Option<Code>,
    },
    /// The facility has another name or location, or lies in another one.
    #[event(subject = "facility.updated")]
    #[apply(facilities.change(&facility, |it| { it.name = name; it.location = location; it.within = within; }))]
    FacilityUpdated {
        facility: Code,
        name: Label,
        location: Option<Label>,
        within: Option<Code>,
    },
    /// The facility is closed for good.
    #[event(subject = "facility.removed")]
    #[apply(facilities.change(&facility, |it| it.state = FacilityState::Closed), _ = reason)]
    FacilityClosed { facility: Code, reason: Reason },
}
