//! JSON Lines: every value comes back as it was, and what was changed is refused.

use cim_es::MemoryEventStore;
use cim_es::block::{HashCode, dag_json, parse_dag_json};
use cim_es::bundle::{At, BundleError, BundleFault, Import};
use cim_es::prelude::Ipld;
use cim_es::store::{EventStore, NewEvent};
use proptest::prelude::*;

use super::{cids, exporting, filled, sample};
use crate::sqlite_support::{Directory, run};

/// A payload with everything that dag-cbor has.
fn everything() -> NewEvent {
    let map = |entries: Vec<(&str, Ipld)>| {
        let entries = entries.into_iter();
        Ipld::Map(
            entries
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
        )
    };
    let link = HashCode::Blake3_256.cid(b"\xa0");
    let payload = map(vec![
        ("bytes", Ipld::Bytes((0..=255).collect())),
        (
            "few",
            Ipld::List((0..4).map(|it| Ipld::Bytes(vec![0xff; it])).collect()),
        ),
        ("link", Ipld::Link(link)),
        ("largest", Ipld::Integer(u64::MAX.into())),
        ("smallest", Ipld::Integer(-(1_i128 << 64))),
        ("integer", Ipld::Integer(1)),
        ("float", Ipld::Float(1.0)),
        ("tiny", Ipld::Float(5e-324)),
        ("huge", Ipld::Float(f64::MAX)),
        ("tenth", Ipld::Float(0.1)),
        (
            "text",
            Ipld::String("\u{0}\"\\/\n\u{1f600}\u{7f}é".to_owned()),
        ),
        ("", Ipld::Null),
        (
            "nested",
            Ipld::List(vec![map(vec![("no", Ipld::Bool(false))]), Ipld::Bool(true)]),
        ),
    ]);
    let block = serde_ipld_dagcbor::to_vec(&payload).expect("it is a block");
    NewEvent::from_payload("test.note.written", 1, block)
}

async fn sample_lines(directory: &Directory) -> (MemoryEventStore, Vec<String>) {
    let store = sample().await;
    store
        .append(filled("x", everything()))
        .await
        .expect("it is stored");
    let file = directory.file("all.jsonl");
    exporting(&store)
        .json_lines_to(&file)
        .await
        .expect("it is exported");
    let text = std::fs::read_to_string(file).expect("it is UTF-8");
    (store, text.lines().map(str::to_owned).collect())
}

async fn import_text(
    directory: &Directory,
    text: &str,
    store: &dyn EventStore,
) -> Result<cim_es::bundle::Imported, BundleError> {
    let file = directory.file("given.jsonl");
    std::fs::write(&file, text).unwrap();
    Import::json_lines(&file).into_store(store).await
}

#[test]
fn every_event_comes_back_with_its_cid() {
    run(async {
        let directory = Directory::new();
        let (store, lines) = sample_lines(&directory).await;
        assert_eq!(lines.len(), 13);
        let other = MemoryEventStore::new();
        let text = lines.join("\n");
        let imported = import_text(&directory, &text, &other)
            .await
            .expect("it is imported");
        assert_eq!((imported.stored, imported.there), (13, 0));
        assert_eq!(imported.verified.manifest, None);
        assert_eq!(cids(&other).await, cids(&store).await);
        // With what an editor makes of it.
        let text = format!("\r\n{}\r\n \n", lines.join(" \r\n\n"));
        let again = import_text(&directory, &text, &other)
            .await
            .expect("it is imported again");
        assert_eq!((again.stored, again.there), (0, 13));
    });
}

#[test]
fn the_lines_of_one_aggregate_are_an_import_and_go_on_from_what_is_there() {
    run(async {
        let directory = Directory::new();
        let (store, lines) = sample_lines(&directory).await;
        let of_c: Vec<_> = lines
            .iter()
            .filter(|line| line.contains(r#""aggregate_id":"c""#))
            .cloned()
            .collect();
        let other = MemoryEventStore::new();
        let late = import_text(&directory, &of_c[2], &other).await;
        let Err(BundleError::MissingPrerequisites(missing)) = late else {
            panic!("{late:?}");
        };
        assert_eq!((missing[0].version, missing.len()), (2, 1));
        let early = import_text(&directory, &of_c[..2].join("\n"), &other).await;
        assert_eq!(early.expect("it is imported").stored, 2);
        let late = import_text(&directory, &of_c[2], &other).await;
        assert_eq!(late.expect("it is imported").stored, 1);
        assert_eq!(cids(&store).await.len(), 13);
    });
}

#[test]
fn a_line_with_any_byte_changed_is_refused_and_named() {
    run(async {
        let directory = Directory::new();
        let (_, lines) = sample_lines(&directory).await;
        let last = lines.last().expect("there are lines");
        for place in 0..last.len() {
            let mut bytes = last.clone().into_bytes();
            bytes[place] ^= 1;
            let file = directory.file("given.jsonl");
            std::fs::write(&file, [lines[0].as_bytes(), b"\n", &bytes].concat()).unwrap();
            let store = MemoryEventStore::new();
            match Import::json_lines(&file).into_store(&store).await {
                // The least float is written in more than one way.
                Ok(imported) => {
                    let shown = String::from_utf8_lossy(&bytes);
                    assert!(
                        imported.stored == 2 && shown.contains("4e-324"),
                        "byte {place}"
                    );
                    continue;
                }
                Err(BundleError::Refused {
                    at: At::Line(line), ..
                }) => {
                    assert!(line == 2 || line == 3, "byte {place}: line {line}");
                }
                other => panic!("byte {place}: {other:?}"),
            }
            assert!(
                cids(&store).await.is_empty(),
                "byte {place}: something was stored"
            );
        }
    });
}

#[test]
fn lines_that_are_doubled_dropped_swapped_or_no_events_are_refused() {
    run(async {
        let directory = Directory::new();
        let (_, lines) = sample_lines(&directory).await;
        let with = |change: fn(&mut Vec<String>)| {
            let mut lines = lines.clone();
            change(&mut lines);
            lines.join("\n")
        };
        let cases = [
            ("doubled", with(|lines| lines.insert(1, lines[0].clone()))),
            ("dropped", with(|lines| drop(lines.remove(1)))),
            ("swapped", with(|lines| lines.swap(0, 3))),
            ("cut in a commit", with(|lines| lines.truncate(5))),
            ("empty", String::new()),
            ("a number", "7".to_owned()),
            ("another object", r#"{"cid":1}"#.to_owned()),
            ("a field more", lines[0].replacen('{', r#"{"a":1,"#, 1)),
            ("no JSON", "<event/>".to_owned()),
        ];
        for (what, text) in cases {
            let store = MemoryEventStore::new();
            let refused = import_text(&directory, &text, &store).await;
            assert!(
                matches!(refused, Err(BundleError::Refused { .. })),
                "{what}: {refused:?}"
            );
            assert!(
                cids(&store).await.is_empty(),
                "{what}: something was stored"
            );
        }
        let store = MemoryEventStore::new();
        let empty = import_text(&directory, "\n", &store)
            .await
            .expect_err("there is none");
        let is_empty =
            matches!(&empty, BundleError::Refused { fault, .. } if **fault == BundleFault::Empty);
        assert!(is_empty, "{empty:?}");
    });
}

#[test]
fn a_map_that_json_cannot_show_is_named_when_it_is_exported() {
    run(async {
        let (store, directory) = (sample().await, Directory::new());
        // {"a": {"/": 1}}
        let block = vec![0xa1, 0x61, b'a', 0xa1, 0x61, b'/', 1];
        let event = NewEvent::from_payload("test.note.written", 1, block);
        store
            .append(filled("x", event))
            .await
            .expect("it is stored");
        let file = directory.file("all.jsonl");
        let refused = exporting(&store).json_lines_to(&file).await;
        let Err(BundleError::NotJson { source, .. }) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(source.path, "payload.a");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        exporting(&store)
            .bundle_to(&file)
            .await
            .expect("a bundle has it");
    });
}

fn values() -> impl Strategy<Value = Ipld> {
    let integers = -(1_i128 << 64)..(1_i128 << 64);
    let floats = any::<f64>().prop_filter("finite", |number| number.is_finite());
    let leaf = prop_oneof![
        Just(Ipld::Null),
        any::<bool>().prop_map(Ipld::Bool),
        integers.prop_map(Ipld::Integer),
        floats.prop_map(Ipld::Float),
        any::<String>().prop_map(Ipld::String),
        proptest::collection::vec(any::<u8>(), 0..9).prop_map(Ipld::Bytes),
        any::<u64>().prop_map(|it| Ipld::Link(HashCode::Sha2_256.cid(&it.to_be_bytes()))),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        let key = any::<String>().prop_filter("kept for links", |key| key != "/");
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Ipld::List),
            proptest::collection::btree_map(key, inner, 0..6).prop_map(Ipld::Map),
        ]
    })
}

proptest! {
    #[test]
    fn every_value_is_read_back_from_its_dag_json(value in values()) {
        let text = dag_json(&value).expect("no map has the key");
        prop_assert_eq!(parse_dag_json(&text).expect("it reads"), value);
    }

    #[test]
    fn no_text_at_all_makes_the_reader_panic(text in any::<String>(), json in "[\\[\\]{}\",:/0-9a-u\\\\eE.+-]{0,40}") {
        let _ = parse_dag_json(&text);
        let _ = parse_dag_json(&json);
    }
}

#[test]
fn texts_that_are_not_dag_json_are_refused_where_they_are_wrong() {
    let deep = "[".repeat(400);
    for (text, at, says) in [
        ("", 0, "it ends"),
        ("[1,]", 3, "not a value"),
        ("[1", 2, "`,` or `]`"),
        ("01", 0, "zeros before it"),
        ("1.", 2, "a digit"),
        ("18446744073709551616", 0, "more than 64 bits"),
        ("1e999", 0, "past the largest"),
        ("nul", 0, "not a value"),
        ("true false", 5, "something follows"),
        (r#"{"a":1,"a":2}"#, 7, "stands twice"),
        (r#"{"/":1}"#, 0, "neither a link nor bytes"),
        (r#"{"/":"no cid"}"#, 0, "no link"),
        (r#"{"/":{"bytes":"AQI="}}"#, 0, "no bytes"),
        (r#"{"/":{"bytes":"AQJ"}}"#, 0, "no bytes"),
        (r#"{"/":{"bytes":"A"}}"#, 0, "no bytes"),
        (r#"{"/":{"bytes":""},"a":1}"#, 0, "it has more keys"),
        ("\"a\nb\"", 2, "a control character"),
        ("\"a", 0, "does not end"),
        (r#""\x""#, 1, "an escape"),
        (r#""\ud800""#, 1, "half of a character"),
        (r#""\udc00""#, 1, "half of a character"),
        (r#""\u12g4""#, 1, "four hexadecimal digits"),
        (deep.as_str(), 129, "nest too deep"),
    ] {
        let error = parse_dag_json(text).expect_err(text);
        assert!(error.reason.contains(says), "{text}: {error}");
        assert_eq!(error.at, at, "{text}: {error}");
    }
    assert_eq!(
        parse_dag_json(r#""\ud83d\ude00""#),
        Ok(Ipld::String("\u{1f600}".to_owned()))
    );
}
