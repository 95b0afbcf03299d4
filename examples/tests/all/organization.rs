//! The page of the organization: its lifecycles, its subjects, and what every command leads to in every state.

use std::path::{Path, PathBuf};

use crate::organization_support::*;
use cim_es::prelude::*;
use cim_es::testing::{
    Given, SchemaLock, check_page, decision_table, given, given_nothing, subject_table,
};
use cim_es_examples::organization::lifecycle::{FacilityState, RoleState, TeamState, UnitState};
use cim_es_examples::organization::{Organization, OrganizationEvent, OrganizationEvent::*};
use cim_es_examples::organization::{OrganizationCommand, OrganizationState};

const KINDS: [&str; 5] = ["organization", "unit", "team", "role", "facility"];

type States = Vec<(&'static str, Given<Organization>)>;

/// A part of each kind, and what it stands under.
fn structure() -> Vec<OrganizationEvent> {
    vec![
        created(),
        ChildAdded { child: id(6) },
        unit_created("HQ", ""),
        unit_created("RND", "HQ"),
        team_formed("COMP", "HQ"),
        role_created("CEO", "", ""),
        role_created("HEAD", "HQ", "CEO"),
        facility_opened("SITE", ""),
        facility_opened("HALL", "SITE"),
    ]
}

/// An active organization with that structure, and one that it absorbed.
fn whole(more: Vec<OrganizationEvent>) -> Given<Organization> {
    let more = [vec![Activated, Absorbed { absorbed: id(5) }], more].concat();
    given([structure(), more].concat())
}

/// An active organization in which one part of each kind can be made.
fn active(more: Vec<OrganizationEvent>) -> Given<Organization> {
    let founded = vec![
        created(),
        ChildAdded { child: id(6) },
        unit_created("HQ", ""),
        role_created("CEO", "", ""),
        role_created("OLD", "", ""),
        RoleDeprecated {
            role: text("OLD"),
            replacement: None,
            effective: day(),
        },
        facility_opened("SITE", ""),
        Activated,
        Absorbed { absorbed: id(5) },
    ];
    given([founded, more].concat())
}

fn organization_states() -> States {
    vec![
        ("Unfounded", given_nothing()),
        ("Pending", given(structure())),
        ("Active", whole(vec![])),
        ("Inactive", whole(vec![Deactivated { reason: reason() }])),
        ("Suspended", whole(vec![Suspended { reason: reason() }])),
        (
            "Dissolved",
            given([
                created(),
                Dissolved {
                    reason: reason(),
                    effective: day(),
                },
            ]),
        ),
        (
            "Merged",
            whole(vec![Merged {
                survivor: id(2),
                merger: cim_es_examples::organization::values::MergerType::Acquisition,
                effective: day(),
            }]),
        ),
    ]
}

/// The states of one part in an active organization.
fn part_states(kind: &str) -> States {
    let unit = |more: Vec<_>| active([vec![unit_created("RND", "HQ")], more].concat());
    let team = |more: Vec<_>| active([vec![team_formed("COMP", "HQ")], more].concat());
    let role = |more: Vec<_>| active([vec![role_created("HEAD", "HQ", "CEO")], more].concat());
    let facility = |more: Vec<_>| active([vec![facility_opened("HALL", "SITE")], more].concat());
    let begun = || RestructuringBegun {
        unit: text("RND"),
        reason: reason(),
    };
    let team_active = || TeamActivated { team: text("COMP") };
    match kind {
        "unit" => vec![
            ("Absent", active(vec![])),
            ("Active", unit(vec![])),
            (
                "Active, over unit LAB",
                unit(vec![unit_created("LAB", "RND")]),
            ),
            (
                "Active, with a team and a role",
                unit(vec![
                    team_formed("COMP", "RND"),
                    role_created("HEAD", "RND", ""),
                ]),
            ),
            ("Restructuring", unit(vec![begun()])),
            (
                "Dissolved",
                unit(vec![UnitDissolved {
                    unit: text("RND"),
                    transfer_to: None,
                }]),
            ),
        ],
        "team" => vec![
            ("Absent", active(vec![])),
            ("Forming", team(vec![])),
            ("Active", team(vec![team_active()])),
            (
                "OnHold",
                team(vec![
                    team_active(),
                    TeamPutOnHold {
                        team: text("COMP"),
                        reason: reason(),
                    },
                ]),
            ),
            (
                "Disbanded",
                team(vec![TeamDisbanded {
                    team: text("COMP"),
                    reason: reason(),
                }]),
            ),
        ],
        "role" => vec![
            ("Absent", active(vec![])),
            ("Active", role(vec![])),
            (
                "Active, over role DEV",
                role(vec![role_created("DEV", "", "HEAD")]),
            ),
            ("Vacant", role(vec![RoleVacated { role: text("HEAD") }])),
            (
                "Frozen",
                role(vec![RoleFrozen {
                    role: text("HEAD"),
                    reason: reason(),
                }]),
            ),
            (
                "Deprecated",
                role(vec![RoleDeprecated {
                    role: text("HEAD"),
                    replacement: None,
                    effective: day(),
                }]),
            ),
        ],
        "facility" => vec![
            ("Absent", active(vec![])),
            ("Open", facility(vec![])),
            (
                "Open, with facility ROOM in it",
                facility(vec![facility_opened("ROOM", "HALL")]),
            ),
            (
                "Closed",
                facility(vec![FacilityClosed {
                    facility: text("HALL"),
                    reason: reason(),
                }]),
            ),
        ],
        _ => panic!("no kind {kind}"),
    }
}

fn commands() -> Vec<(&'static str, OrganizationCommand)> {
    KINDS.into_iter().flat_map(cases).collect()
}

/// The commands on the whole with all of their cases, and one case of each command on a part.
fn whole_commands() -> Vec<(&'static str, OrganizationCommand)> {
    let mut commands = cases(KINDS[0]);
    for (name, command) in KINDS[1..].iter().flat_map(|kind| cases(kind)) {
        let command = match command.name() {
            it if commands.iter().any(|(_, known)| known.name() == it) => continue,
            "CreateUnit" => create_unit("NEW", "HQ"),
            "FormTeam" => form_team("NEW", "HQ"),
            "CreateRole" => create_role("NEW", "HQ", "CEO"),
            "OpenFacility" => open_facility("NEW", "SITE"),
            _ => command,
        };
        commands.push((name, command));
    }
    commands
}

/// The rules of one kind of part: its commands in each of its states.
fn part_rules<S: StateMachine>(kind: &str) -> String {
    let (whole, states) = (organization_states(), part_states(kind));
    let columns: Vec<_> = states.iter().map(|(name, _)| *name).collect();
    for state in S::STATES {
        assert!(columns.contains(state), "{kind}: no case of state {state}");
    }
    let skipped = whole.len();
    let table = decision_table(whole.into_iter().chain(states), commands());
    let rows: Vec<_> = cases(kind)
        .iter()
        .map(|(name, _)| format!("| **{name}** |"))
        .collect();
    let is_wanted =
        |(number, line): &(usize, &str)| *number < 2 || rows.iter().any(|it| line.starts_with(it));
    let cut = |(_, line): (usize, &str)| {
        let dot = |cell| match str::ends_with(cell, "is not possible ") {
            true => " · ",
            false => cell,
        };
        let cells: Vec<_> = line.split('|').map(dot).collect();
        [&cells[..2], &cells[2 + skipped..]].concat().join("|") + "\n"
    };
    table
        .lines()
        .enumerate()
        .filter(is_wanted)
        .map(cut)
        .collect()
}

/// A machine without the edges on which its state stays.
fn moves<S: StateMachine>() -> String {
    let moves = S::EDGES.iter().filter(|edge| edge.from != edge.to);
    let mut seen = Vec::new();
    for edge in moves {
        let label = match edge.command {
            Some(command) => format!("{command} / {}", edge.event),
            None => format!("/ {}", edge.event),
        };
        seen.push(format!("    {} --> {}: {label}\n", edge.from, edge.to));
    }
    let ends = S::STATES.iter().enumerate();
    let ends = ends.filter(|(index, _)| S::from_index(*index).as_ref().is_some_and(S::is_terminal));
    let ends: String = ends
        .map(|(_, state)| format!("    {state} --> [*]\n"))
        .collect();
    let (first, seen) = (S::INITIAL, seen.concat());
    format!("```mermaid\nstateDiagram-v2\n    [*] --> {first}\n{seen}{ends}```\n")
}

fn beside(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("organization")
        .join(file)
}

#[test]
fn the_page_shows_every_lifecycle_every_subject_and_every_rule() {
    let parts = [
        ("organization lifecycle", moves::<OrganizationState>()),
        ("unit lifecycle", moves::<UnitState>()),
        ("team lifecycle", moves::<TeamState>()),
        ("role lifecycle", moves::<RoleState>()),
        ("facility lifecycle", moves::<FacilityState>()),
        ("subjects", subject_table::<Organization>()),
        (
            "organization rules",
            decision_table(organization_states(), whole_commands()),
        ),
        ("unit rules", part_rules::<UnitState>("unit")),
        ("team rules", part_rules::<TeamState>("team")),
        ("role rules", part_rules::<RoleState>("role")),
        ("facility rules", part_rules::<FacilityState>("facility")),
    ];
    check_page(beside("README.md"), &parts);
}

#[test]
fn stored_events_survive_every_change() {
    SchemaLock::new()
        .aggregate::<Organization>(samples())
        .check(beside("schema.lock"));
}

#[test]
fn there_is_a_sample_of_every_event() {
    let samples = samples();
    let samples: Vec<_> = samples.iter().map(DomainEvent::index).collect();
    let all: Vec<_> = (0..OrganizationEvent::VARIANTS.len()).collect();
    assert_eq!(samples, all);
}

#[test]
fn the_subjects_are_those_that_others_rely_on() {
    for subject in [
        "organization.organization.created",
        "organization.organization.child_added",
        "organization.organizational_unit.created",
        "organization.organizational_unit.updated",
        "organization.organizational_unit.restructured",
        "organization.organizational_unit.dissolved",
        "organization.team.formed",
        "organization.team.updated",
        "organization.team.disbanded",
        "organization.role.created",
        "organization.role.updated",
        "organization.role.deprecated",
        "organization.facility.created",
        "organization.facility.updated",
        "organization.facility.removed",
    ] {
        assert!(OrganizationEvent::TYPES.contains(&subject), "{subject}");
    }
}
