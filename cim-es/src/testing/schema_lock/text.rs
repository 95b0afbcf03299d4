//! The lock as text: one line for each thing that stored events rely on.
//!
//! ```text
//! event people.person.created version 2
//!     was people.person.added
//!     name.family: text
//!     name.given: text | null, may be absent
//! machine people.person
//!     starts in New
//!     New: people.person.created => Active
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::shape::Field;

const HEAD: &str = "\
# What stored events rely on: their types, versions and fields, and the edges that replay them. A test compares it with
# the program. `CIM_ES_BLESS=1` adds what is new; what would break stored events is never changed by that.
";

/// What is locked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lock {
    /// By event type.
    pub events: BTreeMap<String, Event>,
    /// By kind of aggregate.
    pub machines: BTreeMap<String, Machine>,
}

/// One kind of event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    pub version: u32,
    pub former_types: BTreeSet<String>,
    pub fields: BTreeMap<String, Field>,
}

/// The edges of an aggregate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Machine {
    pub initial: String,
    pub former_kinds: BTreeSet<String>,
    /// The next state by state and event type.
    pub edges: BTreeMap<(String, String), String>,
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HEAD)?;
        for (event_type, event) in &self.events {
            writeln!(f, "\nevent {event_type} version {}", event.version)?;
            for former in &event.former_types {
                writeln!(f, "    was {former}")?;
            }
            for (path, field) in &event.fields {
                writeln!(f, "    {path}: {field}")?;
            }
        }
        for (kind, machine) in &self.machines {
            writeln!(f, "\nmachine {kind}")?;
            for former in &machine.former_kinds {
                writeln!(f, "    was {former}")?;
            }
            writeln!(f, "    starts in {}", machine.initial)?;
            for ((state, event), next) in &machine.edges {
                writeln!(f, "    {state}: {event} => {next}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is there comes before what may not be.
        let (null, kinds): (Vec<&String>, Vec<_>) = self.kinds.iter().partition(|it| *it == "null");
        let kinds: Vec<&str> = kinds.into_iter().chain(null).map(String::as_str).collect();
        f.write_str(&kinds.join(" | "))?;
        if self.may_be_absent {
            f.write_str(", may be absent")?;
        }
        for alias in &self.aliases {
            write!(f, ", also read as {alias}")?;
        }
        Ok(())
    }
}

impl Lock {
    /// Reads the text.
    ///
    /// # Errors
    /// The number of the line that is none of a lock, and what it says.
    pub(super) fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut lock = Self::default();
        let mut part = None;
        for (at, line) in text.lines().enumerate() {
            let content = line.trim();
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            let read = match line.starts_with(' ') {
                false => lock.begin(content).map(|begun| part = Some(begun)),
                true => part.as_ref().and_then(|part| lock.line(part, content)),
            };
            read.ok_or_else(|| (at + 1, line.to_owned()))?;
        }
        Ok(lock)
    }

    fn begin(&mut self, line: &str) -> Option<Part> {
        let (word, rest) = line.split_once(' ')?;
        let name = match word {
            "event" => {
                let (event_type, version) = rest.split_once(" version ")?;
                let version = version.parse().ok()?;
                self.events
                    .entry(event_type.to_owned())
                    .or_default()
                    .version = version;
                return Some(Part::Event(event_type.to_owned()));
            }
            "machine" => rest.to_owned(),
            _ => return None,
        };
        self.machines.entry(name.clone()).or_default();
        Some(Part::Machine(name))
    }

    fn line(&mut self, part: &Part, line: &str) -> Option<()> {
        match part {
            Part::Event(event_type) => {
                let event = self.events.get_mut(event_type)?;
                match line.split_once(": ") {
                    Some((path, field)) => {
                        event.fields.insert(path.to_owned(), field_of(field));
                    }
                    None => {
                        let former = line.strip_prefix("was ")?;
                        event.former_types.insert(former.to_owned());
                    }
                }
            }
            Part::Machine(kind) => {
                let machine = self.machines.get_mut(kind)?;
                if let Some(initial) = line.strip_prefix("starts in ") {
                    machine.initial = initial.to_owned();
                    return Some(());
                }
                let Some((state, edge)) = line.split_once(": ") else {
                    let former = line.strip_prefix("was ")?;
                    machine.former_kinds.insert(former.to_owned());
                    return Some(());
                };
                let (event, next) = edge.split_once(" => ")?;
                let edge = (state.to_owned(), event.to_owned());
                machine.edges.insert(edge, next.to_owned());
            }
        }
        Some(())
    }
}

/// What the lines of a block belong to.
enum Part {
    Event(String),
    Machine(String),
}

fn field_of(text: &str) -> Field {
    let mut parts = text.split(", ");
    let kinds = parts.next().unwrap_or_default();
    let mut field = Field {
        kinds: kinds.split(" | ").map(str::to_owned).collect(),
        ..Field::default()
    };
    for part in parts {
        match part.strip_prefix("also read as ") {
            Some(alias) => {
                field.aliases.insert(alias.to_owned());
            }
            None => field.may_be_absent |= part == "may be absent",
        }
    }
    field
}
