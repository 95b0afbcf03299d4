//! Organizations: their structure of units, teams, roles and facilities, and what becomes of them.
//!
//! One aggregate, [`Organization`], owns its whole structure, so that what holds over all of it is decided in one place;
//! its events go to the subjects of the parts that they are about. `examples/organization/README.md` shows lifecycles,
//! subjects and rules.

mod commands;
mod decide;
pub mod dissolution;
mod endings;
mod error;
mod events;
pub mod heads;
pub mod import;
pub mod lifecycle;
pub mod merger;
pub mod parts;
pub mod program;
pub mod values;

use std::collections::BTreeSet;

use cim_es::prelude::*;

pub use commands::OrganizationCommand;
pub use error::OrganizationError;
pub use events::OrganizationEvent;
pub use lifecycle::OrganizationState;
pub use parts::{Facility, Parts, Role, Team, Unit};

use self::values::{Code, Label, OrganizationType};

domain! {
    /// Every subject of the domain.
    pub ORGANIZATION = [OrganizationEvent]
}

/// An organization with all that it is made of. A person is never a part of it: who holds a role is a relationship.
#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(
    domain = "organization",
    name = "organization",
    error = OrganizationError,
    unique = Organization::unique_names
)]
pub struct Organization {
    state: OrganizationState,
    /// Its own id, which rules need that compare it with others.
    pub id: Option<Id<Organization>>,
    /// What a register calls it.
    pub code: Option<Code>,
    /// The name under which it is registered.
    pub name: Option<Label>,
    /// What it calls itself.
    pub display_name: Option<Label>,
    /// What kind of body it is.
    pub organization_type: Option<OrganizationType>,
    /// The organization under which it was created.
    pub parent: Option<Id<Organization>>,
    /// Those that belong to it.
    pub children: BTreeSet<Id<Organization>>,
    /// Those that it continues.
    pub absorbed: BTreeSet<Id<Organization>>,
    /// The one that continues it.
    pub merged_into: Option<Id<Organization>>,
    /// Its units, also those that ended.
    pub units: Parts<Unit>,
    /// Its teams, also those that ended.
    pub teams: Parts<Team>,
    /// Its roles, also those that ended.
    pub roles: Parts<Role>,
    /// Its facilities, also those that ended.
    pub facilities: Parts<Facility>,
}

impl Organization {
    /// A live organization holds its code, each of its children and of those that it absorbed, and each pair that it is
    /// with one of them, so that a child is not above it, and one that it absorbs does not absorb it.
    fn unique_names(&self) -> Vec<UniqueName> {
        if self.state.is_terminal() {
            return Vec::new();
        }
        let code = self.code.iter().map(Self::code_name);
        let children = self.children.iter().map(|it| Self::child_name(*it));
        let kinships = self.pairs("kinship", &self.children);
        let absorbed = self.absorbed.iter();
        let absorbed = absorbed.map(|it| UniqueName::new("absorbed", it));
        let mergers = self.pairs("merger", &self.absorbed);
        let others = kinships.chain(absorbed).chain(mergers);
        code.chain(children).chain(others).collect()
    }

    /// The names of the pairs that it is with others, the same whichever of the two it is.
    fn pairs<'a>(
        &'a self,
        scope: &'static str,
        others: &'a BTreeSet<Id<Self>>,
    ) -> impl Iterator<Item = UniqueName> {
        let pairs = others.iter().zip(self.id.iter().cycle());
        pairs.map(move |(other, own)| {
            let (one, other) = (own.min(other), own.max(other));
            UniqueName::new(scope, format!("{one}/{other}"))
        })
    }

    /// The name that a live organization with the code holds.
    pub fn code_name(code: &Code) -> UniqueName {
        UniqueName::new("code", code)
    }

    /// The name that a live organization holds that has the child.
    pub fn child_name(child: Id<Self>) -> UniqueName {
        UniqueName::new("child", child)
    }
}
