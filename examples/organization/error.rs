//! Why a command is refused, beside those that the lifecycle of the organization refuses.

use cim_es::prelude::*;

use super::Organization;
use super::values::Code;

/// Why a command is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum OrganizationError {
    #[error("there is no {what} {code}: create it first")]
    Unknown { what: &'static str, code: Code },
    #[error("{what} {code} is there already, and a code is used once: choose another")]
    Known { what: &'static str, code: Code },
    #[error("{what} {code} has ended: name one that is in use")]
    Ended { what: &'static str, code: Code },
    #[error("{what} {code} is {state}, so {command} is not possible")]
    NotAccepted {
        what: &'static str,
        code: Code,
        state: &'static str,
        command: &'static str,
    },
    #[error("{what} {code} cannot stand under {above}: that would go in a circle")]
    Circle {
        what: &'static str,
        code: Code,
        above: Code,
    },
    #[error("{what} {code} ends, so it cannot take over from itself: name another")]
    OwnSuccessor { what: &'static str, code: Code },
    #[error(
        "unit {unit} has {units} units, {teams} teams and {roles} roles: name the unit to transfer them to"
    )]
    NotEmpty {
        unit: Code,
        units: usize,
        teams: usize,
        roles: usize,
    },
    #[error("{reports} roles report to role {role}: name the role that replaces it")]
    HasReports { role: Code, reports: usize },
    #[error("{facilities} facilities lie in facility {facility}: close or move them first")]
    HasFacilities { facility: Code, facilities: usize },
    #[error("{0} is not the id under which `Create` is executed: give it that one")]
    OtherId(Id<Organization>),
    #[error("an organization is not its own {0}")]
    Itself(&'static str),
    #[error("organization {0} is no child of this one")]
    NotAChild(Id<Organization>),
}
