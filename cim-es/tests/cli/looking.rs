//! Looking into a file.

use serde_json::json;

use super::support::Directory;
use super::support::{about, append, ask, damage, event, file, fill, lines, program};

#[test]
fn aggregates_are_listed_with_their_versions_and_times() {
    let directory = Directory::new();
    let file = file(&directory);
    let answer = about(&file, &["streams"]);
    assert_eq!(
        answer.out,
        "\
KIND            ID    VERSION  LAST EVENT
library.book    4711        3  2026-01-31T00:04:00.000000Z
library.book    4712        1  2026-01-31T00:02:00.000000Z
library.reader  ann         1  2026-01-31T00:03:00.000000Z
"
    );
    assert_eq!((answer.code, answer.err.as_str()), (0, ""));
    let books = about(&file, &["streams", "library.reader"]);
    assert_eq!(books.out.lines().count(), 2);
    assert!(books.out.contains("ann"));
}

#[test]
fn a_list_goes_on_behind_the_aggregate_that_it_names() {
    let directory = Directory::new();
    let file = file(&directory);
    let first = about(&file, &["streams", "--limit", "2"]);
    assert!(
        first.err.contains("--after 'library.book/4712'"),
        "{}",
        first.err
    );
    let second = about(&file, &["streams", "--after", "library.book/4712"]);
    assert_eq!(second.out.lines().count(), 2);
    assert!(second.out.contains("library.reader  ann"), "{}", second.out);
    assert_eq!(second.err, "");
    let all = lines(&about(&file, &["--json", "streams", "--limit", "0"]));
    let mut one_by_one = Vec::new();
    let mut cursor = String::new();
    loop {
        let mut arguments = vec!["--json", "streams", "-n", "1"];
        if !cursor.is_empty() {
            arguments.extend(["--after", &cursor]);
        }
        let Some(one) = lines(&about(&file, &arguments)).pop() else {
            break;
        };
        cursor = one["cursor"].as_str().expect("a text").to_owned();
        one_by_one.push(one);
    }
    assert_eq!(one_by_one, all);
}

#[test]
fn kinds_are_listed_with_the_types_of_their_events() {
    let directory = Directory::new();
    let file = file(&directory);
    let answer = about(&file, &["--json", "streams", "--kinds"]);
    let line = |kind: &str, event_type: &str, last: u64| json!({ "kind": kind, "type": event_type, "last": last });
    assert_eq!(
        lines(&answer),
        [
            line("library.book", "library.book.acquired", 2),
            line("library.book", "library.book.lent", 4),
            line("library.book", "library.book.renewed", 5),
            line("library.reader", "library.reader.registered", 3),
        ]
    );
}

#[test]
fn a_history_is_a_table_of_versions_times_types_actors_and_cids() {
    let directory = Directory::new();
    let file = file(&directory);
    let answer = about(&file, &["show", "library.book", "4711"]);
    let rows: Vec<Vec<&str>> = answer
        .out
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(rows[0], ["VERSION", "TIME", "TYPE", "ACTOR", "CID"]);
    assert_eq!(
        rows[1][..4],
        [
            "1",
            "2026-01-31T00:01:00.000000Z",
            "library.book.acquired",
            "ann"
        ]
    );
    assert_eq!(
        rows[3][..3],
        ["3", "2026-01-31T00:04:00.000000Z", "library.book.renewed"]
    );
    assert!(
        rows[1..].iter().all(|row| row[4].starts_with("bafyrei")),
        "{}",
        answer.out
    );
    assert_eq!(rows.len(), 4);
}

#[test]
fn a_payload_is_shown_as_dag_json_below_its_event() {
    let directory = Directory::new();
    let file = file(&directory);
    let answer = about(&file, &["show", "library.book", "4712", "--payload"]);
    assert_eq!(answer.out.lines().nth(2), Some(r#"  {"title":"Ulysses"}"#));
}

#[test]
fn a_history_is_shown_as_it_was_at_a_version_or_a_time() {
    let directory = Directory::new();
    let file = file(&directory);
    let versions = |extra: &[&str]| {
        let arguments = [&["--json", "show", "library.book", "4711"], extra].concat();
        let shown = lines(&about(&file, &arguments)).into_iter();
        shown
            .map(|event| event["version"].as_u64().expect("a number"))
            .collect::<Vec<_>>()
    };
    assert_eq!(versions(&["--at", "2"]), [1, 2]);
    assert_eq!(versions(&["--at", "2026-01-31T00:03:59Z"]), [1]);
    assert_eq!(versions(&["--at", "2026-01-31 00:04"]), [1, 2, 3]);
    assert_eq!(versions(&["--last", "2"]), [2, 3]);
    assert_eq!(versions(&["--last", "9"]), [1, 2, 3]);
    assert_eq!(versions(&["--at", "2", "--last", "1"]), [2]);
    let past = about(&file, &["show", "library.book", "4711", "--at", "4"]);
    assert_eq!(past.code, 2);
    assert!(past.err.contains("its versions are 1 to 3"), "{}", past.err);
    let before = about(
        &file,
        &["show", "library.book", "4711", "--at", "2026-01-30"],
    );
    assert_eq!(before.code, 2);
    assert!(
        before
            .err
            .contains("its first event is of 2026-01-31T00:01:00"),
        "{}",
        before.err
    );
    let wrong = about(
        &file,
        &["show", "library.book", "4711", "--at", "yesterday"],
    );
    assert_eq!(wrong.code, 2);
    assert!(wrong.err.contains("2026-01-31T12:00:00Z"), "{}", wrong.err);
}

#[test]
fn an_event_as_json_has_the_documented_shape() {
    let directory = Directory::new();
    let file = file(&directory);
    let events = lines(&about(&file, &["--json", "show", "library.book", "4711"]));
    let keys: Vec<_> = events[0].as_object().expect("an object").keys().collect();
    let mut documented = [
        "position",
        "kind",
        "id",
        "version",
        "time",
        "type",
        "schema",
        "actor",
        "cid",
        "previous",
        "parents",
        "payload_cid",
        "commit",
        "event_id",
        "correlation_id",
        "causation_id",
        "meta",
        "payload",
    ];
    documented.sort();
    assert_eq!(keys, documented);
    let help = ask(["show", "--help"]).out;
    for key in documented {
        assert!(
            help.contains(&format!("\"{key}\"")),
            "{key} is not in the help"
        );
    }
    assert_eq!(events[0]["previous"], json!(null));
    assert_eq!(events[1]["previous"], events[0]["cid"]);
    assert_eq!(events[2]["commit"], json!([2, 2]));
    assert_eq!(events[2]["payload"], json!({ "title": "Emma" }));
}

#[test]
fn the_last_events_of_a_filter_are_shown() {
    let directory = Directory::new();
    let file = file(&directory);
    let types = |arguments: &[&str]| {
        let shown = lines(&about(&file, &[&["--json", "tail"], arguments].concat())).into_iter();
        shown
            .map(|event| event["type"].as_str().expect("a text").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(types(&[]).len(), 5);
    assert_eq!(types(&["-n", "1"]), ["library.book.renewed"]);
    assert_eq!(types(&["library.reader.>"]), ["library.reader.registered"]);
    assert_eq!(
        types(&["library.*.acquired", "-n", "1"]),
        ["library.book.acquired"]
    );
    assert_eq!(
        types(&["--after", "1", "-n", "2"]),
        ["library.book.acquired", "library.reader.registered"]
    );
    assert_eq!(types(&["-n", "0"]), [""; 0]);
}

#[test]
fn the_last_events_of_a_rare_type_are_found_however_far_back() {
    let directory = Directory::new();
    let path = directory.file("long.db");
    fill(&path, async |store| {
        append(
            store,
            1,
            ("library.reader", "ann"),
            vec![event("reader.registered", "Ann")],
        )
        .await;
        for number in 0..30 {
            let events = (0..100).map(|_| event("book.lent", "Emma")).collect();
            append(store, 2 + number, ("library.book", "4711"), events).await;
        }
    });
    let rare = lines(&about(&path, &["--json", "tail", "library.reader.>"]));
    assert_eq!(rare.len(), 1);
    let last = lines(&about(
        &path,
        &["--json", "tail", "library.book.>", "-n", "2500"],
    ));
    assert_eq!(last.len(), 2_500);
    assert_eq!(last[2_499]["version"], json!(3_000));
    assert_eq!(last[0]["version"], json!(501));
}

#[test]
fn a_file_that_is_whole_has_nothing_to_be_mended() {
    let directory = Directory::new();
    let file = file(&directory);
    let answer = about(&file, &["doctor"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    assert!(
        answer.out.contains("5 events of 3 aggregates"),
        "{}",
        answer.out
    );
}

#[test]
fn a_replay_counts_what_is_stored_from_a_place_or_a_time_on() {
    let directory = Directory::new();
    let file = file(&directory);
    let counted = |arguments: &[&str]| {
        let answer = about(&file, &[&["--json", "replay"], arguments].concat());
        assert_eq!(answer.code, 0, "{arguments:?}: {answer:?}");
        let report = lines(&answer).remove(0);
        let types = report["types"].as_array().expect("a list").iter();
        let types = types.map(|it| (it["type"].to_string(), it["events"].as_u64()));
        let types: Vec<_> = types.collect();
        (report["events"].as_u64(), types.len())
    };
    assert_eq!(counted(&[]), (Some(5), 4));
    assert_eq!(counted(&["--after", "3"]), (Some(2), 2));
    assert_eq!(counted(&["--since", "2026-01-31T00:04:00Z"]), (Some(2), 2));
    assert_eq!(counted(&["--until", "2"]), (Some(2), 1));
    assert_eq!(counted(&["--limit", "3"]), (Some(3), 2));
    assert_eq!(counted(&["library.*.acquired"]), (Some(2), 1));
    assert_eq!(counted(&["library.book.>", "--after", "5"]), (Some(0), 0));
    let wrong = about(&file, &["replay", "library.book.aquired"]);
    assert_eq!(wrong.code, 2, "{wrong:?}");
    assert!(
        wrong.err.contains("did you mean `library.book.acquired`?"),
        "{wrong:?}"
    );
    let wrong = about(&file, &["replay", "--since", "7"]);
    assert_eq!(wrong.code, 2, "{wrong:?}");
    assert!(wrong.err.contains("write a time such as"), "{wrong:?}");
}

#[test]
fn damage_is_a_finding_with_its_place_and_status_1() {
    let directory = Directory::new();
    let file = file(&directory);
    damage(&file, "Ulysses", "ulysses");
    let doctor = about(&file, &["--json", "doctor"]);
    assert_eq!(doctor.code, 1, "{doctor:?}");
    let finding = &lines(&doctor)[0];
    assert_eq!(finding["severity"], json!("damage"));
    assert!(
        finding["found"]
            .as_str()
            .expect("a text")
            .contains("at position 2"),
        "{finding}"
    );
    let show = about(&file, &["show", "library.book", "4712"]);
    assert_eq!(show.code, 1, "{show:?}");
    assert!(show.err.contains("cim-es verify"), "{}", show.err);
    // The others are shown all the same.
    assert_eq!(about(&file, &["show", "library.book", "4711"]).code, 0);
}

#[test]
fn an_object_is_shown_by_its_cid() {
    use cim_es::store::ObjectStore;

    let directory = Directory::new();
    let path = directory.file("objects.db");
    let (cid, kept_at) = fill(&path, async |store| {
        let object = store.put_object(b"\xa1\x61a\x01".as_slice().into()).await;
        let cid = object.expect("it is stored");
        let info = store.object_info(&cid).await.expect("it reads");
        let kept_at = info.and_then(|info| info.stored_at).expect("it has a time");
        (cid.to_string(), kept_at.to_string())
    });
    assert_eq!(about(&path, &["objects", &cid]).out, "{\"a\":1}\n");
    let answer = about(&path, &["--json", "objects", &cid]);
    assert_eq!(
        lines(&answer),
        [json!({
            "cid": cid, "bytes": 4, "content_type": "application/octet-stream", "stored_at": kept_at,
            "value": { "a": 1 },
        })]
    );
    let table = about(&path, &["objects"]).out;
    for cell in [&*cid, "application/octet-stream", &kept_at] {
        assert!(table.contains(cell), "{table}");
    }
    let raw = program()
        .arg("-s")
        .arg(&path)
        .args(["objects", "--raw", &cid])
        .output();
    assert_eq!(raw.expect("it runs").stdout, b"\xa1\x61a\x01");
    let wrong = about(&path, &["objects", &cid[..20]]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.err.contains("copy the whole CID"), "{}", wrong.err);
}

#[test]
fn objects_are_listed_page_by_page() {
    use cim_es::store::ObjectStore;

    let directory = Directory::new();
    let path = directory.file("objects.db");
    let kept = fill(&path, async |store| {
        let mut kept = Vec::new();
        for length in 1..=5 {
            let object = store.put_object(vec![0; length].into()).await;
            kept.push((object.expect("it is stored").to_string(), length));
        }
        kept
    });
    let shown = |arguments: &[&str]| {
        let answer = about(&path, &[&["--json", "objects"], arguments].concat());
        assert_eq!(answer.code, 0, "{answer:?}");
        lines(&answer)
    };
    let all = shown(&[]);
    let named = all
        .iter()
        .map(|it| (it["cid"].as_str(), it["bytes"].as_u64()));
    let expected = kept
        .iter()
        .map(|(cid, length)| (Some(cid.as_str()), Some(*length as u64)));
    assert!(named.eq(expected), "{all:?}");
    let first = shown(&["-n", "2"]);
    let cursor = first[1]["cursor"].to_string();
    let rest = shown(&["--after", &cursor, "--limit", "0"]);
    assert_eq!([first, rest].concat(), all);
    let table = about(&path, &["objects", "-n", "4"]);
    assert_eq!(table.out.lines().count(), 5, "{table:?}");
    assert!(table.err.contains("go on with --after 4"), "{table:?}");
    let table = about(&path, &["objects", "-n", "5"]);
    assert_eq!(table.err, "", "{table:?}");
}

#[test]
fn the_cid_of_an_event_leads_to_the_event() {
    let directory = Directory::new();
    let file = file(&directory);
    let events = lines(&about(&file, &["--json", "show", "library.book", "4712"]));
    let answer = about(
        &file,
        &["objects", events[0]["cid"].as_str().expect("a text")],
    );
    assert_eq!(answer.code, 2);
    assert!(
        answer.err.contains("cim-es show library.book 4712 --at 1"),
        "{}",
        answer.err
    );
}
