//! The parts of an organization: units, teams, roles and facilities, each kind by its codes.

use std::collections::BTreeMap;

use cim_es::prelude::*;

use super::lifecycle::{FacilityState, RoleState, TeamState, UnitState};
use super::values::{Code, Label};
use super::{OrganizationCommand, OrganizationError, OrganizationEvent};

/// A department: where work belongs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unit {
    pub state: UnitState,
    pub name: Label,
    /// The unit above it.
    pub parent: Option<Code>,
}

/// A group that works together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Team {
    pub state: TeamState,
    pub name: Label,
    /// The unit that it belongs to.
    pub unit: Option<Code>,
}

/// A part that somebody can play.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Role {
    pub state: RoleState,
    pub title: Label,
    /// The unit that it belongs to.
    pub unit: Option<Code>,
    /// The role above it.
    pub reports_to: Option<Code>,
}

/// A place: a campus, a building, a floor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facility {
    pub state: FacilityState,
    pub name: Label,
    /// Where it is.
    pub location: Option<Label>,
    /// The facility that it lies in.
    pub within: Option<Code>,
}

/// What the kinds of parts have in common.
pub trait Part {
    /// The machine of its lifecycle.
    type State: StateMachine<Event = OrganizationEvent, Command = OrganizationCommand>;

    /// What people call such a part.
    const WHAT: &'static str;

    /// Its state.
    fn state(&self) -> Self::State;

    /// The part of the same kind above it.
    fn above(&self) -> Option<&Code>;
}

macro_rules! part {
    ($part:ident, $state:ident, $what:literal, $above:expr) => {
        impl Part for $part {
            type State = $state;

            const WHAT: &'static str = $what;

            fn state(&self) -> $state {
                self.state
            }

            fn above(&self) -> Option<&Code> {
                let above: fn(&Self) -> Option<&Code> = $above;
                above(self)
            }
        }
    };
}

part!(Unit, UnitState, "unit", |it| it.parent.as_ref());
part!(Team, TeamState, "team", |_| None);
part!(Role, RoleState, "role", |it| it.reports_to.as_ref());
part!(Facility, FacilityState, "facility", |it| it.within.as_ref());

/// All parts of one kind that an organization has or had; a code is never used twice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Parts<P>(BTreeMap<Code, P>);

impl<P> Default for Parts<P> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<P: Part> Parts<P> {
    /// The part with a code.
    pub fn get(&self, code: &Code) -> Option<&P> {
        self.0.get(code)
    }

    /// Every part by its code, also those that ended.
    pub fn iter(&self) -> impl Iterator<Item = (&Code, &P)> {
        self.0.iter()
    }

    /// The parts that have not ended.
    pub fn live(&self) -> impl Iterator<Item = (&Code, &P)> {
        self.iter().filter(|(_, part)| !part.state().is_terminal())
    }

    /// The live parts directly under one.
    pub fn below<'a>(&'a self, code: &'a Code) -> impl Iterator<Item = (&'a Code, &'a P)> {
        self.live()
            .filter(move |(_, part)| part.above() == Some(code))
    }

    /// The codes of the live parts, each before what is above it.
    pub fn bottom_up(&self) -> Vec<Code> {
        let mut codes: Vec<_> = self.live().map(|(code, _)| code.clone()).collect();
        codes.sort_by_cached_key(|code| std::cmp::Reverse(self.chain(code).count()));
        codes
    }

    pub(super) fn add(&mut self, code: Code, part: P) {
        self.0.insert(code, part);
    }

    pub(super) fn change(&mut self, code: &Code, change: impl FnOnce(&mut P)) {
        if let Some(part) = self.0.get_mut(code) {
            change(part);
        }
    }

    /// Whether the part's lifecycle has an edge for the command; a code without a part is in the initial state.
    pub(super) fn accept(
        &self,
        code: &Code,
        command: &OrganizationCommand,
    ) -> Result<(), OrganizationError> {
        let known = self.get(code);
        let state = known.map_or_else(P::State::default, P::state);
        if state.can_accept(command) {
            return Ok(());
        }
        let (what, code) = (P::WHAT, code.clone());
        Err(match (known, P::State::default().can_accept(command)) {
            (None, _) => OrganizationError::Unknown { what, code },
            (Some(_), true) => OrganizationError::Known { what, code },
            (Some(_), false) => OrganizationError::NotAccepted {
                what,
                code,
                state: state.name(),
                command: command.name(),
            },
        })
    }

    /// Whether a part can be named by another one: it is there and has not ended.
    pub(super) fn in_use(&self, code: Option<&Code>) -> Result<(), OrganizationError> {
        let Some(code) = code else {
            return Ok(());
        };
        let what = P::WHAT;
        match self.get(code) {
            None => Err(OrganizationError::Unknown {
                what,
                code: code.clone(),
            }),
            Some(part) if part.state().is_terminal() => Err(OrganizationError::Ended {
                what,
                code: code.clone(),
            }),
            Some(_) => Ok(()),
        }
    }

    /// Whether one part can stand under another: that is in use, and is neither the part itself nor below it.
    pub(super) fn can_stand_under(
        &self,
        code: &Code,
        above: Option<&Code>,
    ) -> Result<(), OrganizationError> {
        self.in_use(above)?;
        match above {
            Some(above) if self.chain(above).any(|it| it == code) => {
                Err(OrganizationError::Circle {
                    what: P::WHAT,
                    code: code.clone(),
                    above: above.clone(),
                })
            }
            _ => Ok(()),
        }
    }

    /// Whether one part can take over from another that ends. Where it stands below that one, it is the heir of its
    /// place: itself with what it stands under from then on.
    pub(super) fn heir<'a>(
        &'a self,
        ending: &Code,
        successor: Option<&'a Code>,
    ) -> Result<Option<(&'a Code, Option<&'a Code>)>, OrganizationError> {
        self.in_use(successor)?;
        match successor {
            Some(code) if code == ending => Err(OrganizationError::OwnSuccessor {
                what: P::WHAT,
                code: code.clone(),
            }),
            Some(code) if self.chain(code).any(|it| it == ending) => {
                let above = self.get(ending).and_then(P::above);
                Ok(Some((code, above)))
            }
            _ => Ok(None),
        }
    }

    /// A code and those above it, up to the top.
    fn chain<'a>(&'a self, code: &'a Code) -> impl Iterator<Item = &'a Code> {
        let above = |code: &&'a Code| self.get(code).and_then(P::above);
        // A history that this program did not write could go in a circle.
        std::iter::successors(Some(code), above).take(self.0.len() + 1)
    }
}
