//! The schema lock finds every change that stored events would not survive, and no other.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use cim_es::prelude::*;
use cim_es::testing::SchemaLock;

/// A lamp whose events and edges a test gives.
macro_rules! lamp {
    ($name:ident, [$($state:tt)*], { $($events:tt)* }, $($extra:item)*) => {
        mod $name {
            use super::*;

            #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
            pub enum LampState { $($state)* }

            #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
            pub enum LampEvent { $($events)* }

            #[allow(dead_code)]
            #[derive(Command, Clone, Debug)]
            pub enum LampCommand { Switch }

            #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
            #[aggregate(domain = "home", name = "lamp")]
            pub struct Lamp { state: LampState }

            impl Decide for Lamp {
                fn decide(&self, _: LampCommand, _: &Context) -> Decision<Self> {
                    nothing()
                }
            }

            $($extra)*
        }
    };
}

const CAPACITY: Capacity = Capacity { watts: 40 };

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Capacity {
    watts: u16,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Colour {
    White,
    Red,
    Mixed { parts: Vec<u8> },
}

lamp!(first, [#[state(initial)] #[on(Switch / Switched => _)] Any], {
    #[apply(_ = on, _ = capacity, _ = note, _ = colour)]
    Switched { on: bool, capacity: Capacity, note: Option<String>, colour: Colour },
},);

fn first_samples() -> Vec<first::LampEvent> {
    let switched = |note: Option<&str>, colour| first::LampEvent::Switched {
        on: true,
        capacity: CAPACITY,
        note: note.map(str::to_owned),
        colour,
    };
    vec![
        switched(None, Colour::White),
        switched(Some("a"), Colour::Mixed { parts: vec![1] }),
    ]
}

fn first_lock() -> SchemaLock {
    SchemaLock::new().aggregate::<first::Lamp>(first_samples())
}

/// What comparing a program with the lock of another says.
fn said(locked: &SchemaLock, program: &SchemaLock) -> String {
    let file = fresh_file();
    std::fs::write(&file, locked.text()).unwrap();
    let said = checked(program, &file);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), locked.text());
    said
}

fn checked(program: &SchemaLock, file: &Path) -> String {
    match catch_unwind(AssertUnwindSafe(|| program.check(file))) {
        Ok(()) => "nothing".to_owned(),
        Err(panic) => panic.downcast_ref::<String>().unwrap().clone(),
    }
}

/// A path at which there is no file.
fn fresh_file() -> PathBuf {
    let name = format!("{}.schema.lock", Uuid::now_v7());
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[track_caller]
fn breaks(program: &SchemaLock, expected: &[&str]) {
    let said = said(&first_lock(), program);
    assert!(said.contains("stored events would not survive"), "{said}");
    for expected in expected {
        assert!(said.contains(expected), "no `{expected}` in: {said}");
    }
}

#[track_caller]
fn adds(program: &SchemaLock, expected: &str) {
    let said = said(&first_lock(), program);
    assert!(said.contains("what the file lacks"), "{said}");
    assert!(said.contains("CIM_ES_BLESS=1"), "{said}");
    assert!(said.contains(expected), "no `{expected}` in: {said}");
}

#[test]
fn the_text_shows_what_is_stored() {
    let text = first_lock().text();
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(
        lines.join("\n"),
        r#"
event home.lamp.switched version 1
    capacity: struct
    capacity.watts: u16
    colour: "Red" | "White" | Mixed(…)
    colour(Mixed): struct
    colour(Mixed).parts: list
    colour(Mixed).parts[]: u8
    note: text | null, may be absent
    on: bool

machine home.lamp
    starts in Any
    Any: home.lamp.switched => Any"#
    );
    assert_eq!(said(&first_lock(), &first_lock()), "nothing");
}

#[test]
fn a_missing_file_and_a_line_that_is_none_are_named() {
    let file = fresh_file();
    let said = checked(&first_lock(), &file);
    assert!(
        said.contains("the file is missing: run the test with CIM_ES_BLESS=1"),
        "{said}"
    );
    let text = first_lock()
        .text()
        .replace("    on: bool", "<<<<<<< ours\n    on: bool");
    std::fs::write(&file, text).unwrap();
    let said = checked(&first_lock(), &file);
    assert!(
        said.contains("line 12 is none of a schema lock: `<<<<<<< ours`"),
        "{said}"
    );
}

#[test]
fn what_no_sample_shows_is_asked_for() {
    let only = |samples: Vec<first::LampEvent>| {
        let program = SchemaLock::new().aggregate::<first::Lamp>(samples);
        said(&first_lock(), &program)
    };
    let mut samples = first_samples();
    let one = samples.remove(0);
    let said = only(vec![one]);
    assert!(
        said.contains("no sample of `Switched` has `Mixed` at `colour`"),
        "{said}"
    );
    assert!(
        said.contains("no sample of `Switched` has a value at `note`"),
        "{said}"
    );
    assert!(!said.contains("Red"), "{said}");
    let empty = first::LampEvent::Switched {
        on: true,
        capacity: CAPACITY,
        note: Some("a".to_owned()),
        colour: Colour::Mixed { parts: Vec::new() },
    };
    let said = only(vec![empty]);
    assert!(
        said.contains("has an element in `colour(Mixed).parts`"),
        "{said}"
    );
    let said = only(Vec::new());
    assert!(said.contains("no sample is a `Switched`"), "{said}");
}

lamp!(other_fields, [#[state(initial)] #[on(Switch / Switched => _)] Any], {
    #[apply(_ = on, _ = wattage, _ = note, _ = colour, _ = by)]
    Switched { on: u8, wattage: Capacity, note: String, colour: Colour, by: String },
},);

#[test]
fn each_field_that_stored_events_miss_is_named_with_the_remedy() {
    let program = SchemaLock::new().aggregate::<other_fields::Lamp>(
        [Colour::White, Colour::Mixed { parts: vec![1] }].map(|colour| {
            other_fields::LampEvent::Switched {
                on: 1,
                wattage: CAPACITY,
                note: "a".to_owned(),
                colour,
                by: "b".to_owned(),
            }
        }),
    );
    breaks(
        &program,
        &[
            "event `home.lamp.switched`, field `on` was `bool`, is `u8` now, and does not read bool",
            "field `capacity` is gone: if it was renamed, `#[serde(alias = \"capacity\")]`",
            "field `capacity.watts` is gone",
            "field `note` was `text | null, may be absent`, is `text` now, and does not read null",
            "field `by` is new, and stored events do not have it: give it `#[serde(default)]`",
            "raise the version, `#[event(version = 2)]`, with an `#[upcast(from = 1, with = …)]`",
        ],
    );
}

lamp!(compatible, [
    #[state(initial)] #[on(Switch / Switched => _, Switch / Broken => Dark)] Any,
    #[state(terminal)] Dark
], {
    #[apply(_ = on, _ = power, _ = note, _ = colour, _ = times, _ = tags)]
    Switched {
        on: bool,
        #[serde(alias = "capacity")]
        power: Power,
        note: Option<String>,
        colour: Colour,
        #[serde(default)]
        times: u32,
        tags: Option<BTreeMap<String, i64>>,
    },
    Broken,
},
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Power { pub watts: u32 }
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Colour {
    White,
    #[serde(rename = "Crimson", alias = "Red")]
    Crimson,
    Mixed { parts: Vec<u16> },
    Other(String),
});

fn compatible_lock() -> SchemaLock {
    use compatible::{Colour, LampEvent, Power};
    let mixed = Colour::Mixed { parts: vec![1] };
    let colours = [Colour::White, mixed, Colour::Other("blue".to_owned())];
    let switched = colours.map(|colour| LampEvent::Switched {
        on: true,
        power: Power { watts: 40 },
        note: Some("a".to_owned()),
        colour,
        times: 1,
        tags: Some(BTreeMap::from([("a".to_owned(), 1)])),
    });
    SchemaLock::new()
        .aggregate::<compatible::Lamp>([switched.to_vec(), vec![LampEvent::Broken]].concat())
}

#[test]
fn what_stored_events_survive_is_an_addition() {
    for expected in [
        "event `home.lamp.broken` is new",
        "field `times` is new",
        "field `tags` is new",
        "field `capacity` was `struct`, is `power: struct, also read as capacity` now",
        "field `capacity.watts` was `u16`, is `power.watts: u32` now",
        "field `colour(Other)` is new",
        "state `Any`: the edge for event `home.lamp.broken` is new",
    ] {
        adds(&compatible_lock(), expected);
    }
    // Back again, what the newer program stored is not read.
    let said = said(&compatible_lock(), &first_lock());
    assert!(
        said.contains("was `u32`, is `u16` now") || said.contains("`power` is gone"),
        "{said}"
    );
    assert!(said.contains("event `home.lamp.broken` is gone"), "{said}");
    assert!(
        said.contains("does not read \"Crimson\", Other(…)"),
        "{said}"
    );
}

lamp!(raised, [#[state(initial)] #[on(Switch / Turned => _)] Any], {
    #[event(version = 2, was = "switched")]
    #[upcast(from = 1, with = same)]
    #[apply(_ = to)]
    Turned { to: bool },
},
fn same(payload: Ipld) -> Result<Ipld, UpcastError> { Ok(payload) });

lamp!(lowered, [#[state(initial)] #[on(Switch / Turned => _)] Any], {
    #[apply(_ = to)]
    Turned { to: bool },
},);

#[test]
fn a_higher_version_under_another_name_is_an_addition_and_a_lower_one_breaks() {
    let program =
        SchemaLock::new().aggregate::<raised::Lamp>([raised::LampEvent::Turned { to: true }]);
    adds(
        &program,
        "event `home.lamp.turned` has version 2 instead of 1",
    );
    adds(
        &program,
        "event `home.lamp.switched` is `home.lamp.turned` now",
    );
    let lowered =
        SchemaLock::new().aggregate::<lowered::Lamp>([lowered::LampEvent::Turned { to: true }]);
    let said = said(&program, &lowered);
    assert!(
        said.contains("has version 1, and version 2 is stored"),
        "{said}"
    );
    assert!(
        said.contains("no longer read under its former name `home.lamp.switched`"),
        "{said}"
    );
}

lamp!(other_edges, [
    #[state(initial)] #[on(Switch / Switched => Dark)] Any,
    #[state(terminal)] Dark
], {
    #[apply(_ = on, _ = capacity, _ = note, _ = colour)]
    Switched { on: bool, capacity: Capacity, note: Option<String>, colour: Colour },
},);

lamp!(moved_edge, [
    #[state(initial)] #[on(Switch / Dimmed => Dim)] Any,
    #[on(Switch / Broken => Dark)] Dim,
    #[state(terminal)] Dark
], {
    Dimmed,
    Broken,
},);

#[test]
fn an_edge_that_leads_elsewhere_or_is_gone_breaks() {
    let samples = first_samples().into_iter().map(|event| {
        let first::LampEvent::Switched {
            on,
            capacity,
            note,
            colour,
        } = event;
        other_edges::LampEvent::Switched {
            on,
            capacity,
            note,
            colour,
        }
    });
    let program = SchemaLock::new().aggregate::<other_edges::Lamp>(samples);
    breaks(
        &program,
        &[
            "state `Any`: event `home.lamp.switched` leads to `Dark`, and in stored histories it led to `Any`",
        ],
    );
    let moved = SchemaLock::new().aggregate::<moved_edge::Lamp>([
        moved_edge::LampEvent::Dimmed,
        moved_edge::LampEvent::Broken,
    ]);
    let said = said(&compatible_lock(), &moved);
    assert!(said.contains("state `Any`: no edge for event `home.lamp.broken`, which stored histories take to `Dark`"), "{said}");
    // Not again for each edge of an event that is gone.
    assert_eq!(said.matches("home.lamp.switched").count(), 1, "{said}");
    let nothing = said_of_nothing();
    assert!(
        nothing.contains("aggregate `home.lamp` is gone"),
        "{nothing}"
    );
}

fn said_of_nothing() -> String {
    said(&first_lock(), &SchemaLock::new())
}

lamp!(tree, [#[state(initial)] #[on(Switch / Planted => _)] Any], {
    #[apply(with = ignore)]
    Planted(Branch),
},
fn ignore(_: &mut Lamp, _: Branch) {}
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Branch { pub branches: Vec<Branch>, pub at: (f64, u8), pub seen: Cid, pub raw: Uuid });

#[test]
fn a_type_that_holds_itself_links_tuples_and_bytes_are_recorded() {
    let event = first_samples().remove(0);
    let seen = cim_es::block::generate_cid(&event).unwrap();
    let leaf = tree::Branch {
        branches: Vec::new(),
        at: (0.5, 1),
        seen,
        raw: Uuid::nil(),
    };
    let root = tree::Branch {
        branches: vec![leaf.clone()],
        ..leaf
    };
    let program = SchemaLock::new().aggregate::<tree::Lamp>([tree::LampEvent::Planted(root)]);
    let text = program.text();
    for line in [
        "    at: list of 2\n    at[0]: f64\n    at[1]: u8\n",
        "    branches: list\n    branches[]: as the payload\n",
        "    raw: bytes\n    seen: link\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
}
