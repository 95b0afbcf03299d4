//! What a view made in the database, as it is recorded with it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::names::TableNames;
use crate::store::read_model::ViewId;

/// The key of the record in the documents of the view: one that no document has.
pub(crate) const RECORD: &str = "";

/// What a view made in the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TablesRecord {
    /// The names as they stand in braces.
    pub names: BTreeSet<String>,
    /// Those of them that are tables, and are read by the name without a version.
    pub tables: BTreeSet<String>,
    /// Everything that was made.
    pub made: Vec<Made>,
}

/// A table, or what belongs to one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Made {
    /// What it is, such as `table`.
    pub kind: String,
    pub name: String,
    /// Its table.
    pub table: String,
    /// How it is declared, in the words of the database: each line is one thing that is declared.
    pub declared: Vec<String>,
    /// Whether it can refuse or change what is written.
    pub is_decisive: bool,
}

impl TablesRecord {
    pub(crate) fn names_of(&self, view: &ViewId) -> TableNames {
        TableNames::new(view.clone(), self.names.clone())
    }

    /// The tables that were made.
    pub(crate) fn made_tables(&self) -> impl DoubleEndedIterator<Item = &Made> {
        self.made.iter().filter(|made| made.kind == "table")
    }

    /// How what is found differs from what was made; none where it does not. What was added and decides nothing, such as
    /// an index that makes a report faster, is no difference.
    pub(crate) fn difference(&self, found: &[Made]) -> Option<String> {
        for made in &self.made {
            let (kind, name) = (&made.kind, &made.name);
            let Some(now) = found.iter().find(|it| it.kind == *kind && it.name == *name) else {
                return Some(format!("{kind} `{name}` is gone"));
            };
            if now.declared != made.declared {
                let gone = only_in(&made.declared, &now.declared);
                let new = only_in(&now.declared, &made.declared);
                let said = match (gone.is_empty(), new.is_empty()) {
                    (false, false) => format!("was made with {gone}, and has {new}"),
                    (false, true) => format!("has no longer {gone}"),
                    (true, _) => format!("has {new} beside what it was made with"),
                };
                return Some(format!("{kind} `{name}` {said}"));
            }
        }
        let is_added = |it: &&Made| {
            let is_made = |made: &Made| made.kind == it.kind && made.name == it.name;
            it.is_decisive && !self.made.iter().any(is_made)
        };
        let added = found.iter().find(is_added)?;
        Some(format!(
            "{} `{}` was added to `{}`",
            added.kind, added.name, added.table
        ))
    }
}

fn only_in(one: &[String], other: &[String]) -> String {
    let lines = one.iter().filter(|line| !other.contains(line));
    lines
        .map(|line| format!("`{}`", super::one_line(line)))
        .collect::<Vec<_>>()
        .join(", ")
}
