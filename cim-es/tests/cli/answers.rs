//! What is said where something is wrong, and to whom.

use std::path::Path;

use serde_json::{Value, json};

use super::support::{Answer, Directory, about, ask, file, lines};

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Asserts the status and a part of what is said.
fn says(answer: &Answer, code: i32, part: &str) {
    assert_eq!(answer.code, code, "{answer:?}");
    assert!(answer.err.contains(part), "{part}: {answer:?}");
}

#[test]
fn what_goes_wrong_is_json_where_json_is_asked_for() {
    let directory = Directory::new();
    let file = file(&directory);
    let error = |answer: Answer| -> Value {
        assert_eq!(answer.err.lines().count(), 1, "{answer:?}");
        let told: Value = serde_json::from_str(&answer.err).expect("JSON");
        assert_eq!(told["error"]["status"], json!(answer.code), "{told}");
        told["error"].clone()
    };
    let missing = error(about(&file, &["--json", "show", "library.bok", "4711"]));
    assert_eq!(missing["kind"], json!("usage"));
    assert_eq!(
        missing["help"],
        json!("under this id it has `library.book`")
    );
    let unknown = error(about(&file, &["streams", "--limt", "3", "--json"]));
    let message = unknown["message"].as_str().expect("a text");
    assert!(message.starts_with("unexpected argument"), "{message}");
    let none = error(ask(["--json", "-s", "/no/such/file.db", "streams"]));
    assert_eq!(none["kind"], json!("store"));
    // What is no failure is an object as well.
    let more = about(&file, &["--json", "streams", "-n", "1"]);
    let note: Value = serde_json::from_str(&more.err).expect("JSON");
    assert!(
        note["note"].as_str().expect("a text").contains("--after"),
        "{note}"
    );
}

#[test]
fn a_position_that_the_store_has_not_come_to_is_told_with_the_last_one() {
    let directory = Directory::new();
    let file = file(&directory);
    let bundle = directory.file("late.car");
    for arguments in [
        &["tail", "--after", "6"][..],
        &["replay", "--after", "6"],
        &["export", text(&bundle), "--after", "6"],
    ] {
        says(
            &about(&file, arguments),
            2,
            "its last event is at position 5",
        );
    }
    assert_eq!(about(&file, &["tail", "--after", "5"]).code, 0);
}

#[test]
fn a_filter_that_matches_nothing_is_answered_wherever_one_is_given() {
    let directory = Directory::new();
    let file = file(&directory);
    let bundle = directory.file("part.car");
    for arguments in [
        &["tail", "library.bok.lent"][..],
        &["tail", "library.bok.lent", "--after", "2"],
        &["replay", "library.bok.lent"],
        &["export", text(&bundle), "--filter", "library.bok.lent"],
    ] {
        says(
            &about(&file, arguments),
            2,
            "did you mean `library.book.lent`?",
        );
    }
    // It matched before.
    let before = about(
        &file,
        &["tail", "library.reader.registered", "--after", "4"],
    );
    assert_eq!((before.code, before.out.as_str()), (0, ""), "{before:?}");
}

#[test]
fn a_file_that_was_taken_for_another_is_named_for_what_it_is() {
    let directory = Directory::new();
    let file = file(&directory);
    let (bundle, json_lines) = (
        directory.file("library.car"),
        directory.file("library.jsonl"),
    );
    assert_eq!(about(&file, &["export", text(&bundle)]).code, 0);
    let as_lines = ["export", text(&json_lines), "--json-lines"];
    assert_eq!(about(&file, &as_lines).code, 0);
    for given in [&bundle, &json_lines] {
        let takes = format!("`cim-es -s STORE import {}`", text(given));
        says(&about(given, &["streams"]), 3, &takes);
    }
    let makes = format!("`cim-es -s {} export FILE`", text(&file));
    says(&ask(["import", text(&file), "--check"]), 4, &makes);
    let part = directory.file("part.car");
    let since = ["export", text(&part), "--since", text(&file)];
    says(&about(&file, &since), 4, &makes);
}

#[test]
fn a_file_that_is_given_and_not_there_is_answered_with_the_nearest() {
    let directory = Directory::new();
    let file = file(&directory);
    let bundle = directory.file("library.car");
    assert_eq!(about(&file, &["export", text(&bundle)]).code, 0);
    let near = format!("did you mean `{}`?", text(&bundle));
    let wrong = directory.file("libary.car");
    let part = directory.file("part.car");
    for arguments in [
        &["import", text(&wrong)][..],
        &["export", text(&part), "--since", text(&wrong)],
        &["checkpoint", "audit", text(&wrong), "--trust", text(&wrong)],
        &["checkpoint", "make", "--origin", "a", "--key", text(&wrong)],
        &["import", text(&bundle), "--identity", text(&wrong)],
    ] {
        says(&about(&file, arguments), 5, &near);
    }
}

#[test]
fn an_option_of_the_other_engine_is_refused() {
    let directory = Directory::new();
    let file = file(&directory);
    let of_servers = about(&file, &["--stream", "LIBRARY", "streams"]);
    says(&of_servers, 2, "`--stream` is of servers");
    let of_a_file = about("nats://127.0.0.1:1", &["--immutable", "streams"]);
    says(&of_a_file, 2, "`--immutable` is of a file");
    let bundle = directory.file("library.car");
    assert_eq!(about(&file, &["export", text(&bundle)]).code, 0);
    let writes = about(&file, &["--immutable", "import", text(&bundle)]);
    says(&writes, 2, "leave `--immutable` out");
    says(&about("", &["streams"]), 2, "no store is named");
    says(
        &about("nats:127.0.0.1", &["streams"]),
        3,
        "`nats://127.0.0.1`",
    );
}

#[test]
fn a_single_thing_is_not_counted_as_many() {
    let directory = Directory::new();
    let file = file(&directory);
    let bundle = directory.file("ann.car");
    let ann = ["export", text(&bundle), "--aggregate", "library.reader/ann"];
    let exported = about(&file, &ann);
    assert!(
        exported.out.contains("1 event of 1 aggregate, "),
        "{exported:?}"
    );
    let copy = directory.file("copy.db");
    let imported = about(&copy, &["import", text(&bundle), "--create"]);
    assert_eq!(imported.out, "1 event was stored, 0 were there already\n");
    let listed = lines(&about(&copy, &["--json", "streams"]));
    assert_eq!(listed.len(), 1);
}
