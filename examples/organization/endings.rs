//! The rules for what ends, and for what becomes of all that stands under it: each part moves or ends by an event of its
//! own.

use cim_es::prelude::*;

use super::values::{Code, NaiveDate, Reason};
use super::{Organization, OrganizationError::*, OrganizationEvent, OrganizationEvent::*};

impl Organization {
    /// All children set free.
    pub(super) fn children_removed(&self) -> impl Iterator<Item = OrganizationEvent> {
        self.children.iter().map(|&child| ChildRemoved { child })
    }

    /// The end of the organization, after the end of each part, and of each before what is above it.
    pub(super) fn dissolved(&self, reason: Reason, effective: NaiveDate) -> Decision<Self> {
        let teams = self
            .teams
            .bottom_up()
            .into_iter()
            .map(|team| TeamDisbanded {
                team,
                reason: reason.clone(),
            });
        let roles = self
            .roles
            .bottom_up()
            .into_iter()
            .map(|role| RoleDeprecated {
                role,
                replacement: None,
                effective,
            });
        let units = self
            .units
            .bottom_up()
            .into_iter()
            .map(|unit| UnitDissolved {
                unit,
                transfer_to: None,
            });
        let facilities = self.facilities.bottom_up().into_iter();
        let facilities = facilities.map(|facility| FacilityClosed {
            facility,
            reason: reason.clone(),
        });
        let parts = teams.chain(roles).chain(units).chain(facilities);
        let end = [Dissolved {
            reason: reason.clone(),
            effective,
        }];
        emit_all(parts.chain(self.children_removed()).chain(end))
    }

    /// The end of a unit, after all that it has was moved to another one. That one may be below it: then it takes the
    /// place of the unit.
    pub(super) fn unit_dissolved(&self, unit: Code, transfer_to: Option<Code>) -> Decision<Self> {
        let units: Vec<_> = self.units.below(&unit).collect();
        let is_here = |of: &Option<Code>| of.as_ref() == Some(&unit);
        let teams: Vec<_> = self
            .teams
            .live()
            .filter(|(_, it)| is_here(&it.unit))
            .collect();
        let roles: Vec<_> = self
            .roles
            .live()
            .filter(|(_, it)| is_here(&it.unit))
            .collect();
        if transfer_to.is_none() && units.len() + teams.len() + roles.len() > 0 {
            return Err(NotEmpty {
                units: units.len(),
                teams: teams.len(),
                roles: roles.len(),
                unit,
            });
        }
        let heir = self.units.heir(&unit, transfer_to.as_ref())?;
        let heir = heir.map(|(code, parent)| (code, parent.cloned()));
        let units = units
            .into_iter()
            .map(|(code, _)| (code, transfer_to.clone()));
        let others = units.filter(|(code, _)| Some(*code) != transfer_to.as_ref());
        let units = heir
            .into_iter()
            .chain(others)
            .map(|(code, parent)| UnitRestructured {
                unit: code.clone(),
                parent,
            });
        let teams = teams.into_iter().map(|(code, it)| TeamUpdated {
            team: code.clone(),
            name: it.name.clone(),
            unit: transfer_to.clone(),
        });
        let roles = roles.into_iter().map(|(code, it)| RoleUpdated {
            role: code.clone(),
            title: it.title.clone(),
            unit: transfer_to.clone(),
            reports_to: it.reports_to.clone(),
        });
        let end = UnitDissolved {
            unit: unit.clone(),
            transfer_to: transfer_to.clone(),
        };
        emit_all(units.chain(teams).chain(roles).chain([end]))
    }

    /// The end of a role, after those that report to it report to its replacement. That may be one of them: then it
    /// reports to whom the role reported to.
    pub(super) fn role_deprecated(
        &self,
        role: Code,
        replacement: Option<Code>,
        effective: NaiveDate,
    ) -> Decision<Self> {
        let reports: Vec<_> = self.roles.below(&role).collect();
        if replacement.is_none() && !reports.is_empty() {
            let reports = reports.len();
            return Err(HasReports { role, reports });
        }
        let heir = self.roles.heir(&role, replacement.as_ref())?;
        let heir = heir.map(|(code, above)| (code, above.cloned()));
        let reports = reports
            .into_iter()
            .map(|(code, _)| (code, replacement.clone()));
        let others = reports.filter(|(code, _)| Some(*code) != replacement.as_ref());
        let moved = heir
            .into_iter()
            .chain(others)
            .filter_map(|(code, reports_to)| {
                let it = self.roles.get(code)?;
                Some(RoleUpdated {
                    role: code.clone(),
                    title: it.title.clone(),
                    unit: it.unit.clone(),
                    reports_to,
                })
            });
        let end = RoleDeprecated {
            role: role.clone(),
            replacement: replacement.clone(),
            effective,
        };
        emit_all(moved.chain([end]))
    }
}
