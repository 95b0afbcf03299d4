//! What is to be done so that an organization becomes what the rows of a file say.

use std::collections::{BTreeMap, BTreeSet};

use cim_es::prelude::*;
use cim_es::repository::rehearse;

use super::super::lifecycle::UnitState;
use super::super::parts::{Part, Parts};
use super::super::values::{Code, Reason};
use super::super::{
    Facility, Organization, OrganizationCommand, OrganizationCommand::*, OrganizationState::*,
    Role, Unit,
};
use super::{Problem, Row, What};

/// One command, and the row that asks for it.
#[derive(Clone, Debug)]
pub struct Step {
    /// The row's place among those of the organization.
    pub row: usize,
    pub command: OrganizationCommand,
}

/// The commands that make an organization what its rows say, each thing after what is above it. None for an
/// organization that is so already. What the rows do not mention stays as it is.
///
/// # Errors
/// A [`Problem`] for every row that cannot be followed, found by deciding the commands without storing anything.
pub fn plan(
    present: &Organization,
    id: Id<Organization>,
    parent: Option<Id<Organization>>,
    rows: &[Row],
) -> Result<Vec<Step>, Vec<Problem>> {
    let mut plan = Plan {
        rows,
        steps: Vec::new(),
        problems: Vec::new(),
    };
    plan.check_that_none_ended(present);
    plan.organization(present, id, parent);
    plan.units(&present.units);
    plan.teams(present);
    plan.roles(&present.roles);
    plan.facilities(&present.facilities);
    // Last: until then whoever looks at it sees that it is being built up.
    let is_founded = plan.rows.iter().position(Row::is_organization);
    if let (Unfounded | Pending, Some(row)) = (present.state(), is_founded) {
        plan.step(row, Activate);
    }
    if plan.problems.is_empty() {
        plan.rehearse(present);
    }
    match plan.problems.is_empty() {
        true => Ok(plan.steps),
        false => Err(plan.problems),
    }
}

struct Plan<'a> {
    rows: &'a [Row],
    steps: Vec<Step>,
    problems: Vec<Problem>,
}

impl<'a> Plan<'a> {
    fn step(&mut self, row: usize, command: OrganizationCommand) {
        self.steps.push(Step { row, command });
    }

    /// Notes each row of a part that has ended: no row brings it back.
    fn check_that_none_ended(&mut self, present: &Organization) {
        fn ended<P: Part>(parts: &Parts<P>, code: &Code) -> bool {
            parts.get(code).is_some_and(|it| it.state().is_terminal())
        }
        for row in self.rows {
            let has_ended = match row.what {
                What::Organization { .. } => false,
                What::Unit { .. } => ended(&present.units, &row.code),
                What::Team { .. } => ended(&present.teams, &row.code),
                What::Role { .. } => ended(&present.roles, &row.code),
                What::Facility { .. } => ended(&present.facilities, &row.code),
            };
            if has_ended {
                let (kind, code) = (row.what.kind(), &row.code);
                let reason =
                    format!("{kind} {code} has ended, and is not begun again: leave it out");
                self.problems.push(Problem::of(row, reason));
            }
        }
    }

    fn organization(
        &mut self,
        present: &Organization,
        id: Id<Organization>,
        parent: Option<Id<Organization>>,
    ) {
        for (place, row) in self.rows.iter().enumerate() {
            let What::Organization {
                organization_type, ..
            } = row.what
            else {
                continue;
            };
            let (code, name) = (row.code.clone(), row.name.clone());
            if present.code.is_none() {
                let create = Create {
                    id,
                    code,
                    display_name: name.clone(),
                    name,
                    organization_type,
                    parent,
                };
                self.step(place, create);
                continue;
            }
            // A display name of its own is kept.
            let own = present.display_name.clone();
            let own = own.filter(|_| present.display_name != present.name);
            let display_name = own.unwrap_or_else(|| name.clone());
            let is_known = present.name.as_ref() == Some(&name)
                && present.organization_type == Some(organization_type);
            if !is_known {
                let update = Update {
                    name,
                    display_name,
                    organization_type,
                };
                self.step(place, update);
            }
        }
    }

    fn units(&mut self, present: &Parts<Unit>) {
        for place in self.top_down("unit", present) {
            let row = &self.rows[place];
            let What::Unit { parent } = &row.what else {
                continue;
            };
            let (unit, name, parent) = (row.code.clone(), row.name.clone(), parent.clone());
            let Some(known) = present.get(&unit) else {
                self.step(place, CreateUnit { unit, name, parent });
                continue;
            };
            if known.name != name {
                let unit = unit.clone();
                self.step(place, UpdateUnit { unit, name });
            }
            if known.parent != parent {
                if known.state == UnitState::Active
                    && let Ok(reason) = "imported".parse::<Reason>()
                {
                    let unit = unit.clone();
                    self.step(place, BeginRestructuring { unit, reason });
                }
                self.step(place, RestructureUnit { unit, parent });
            }
        }
    }

    fn teams(&mut self, present: &Organization) {
        for (place, row) in self.rows.iter().enumerate() {
            let What::Team { unit } = &row.what else {
                continue;
            };
            let (team, name, unit) = (row.code.clone(), row.name.clone(), unit.clone());
            match present.teams.get(&team) {
                None => {
                    let active = ActivateTeam { team: team.clone() };
                    self.step(place, FormTeam { team, name, unit });
                    self.step(place, active);
                }
                Some(known) if (&known.name, &known.unit) == (&name, &unit) => {}
                Some(_) => self.step(place, UpdateTeam { team, name, unit }),
            }
        }
    }

    fn roles(&mut self, present: &Parts<Role>) {
        for place in self.top_down("role", present) {
            let row = &self.rows[place];
            let What::Role { unit, reports_to } = &row.what else {
                continue;
            };
            let (role, title) = (row.code.clone(), row.name.clone());
            let (unit, reports_to) = (unit.clone(), reports_to.clone());
            let known = present.get(&role);
            let known = known.map(|it| (&it.title, &it.unit, &it.reports_to));
            if known == Some((&title, &unit, &reports_to)) {
                continue;
            }
            let command = match known {
                None => CreateRole {
                    role,
                    title,
                    unit,
                    reports_to,
                },
                Some(_) => UpdateRole {
                    role,
                    title,
                    unit,
                    reports_to,
                },
            };
            self.step(place, command);
        }
    }

    fn facilities(&mut self, present: &Parts<Facility>) {
        for place in self.top_down("facility", present) {
            let row = &self.rows[place];
            let What::Facility { within, location } = &row.what else {
                continue;
            };
            let (facility, name) = (row.code.clone(), row.name.clone());
            let (location, within) = (location.clone(), within.clone());
            let known = present.get(&facility);
            let known = known.map(|it| (&it.name, &it.location, &it.within));
            if known == Some((&name, &location, &within)) {
                continue;
            }
            let command = match known {
                None => OpenFacility {
                    facility,
                    name,
                    location,
                    within,
                },
                Some(_) => UpdateFacility {
                    facility,
                    name,
                    location,
                    within,
                },
            };
            self.step(place, command);
        }
    }

    /// The places of the rows of one kind, each after what is above it once all are followed; so no step on the way
    /// goes in a circle either.
    fn top_down<P: Part>(&mut self, kind: &str, present: &Parts<P>) -> Vec<usize> {
        let rows = self.rows.iter().enumerate();
        let rows: BTreeMap<&'a Code, usize> = rows
            .filter(|(_, row)| row.what.kind() == kind)
            .map(|(place, row)| (&row.code, place))
            .collect();
        let above = |code: &Code| match rows.get(code) {
            Some(place) => self.rows[*place].what.above().cloned(),
            None => present.get(code).and_then(P::above).cloned(),
        };
        let (order, circle) = top_down(rows.keys().copied(), above);
        for code in circle {
            if let Some(place) = rows.get(&code) {
                let reason =
                    format!("{kind} {code} cannot stand there: what is above it is below it too");
                self.problems.push(Problem::of(&self.rows[*place], reason));
            }
        }
        order
            .iter()
            .filter_map(|code| rows.get(code).copied())
            .collect()
    }

    /// Decides the steps one after the other, without storing anything, and notes each row that is refused.
    fn rehearse(&mut self, present: &Organization) {
        let context = Context::new(
            MessageIdentity::root(Uuid::nil(), None),
            Timestamp::from_micros(0),
        );
        let (mut after, mut bad) = (present.clone(), BTreeSet::new());
        for step in &self.steps {
            // The first reason of a row says it all.
            if bad.contains(&step.row) {
                continue;
            }
            if let Err(reason) = rehearse(&mut after, step.command.clone(), &context) {
                let row = &self.rows[step.row];
                self.problems.push(Problem::of(row, reason));
                bad.insert(step.row);
            }
        }
    }
}

/// Codes in an order in which each comes after the one above it, and those that stand above themselves.
pub fn top_down<'a>(
    codes: impl IntoIterator<Item = &'a Code>,
    above: impl Fn(&Code) -> Option<Code>,
) -> (Vec<Code>, Vec<Code>) {
    let (mut order, mut circle, mut done) = (Vec::new(), Vec::new(), BTreeSet::new());
    for start in codes {
        let (mut path, mut on_path) = (Vec::new(), BTreeSet::new());
        let mut next = Some(start.clone());
        while let Some(code) = next.take() {
            if done.contains(&code) {
                break;
            }
            if !on_path.insert(code.clone()) {
                let from = path.iter().position(|it| *it == code).unwrap_or(0);
                circle.extend_from_slice(&path[from..]);
                break;
            }
            next = above(&code);
            path.push(code);
        }
        for code in path.into_iter().rev() {
            done.insert(code.clone());
            order.push(code);
        }
    }
    (order, circle)
}
