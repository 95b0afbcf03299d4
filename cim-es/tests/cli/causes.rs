//! What an event depends on, and what depends on it.

use serde_json::json;

use super::support::{Directory, about, file, lines};

#[test]
fn what_an_event_follows_and_what_follows_it_is_drawn() {
    let directory = Directory::new();
    let file = file(&directory);
    let events = lines(&about(&file, &["--json", "show", "library.book", "4711"]));
    let cid = |at: usize| events[at]["cid"].as_str().expect("a text");
    let answer = about(&file, &["dag", cid(1), "--both"]);
    assert_eq!(answer.code, 0, "{answer:?}");
    let rows: Vec<Vec<&str>> = answer
        .out
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let shown: Vec<_> = rows[1..]
        .iter()
        .map(|row| (row[0], row[1], row[6]))
        .collect();
    assert_eq!(
        shown,
        [
            ("-1", "previous", cid(0)),
            ("0", "-", cid(1)),
            ("+1", "previous", cid(2))
        ]
    );
    assert_eq!(
        about(&file, &["dag", cid(2), "--within", "1"])
            .out
            .lines()
            .count(),
        3
    );
    assert_eq!(about(&file, &["dag", cid(2)]).out.lines().count(), 4);
    assert_eq!(
        about(&file, &["dag", cid(1), "--effects"])
            .out
            .lines()
            .count(),
        3
    );
    assert!(
        about(&file, &["dag", cid(1), "--as", "dot"])
            .out
            .starts_with("digraph")
    );
    assert!(
        about(&file, &["dag", cid(1), "--as", "mermaid"])
            .out
            .starts_with("flowchart")
    );
    let drawn = lines(&about(&file, &["--json", "dag", cid(1), "--both"]));
    assert_eq!(drawn[0]["edges"].as_array().expect("a list").len(), 2);
    assert_eq!(drawn[0]["nodes"].as_array().expect("a list").len(), 3);
}

#[test]
fn an_event_that_is_not_there_is_not_drawn() {
    let directory = Directory::new();
    let file = file(&directory);
    let events = lines(&about(&file, &["--json", "show", "library.book", "4711"]));
    let payload = events[0]["payload_cid"].clone();
    assert_ne!(payload, json!(null));
    let answer = about(&file, &["dag", payload.as_str().expect("a text")]);
    assert_eq!(answer.code, 2, "{answer:?}");
    assert!(
        answer.err.contains("the store has no event"),
        "{}",
        answer.err
    );
    assert_eq!(about(&file, &["dag", "bafy"]).code, 2);
}
