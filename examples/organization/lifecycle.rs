//! The lifecycles: of the organization, and of each kind of part within it.
//!
//! The machine of a part has the commands and events of the whole organization and names those that concern it. Its
//! initial state, `Absent`, is that of a code that was never used.

use cim_es::prelude::*;

use super::{OrganizationCommand, OrganizationEvent};

/// The lifecycle of an organization.
#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrganizationState {
    /// It is not known yet.
    #[state(initial)]
    #[on(Create / Created => Pending)]
    Unfounded,
    /// It is being built up.
    #[on(Activate / Activated => Active, Update / Updated => _)]
    #[on(AddChild / ChildAdded => _, RemoveChild / ChildRemoved => _)]
    // Its structure.
    #[on(CreateUnit / UnitCreated => _, UpdateUnit / UnitUpdated => _)]
    #[on(BeginRestructuring / RestructuringBegun => _, RestructureUnit / UnitRestructured => _)]
    #[on(DissolveUnit / UnitDissolved => _, DissolveUnit / UnitRestructured => _)]
    #[on(DissolveUnit / TeamUpdated => _, DissolveUnit / RoleUpdated => _)]
    #[on(FormTeam / TeamFormed => _, ActivateTeam / TeamActivated => _, HoldTeam / TeamPutOnHold => _)]
    #[on(UpdateTeam / TeamUpdated => _, DisbandTeam / TeamDisbanded => _)]
    #[on(CreateRole / RoleCreated => _, UpdateRole / RoleUpdated => _, VacateRole / RoleVacated => _)]
    #[on(FillRole / RoleFilled => _, FreezeRole / RoleFrozen => _, UnfreezeRole / RoleUnfrozen => _)]
    #[on(DeprecateRole / RoleDeprecated => _, DeprecateRole / RoleUpdated => _)]
    #[on(OpenFacility / FacilityOpened => _, UpdateFacility / FacilityUpdated => _)]
    #[on(CloseFacility / FacilityClosed => _)]
    // The end of every part, and then its own.
    #[on(Dissolve / TeamDisbanded => _, Dissolve / RoleDeprecated => _, Dissolve / UnitDissolved => _)]
    #[on(Dissolve / FacilityClosed => _, Dissolve / ChildRemoved => _, Dissolve / Dissolved => Dissolved)]
    Pending,
    /// It is in business.
    #[on(Deactivate / Deactivated => Inactive, Suspend / Suspended => Suspended)]
    #[on(Update / Updated => _, Absorb / Absorbed => _)]
    #[on(AddChild / ChildAdded => _, RemoveChild / ChildRemoved => _)]
    // Its structure.
    #[on(CreateUnit / UnitCreated => _, UpdateUnit / UnitUpdated => _)]
    #[on(BeginRestructuring / RestructuringBegun => _, RestructureUnit / UnitRestructured => _)]
    #[on(DissolveUnit / UnitDissolved => _, DissolveUnit / UnitRestructured => _)]
    #[on(DissolveUnit / TeamUpdated => _, DissolveUnit / RoleUpdated => _)]
    #[on(FormTeam / TeamFormed => _, ActivateTeam / TeamActivated => _, HoldTeam / TeamPutOnHold => _)]
    #[on(UpdateTeam / TeamUpdated => _, DisbandTeam / TeamDisbanded => _)]
    #[on(CreateRole / RoleCreated => _, UpdateRole / RoleUpdated => _, VacateRole / RoleVacated => _)]
    #[on(FillRole / RoleFilled => _, FreezeRole / RoleFrozen => _, UnfreezeRole / RoleUnfrozen => _)]
    #[on(DeprecateRole / RoleDeprecated => _, DeprecateRole / RoleUpdated => _)]
    #[on(OpenFacility / FacilityOpened => _, UpdateFacility / FacilityUpdated => _)]
    #[on(CloseFacility / FacilityClosed => _)]
    // Its end in another one.
    #[on(MergeInto / ChildRemoved => _, MergeInto / Merged => Merged)]
    // The end of every part, and then its own.
    #[on(Dissolve / TeamDisbanded => _, Dissolve / RoleDeprecated => _, Dissolve / UnitDissolved => _)]
    #[on(Dissolve / FacilityClosed => _, Dissolve / ChildRemoved => _, Dissolve / Dissolved => Dissolved)]
    Active,
    /// It rests by its own decision.
    #[on(Activate / Activated => Active, Update / Updated => _)]
    #[on(MergeInto / ChildRemoved => _, MergeInto / Merged => Merged)]
    #[on(Dissolve / TeamDisbanded => _, Dissolve / RoleDeprecated => _, Dissolve / UnitDissolved => _)]
    #[on(Dissolve / FacilityClosed => _, Dissolve / ChildRemoved => _, Dissolve / Dissolved => Dissolved)]
    Inactive,
    /// Others stopped it.
    #[on(Reinstate / Reinstated => Active)]
    #[on(Dissolve / TeamDisbanded => _, Dissolve / RoleDeprecated => _, Dissolve / UnitDissolved => _)]
    #[on(Dissolve / FacilityClosed => _, Dissolve / ChildRemoved => _, Dissolve / Dissolved => Dissolved)]
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
pub enum UnitState {
    /// No unit has this code.
    #[state(initial)]
    #[on(CreateUnit / UnitCreated => Active)]
    Absent,
    /// It has its place.
    #[on(UpdateUnit / UnitUpdated => _, / UnitRestructured => _)]
    #[on(BeginRestructuring / RestructuringBegun => Restructuring)]
    #[on(DissolveUnit / UnitDissolved => Dissolved)]
    Active,
    /// Its place is being decided.
    #[on(UpdateUnit / UnitUpdated => _, RestructureUnit / UnitRestructured => Active)]
    #[on(/ UnitDissolved => Dissolved)]
    Restructuring,
    /// It ended; its code is not used again.
    #[state(terminal)]
    Dissolved,
}

/// The lifecycle of a team.
#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[machine(command = OrganizationCommand, event = OrganizationEvent)]
pub enum TeamState {
    /// No team has this code.
    #[state(initial)]
    #[on(FormTeam / TeamFormed => Forming)]
    Absent,
    /// It looks for members.
    #[on(ActivateTeam / TeamActivated => Active, UpdateTeam / TeamUpdated => _)]
    #[on(DisbandTeam / TeamDisbanded => Disbanded)]
    Forming,
    /// It works.
    #[on(HoldTeam / TeamPutOnHold => OnHold, UpdateTeam / TeamUpdated => _)]
    #[on(DisbandTeam / TeamDisbanded => Disbanded)]
    Active,
    /// It rests.
    #[on(ActivateTeam / TeamActivated => Active, UpdateTeam / TeamUpdated => _)]
    #[on(DisbandTeam / TeamDisbanded => Disbanded)]
    OnHold,
    /// It ended; its code is not used again.
    #[state(terminal)]
    Disbanded,
}

/// The lifecycle of a role. Who holds it is not known here: that is a relationship between a person and the role.
#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[machine(command = OrganizationCommand, event = OrganizationEvent)]
pub enum RoleState {
    /// No role has this code.
    #[state(initial)]
    #[on(CreateRole / RoleCreated => Active)]
    Absent,
    /// It may be held.
    #[on(UpdateRole / RoleUpdated => _, VacateRole / RoleVacated => Vacant)]
    #[on(FreezeRole / RoleFrozen => Frozen, DeprecateRole / RoleDeprecated => Deprecated)]
    Active,
    /// Nobody holds it.
    #[on(UpdateRole / RoleUpdated => _, FillRole / RoleFilled => Active)]
    #[on(DeprecateRole / RoleDeprecated => Deprecated)]
    Vacant,
    /// It is not to be given to anybody for now.
    #[on(UnfreezeRole / RoleUnfrozen => Active, / RoleUpdated => _)]
    #[on(DeprecateRole / RoleDeprecated => Deprecated)]
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
