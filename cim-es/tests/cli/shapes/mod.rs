//! What `--json` prints, as the guide has it: every command, on a file and on a stream.

mod document;
mod runs;

use std::collections::BTreeSet;

use self::document::Document;
use self::runs::Runs;
use super::server::start;
use super::support::{Directory, ask};

/// What prints no JSON, whatever it is asked for.
const TEXT: [&str; 3] = ["completions", "man", "help"];

/// What these stores do not have, though a store may: what waits with another aggregate, who takes a unique name, and what
/// a user may not read.
const NOT_HERE: [&str; 7] = [
    "report?.unchecked",
    "tied[].kind",
    "tied[].id",
    "ours[].unique_name?.name",
    "ours[].unique_name?.holder",
    "theirs[].unique_name?.name",
    "theirs[].unique_name?.holder",
];

/// The commands that a help lists, and below each those that its own lists: what can be run.
fn commands(above: &[&str]) -> Vec<String> {
    let answer = ask([above, &["--help"]].concat());
    assert_eq!(answer.code, 0, "{answer:?}");
    let listed = answer.out.split("Commands:\n").nth(1);
    let Some(listed) = listed.and_then(|text| text.split("\n\n").next()) else {
        return vec![above.join(" ")];
    };
    let names = listed.lines().filter_map(|line| {
        let name = line.strip_prefix("  ")?.split_whitespace().next()?;
        (!line.starts_with("   ")).then_some(name)
    });
    names
        .filter(|name| !TEXT.contains(name))
        .flat_map(|name| commands(&[above, &[name]].concat()))
        .collect()
}

#[test]
fn every_command_prints_on_a_file_and_on_a_stream_what_the_guide_says() {
    let document = Document::of(include_str!("../../../src/guide/command_line.md"));
    let server = start();
    let mut seen = BTreeSet::new();
    for server in [None, Some(&server)] {
        let directory = Directory::new();
        let runs = Runs::on(&directory, server, &document);
        for command in commands(&[]) {
            assert!(
                runs.headings
                    .iter()
                    .any(|it| *it == command || it.starts_with(&format!("{command} "))),
                "`{command}` is not run here: a run of it belongs into `shapes/runs.rs`"
            );
        }
        for heading in document.headings() {
            let is_run = runs.headings.contains(heading);
            assert!(is_run, "the guide has `{heading}`, which is not run here");
        }
        seen.extend(runs.seen);
    }
    for (heading, path) in document.paths() {
        let is_here = NOT_HERE.iter().any(|it| path.ends_with(it));
        let is_seen = seen.contains(&(heading.clone(), path.clone()));
        assert!(is_seen || is_here, "{heading} never printed `{path}`");
    }
}

#[test]
fn what_a_help_says_of_json_is_what_the_guide_says() {
    let document = Document::of(include_str!("../../../src/guide/command_line.md"));
    for command in commands(&[]) {
        let words: Vec<_> = command.split(' ').collect();
        let help = ask([&words[..], &["--help"]].concat()).out;
        let (_, json) = help.split_once("\nJSON").expect("it says what it prints");
        if json.contains("as of `cim-es show`") {
            continue;
        }
        for field in document.fields(&command) {
            let quoted = format!("\"{field}\"");
            assert!(
                json.contains(&quoted),
                "the help of `{command}` lacks {quoted}"
            );
        }
    }
}

#[test]
fn a_shape_that_is_not_the_documented_one_is_found() {
    let page = "```text\nit, that: one object\n  a number\n  b[].c text?\n  d?.e cid\n```\n";
    let document = Document::of(page);
    let is_of = |text: &str| {
        let value = serde_json::from_str(text).expect("JSON");
        document.check("that", &value, &mut BTreeSet::new()).is_ok()
    };
    assert!(is_of(r#"{"a":1,"b":[{"c":null},{"c":"x"}]}"#));
    assert!(is_of(
        r#"{"a":1,"b":[],"d":{"e":"bafyreihltcnuuyqp2jm24aqydpnlj7b6w3ogwrplomrjtg5rifv44mmjey"}}"#
    ));
    for wrong in [
        r#"{"a":1}"#,
        r#"{"a":"1","b":[]}"#,
        r#"{"a":null,"b":[]}"#,
        r#"{"a":1,"b":[{"c":1}]}"#,
        r#"{"a":1,"b":[],"d":{"e":"x"}}"#,
        r#"{"a":1,"b":[],"f":1}"#,
    ] {
        assert!(!is_of(wrong), "{wrong}");
    }
}
