//! The lock as text: one line for each thing that stored events rely on.
//!
//! ```text
//! event people.person.created version 2
//!     was people.person.added
//!     name.family: text
//!     name.given: text | null, may be absent
//! event people.person.created@1
//!     name: text
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

/// What follows the version of an event that is read as others.
const RETIRED: &str = ", retired";

/// What stands at each path of a payload.
pub(super) type Fields = BTreeMap<String, Field>;

/// What is locked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lock {
    /// By event type.
    pub events: BTreeMap<String, Event>,
    /// The shapes that events had under versions before the present one, by the type and the version of that time.
    pub former: BTreeMap<(String, u32), Fields>,
    /// By kind of aggregate.
    pub machines: BTreeMap<String, Machine>,
}

/// One kind of event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    pub version: u32,
    /// Whether all of it is read as others, so that it has no form of its own any more.
    pub is_retired: bool,
    pub former_types: BTreeSet<String>,
    pub fields: Fields,
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
            let retired = if event.is_retired { RETIRED } else { "" };
            writeln!(f, "\nevent {event_type} version {}{retired}", event.version)?;
            for former in &event.former_types {
                writeln!(f, "    was {former}")?;
            }
            fields(f, &event.fields)?;
        }
        for ((event_type, version), shape) in &self.former {
            writeln!(f, "\nevent {event_type}@{version}")?;
            fields(f, shape)?;
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

fn fields(f: &mut fmt::Formatter<'_>, fields: &Fields) -> fmt::Result {
    let mut fields = fields.iter();
    fields.try_for_each(|(path, field)| writeln!(f, "    {path}: {field}"))
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
    /// The event that reads a stored type, by its present name.
    pub(super) fn event_of(&self, event_type: &str) -> Option<(&String, &Event)> {
        let by_name = self.events.get_key_value(event_type);
        by_name.or_else(|| {
            let mut events = self.events.iter();
            events.find(|(_, event)| event.former_types.contains(event_type))
        })
    }

    /// The aggregate that has the histories of a kind, by its present kind.
    pub(super) fn machine_of(&self, kind: &str) -> Option<(&String, &Machine)> {
        let by_name = self.machines.get_key_value(kind);
        by_name.or_else(|| {
            let mut machines = self.machines.iter();
            machines.find(|(_, machine)| machine.former_kinds.contains(kind))
        })
    }

    /// The same lock with what another one, of an earlier program, knows of shapes that events do not have any more: an
    /// event whose version rose leaves the shape that it had.
    pub(super) fn keeping_the_former_of(&self, earlier: &Self) -> Self {
        let mut kept = self.clone();
        kept.former.extend(earlier.former.clone());
        for (event_type, event) in &earlier.events {
            let now = self.event_of(event_type);
            if now.is_some_and(|(_, now)| now.version > event.version) {
                let former = (event_type.clone(), event.version);
                kept.former.insert(former, event.fields.clone());
            }
        }
        kept
    }

    /// The former shapes of an event, by its present name: the type and the version of each.
    pub(super) fn former_of(&self, event: &str) -> impl Iterator<Item = (&(String, u32), &Fields)> {
        let is_its = move |former: &str| self.event_of(former).is_some_and(|(now, _)| now == event);
        self.former
            .iter()
            .filter(move |((former, _), _)| is_its(former))
    }

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
                if let Some((event_type, version)) = rest.split_once('@') {
                    let former = (event_type.to_owned(), version.parse().ok()?);
                    self.former.entry(former.clone()).or_default();
                    return Some(Part::Former(former));
                }
                let (event_type, version) = rest.split_once(" version ")?;
                let retired = version.strip_suffix(RETIRED);
                let event = self.events.entry(event_type.to_owned()).or_default();
                event.version = retired.unwrap_or(version).parse().ok()?;
                event.is_retired = retired.is_some();
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
            Part::Former(former) => {
                let (path, field) = line.split_once(": ")?;
                let fields = self.former.get_mut(former)?;
                fields.insert(path.to_owned(), field_of(field));
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
    Former((String, u32)),
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

#[cfg(test)]
mod tests {
    use super::Lock;

    #[test]
    fn what_rose_leaves_its_shape_and_what_was_left_before_stays() {
        let parse = |text: &str| Lock::parse(text).unwrap();
        let first = parse("event home.lamp.switched version 1\n    on: u8\n");
        let second =
            parse("event home.lamp.turned version 2\n    was home.lamp.switched\n    on: bool\n");
        let third =
            parse("event home.lamp.turned version 3\n    was home.lamp.switched\n    to: bool\n");
        let kept = second.keeping_the_former_of(&first);
        assert_eq!(parse(&kept.to_string()), kept);
        let kept = third.keeping_the_former_of(&kept);
        assert_eq!(parse(&kept.to_string()), kept);
        assert!(
            kept.to_string().ends_with(
                "\nevent home.lamp.switched@1\n    on: u8\n\nevent home.lamp.turned@2\n    on: bool\n"
            ),
            "{kept}"
        );
        assert_eq!(kept.former_of("home.lamp.turned").count(), 2);
        assert_eq!(third.keeping_the_former_of(&kept), kept);
    }
}
