//! The rules: what each command leads to.

use cim_es::prelude::*;

use super::{
    Organization, OrganizationCommand, OrganizationCommand::*, OrganizationError,
    OrganizationError::*, OrganizationEvent::*,
};

impl Decide for Organization {
    fn decide(&self, command: OrganizationCommand, context: &Context) -> Decision<Self> {
        self.part_accepts(&command)?;
        match command {
            Create { id, .. } if context.is_for_another(&id) => Err(OtherId(id)),
            Create { id, parent, .. } if parent == Some(id) => Err(Itself("parent")),
            Create {
                id,
                code,
                name,
                display_name,
                organization_type,
                parent,
            } => emit(Created {
                id,
                code,
                name,
                display_name,
                organization_type,
                parent,
            }),
            Activate => emit(Activated),
            Update {
                name,
                display_name,
                organization_type,
            } => {
                let present = (self.name.as_ref(), self.display_name.as_ref());
                let is_known = present == (Some(&name), Some(&display_name))
                    && self.organization_type == Some(organization_type);
                if is_known {
                    return nothing();
                }
                emit(Updated {
                    name,
                    display_name,
                    organization_type,
                })
            }
            Deactivate { reason } => emit(Deactivated { reason }),
            Suspend { reason } => emit(Suspended { reason }),
            Reinstate => emit(Reinstated),
            Dissolve { reason, effective } => self.dissolved(reason, effective),
            MergeInto { survivor, .. } if self.is(survivor) => Err(Itself("survivor")),
            MergeInto {
                survivor,
                merger,
                effective,
            } => {
                let merged = Merged {
                    survivor,
                    merger,
                    effective,
                };
                emit_all(self.children_removed().chain([merged]))
            }
            Absorb { absorbed } if self.is(absorbed) => Err(Itself("survivor")),
            Absorb { absorbed } if self.absorbed.contains(&absorbed) => nothing(),
            Absorb { absorbed } => emit(Absorbed { absorbed }),
            AddChild { child } if self.is(child) => Err(Itself("child")),
            AddChild { child } if self.children.contains(&child) => nothing(),
            AddChild { child } => emit(ChildAdded { child }),
            RemoveChild { child } if !self.children.contains(&child) => Err(NotAChild(child)),
            RemoveChild { child } => emit(ChildRemoved { child }),

            CreateUnit { unit, name, parent } => {
                self.units.can_stand_under(&unit, parent.as_ref())?;
                emit(UnitCreated { unit, name, parent })
            }
            UpdateUnit { unit, name } => match self.units.get(&unit) {
                Some(known) if known.name == name => nothing(),
                _ => emit(UnitUpdated { unit, name }),
            },
            BeginRestructuring { unit, reason } => emit(RestructuringBegun { unit, reason }),
            RestructureUnit { unit, parent } => {
                self.units.can_stand_under(&unit, parent.as_ref())?;
                emit(UnitRestructured { unit, parent })
            }
            DissolveUnit { unit, transfer_to } => self.unit_dissolved(unit, transfer_to),

            FormTeam { team, name, unit } => {
                self.units.in_use(unit.as_ref())?;
                emit(TeamFormed { team, name, unit })
            }
            UpdateTeam { team, name, unit } => {
                self.units.in_use(unit.as_ref())?;
                match self.teams.get(&team) {
                    Some(known) if (&known.name, &known.unit) == (&name, &unit) => nothing(),
                    _ => emit(TeamUpdated { team, name, unit }),
                }
            }
            ActivateTeam { team } => emit(TeamActivated { team }),
            HoldTeam { team, reason } => emit(TeamPutOnHold { team, reason }),
            DisbandTeam { team, reason } => emit(TeamDisbanded { team, reason }),

            CreateRole {
                role,
                title,
                unit,
                reports_to,
            } => {
                self.units.in_use(unit.as_ref())?;
                self.roles.can_stand_under(&role, reports_to.as_ref())?;
                emit(RoleCreated {
                    role,
                    title,
                    unit,
                    reports_to,
                })
            }
            UpdateRole {
                role,
                title,
                unit,
                reports_to,
            } => {
                self.units.in_use(unit.as_ref())?;
                self.roles.can_stand_under(&role, reports_to.as_ref())?;
                let known = self.roles.get(&role);
                let known = known.map(|it| (&it.title, &it.unit, &it.reports_to));
                if known == Some((&title, &unit, &reports_to)) {
                    return nothing();
                }
                emit(RoleUpdated {
                    role,
                    title,
                    unit,
                    reports_to,
                })
            }
            VacateRole { role } => emit(RoleVacated { role }),
            FillRole { role } => emit(RoleFilled { role }),
            FreezeRole { role, reason } => emit(RoleFrozen { role, reason }),
            UnfreezeRole { role } => emit(RoleUnfrozen { role }),
            DeprecateRole {
                role,
                replacement,
                effective,
            } => self.role_deprecated(role, replacement, effective),

            OpenFacility {
                facility,
                name,
                location,
                within,
            } => {
                self.facilities
                    .can_stand_under(&facility, within.as_ref())?;
                emit(FacilityOpened {
                    facility,
                    name,
                    location,
                    within,
                })
            }
            UpdateFacility {
                facility,
                name,
                location,
                within,
            } => {
                self.facilities
                    .can_stand_under(&facility, within.as_ref())?;
                let known = self.facilities.get(&facility);
                let known = known.map(|it| (&it.name, &it.location, &it.within));
                if known == Some((&name, &location, &within)) {
                    return nothing();
                }
                emit(FacilityUpdated {
                    facility,
                    name,
                    location,
                    within,
                })
            }
            CloseFacility { facility, reason } => match self.facilities.below(&facility).count() {
                0 => emit(FacilityClosed { facility, reason }),
                facilities => Err(HasFacilities {
                    facility,
                    facilities,
                }),
            },
        }
    }
}

impl Organization {
    fn is(&self, other: Id<Self>) -> bool {
        self.id == Some(other)
    }

    /// Whether the part that a command is about accepts it in its state.
    fn part_accepts(&self, command: &OrganizationCommand) -> Result<(), OrganizationError> {
        match command {
            CreateUnit { unit, .. }
            | UpdateUnit { unit, .. }
            | BeginRestructuring { unit, .. }
            | RestructureUnit { unit, .. }
            | DissolveUnit { unit, .. } => self.units.accept(unit, command),
            FormTeam { team, .. }
            | UpdateTeam { team, .. }
            | ActivateTeam { team }
            | HoldTeam { team, .. }
            | DisbandTeam { team, .. } => self.teams.accept(team, command),
            CreateRole { role, .. }
            | UpdateRole { role, .. }
            | VacateRole { role }
            | FillRole { role }
            | FreezeRole { role, .. }
            | UnfreezeRole { role }
            | DeprecateRole { role, .. } => self.roles.accept(role, command),
            OpenFacility { facility, .. }
            | UpdateFacility { facility, .. }
            | CloseFacility { facility, .. } => self.facilities.accept(facility, command),
            _ => Ok(()),
        }
    }
}
