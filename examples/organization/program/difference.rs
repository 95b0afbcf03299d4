//! What changed between two moments.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use cim_es::prelude::*;

use super::super::Organization;
use super::super::parts::{Part, Parts};
use super::super::values::Code;
use super::known::Organizations;

/// What there is to tell of a thing, by the words for it.
type Facts = BTreeMap<&'static str, String>;

/// What is different, organization by organization: `+` is new, `-` is gone, `~` has changed.
pub fn differences(before: &Organizations, after: &Organizations) -> String {
    let mut text = String::new();
    let ids = before.keys().chain(after.keys());
    for id in ids.collect::<BTreeSet<_>>() {
        let (was, is) = (before.get(id), after.get(id));
        let (old, new) = (things(was, before), things(is, after));
        let keys = old.keys().chain(new.keys());
        let keys = keys.collect::<BTreeSet<_>>();
        let lines = keys.into_iter().filter_map(|key| {
            let (kind, code) = key;
            let name = format!("{kind} {code}").trim_end().to_owned();
            match (old.get(key), new.get(key)) {
                (None, Some(facts)) => Some(format!("  + {name}{}", listed(facts))),
                (Some(facts), None) => Some(format!("  - {name}{}", listed(facts))),
                (Some(old), Some(new)) if old != new => {
                    Some(format!("  ~ {name}: {}", changed(old, new)))
                }
                _ => None,
            }
        });
        let lines: Vec<_> = lines.collect();
        if !lines.is_empty() {
            let it = is.or(was);
            let code = it.and_then(|it| it.code.as_ref());
            let code = code.map_or_else(String::new, Code::to_string);
            let _ = writeln!(text, "{code} {id}\n{}", lines.join("\n"));
        }
    }
    text
}

/// Everything that an organization has, by kind and code.
fn things(
    organization: Option<&Organization>,
    all: &Organizations,
) -> BTreeMap<(&'static str, String), Facts> {
    let mut things = BTreeMap::new();
    let Some(it) = organization else {
        return things;
    };
    let mut facts = Facts::from([("state", it.state().name().to_lowercase())]);
    note(&mut facts, "name", it.name.as_ref());
    note(&mut facts, "display name", it.display_name.as_ref());
    note(&mut facts, "type", it.organization_type.as_ref());
    note(&mut facts, "merged into", it.merged_into.as_ref());
    things.insert(("organization", String::new()), facts);
    for child in &it.children {
        things.insert(("child", child.to_string()), named(child, all));
    }
    for absorbed in &it.absorbed {
        things.insert(("absorbed", absorbed.to_string()), named(absorbed, all));
    }
    add(&mut things, &it.units, |it, facts| {
        note(facts, "name", Some(&it.name));
        note(facts, "under", it.parent.as_ref());
    });
    add(&mut things, &it.teams, |it, facts| {
        note(facts, "name", Some(&it.name));
        note(facts, "unit", it.unit.as_ref());
    });
    add(&mut things, &it.roles, |it, facts| {
        note(facts, "title", Some(&it.title));
        note(facts, "unit", it.unit.as_ref());
        note(facts, "reports to", it.reports_to.as_ref());
    });
    add(&mut things, &it.facilities, |it, facts| {
        note(facts, "name", Some(&it.name));
        note(facts, "location", it.location.as_ref());
        note(facts, "within", it.within.as_ref());
    });
    things
}

/// What another organization is called, if it is among those that were asked for.
fn named(id: &Id<Organization>, all: &Organizations) -> Facts {
    let mut facts = Facts::new();
    note(
        &mut facts,
        "code",
        all.get(id).and_then(|it| it.code.as_ref()),
    );
    facts
}

fn add<P: Part>(
    things: &mut BTreeMap<(&'static str, String), Facts>,
    parts: &Parts<P>,
    tell: impl Fn(&P, &mut Facts),
) {
    for (code, part) in parts.live() {
        let mut facts = Facts::from([("state", part.state().name().to_lowercase())]);
        tell(part, &mut facts);
        things.insert((P::WHAT, code.to_string()), facts);
    }
}

fn note<T: ToString>(facts: &mut Facts, word: &'static str, value: Option<&T>) {
    if let Some(value) = value {
        facts.insert(word, value.to_string());
    }
}

fn listed(facts: &Facts) -> String {
    let facts: Vec<_> = facts
        .iter()
        .map(|(word, it)| format!("{word} {it}"))
        .collect();
    match facts.is_empty() {
        true => String::new(),
        false => format!(": {}", facts.join(", ")),
    }
}

fn changed(old: &Facts, new: &Facts) -> String {
    let words = old.keys().chain(new.keys());
    let words: BTreeSet<_> = words.collect();
    let none = || "none".to_owned();
    let changes = words
        .into_iter()
        .filter(|word| old.get(*word) != new.get(*word));
    let changes: Vec<_> = changes
        .map(|word| {
            let was = old.get(word).cloned().unwrap_or_else(none);
            let is = new.get(word).cloned().unwrap_or_else(none);
            format!("{word} {was} → {is}")
        })
        .collect();
    changes.join(", ")
}
