//! What the tests of the organization share: values, histories, one sample of every event and a case of every command.

pub mod generators;

use std::fmt::Debug;

use cim_es::prelude::*;
use cim_es_examples::organization::values::{MergerType, NaiveDate, OrganizationType, Reason};
use cim_es_examples::organization::{
    Organization, OrganizationCommand, OrganizationCommand::*, OrganizationEvent,
    OrganizationEvent::*,
};

/// The value of a text that makes one.
pub fn text<T: TryFrom<String, Error: Debug>>(text: &str) -> T {
    text.to_owned().try_into().expect("a value")
}

/// The value of a text, and none of an empty one.
pub fn option<T: TryFrom<String, Error: Debug>>(it: &str) -> Option<T> {
    (!it.is_empty()).then(|| text(it))
}

/// An id that is the same in every run.
pub fn id(number: u128) -> Id<Organization> {
    Id::from_uuid(Uuid::from_u128(
        0x0197_0000_0000_7000_8000_0000_0000_0000 + number,
    ))
}

pub fn reason() -> Reason {
    text("as planned")
}

pub fn day() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 7, 1).expect("a date")
}

/// Organization 1 under organization 9.
pub fn created() -> OrganizationEvent {
    Created {
        id: id(1),
        code: text("ACME"),
        name: text("Acme Incorporated"),
        display_name: text("Acme"),
        organization_type: OrganizationType::Company,
        parent: Some(id(9)),
    }
}

pub fn create() -> OrganizationCommand {
    Create {
        id: id(1),
        code: text("ACME"),
        name: text("Acme Incorporated"),
        display_name: text("Acme"),
        organization_type: OrganizationType::Company,
        parent: Some(id(9)),
    }
}

/// As [`created`] says, or with another name.
pub fn update(name: &str) -> OrganizationCommand {
    Update {
        name: text(name),
        display_name: text("Acme"),
        organization_type: OrganizationType::Company,
    }
}

pub fn unit_created(unit: &str, parent: &str) -> OrganizationEvent {
    UnitCreated {
        unit: text(unit),
        name: text("Research"),
        parent: option(parent),
    }
}

pub fn team_formed(team: &str, unit: &str) -> OrganizationEvent {
    TeamFormed {
        team: text(team),
        name: text("Compilers"),
        unit: option(unit),
    }
}

pub fn role_created(role: &str, unit: &str, reports_to: &str) -> OrganizationEvent {
    RoleCreated {
        role: text(role),
        title: text("Head of research"),
        unit: option(unit),
        reports_to: option(reports_to),
    }
}

pub fn facility_opened(facility: &str, within: &str) -> OrganizationEvent {
    FacilityOpened {
        facility: text(facility),
        name: text("Campus"),
        location: Some(text("Springfield")),
        within: option(within),
    }
}

pub fn dissolve() -> OrganizationCommand {
    Dissolve {
        reason: reason(),
        effective: day(),
    }
}

pub fn merge_into(survivor: u128) -> OrganizationCommand {
    MergeInto {
        survivor: id(survivor),
        merger: MergerType::Acquisition,
        effective: day(),
    }
}

pub fn create_unit(unit: &str, parent: &str) -> OrganizationCommand {
    CreateUnit {
        unit: text(unit),
        name: text("Research"),
        parent: option(parent),
    }
}

pub fn form_team(team: &str, unit: &str) -> OrganizationCommand {
    FormTeam {
        team: text(team),
        name: text("Compilers"),
        unit: option(unit),
    }
}

pub fn create_role(role: &str, unit: &str, reports_to: &str) -> OrganizationCommand {
    CreateRole {
        role: text(role),
        title: text("Head of research"),
        unit: option(unit),
        reports_to: option(reports_to),
    }
}

pub fn open_facility(facility: &str, within: &str) -> OrganizationCommand {
    OpenFacility {
        facility: text(facility),
        name: text("Campus"),
        location: Some(text("Springfield")),
        within: option(within),
    }
}

/// One of every event, with every optional field filled once.
pub fn samples() -> Vec<OrganizationEvent> {
    vec![
        created(),
        Activated,
        Updated {
            name: text("Acme Limited"),
            display_name: text("Acme"),
            organization_type: OrganizationType::Cooperative,
        },
        Deactivated { reason: reason() },
        Suspended { reason: reason() },
        Reinstated,
        Dissolved {
            reason: reason(),
            effective: day(),
        },
        Merged {
            survivor: id(2),
            merger: MergerType::Consolidation,
            effective: day(),
        },
        Absorbed { absorbed: id(3) },
        ChildAdded { child: id(4) },
        ChildRemoved { child: id(4) },
        unit_created("RND", "HQ"),
        UnitUpdated {
            unit: text("RND"),
            name: text("Development"),
        },
        RestructuringBegun {
            unit: text("RND"),
            reason: reason(),
        },
        UnitRestructured {
            unit: text("RND"),
            parent: Some(text("OPS")),
        },
        UnitDissolved {
            unit: text("RND"),
            transfer_to: Some(text("HQ")),
        },
        team_formed("COMP", "RND"),
        TeamUpdated {
            team: text("COMP"),
            name: text("Languages"),
            unit: Some(text("HQ")),
        },
        TeamActivated { team: text("COMP") },
        TeamPutOnHold {
            team: text("COMP"),
            reason: reason(),
        },
        TeamDisbanded {
            team: text("COMP"),
            reason: reason(),
        },
        role_created("HEAD", "RND", "CEO"),
        RoleUpdated {
            role: text("HEAD"),
            title: text("Lead"),
            unit: Some(text("HQ")),
            reports_to: Some(text("CTO")),
        },
        RoleVacated { role: text("HEAD") },
        RoleFilled { role: text("HEAD") },
        RoleFrozen {
            role: text("HEAD"),
            reason: reason(),
        },
        RoleUnfrozen { role: text("HEAD") },
        RoleDeprecated {
            role: text("HEAD"),
            replacement: Some(text("CTO")),
            effective: day(),
        },
        facility_opened("HALL", "SITE"),
        FacilityUpdated {
            facility: text("HALL"),
            name: text("Hall 1"),
            location: Some(text("Shelbyville")),
            within: Some(text("PARK")),
        },
        FacilityClosed {
            facility: text("HALL"),
            reason: reason(),
        },
    ]
}

/// The cases of commands that the page shows, by the kind of part that they are about.
pub fn cases(kind: &str) -> Vec<(&'static str, OrganizationCommand)> {
    match kind {
        "organization" => vec![
            ("Create", create()),
            (
                "Create, under itself",
                Create {
                    id: id(1),
                    code: text("ACME"),
                    name: text("Acme"),
                    display_name: text("Acme"),
                    organization_type: OrganizationType::Other,
                    parent: Some(id(1)),
                },
            ),
            ("Activate", Activate),
            ("Update", update("Acme Limited")),
            ("Update, the same", update("Acme Incorporated")),
            ("Deactivate", Deactivate { reason: reason() }),
            ("Suspend", Suspend { reason: reason() }),
            ("Reinstate", Reinstate),
            ("Dissolve", dissolve()),
            ("MergeInto", merge_into(2)),
            ("MergeInto, itself", merge_into(1)),
            ("Absorb", Absorb { absorbed: id(3) }),
            ("Absorb, again", Absorb { absorbed: id(5) }),
            ("Absorb, itself", Absorb { absorbed: id(1) }),
            ("AddChild", AddChild { child: id(4) }),
            ("AddChild, again", AddChild { child: id(6) }),
            ("AddChild, itself", AddChild { child: id(1) }),
            ("RemoveChild", RemoveChild { child: id(6) }),
            ("RemoveChild, no child", RemoveChild { child: id(4) }),
        ],
        "unit" => vec![
            ("CreateUnit", create_unit("RND", "HQ")),
            ("CreateUnit, under none", create_unit("RND", "NONE")),
            (
                "UpdateUnit",
                UpdateUnit {
                    unit: text("RND"),
                    name: text("Development"),
                },
            ),
            (
                "UpdateUnit, the same",
                UpdateUnit {
                    unit: text("RND"),
                    name: text("Research"),
                },
            ),
            (
                "BeginRestructuring",
                BeginRestructuring {
                    unit: text("RND"),
                    reason: reason(),
                },
            ),
            (
                "RestructureUnit",
                RestructureUnit {
                    unit: text("RND"),
                    parent: None,
                },
            ),
            (
                "RestructureUnit, under itself",
                RestructureUnit {
                    unit: text("RND"),
                    parent: Some(text("RND")),
                },
            ),
            (
                "DissolveUnit",
                DissolveUnit {
                    unit: text("RND"),
                    transfer_to: None,
                },
            ),
            (
                "DissolveUnit, to HQ",
                DissolveUnit {
                    unit: text("RND"),
                    transfer_to: Some(text("HQ")),
                },
            ),
            (
                "DissolveUnit, to LAB",
                DissolveUnit {
                    unit: text("RND"),
                    transfer_to: Some(text("LAB")),
                },
            ),
        ],
        "team" => vec![
            ("FormTeam", form_team("COMP", "HQ")),
            ("FormTeam, unit unknown", form_team("COMP", "NONE")),
            (
                "UpdateTeam",
                UpdateTeam {
                    team: text("COMP"),
                    name: text("Languages"),
                    unit: None,
                },
            ),
            (
                "UpdateTeam, the same",
                UpdateTeam {
                    team: text("COMP"),
                    name: text("Compilers"),
                    unit: Some(text("HQ")),
                },
            ),
            ("ActivateTeam", ActivateTeam { team: text("COMP") }),
            (
                "HoldTeam",
                HoldTeam {
                    team: text("COMP"),
                    reason: reason(),
                },
            ),
            (
                "DisbandTeam",
                DisbandTeam {
                    team: text("COMP"),
                    reason: reason(),
                },
            ),
        ],
        "role" => vec![
            ("CreateRole", create_role("HEAD", "HQ", "CEO")),
            (
                "CreateRole, superior unknown",
                create_role("HEAD", "HQ", "NONE"),
            ),
            (
                "UpdateRole",
                UpdateRole {
                    role: text("HEAD"),
                    title: text("Lead"),
                    unit: None,
                    reports_to: None,
                },
            ),
            (
                "UpdateRole, the same",
                UpdateRole {
                    role: text("HEAD"),
                    title: text("Head of research"),
                    unit: Some(text("HQ")),
                    reports_to: Some(text("CEO")),
                },
            ),
            (
                "UpdateRole, under itself",
                UpdateRole {
                    role: text("HEAD"),
                    title: text("Lead"),
                    unit: None,
                    reports_to: Some(text("HEAD")),
                },
            ),
            ("VacateRole", VacateRole { role: text("HEAD") }),
            ("FillRole", FillRole { role: text("HEAD") }),
            (
                "FreezeRole",
                FreezeRole {
                    role: text("HEAD"),
                    reason: reason(),
                },
            ),
            ("UnfreezeRole", UnfreezeRole { role: text("HEAD") }),
            (
                "DeprecateRole",
                DeprecateRole {
                    role: text("HEAD"),
                    replacement: None,
                    effective: day(),
                },
            ),
            (
                "DeprecateRole, for CEO",
                DeprecateRole {
                    role: text("HEAD"),
                    replacement: Some(text("CEO")),
                    effective: day(),
                },
            ),
            (
                "DeprecateRole, for OLD",
                DeprecateRole {
                    role: text("HEAD"),
                    replacement: Some(text("OLD")),
                    effective: day(),
                },
            ),
        ],
        "facility" => vec![
            ("OpenFacility", open_facility("HALL", "SITE")),
            ("OpenFacility, within none", open_facility("HALL", "NONE")),
            (
                "UpdateFacility",
                UpdateFacility {
                    facility: text("HALL"),
                    name: text("Hall 1"),
                    location: None,
                    within: None,
                },
            ),
            (
                "UpdateFacility, the same",
                UpdateFacility {
                    facility: text("HALL"),
                    name: text("Campus"),
                    location: Some(text("Springfield")),
                    within: Some(text("SITE")),
                },
            ),
            (
                "UpdateFacility, within itself",
                UpdateFacility {
                    facility: text("HALL"),
                    name: text("Hall 1"),
                    location: None,
                    within: Some(text("HALL")),
                },
            ),
            (
                "CloseFacility",
                CloseFacility {
                    facility: text("HALL"),
                    reason: reason(),
                },
            ),
        ],
        _ => panic!("no kind {kind}"),
    }
}
