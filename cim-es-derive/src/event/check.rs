//! What is wrong with events, as far as the enum alone shows it.

use std::collections::BTreeMap;

use super::model::{Apply, Events, Owner, Shape, Step, Tail, Upcast, Variant, WireName};
use crate::ctxt::Ctxt;
use crate::names;

pub(crate) fn check(ctxt: &Ctxt, events: &Events) {
    if events.variants.is_empty() {
        ctxt.error(
            &events.ident,
            "an aggregate needs at least one event: add a variant",
        );
    }
    wire_names(ctxt, events);
    for variant in &events.variants {
        upcasters(ctxt, variant);
        retired(ctxt, variant);
        if matches!(events.owner, Owner::Aggregate(_)) {
            state_is_moved_by_the_machine(ctxt, variant);
        }
        kept_fields(ctxt, variant);
    }
}

/// No two kinds of event share a name on the wire, former names included: a stored event would have two readings.
fn wire_names(ctxt: &Ctxt, events: &Events) {
    let mut owners: BTreeMap<String, &Variant> = BTreeMap::new();
    for (variant, name) in all_names(events) {
        let key = match &name.tail {
            Tail::Operation(operation) => format!("operation `{operation}`"),
            Tail::Subject(subject) => format!("subject `{subject}`"),
        };
        let Some(owner) = owners.get(&key) else {
            owners.insert(key, variant);
            continue;
        };
        let message = format!(
            "{key} is that of event `{}` already: choose another",
            owner.name()
        );
        match &name.literal {
            Some(literal) => ctxt.error(literal, message),
            None => ctxt.error(
                &variant.ident,
                format!("{message} with `#[event(operation = \"…\")]`"),
            ),
        }
    }
}

/// The present names of all variants, then the former ones.
fn all_names(events: &Events) -> impl Iterator<Item = (&Variant, &WireName)> {
    let present = events
        .variants
        .iter()
        .map(|variant| (variant, &variant.name));
    let former = events
        .variants
        .iter()
        .flat_map(|variant| variant.former.iter().map(move |name| (variant, name)));
    present.chain(former)
}

/// Upcasters form an unbroken chain from version 1 to the present one.
fn upcasters(ctxt: &Ctxt, variant: &Variant) {
    if variant.is_chain_misread {
        return;
    }
    let schema = variant.schema();
    let mut known = BTreeMap::new();
    for upcast in &variant.upcasts {
        let from: u32 = upcast.from.base10_parse().unwrap_or_default();
        if known.insert(from, ()).is_some() {
            ctxt.error(
                &upcast.from,
                format!("version {from} has an upcaster already: keep one"),
            );
        } else if from >= schema {
            ctxt.error(
                &upcast.from,
                format!(
                    "event `{}` is at version {schema}, so there is nothing to bring up from version {from}: \
                     set `#[event(version = {})]`, or remove the upcaster",
                    variant.name(),
                    u64::from(from) + 1
                ),
            );
        }
    }
    // The first gap is enough: a version of a million would give a million errors.
    let is_missing = |from: &u32| {
        // What a retired event lacks at the end is said there.
        let is_said = variant.retired.is_some() && *from == schema - 1;
        !known.contains_key(from) && !is_said
    };
    if let Some(gap) = (1..schema).find(is_missing) {
        ctxt.error(
            &variant.version,
            format!(
                "version {schema} needs an upcaster from version {gap}: add `#[upcast(from = {gap}, with = …)]`, \
                 a function `fn(Ipld) -> Result<Ipld, UpcastError>`"
            ),
        );
    }
}

/// Whatever is stored of a retired event is read as others, so that no edge has to lead anywhere.
fn retired(ctxt: &Ctxt, variant: &Variant) {
    let Some(key) = variant
        .retired
        .as_ref()
        .filter(|_| !variant.is_chain_misread)
    else {
        return;
    };
    let (name, last) = (variant.name(), variant.schema() - 1);
    let is_last = |upcast: &&Upcast| {
        upcast
            .from
            .base10_parse()
            .is_ok_and(|from: u32| from == last)
    };
    let leads_elsewhere = variant
        .upcasts
        .iter()
        .find(is_last)
        .is_some_and(|upcast| matches!(upcast.step, Step::IntoSeveral(_)));
    if !leads_elsewhere {
        let remedy = match last {
            0 => "write `#[event(version = 2, retired)]` with `#[upcast(from = 1, into_several = …)]`".to_owned(),
            last => format!("bring it up from version {last} by `#[upcast(from = {last}, into_several = …)]`"),
        };
        ctxt.error(
            key,
            format!(
                "event `{name}` is retired, so what is stored of it is read as others: {remedy}"
            ),
        );
    }
    if !matches!(variant.shape, Shape::Unit | Shape::Refused) {
        ctxt.error(
            &variant.declared,
            format!("event `{name}` is retired, so nothing is read as it: write it without fields"),
        );
    }
}

fn state_is_moved_by_the_machine(ctxt: &Ctxt, variant: &Variant) {
    let Shape::Named(fields) = &variant.shape else {
        return;
    };
    for field in fields.iter().filter(|field| names::text(field) == "state") {
        ctxt.error(
            field,
            "the aggregate's field `state` is moved by the machine alone: give the event's field another name",
        );
    }
}

/// What a statement or a function takes is not assigned by name.
fn kept_fields(ctxt: &Ctxt, variant: &Variant) {
    for (field, key) in &variant.kept {
        let taken_by = match &variant.apply {
            Apply::Fields { dropped, .. } if dropped.contains(field) => "it is dropped by `_ = …`",
            Apply::Fields { statements, .. }
                if statements
                    .iter()
                    .any(|statement| statement.names.contains(field)) =>
            {
                "a statement takes it"
            }
            Apply::With(_) => "a function takes it",
            Apply::Fields { .. } | Apply::Refused => continue,
        };
        let name = names::text(field);
        ctxt.error(
            key,
            format!("`keep` is about assignment by name, and `{name}` is not assigned so, since {taken_by}: remove one"),
        );
    }
}
