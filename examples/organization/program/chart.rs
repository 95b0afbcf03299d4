//! The chart of an organization as a tree.

use std::collections::{BTreeMap, BTreeSet};

use cim_es::prelude::*;
use termtree::Tree;

use super::super::Organization;
use super::super::parts::{Facility, Part, Parts, Role, Team, Unit};
use super::super::values::{Code, Label};
use super::known::Organizations;

/// How many levels a chart has at most.
const LEVELS: usize = 100;

/// The charts of organizations, children under their parents. Those that ended are drawn when they are asked for by
/// name (`is_named`).
pub fn charts(organizations: &Organizations, is_named: bool) -> String {
    let is_shown = |it: &Organization| is_named || !it.state().is_terminal();
    let all: BTreeMap<_, _> = organizations
        .iter()
        .filter(|(_, it)| is_shown(it))
        .collect();
    let children: BTreeSet<_> = all.values().flat_map(|it| &it.children).collect();
    let tops = all.iter().filter(|(id, _)| !children.contains(*id));
    let mut drawn = BTreeSet::new();
    let mut text: String = tops
        .map(|(id, _)| organization(organizations, **id, &mut drawn, 0).to_string())
        .collect();
    // Organizations that stand above themselves have no top.
    for id in all.keys() {
        if !drawn.contains(*id) {
            text += &organization(organizations, **id, &mut drawn, 0).to_string();
        }
    }
    match text.is_empty() {
        true => "There is no organization: import a file first.\n".to_owned(),
        false => text,
    }
}

fn organization(
    all: &Organizations,
    id: Id<Organization>,
    drawn: &mut BTreeSet<Id<Organization>>,
    level: usize,
) -> Tree<String> {
    let Some(it) = all.get(&id) else {
        return Tree::new(format!("organization {id}"));
    };
    let mut tree = Tree::new(format!(
        "{} {} ({}, {})",
        shown(&it.code),
        shown(&it.name),
        shown(&it.organization_type),
        it.state().name().to_lowercase()
    ));
    if !drawn.insert(id) || level == LEVELS {
        return tree;
    }
    let chart = Chart::of(it);
    chart.unit(None, &mut tree, level);
    chart.facility(None, &mut tree, level);
    for child in &it.children {
        tree.push(organization(all, *child, drawn, level + 1));
    }
    tree
}

type Placed<'a, P> = BTreeMap<Option<&'a Code>, Vec<(&'a Code, &'a P)>>;

/// What stands where in an organization.
struct Chart<'a> {
    units: Placed<'a, Unit>,
    teams: Placed<'a, Team>,
    roles: Placed<'a, Role>,
    facilities: Placed<'a, Facility>,
}

impl<'a> Chart<'a> {
    fn of(it: &'a Organization) -> Self {
        Self {
            units: placed(&it.units, |it| it.parent.as_ref()),
            teams: placed(&it.teams, |it| it.unit.as_ref()),
            roles: placed(&it.roles, |it| it.unit.as_ref()),
            facilities: placed(&it.facilities, |it| it.within.as_ref()),
        }
    }

    /// Draws what stands in a unit, or in none.
    fn unit(&self, unit: Option<&Code>, tree: &mut Tree<String>, level: usize) {
        if level == LEVELS {
            tree.push("…".to_owned());
            return;
        }
        for (code, role) in self.roles.get(&unit).into_iter().flatten() {
            let above = role.reports_to.iter();
            let above: String = above.map(|it| format!(", reports to {it}")).collect();
            tree.push(line(code, *role, &role.title, &above));
        }
        for (code, team) in self.teams.get(&unit).into_iter().flatten() {
            tree.push(line(code, *team, &team.name, ""));
        }
        for (code, unit) in self.units.get(&unit).into_iter().flatten() {
            let mut below = Tree::new(line(code, *unit, &unit.name, ""));
            self.unit(Some(code), &mut below, level + 1);
            tree.push(below);
        }
    }

    /// Draws what lies in a facility, or in none.
    fn facility(&self, within: Option<&Code>, tree: &mut Tree<String>, level: usize) {
        if level == LEVELS {
            tree.push("…".to_owned());
            return;
        }
        for (code, facility) in self.facilities.get(&within).into_iter().flatten() {
            let location = facility.location.iter();
            let location: String = location.map(|it| format!(", {it}")).collect();
            let mut below = Tree::new(line(code, *facility, &facility.name, &location));
            self.facility(Some(code), &mut below, level + 1);
            tree.push(below);
        }
    }
}

/// What kind of part it is, its code and name, and its state where that is not the usual one.
fn line<P: Part>(code: &Code, part: &P, name: &Label, more: &str) -> String {
    let what = P::WHAT;
    match part.state().name() {
        "Active" | "Open" => format!("{what} {code} {name}{more}"),
        state => format!("{what} {code} {name}{more} ({})", state.to_lowercase()),
    }
}

fn shown<T: ToString>(value: &Option<T>) -> String {
    value.as_ref().map_or_else(String::new, T::to_string)
}

/// The live parts of a kind by what they stand in.
fn placed<'a, P: Part>(
    parts: &'a Parts<P>,
    place: impl Fn(&'a P) -> Option<&'a Code>,
) -> Placed<'a, P> {
    let mut placed = Placed::<P>::new();
    for (code, part) in parts.live() {
        placed.entry(place(part)).or_default().push((code, part));
    }
    placed
}
