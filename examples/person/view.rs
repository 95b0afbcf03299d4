//! People as a terminal shows them.

use cim_es::document::Keyed;
use cim_es::prelude::*;
use cim_es::repository::{Loaded, Recorded};
use comfy_table::{ColumnConstraint, Table};

use crate::terminal::{shown, table};

use super::PersonEvent::{self, *};
use super::search::Entry;
use super::{Person, PersonState};

/// People by their family names.
pub fn list(persons: &[(Id<Person>, Loaded<Person>)]) -> Table {
    let mut rows: Vec<_> = persons.iter().collect();
    rows.sort_by_cached_key(|(id, person)| (sort_key(person), *id));
    let mut table = table(["name", "born", "state", "id"]);
    for (id, person) in rows {
        let state = match (person.state(), person.death_date) {
            (PersonState::Deceased, Some(date)) => format!("Deceased {date}"),
            (_, Some(date)) => format!("{}, died {date}", state(person)),
            _ => state(person),
        };
        let (name, born) = (shown(&person.name), shown(&person.birth_date));
        table.add_row([name, born, state, id.to_string()]);
    }
    // An id is to be copied, so it stays in one piece in a narrow terminal too.
    if let Some(ids) = table.column_mut(3) {
        ids.set_constraint(ColumnConstraint::ContentWidth);
    }
    table
}

/// Those who were found by their names.
pub fn entries(found: &[Keyed<Entry>]) -> Table {
    let mut table = table(["id", "name", "born"]);
    for Keyed { key, document } in found {
        table.add_row([
            key.clone(),
            document.name.to_string(),
            shown(&document.birth_date),
        ]);
    }
    table
}

/// Family names, then the others, without regard to case.
fn sort_key(person: &Person) -> Vec<String> {
    let parts = person.name.iter().map(|name| name.parts());
    let parts = parts.flat_map(|parts| [&parts.family, &parts.given, &parts.additional]);
    parts
        .flatten()
        .map(|part| part.as_str().to_lowercase())
        .collect()
}

/// All that is known of one person.
pub fn person(id: &Id<Person>, person: &Person) -> Table {
    let mut table = table(["what", "is"]);
    let mut row = |what: &str, is: String| {
        table.add_row([what.to_owned(), is]);
    };
    row("id", id.to_string());
    row("state", state(person));
    row("name", shown(&person.name));
    if let Some(name) = &person.name {
        let parts = name.parts();
        for (what, texts) in [
            ("  family", &parts.family),
            ("  given", &parts.given),
            ("  additional", &parts.additional),
            ("  before it", &parts.prefixes),
            ("  behind it", &parts.suffixes),
        ] {
            if !texts.is_empty() {
                let texts: Vec<_> = texts.iter().map(|text| text.as_str()).collect();
                row(what, texts.join(", "));
            }
        }
    }
    row("born", shown(&person.birth_date));
    row("died", shown(&person.death_date));
    row("first record", shown(&person.source));
    for (number, attribute) in &person.attributes {
        row(&format!("attribute {number}"), attribute.to_string());
    }
    table
}

/// The events of one person.
pub fn history(events: &[Recorded<PersonEvent>]) -> Table {
    let mut table = table(["#", "time (UTC)", "event", "what", "by"]);
    for Recorded { event, stored } in events {
        let envelope = &stored.envelope;
        let time = envelope.timestamp.to_datetime();
        let time = time.map_or_else(
            || envelope.timestamp.to_string(),
            |time| time.format("%Y-%m-%d %H:%M:%S").to_string(),
        );
        table.add_row([
            envelope.sequence.to_string(),
            time,
            event.info().variant.to_owned(),
            said(event),
            envelope.source.clone().unwrap_or_default(),
        ]);
    }
    table
}

fn said(event: &PersonEvent) -> String {
    match event {
        Created { name, source } => format!("{name} (from {source})"),
        NameUpdated { old, new, reason } => format!("{old} is now {new}: {reason}"),
        BirthDateSet { date } | DeathRecorded { date } => date.to_string(),
        BirthDateCorrected { date, evidence } => format!("{date}: {evidence}"),
        Deactivated { reason, .. } | Reactivated { reason } | Archived { reason } => {
            reason.to_string()
        }
        MergedInto { target, reason } => format!("{target}: {reason}"),
        AttributeRecorded { number, attribute } | AttributeUpdated { number, attribute } => {
            format!("{number}: {attribute}")
        }
        AttributeInvalidated { number, reason } => format!("{number}: {reason}"),
    }
}

fn state(person: &Person) -> String {
    let name = person.state().name();
    match (person.state(), &person.out_of_use, &person.merged_into) {
        (PersonState::Deactivated, Some((reason, _)), _) => format!("{name}: {reason}"),
        (PersonState::Merged, _, Some(target)) => format!("{name} into {target}"),
        _ => name.to_owned(),
    }
}
