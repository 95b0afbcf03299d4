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

/// What the first program stored.
fn first_payload() -> Ipld {
    let fields = [
        ("on", Ipld::Bool(true)),
        (
            "capacity",
            Ipld::Map([("watts".to_owned(), 40.into())].into()),
        ),
        ("colour", "White".into()),
    ];
    Ipld::Map(
        fields
            .map(|(field, value)| (field.to_owned(), value))
            .into(),
    )
}

fn switched(version: u32) -> EnvelopeView<'static> {
    EnvelopeView::new("home.lamp.switched", version)
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
    #[upcast(from = 1, with = on_is_to)]
    #[apply(_ = to)]
    Turned { to: bool },
},
fn on_is_to(payload: Ipld) -> Result<Ipld, UpcastError> {
    let Ipld::Map(mut fields) = payload else { return Err(UpcastError::new("no map")) };
    let on = fields.remove("on").ok_or_else(|| UpcastError::new("it has no `on`"))?;
    Ok(Ipld::Map([("to".to_owned(), on)].into()))
});

lamp!(lowered, [#[state(initial)] #[on(Switch / Turned => _)] Any], {
    #[apply(_ = to)]
    Turned { to: bool },
},);

#[test]
fn a_higher_version_under_another_name_is_an_addition_and_a_lower_one_breaks() {
    let program = SchemaLock::new()
        .aggregate::<raised::Lamp>([raised::LampEvent::Turned { to: true }])
        .former::<raised::Lamp>([(switched(1), first_payload())]);
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

/// What a program says whose lock is that of the first one, and what it leaves there when it is blessed.
fn said_to_first(program: &SchemaLock) -> String {
    said(&first_lock(), program)
}

fn raised_lock() -> SchemaLock {
    SchemaLock::new().aggregate::<raised::Lamp>([raised::LampEvent::Turned { to: true }])
}

#[test]
fn a_former_version_and_a_former_name_without_a_sample_are_asked_for_with_their_shape() {
    let said = said_to_first(&raised_lock());
    assert!(
        said.contains("what older programs stored is not shown to be read"),
        "{said}"
    );
    let asked = "no sample of `home.lamp.switched`, version 1, which `version = 2` says is stored: add `.former::<Lamp>([(EnvelopeView::new(\"home.lamp.switched\", 1), payload)])` with a payload as it was stored, with `capacity: struct`, `capacity.watts: u16`, ";
    assert!(said.contains(asked), "{said}");
    assert!(
        said.contains(
            "no sample of `home.lamp.switched`, version 1, which its `was` says is stored"
        ),
        "{said}"
    );
}

#[test]
fn a_sample_that_an_older_program_did_not_store_is_refused_with_the_field() {
    let Ipld::Map(mut fields) = first_payload() else {
        panic!("a map");
    };
    fields.insert("colour".to_owned(), "Blue".into());
    fields.remove("capacity");
    fields.insert("by".to_owned(), "Ann".into());
    let said =
        said_to_first(&raised_lock().former::<raised::Lamp>([(switched(1), Ipld::Map(fields))]));
    assert!(
        said.contains("the sample of `home.lamp.switched`, version 1, is not as that version was stored: `by` is there, and was not a field; `colour` is the text \"Blue\", and was `\"Red\" | \"White\" | Mixed(…)`; `capacity` is missing, and was `struct`: give one that is, such as a stored one"),
        "{said}"
    );
}

lamp!(broken_upcaster, [#[state(initial)] #[on(Switch / Switched => _)] Any], {
    #[event(version = 2)]
    #[upcast(from = 1, with = broken)]
    #[apply(_ = to)]
    Switched { to: bool },
},
fn broken(payload: Ipld) -> Result<Ipld, UpcastError> {
    match payload {
        Ipld::Map(fields) if fields.contains_key("to") => Ok(Ipld::Map(fields)),
        _ => Err(UpcastError::new("it has no `to`")),
    }
});

#[test]
fn an_upcaster_that_fails_on_a_sample_is_told_with_its_reason() {
    let program = SchemaLock::new()
        .aggregate::<broken_upcaster::Lamp>([broken_upcaster::LampEvent::Switched { to: true }])
        .former::<broken_upcaster::Lamp>([(switched(1), first_payload())]);
    let said = said_to_first(&program);
    assert!(
        said.contains("the sample of `home.lamp.switched`, version 1, does not become a part of a history: event `home.lamp.switched` could not be brought from schema version 1 to 2: it has no `to`"),
        "{said}"
    );
}

lamp!(panicking, [#[state(initial)] #[on(Switch / Switched => _, Switch / Dimmed => Dim)] Any, #[on(Switch / Switched => _)] Dim], {
    #[event(version = 2)]
    #[upcast(from = 1, with = dimmed)]
    #[apply(with = kept)]
    Switched { to: u8 },
    Dimmed,
},
fn kept(lamp: &mut Lamp, to: u8) {
    let steps = match lamp.state { LampState::Any => 0, LampState::Dim => 100 };
    assert!(to <= steps, "{to} of {steps} steps");
}
fn dimmed(payload: Ipld) -> Result<Ipld, UpcastError> {
    let Ipld::Map(fields) = payload else { return Err(UpcastError::new("no map")) };
    let Some(Ipld::Map(capacity)) = fields.get("capacity") else { return Err(UpcastError::new("no capacity")) };
    Ok(Ipld::Map([("to".to_owned(), capacity["watts"].clone())].into()))
});

#[test]
fn a_sample_folds_in_a_state_that_takes_it_or_says_what_the_fold_says() {
    let program = || {
        use panicking::LampEvent::{Dimmed, Switched};
        SchemaLock::new().aggregate::<panicking::Lamp>([Switched { to: 1 }, Dimmed])
    };
    let folds = program().former::<panicking::Lamp>([(switched(1), first_payload())]);
    adds(
        &folds,
        "event `home.lamp.switched` has version 2 instead of 1",
    );
    let Ipld::Map(mut fields) = first_payload() else {
        panic!("a map");
    };
    let watts = Ipld::Map([("watts".to_owned(), 101.into())].into());
    fields.insert("capacity".to_owned(), watts);
    let said =
        said_to_first(&program().former::<panicking::Lamp>([(switched(1), Ipld::Map(fields))]));
    assert!(
        said.contains(
            "does not become a part of a history: the fold of `Switched` panicked: 101 of 100 steps"
        ),
        "{said}"
    );
}

lamp!(several, [#[state(initial)] #[on(Switch / Turned => _, Switch / Coloured => _)] Any], {
    #[apply(_ = to)]
    Turned { to: bool },
    #[apply(_ = colour)]
    Coloured { colour: Colour },
    #[event(version = 2, retired)]
    #[upcast(from = 1, into_several = turned_and_coloured)]
    Switched,
},
fn turned_and_coloured(payload: Ipld, _: &EnvelopeView<'_>) -> Result<Vec<UpcastEvent>, UpcastError> {
    let Ipld::Map(mut fields) = payload else { return Err(UpcastError::new("no map")) };
    let mut field = |name: &str, now: &str| {
        let value = fields.remove(name).ok_or_else(|| UpcastError::new(format!("it has no `{name}`")))?;
        Ok::<_, UpcastError>(Ipld::Map([(now.to_owned(), value)].into()))
    };
    Ok(vec![
        UpcastEvent::new(subject!(LampEvent, "home.lamp.turned"), 1, field("on", "to")?),
        UpcastEvent::new(subject!(LampEvent, "home.lamp.coloured"), 1, field("colour", "colour")?),
    ])
});

#[test]
fn an_event_that_is_read_as_several_is_shown_by_what_was_stored_and_asked_for_no_more() {
    use several::LampEvent::{Coloured, Turned};
    let colours = [Colour::White, Colour::Mixed { parts: vec![1] }];
    let colours = colours.map(|colour| Coloured { colour });
    let samples = || colours.iter().cloned().chain([Turned { to: true }]);
    let program = || SchemaLock::new().aggregate::<several::Lamp>(samples());
    let said = said_to_first(&program());
    assert!(
        said.contains(
            "no sample of `home.lamp.switched`, version 1, which `version = 2` says is stored"
        ),
        "{said}"
    );
    let shown = program().former::<several::Lamp>([(switched(1), first_payload())]);
    adds(
        &shown,
        "event `home.lamp.switched` has version 2 instead of 1",
    );
    adds(
        &shown,
        "the edge for event `home.lamp.switched` is gone, which is read as others",
    );
    let Ipld::Map(mut fields) = first_payload() else {
        panic!("a map");
    };
    fields.remove("colour");
    let said =
        said_to_first(&program().former::<several::Lamp>([(switched(1), Ipld::Map(fields))]));
    assert!(said.contains("it has no `colour`"), "{said}");
}

#[test]
fn the_former_shape_stays_in_the_lock_and_a_lock_without_it_still_reads() {
    let program = raised_lock().former::<raised::Lamp>([(switched(1), first_payload())]);
    let file = fresh_file();
    std::fs::write(&file, first_lock().text()).unwrap();
    // As `CIM_ES_BLESS=1` would write it.
    let kept = first_lock()
        .text()
        .split("\nmachine")
        .next()
        .unwrap()
        .replace(
            "event home.lamp.switched version 1",
            "event home.lamp.switched@1",
        );
    let kept = kept.split_once("\nevent").unwrap().1;
    let blessed = program
        .text()
        .replace("\nmachine", &format!("\nevent{kept}\nmachine"));
    std::fs::write(&file, &blessed).unwrap();
    assert_eq!(checked(&program, &file), "nothing");
    // What is kept is asked for for ever.
    let said = checked(&raised_lock(), &file);
    assert!(
        said.contains("`colour: \"Red\" | \"White\" | Mixed(…)`"),
        "{said}"
    );
    // A lock of before has no former shapes: the samples are read all the same.
    std::fs::write(&file, program.text()).unwrap();
    assert_eq!(checked(&program, &file), "nothing");
    let said = checked(&raised_lock(), &file);
    assert!(
        said.contains("no sample of `home.lamp.switched`, version 1, which its `was`"),
        "{said}"
    );
    let foreign = raised_lock().former::<raised::Lamp>([(switched(3), first_payload())]);
    let said = checked(&foreign, &file);
    assert!(said.contains("knows schema versions up to 2"), "{said}");
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
