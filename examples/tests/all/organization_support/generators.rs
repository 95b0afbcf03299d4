//! Generators of commands for an organization, from few codes and names, so that commands meet each other.

use cim_es::testing::proptest::prelude::*;
use cim_es::testing::proptest::sample::select;
use cim_es_examples::organization::values::{Code, OrganizationType};
use cim_es_examples::organization::{OrganizationCommand, OrganizationCommand::*};

use super::{create, day, dissolve, id, merge_into, reason, text};

/// A code of a few, so that commands meet each other.
fn code() -> impl Strategy<Value = Code> + Clone {
    select(["A", "B", "C"].map(text::<Code>).to_vec())
}

fn maybe<T: std::fmt::Debug + Clone>(
    it: impl Strategy<Value = T> + Clone + 'static,
) -> impl Strategy<Value = Option<T>> + Clone {
    prop_oneof![1 => Just(None), 3 => it.prop_map(Some)]
}

fn name<T: TryFrom<String, Error: std::fmt::Debug> + Clone + std::fmt::Debug + 'static>()
-> impl Strategy<Value = T> + Clone {
    select(["One", "Two", "Three"].map(text::<T>).to_vec())
}

fn any_unit() -> impl Strategy<Value = OrganizationCommand> {
    prop_oneof![
        3 => (code(), name(), maybe(code()))
            .prop_map(|(unit, name, parent)| CreateUnit { unit, name, parent }),
        1 => (code(), name()).prop_map(|(unit, name)| UpdateUnit { unit, name }),
        2 => code().prop_map(|unit| BeginRestructuring { unit, reason: reason() }),
        3 => (code(), maybe(code()))
            .prop_map(|(unit, parent)| RestructureUnit { unit, parent }),
        1 => (code(), maybe(code()))
            .prop_map(|(unit, transfer_to)| DissolveUnit { unit, transfer_to }),
    ]
}

fn any_team() -> impl Strategy<Value = OrganizationCommand> {
    prop_oneof![
        2 => (code(), name(), maybe(code()))
            .prop_map(|(team, name, unit)| FormTeam { team, name, unit }),
        1 => (code(), name(), maybe(code()))
            .prop_map(|(team, name, unit)| UpdateTeam { team, name, unit }),
        2 => code().prop_map(|team| ActivateTeam { team }),
        1 => code().prop_map(|team| HoldTeam { team, reason: reason() }),
        1 => code().prop_map(|team| DisbandTeam { team, reason: reason() }),
    ]
}

fn any_role() -> impl Strategy<Value = OrganizationCommand> {
    let role = || (code(), name(), maybe(code()), maybe(code()));
    prop_oneof![
        3 => role().prop_map(|(role, title, unit, reports_to)| CreateRole {
            role,
            title,
            unit,
            reports_to
        }),
        2 => role().prop_map(|(role, title, unit, reports_to)| UpdateRole {
            role,
            title,
            unit,
            reports_to
        }),
        1 => code().prop_map(|role| VacateRole { role }),
        1 => code().prop_map(|role| FillRole { role }),
        1 => code().prop_map(|role| FreezeRole { role, reason: reason() }),
        1 => code().prop_map(|role| UnfreezeRole { role }),
        1 => (code(), maybe(code())).prop_map(|(role, replacement)| DeprecateRole {
            role,
            replacement,
            effective: day()
        }),
    ]
}

fn any_facility() -> impl Strategy<Value = OrganizationCommand> {
    let facility = || (code(), name(), maybe(name()), maybe(code()));
    prop_oneof![
        2 => facility().prop_map(|(facility, name, location, within)| OpenFacility {
            facility,
            name,
            location,
            within
        }),
        2 => facility().prop_map(|(facility, name, location, within)| UpdateFacility {
            facility,
            name,
            location,
            within
        }),
        1 => code().prop_map(|facility| CloseFacility { facility, reason: reason() }),
    ]
}

fn any_child() -> impl Strategy<Value = OrganizationCommand> {
    prop_oneof![
        (1..6_u128).prop_map(|child| AddChild { child: id(child) }),
        (1..6_u128).prop_map(|child| RemoveChild { child: id(child) }),
    ]
}

fn any_update() -> impl Strategy<Value = OrganizationCommand> {
    name().prop_map(|name| Update {
        name,
        display_name: text("Acme"),
        organization_type: OrganizationType::School,
    })
}

/// A command about the structure.
pub fn any_part() -> impl Strategy<Value = OrganizationCommand> {
    prop_oneof![
        6 => any_unit(),
        4 => any_team(),
        6 => any_role(),
        3 => any_facility(),
        2 => any_child(),
        1 => any_update(),
    ]
}

/// Any command; where a structure can grow, mostly one that lets it.
pub fn any_command(is_growing: bool) -> BoxedStrategy<OrganizationCommand> {
    let whole = prop_oneof![
        Just(create()),
        Just(Activate),
        any_update(),
        Just(Deactivate { reason: reason() }),
        Just(Suspend { reason: reason() }),
        Just(Reinstate),
        Just(dissolve()),
        (1..4_u128).prop_map(merge_into),
        (1..6_u128).prop_map(|absorbed| Absorb {
            absorbed: id(absorbed)
        }),
    ];
    match is_growing {
        true => prop_oneof![80 => any_part(), 1 => whole].boxed(),
        false => prop_oneof![1 => any_part(), 2 => whole].boxed(),
    }
}
