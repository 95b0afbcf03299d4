//! Which changes stored events survive, by the table at [`SchemaLock`](super::SchemaLock).

use super::path::{is_field, last, parent};
use super::shape::Field;
use super::text::{Event, Lock, Machine};

/// What differs between the lock and the program.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// What would break stored events, each with what to do.
    pub breaking: Vec<String>,
    /// What stored events survive.
    pub additions: Vec<String>,
}

/// Compares what was locked with what the program is now.
pub(super) fn compare(locked: &Lock, present: &Lock) -> Changes {
    let mut changes = Changes::default();
    for (event_type, event) in &locked.events {
        match present.event_of(event_type) {
            Some((name, now)) => changes.event(event_type, event, name, now),
            None => {
                let operation = operation(locked, event_type);
                changes.breaking.push(format!(
                    "event `{event_type}` is gone: if its variant was renamed, keep the stored name with `#[event(operation = {operation})]`, or read it beside a new one with `#[event(was = {operation})]`; if nothing emits it any more, keep the variant, and its edges without a command (`#[on(/ Event => State)]`)"
                ));
            }
        }
    }
    for name in present.events.keys() {
        let is_known = |(former, _): (&String, &Event)| {
            present.event_of(former).is_some_and(|(now, _)| now == name)
        };
        if !locked.events.iter().any(is_known) {
            changes.additions.push(format!("event `{name}` is new"));
        }
    }
    for (event_type, version) in locked.former.keys() {
        // What the lock has as an event of its own is told of above.
        if locked.event_of(event_type).is_none() && present.event_of(event_type).is_none() {
            changes.breaking.push(format!(
                "event `{event_type}`, of which version {version} is stored, is read by no event: name it in the `#[event(was = …)]` of the one that it became"
            ));
        }
    }
    for (kind, machine) in &locked.machines {
        match present.machine_of(kind) {
            Some((name, now)) => {
                changes.kinds(kind, machine, name, now);
                changes.machine(name, machine, now, present);
            }
            None => changes.breaking.push(format!(
                "aggregate `{kind}` is gone: hand it to the `SchemaLock` too; if it was renamed, add `#[aggregate(was = \"{kind}\")]` under its new name, or restore `domain` and `name`"
            )),
        }
    }
    for kind in present.machines.keys() {
        let is_known = |former: &String| {
            present
                .machine_of(former)
                .is_some_and(|(now, _)| now == kind)
        };
        if !locked.machines.keys().any(is_known) {
            changes.additions.push(format!("aggregate `{kind}` is new"));
        }
    }
    changes
}

/// The operation of an event, as an attribute has it.
fn operation(lock: &Lock, event_type: &str) -> String {
    let mut kinds = lock.machines.keys().rev();
    let operation = kinds.find_map(|kind| event_type.strip_prefix(kind)?.strip_prefix('.'));
    operation.map_or_else(|| "…".to_owned(), |operation| format!("{operation:?}"))
}

impl Changes {
    fn kinds(&mut self, kind: &str, machine: &Machine, name: &str, now: &Machine) {
        if name != kind {
            let addition = format!("aggregate `{kind}` is `{name}` now");
            self.additions.push(addition);
        }
        for former in &machine.former_kinds {
            if former != name && !now.former_kinds.contains(former) {
                self.breaking.push(format!(
                    "aggregate `{name}` no longer has the histories of its former name `{former}`: restore its `#[aggregate(was = \"{former}\")]`"
                ));
            }
        }
    }

    fn event(&mut self, event_type: &str, event: &Event, name: &str, now: &Event) {
        if name != event_type {
            let addition = format!("event `{event_type}` is `{name}` now");
            self.additions.push(addition);
        }
        for former in &event.former_types {
            if former != name && !now.former_types.contains(former) {
                self.breaking.push(format!(
                    "event `{name}` is no longer read under its former name `{former}`: restore its `#[event(was = …)]`"
                ));
            }
        }
        if now.version < event.version {
            self.breaking.push(format!(
                "event `{name}` has version {}, and version {} is stored: a version is only ever raised, also to go back to an earlier form",
                now.version, event.version
            ));
        } else if now.version > event.version {
            self.additions.push(format!(
                "event `{name}` has version {} instead of {}",
                now.version, event.version
            ));
        } else {
            self.fields(name, event, now);
        }
    }

    fn fields(&mut self, name: &str, event: &Event, now: &Event) {
        let next = event.version + 1;
        let remedy = format!(
            "raise the version, `#[event(version = {next})]`, with an `#[upcast(from = {}, with = …)]` that brings the stored form up",
            event.version
        );
        let mut read_as_before = Vec::new();
        for (path, field) in &event.fields {
            let subject = format!("event `{name}`, field `{path}`");
            let Some((present, present_field)) = reads(now, path) else {
                let alias = format!("if it was renamed, `#[serde(alias = \"{}\")]`", last(path));
                self.breaking
                    .push(format!("{subject} is gone: {alias}; else {remedy}"));
                continue;
            };
            read_as_before.push(present.clone());
            if let Some(lost) = lost(field, present_field) {
                self.breaking.push(format!("{subject} {lost}: {remedy}"));
            } else if field != present_field || present != *path {
                self.additions.push(format!(
                    "{subject} was `{field}`, is `{present}: {present_field}` now"
                ));
            }
        }
        for (path, field) in &now.fields {
            if read_as_before.contains(path) {
                continue;
            }
            let subject = format!("event `{name}`, field `{path}`");
            let parent = parent(path);
            let was_struct = |field: &Field| field.kinds.contains("struct");
            let within_new =
                !parent.is_empty() && !event.fields.get(parent).is_some_and(was_struct);
            if field.may_be_absent || within_new || !is_field(path) {
                self.additions.push(format!("{subject} is new"));
            } else {
                self.breaking.push(format!(
                    "{subject} is new, and stored events do not have it: give it `#[serde(default)]` or make it an `Option`; else {remedy}"
                ));
            }
        }
    }

    fn machine(&mut self, kind: &str, machine: &Machine, now: &Machine, present: &Lock) {
        if machine.initial != now.initial {
            self.breaking.push(format!(
                "aggregate `{kind}` starts in `{}`, and histories began in `{}`: restore the initial state",
                now.initial, machine.initial
            ));
        }
        let mut known = Vec::new();
        for ((state, event), next) in &machine.edges {
            let name = present.event_of(event).map_or(event, |(name, _)| name);
            let edge = (state.clone(), name.clone());
            match now.edges.get(&edge) {
                Some(target) if target == next => {}
                // That the event is gone says it all.
                None if present.event_of(event).is_none() => {}
                // It is read as others, which have edges of their own.
                None if present.event_of(event).is_some_and(|(_, now)| now.is_retired) => {
                    self.additions.push(format!(
                        "aggregate `{kind}`, state `{state}`: the edge for event `{name}` is gone, which is read as others"
                    ));
                }
                Some(target) => self.breaking.push(format!(
                    "aggregate `{kind}`, state `{state}`: event `{name}` leads to `{target}`, and in stored histories it led to `{next}`: give the new meaning an event of its own; if only the state was renamed, rename it in the lock"
                )),
                None => self.breaking.push(format!(
                    "aggregate `{kind}`, state `{state}`: no edge for event `{name}`, which stored histories take to `{next}`: keep it, without a command (`#[on(/ Event => {next})]`) if none may take it any more; if only a state was renamed, rename it in the lock"
                )),
            }
            known.push(edge);
        }
        for (state, event) in now.edges.keys().filter(|edge| !known.contains(edge)) {
            self.additions.push(format!(
                "aggregate `{kind}`, state `{state}`: the edge for event `{event}` is new"
            ));
        }
    }
}

/// Where the present event reads what stood at a path: there, or in a field that has the former name as an alias.
fn reads<'a>(event: &'a Event, path: &str) -> Option<(String, &'a Field)> {
    if let Some(field) = event.fields.get(path) {
        return Some((path.to_owned(), field));
    }
    event.fields.iter().find_map(|(present, field)| {
        let parent = parent(present);
        field.aliases.iter().find_map(|alias| {
            let former = match parent {
                "" => alias.clone(),
                parent => format!("{parent}.{alias}"),
            };
            let rest = path.strip_prefix(&former)?;
            let present = format!("{present}{rest}");
            let field = event.fields.get(&present)?;
            Some((present, field))
        })
    })
}

/// What stood in stored events and is not read any more.
fn lost(field: &Field, now: &Field) -> Option<String> {
    let is_read = |kind: &&String| now.kinds.iter().any(|now| covers(now, kind));
    let lost: Vec<&str> = field
        .kinds
        .iter()
        .filter(|kind| !is_read(kind))
        .map(String::as_str)
        .collect();
    if !lost.is_empty() {
        return Some(format!(
            "was `{field}`, is `{now}` now, and does not read {}",
            lost.join(", ")
        ));
    }
    (field.may_be_absent && !now.may_be_absent)
        .then(|| "must be there now, and stored events may lack it".to_owned())
}

/// Whether everything of one kind is read as another.
fn covers(wide: &str, narrow: &str) -> bool {
    let number = |kind: &str| {
        let bits: u32 = kind.get(1..)?.parse().ok()?;
        kind.starts_with(['i', 'u'])
            .then(|| (kind.starts_with('i'), bits))
    };
    match (number(wide), number(narrow)) {
        _ if wide == narrow => true,
        (Some((true, wide)), Some((false, narrow))) => wide > narrow,
        (Some((wide_signed, wide)), Some((signed, narrow))) => {
            wide_signed == signed && wide > narrow
        }
        (None, Some(_)) => wide == "integer",
        _ => matches!((wide, narrow), ("f64", "f32") | ("text", "char")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::text::Lock;
    use super::compare;

    fn lock(field: &str, machine: &str) -> Lock {
        let text = format!(
            "event home.lamp.switched version 1\n    on: {field}\nmachine home.lamp\n{machine}"
        );
        Lock::parse(&text).unwrap()
    }

    const MACHINE: &str = "    starts in Any\n    Any: home.lamp.switched => Any\n";

    /// What a field was and is now, and why stored events do not survive that; nothing where they do.
    #[test]
    fn a_field_reads_what_was_stored_or_is_refused() {
        for (was, is, why) in [
            ("u8", "u32", None),
            ("u32", "i64", None),
            ("u32", "i32", Some("does not read u32")),
            ("i32", "u64", Some("does not read i32")),
            ("i64", "i32", Some("does not read i64")),
            ("f32", "f64", None),
            ("f64", "f32", Some("does not read f64")),
            ("char", "text", None),
            ("text", "text, may be absent", None),
            ("text, may be absent", "text", Some("must be there now")),
            ("text", "text | null", None),
            ("text | null", "text", Some("does not read null")),
            ("\"White\"", "\"White\" | \"Red\"", None),
            (
                "\"White\" | \"Red\"",
                "\"White\"",
                Some("does not read \"Red\""),
            ),
        ] {
            let changes = compare(&lock(was, MACHINE), &lock(is, MACHINE));
            match why {
                None => assert_eq!(changes.breaking, [""; 0], "{was} to {is}"),
                Some(why) => {
                    assert_eq!(changes.breaking.len(), 1, "{was} to {is}");
                    assert!(changes.breaking[0].contains(why), "{changes:?}");
                }
            }
        }
    }

    #[test]
    fn another_initial_state_breaks() {
        let now = MACHINE.replace("starts in Any", "starts in Off");
        let changes = compare(&lock("bool", MACHINE), &lock("bool", &now));
        assert_eq!(
            changes.breaking,
            [
                "aggregate `home.lamp` starts in `Off`, and histories began in `Any`: restore the initial state"
            ]
        );
    }
}
