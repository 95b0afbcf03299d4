//! The rules of the organization: over generated histories, as scenarios, and decided again.

use std::collections::BTreeMap;

use crate::organization_support::generators::{any_command, any_part};
use crate::organization_support::*;
use cim_es::prelude::*;
use cim_es::testing::proptest::collection::vec;
use cim_es::testing::proptest::prelude::*;
use cim_es::testing::proptest::sample::select;
use cim_es::testing::{check_machine, given};
use cim_es_examples::organization::parts::{Part, Parts};
use cim_es_examples::organization::values::{Code, MergerType};
use cim_es_examples::organization::{
    Organization, OrganizationCommand::*, OrganizationError, OrganizationEvent,
    OrganizationEvent::*, OrganizationState,
};

/// No part stands under one that ended or under itself.
fn check_tree<P: Part>(parts: &Parts<P>) {
    for (code, part) in parts.live() {
        let mut above = part.above();
        let mut steps = 0;
        while let Some(it) = above {
            assert_ne!(it, code, "{} {code} stands above itself", P::WHAT);
            let it = parts.get(it).expect("what is above is known");
            assert!(!it.state().is_terminal(), "{code} stands under an end");
            above = it.above();
            steps += 1;
            assert!(steps <= parts.iter().count(), "a circle above {code}");
        }
    }
}

/// What holds in every organization that commands led to.
fn check(organization: &Organization) {
    let state = organization.state();
    if state == OrganizationState::Dissolved {
        assert_eq!(organization.units.live().count(), 0);
        assert_eq!(organization.teams.live().count(), 0);
        assert_eq!(organization.roles.live().count(), 0);
        assert_eq!(organization.facilities.live().count(), 0);
    }
    if state.is_terminal() {
        assert!(organization.children.is_empty());
        let names = Organization::UNIQUE_NAMES.expect("an organization holds names");
        assert!(names(organization).is_empty());
    }
    check_tree(&organization.units);
    check_tree(&organization.roles);
    check_tree(&organization.facilities);
    let teams = organization
        .teams
        .live()
        .filter_map(|(_, it)| it.unit.as_ref());
    let roles = organization
        .roles
        .live()
        .filter_map(|(_, it)| it.unit.as_ref());
    for unit in teams.chain(roles) {
        let unit = organization.units.get(unit).expect("the unit is known");
        assert!(!unit.state.is_terminal());
    }
    let others = organization.children.iter().chain(&organization.absorbed);
    for other in others.chain(&organization.merged_into) {
        assert_ne!(Some(*other), organization.id);
    }
    assert!(organization.parent.is_none() || organization.parent != organization.id);
}

#[test]
fn every_edge_is_taken_and_the_structure_holds_over_any_history() {
    use OrganizationState::{Active, Pending};

    let (growing, resting) = (any_command(true), any_command(false));
    let report = check_machine(|organization: &Organization| {
        check(organization);
        match organization.state() {
            Pending | Active => growing.clone(),
            _ => resting.clone(),
        }
    });
    assert_eq!(report.only_in_history, [""; 0]);
}

/// The kind and the code of the part that an event is about.
fn part_of(event: &OrganizationEvent) -> Option<(&'static str, Code)> {
    let kind = event.event_type().split('.').nth(1)?;
    let (kind, field) = match kind {
        "organizational_unit" => ("unit", "unit"),
        "team" => ("team", "team"),
        "role" => ("role", "role"),
        "facility" => ("facility", "facility"),
        _ => return None,
    };
    let value = serde_json::to_value(event).expect("an event is data");
    let fields = value.as_object().and_then(|it| it.values().next());
    let code = fields?.get(field)?.as_str()?;
    Some((kind, text(code)))
}

fn states<P: Part>(parts: &Parts<P>, all: &mut BTreeMap<(&'static str, Code), &'static str>) {
    let states = parts
        .iter()
        .map(|(code, it)| ((P::WHAT, code.clone()), it.state().name()));
    all.extend(states);
}

fn all_states(it: &Organization) -> BTreeMap<(&'static str, Code), &'static str> {
    let mut all = BTreeMap::new();
    states(&it.units, &mut all);
    states(&it.teams, &mut all);
    states(&it.roles, &mut all);
    states(&it.facilities, &mut all);
    all
}

/// The state that the machine of a part gives after an event.
fn next<P: Part>(parts: &Parts<P>, code: &Code, event: &OrganizationEvent) -> &'static str {
    let state = parts.get(code).map_or_else(P::State::default, P::state);
    let next = state.next(event);
    next.unwrap_or_else(|error| panic!("{} {code}: {error}", P::WHAT))
        .name()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn each_part_moves_along_its_own_machine_and_no_other_moves(
        commands in vec(any_part(), 1..60),
        end in select(vec![None, Some(dissolve())]),
    ) {
        let context = Context::new(
            MessageIdentity::root(Uuid::from_u128(1), None),
            Timestamp::from_micros(1),
        );
        let mut organization = Organization::default();
        for command in [create(), Activate].into_iter().chain(commands).chain(end) {
            let Ok(events) = organization.decide(command, &context) else {
                continue;
            };
            for event in events.into_vec() {
                let mut expected = all_states(&organization);
                if let Some((kind, code)) = part_of(&event) {
                    let next = match kind {
                        "unit" => next(&organization.units, &code, &event),
                        "team" => next(&organization.teams, &code, &event),
                        "role" => next(&organization.roles, &code, &event),
                        _ => next(&organization.facilities, &code, &event),
                    };
                    expected.insert((kind, code), next);
                }
                organization.apply(event).expect("the event has an edge");
                prop_assert_eq!(all_states(&organization), expected);
            }
            check(&organization);
        }
    }
}

#[test]
fn a_unit_that_is_dissolved_hands_over_all_it_has_in_one_commit() {
    given([
        created(),
        unit_created("HQ", ""),
        unit_created("RND", "HQ"),
        unit_created("LAB", "RND"),
        team_formed("COMP", "RND"),
        role_created("HEAD", "RND", ""),
        Activated,
    ])
    .when(DissolveUnit {
        unit: text("RND"),
        transfer_to: Some(text("HQ")),
    })
    .then([
        UnitRestructured {
            unit: text("LAB"),
            parent: Some(text("HQ")),
        },
        TeamUpdated {
            team: text("COMP"),
            name: text("Compilers"),
            unit: Some(text("HQ")),
        },
        RoleUpdated {
            role: text("HEAD"),
            title: text("Head of research"),
            unit: Some(text("HQ")),
            reports_to: None,
        },
        UnitDissolved {
            unit: text("RND"),
            transfer_to: Some(text("HQ")),
        },
    ]);
}

#[test]
fn an_organization_that_is_dissolved_ends_each_part_before_what_is_above_it() {
    given([
        created(),
        unit_created("A", ""),
        unit_created("B", "A"),
        role_created("CEO", "A", ""),
        role_created("AIDE", "A", "CEO"),
        team_formed("COMP", "B"),
        facility_opened("SITE", ""),
        facility_opened("HALL", "SITE"),
        ChildAdded { child: id(4) },
    ])
    .when(dissolve())
    .then([
        TeamDisbanded {
            team: text("COMP"),
            reason: reason(),
        },
        RoleDeprecated {
            role: text("AIDE"),
            replacement: None,
            effective: day(),
        },
        RoleDeprecated {
            role: text("CEO"),
            replacement: None,
            effective: day(),
        },
        UnitDissolved {
            unit: text("B"),
            transfer_to: None,
        },
        UnitDissolved {
            unit: text("A"),
            transfer_to: None,
        },
        FacilityClosed {
            facility: text("HALL"),
            reason: reason(),
        },
        FacilityClosed {
            facility: text("SITE"),
            reason: reason(),
        },
        ChildRemoved { child: id(4) },
        Dissolved {
            reason: reason(),
            effective: day(),
        },
    ]);
}

#[test]
fn roles_that_reported_to_a_deprecated_one_report_to_its_replacement() {
    let history = [
        created(),
        role_created("OLD", "", ""),
        role_created("NEW", "", ""),
        role_created("AIDE", "", "OLD"),
    ];
    let deprecate = |replacement: &str| DeprecateRole {
        role: text("OLD"),
        replacement: option(replacement),
        effective: day(),
    };
    given(history.clone()).when(deprecate("NEW")).then([
        RoleUpdated {
            role: text("AIDE"),
            title: text("Head of research"),
            unit: None,
            reports_to: Some(text("NEW")),
        },
        RoleDeprecated {
            role: text("OLD"),
            replacement: Some(text("NEW")),
            effective: day(),
        },
    ]);
    given(history)
        .when(deprecate("OLD"))
        .then_error(OrganizationError::OwnSuccessor {
            what: "role",
            code: text("OLD"),
        });
}

#[test]
fn a_deputy_that_replaces_a_role_takes_its_place() {
    let updated = |role: &str, reports_to: &str| RoleUpdated {
        role: text(role),
        title: text("Head of research"),
        unit: None,
        reports_to: option(reports_to),
    };
    given([
        created(),
        role_created("CEO", "", ""),
        role_created("HEAD", "", "CEO"),
        role_created("LEAD", "", "HEAD"),
        role_created("DEPUTY", "", "LEAD"),
    ])
    .when(DeprecateRole {
        role: text("HEAD"),
        replacement: Some(text("DEPUTY")),
        effective: day(),
    })
    .then([
        updated("DEPUTY", "CEO"),
        updated("LEAD", "DEPUTY"),
        RoleDeprecated {
            role: text("HEAD"),
            replacement: Some(text("DEPUTY")),
            effective: day(),
        },
    ]);
}

#[test]
fn a_unit_that_takes_over_the_one_above_it_takes_its_place() {
    let restructured = |unit: &str, parent: &str| UnitRestructured {
        unit: text(unit),
        parent: option(parent),
    };
    given([
        created(),
        unit_created("RND", ""),
        unit_created("LAB", "RND"),
        unit_created("TEST", "RND"),
    ])
    .when(DissolveUnit {
        unit: text("RND"),
        transfer_to: Some(text("LAB")),
    })
    .then([
        restructured("LAB", ""),
        restructured("TEST", "LAB"),
        UnitDissolved {
            unit: text("RND"),
            transfer_to: Some(text("LAB")),
        },
    ]);
}

#[test]
fn nobody_reports_in_a_circle() {
    given([
        created(),
        role_created("A", "", ""),
        role_created("B", "", "A"),
        role_created("C", "", "B"),
    ])
    .when(UpdateRole {
        role: text("A"),
        title: text("Head of research"),
        unit: None,
        reports_to: Some(text("C")),
    })
    .then_error(OrganizationError::Circle {
        what: "role",
        code: text("A"),
        above: text("C"),
    });
}

#[test]
fn the_code_of_a_unit_that_ended_is_not_used_again() {
    given([
        created(),
        unit_created("RND", ""),
        UnitDissolved {
            unit: text("RND"),
            transfer_to: None,
        },
    ])
    .when(create_unit("RND", ""))
    .then_error(OrganizationError::Known {
        what: "unit",
        code: text("RND"),
    });
}

#[test]
fn a_merger_ends_one_organization_and_leaves_its_structure_to_look_at() {
    let scenario = given([created(), unit_created("RND", ""), Activated]);
    scenario.when(merge_into(2)).then([Merged {
        survivor: id(2),
        merger: MergerType::Acquisition,
        effective: day(),
    }]);
    let survivor = given([created(), Activated]);
    survivor
        .when(Absorb { absorbed: id(3) })
        .then([Absorbed { absorbed: id(3) }]);
}

/// What every run of the same commands gives: the CIDs of all blocks.
async fn blocks() -> Vec<Cid> {
    use cim_es::message::FixedClock;

    let store = MemoryEventStore::new();
    let clock = FixedClock(Timestamp::from_micros(1_767_225_600_000_000));
    let organizations = Repository::<Organization>::builder(store)
        .clock(clock)
        .build();
    let all = ["organization", "unit", "team", "role", "facility"];
    let mut commands = vec![
        create(),
        Activate,
        create_unit("HQ", ""),
        create_role("CEO", "", ""),
    ];
    commands.push(open_facility("SITE", ""));
    commands.extend(
        all[1..]
            .iter()
            .flat_map(|kind| cases(kind))
            .map(|(_, it)| it),
    );
    commands.extend(cases(all[0]).into_iter().map(|(_, it)| it));
    for (number, command) in commands.into_iter().enumerate() {
        let message = Uuid::from_u128(0x0197_0000_0000_7000_9000_0000_0000_0000 + number as u128);
        let identity = MessageIdentity::root(message, Some("test"));
        // Some are refused, in each run the same.
        let _ = organizations.execute(&id(1), command, &identity).await;
    }
    let history = organizations.history(&id(1)).await.expect("it is read");
    history.iter().map(|it| it.stored.cid).collect()
}

#[tokio::test]
async fn the_same_commands_give_the_same_blocks() {
    let first = blocks().await;
    assert!(first.len() > 30, "{}", first.len());
    assert_eq!(first, blocks().await);
}
