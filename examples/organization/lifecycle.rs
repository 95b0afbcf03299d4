//! The lifecycles: of the organization, and of each kind of part within it.
//!
//! The machine of a part has the commands and events of the whole organization and names those that concern it. Its
//! initial state, `Absent`, is that of a code that was never used.

use cim_es::prelude::*;

use super::{OrganizationCommand, OrganizationEvent};

/// The lifecycle of an organization. Its structure changes while it is pending or active.
#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[on(Pending | Active | Inactive: Update / Updated => _)]
#[on(Pending | Active: AddChild / ChildAdded => _, RemoveChild / ChildRemoved => _)]
#[on(Pending | Active: CreateUnit / UnitCreated => _, UpdateUnit / UnitUpdated => _)]
#[on(Pending | Active: BeginRestructuring / RestructuringBegun => _, RestructureUnit / UnitRestructured => _)]
#[on(Pending | Active: DissolveUnit / UnitDissolved => _, DissolveUnit / UnitRestructured => _)]
#[on(Pending | Active: DissolveUnit / TeamUpdated => _, DissolveUnit / RoleUpdated => _)]
#[on(Pending | Active: FormTeam / TeamFormed => _, ActivateTeam / TeamActivated => _, HoldTeam / TeamPutOnHold => _)]
#[on(Pending | Active: UpdateTeam / TeamUpdated => _, DisbandTeam / TeamDisbanded => _)]
#[on(Pending | Active: CreateRole / RoleCreated => _, UpdateRole / RoleUpdated => _, VacateRole / RoleVacated => _)]
#[on(Pending | Active: FillRole / RoleFilled => _, FreezeRole / RoleFrozen => _, UnfreezeRole / RoleUnfrozen => _)]
#[on(Pending | Active: DeprecateRole / RoleDeprecated => _, DeprecateRole / RoleUpdated => _)]
#[on(Pending | Active: OpenFacility / FacilityOpened => _, UpdateFacility / FacilityUpdated => _)]
#[on(Pending | Active: CloseFacility / FacilityClosed => _)]
// The end in another one.
#[on(Active | Inactive: MergeInto / ChildRemoved => _, MergeInto / Merged => Merged)]
// The end of every part, and then its own.
#[on(Pending | Active | Inactive | Suspended: Dissolve / TeamDisbanded => _, Dissolve / RoleDeprecated => _)]
#[on(Pending | Active | Inactive | Suspended: Dissolve / UnitDissolved => _, Dissolve / FacilityClosed => _)]
#[on(Pending | Active | Inactive | Suspended: Dissolve / ChildRemoved => _, Dissolve / Dissolved => Dissolved)]
pub enum OrganizationState {
    /// It is not known yet.
    #[state(initial)]
    #[on(Create / Created => Pending)]
    Unfounded,
    /// It is being built up.
    #[on(Activate / Activated => Active)]
    Pending,
    /// It is in business.
    #[on(Deactivate / Deactivated => Inactive, Suspend / Suspended => Suspended)]
    #[on(Absorb / Absorbed => _)]
    Active,
    /// It rests by its own decision.
    #[on(Activate / Activated => Active)]
    Inactive,
    /// Others stopped it.
    #[on(Reinstate / Reinstated => Active)]
    Suspended,
    /// It ended with all of its parts.
    #[state(terminal)]
    Dissolved,
    /// It is a part of another one now. Its structure stays as it was, for the survivor to take over what it wants.
    #[state(terminal)]
    Merged,
}

/// The lifecycle of a unit. An edge without a command is taken in the wake of a command on another part, or on the whole.
#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[machine(command = OrganizationCommand, event = OrganizationEvent)]
#[on(Active | Restructuring: UpdateUnit / UnitUpdated => _)]
pub enum UnitState {
    /// No unit has this code.
    #[state(initial)]
    #[on(CreateUnit / UnitCreated => Active)]
    Absent,
    /// It has its place.
    #[on(BeginRestructuring / RestructuringBegun => Restructuring, / UnitRestructured => _)]
    #[on(DissolveUnit / UnitDissolved => Dissolved)]
    Active,
    /// Its place is being decided.
    #[on(RestructureUnit / UnitRestructured => Active, / UnitDissolved => Dissolved)]
    Restructuring,
    /// It ended; its code is not used again.
    #[state(terminal)]
    Dissolved,
}

/// The lifecycle of a team.
#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[machine(command = OrganizationCommand, event = OrganizationEvent)]
#[on(Forming | OnHold: ActivateTeam / TeamActivated => Active)]
#[on(Forming | Active | OnHold: UpdateTeam / TeamUpdated => _, DisbandTeam / TeamDisbanded => Disbanded)]
pub enum TeamState {
    /// No team has this code.
    #[state(initial)]
    #[on(FormTeam / TeamFormed => Forming)]
    Absent,
    /// It looks for members.
    Forming,
    /// It works.
    #[on(HoldTeam / TeamPutOnHold => OnHold)]
    Active,
    /// It rests.
    OnHold,
    /// It ended; its code is not used again.
    #[state(terminal)]
    Disbanded,
}

/// The lifecycle of a role. Who holds it is not known here: that is a relationship between a person and the role.
#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[machine(command = OrganizationCommand, event = OrganizationEvent)]
#[on(Active | Vacant: UpdateRole / RoleUpdated => _)]
#[on(Active | Vacant | Frozen: DeprecateRole / RoleDeprecated => Deprecated)]
pub enum RoleState {
    /// No role has this code.
    #[state(initial)]
    #[on(CreateRole / RoleCreated => Active)]
    Absent,
    /// It may be held.
    #[on(VacateRole / RoleVacated => Vacant, FreezeRole / RoleFrozen => Frozen)]
    Active,
    /// Nobody holds it.
    #[on(FillRole / RoleFilled => Active)]
    Vacant,
    /// It is not to be given to anybody for now.
    #[on(UnfreezeRole / RoleUnfrozen => Active, / RoleUpdated => _)]
    Frozen,
    /// It ended; its code is not used again.
    #[state(terminal)]
    Deprecated,
}

/// The lifecycle of a facility.
#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[machine(command = OrganizationCommand, event = OrganizationEvent)]
pub enum FacilityState {
    /// No facility has this code.
    #[state(initial)]
    #[on(OpenFacility / FacilityOpened => Open)]
    Absent,
    /// It is in use.
    #[on(UpdateFacility / FacilityUpdated => _, CloseFacility / FacilityClosed => Closed)]
    Open,
    /// It ended; its code is not used again.
    #[state(terminal)]
    Closed,
}
