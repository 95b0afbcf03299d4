//! What is misspelled is answered with what was probably meant.

use super::support::Directory;
use super::support::{about, ask, file, fill, program};

/// Asks for what is not there, and expects a suggestion.
fn suggests(file: &std::path::Path, arguments: &[&str], suggestion: &str) {
    let answer = about(file, arguments);
    assert_eq!(
        (answer.code, answer.out.as_str()),
        (2, ""),
        "{arguments:?}: {answer:?}"
    );
    assert!(
        answer.err.contains(suggestion),
        "{arguments:?}: {}",
        answer.err
    );
}

#[test]
fn a_misspelled_name_of_the_store_is_answered_with_the_nearest() {
    let directory = Directory::new();
    let file = file(&directory);
    for (arguments, suggestion) in [
        (
            &["streams", "library.bok"][..],
            "did you mean `library.book`?",
        ),
        (&["streams", "book"], "did you mean `library.book`?"),
        (
            &["streams", "planets.planet"],
            "it has `library.book`, `library.reader`",
        ),
        (
            &["streams", "--kinds", "library.raeder"],
            "did you mean `library.reader`?",
        ),
        (
            &["show", "library.bok", "4799"],
            "did you mean `library.book`?",
        ),
        (&["show", "library.book", "4713"], "did you mean `4711`?"),
        (&["show", "library.reader", "Anm"], "did you mean `ann`?"),
        (
            &["show", "library.reader", "4711"],
            "under this id it has `library.book`",
        ),
        (
            &["show", "library.book", "zzzzzz"],
            "`cim-es streams library.book` lists the ids",
        ),
        (&["tail", "library.bok.>"], "did you mean `library.book.>`?"),
        (
            &["tail", "library.book.aquired"],
            "did you mean `library.book.acquired`?",
        ),
        (&["tail", "libary.*.lent"], "did you mean `library.*.lent`?"),
        (&["tail", "a.b.c.d.e"], "it has `library.book.acquired`"),
        (&["tail", "library.>.book"], "put it last"),
        (&["streams", "--after", "4711"], "KIND/ID"),
    ] {
        suggests(&file, arguments, suggestion);
    }
}

#[test]
fn a_misspelled_word_of_the_command_line_is_answered_with_the_nearest() {
    for (arguments, suggestion) in [
        (&["steams"][..], "'streams'"),
        (&["show", "k", "i", "--paylod"], "'--payload'"),
        (&["--stor", "x", "streams"], "'--store'"),
        (&["completions", "bsh"], "'bash'"),
        (&["tail", "-n", "many"], "many"),
    ] {
        let answer = ask(arguments);
        assert_eq!(answer.code, 2, "{arguments:?}: {answer:?}");
        assert!(
            answer.err.contains(suggestion),
            "{arguments:?}: {}",
            answer.err
        );
    }
}

#[test]
fn a_file_that_does_not_exist_is_not_made_and_the_nearest_is_named() {
    let directory = Directory::new();
    file(&directory);
    let before = names(&directory);
    let answer = about(directory.file("libary.db"), &["streams"]);
    assert_eq!((answer.code, answer.out.as_str()), (3, ""));
    let near = format!("did you mean `{}`?", directory.file("library.db").display());
    assert!(answer.err.contains(&near), "{}", answer.err);
    let far = about(directory.file("orders.db"), &["streams"]);
    assert_eq!(far.code, 3);
    assert!(
        far.err.contains("look whether the path is right"),
        "{}",
        far.err
    );
    let deep = about(directory.file("no/such/library.db"), &["streams"]);
    assert!(deep.err.contains("the directory"), "{}", deep.err);
    assert_eq!(names(&directory), before);
}

#[test]
fn what_is_no_store_is_refused_with_a_reason() {
    let directory = Directory::new();
    let text = directory.file("text.db");
    std::fs::write(&text, "x".repeat(5_000)).expect("a file");
    for place in [text.as_path(), directory.path()] {
        let answer = about(place, &["streams"]);
        assert_eq!(answer.code, 3, "{answer:?}");
        assert!(answer.err.starts_with("error: "), "{}", answer.err);
    }
    let other = about("postgres://localhost/library", &["streams"]);
    assert_eq!(other.code, 2);
    assert!(other.err.contains("nats://127.0.0.1:4222"), "{}", other.err);
    let none = ask(["streams"]);
    assert_eq!(none.code, 2);
    assert!(none.err.contains("CIM_ES_STORE"), "{}", none.err);
}

#[test]
fn a_store_without_events_says_so() {
    let directory = Directory::new();
    let path = directory.file("new.db");
    fill(&path, async |_| ());
    for command in ["streams", "tail"] {
        let answer = about(&path, &[command]);
        assert_eq!((answer.code, answer.out.as_str()), (0, ""), "{command}");
        assert!(
            answer.err.contains("no events yet"),
            "{command}: {}",
            answer.err
        );
    }
    let show = about(&path, &["show", "library.book", "1"]);
    assert_eq!(show.code, 2);
    assert!(show.err.contains("no events yet"), "{}", show.err);
}

#[test]
fn a_login_on_the_command_line_is_refused_and_not_repeated() {
    let answer = about("nats://ann:hunter2@127.0.0.1:1", &["streams"]);
    assert_eq!(answer.code, 2);
    assert!(answer.err.contains("--creds FILE"), "{}", answer.err);
    assert!(!answer.err.contains("hunter2"), "{}", answer.err);
    // In the environment it may stand, and it does not show.
    let mut program = program();
    program
        .env("CIM_ES_STORE", "nats://ann:hunter2@127.0.0.1:1/S")
        .arg("streams");
    let answer: super::support::Answer = program.output().expect("it runs").into();
    assert_eq!(answer.code, 3, "{answer:?}");
    assert!(!answer.err.contains("hunter2"), "{}", answer.err);
}

#[test]
fn a_subscription_that_never_was_has_parked_nothing_and_nothing_is_made() {
    let directory = Directory::new();
    let file = file(&directory);
    about(&file, &["streams"]);
    let before = names(&directory);
    for arguments in [
        &["parked", "reminders"][..],
        &["parked", "reminders", "--resend", "3"],
        &["parked", "reminders", "--discard", "3"],
    ] {
        let answer = about(&file, arguments);
        assert_eq!(answer.code, 2, "{answer:?}");
        assert!(
            answer.err.contains("no durable subscription"),
            "{}",
            answer.err
        );
        let made = names(&directory)
            .into_iter()
            .filter(|name| !before.contains(name));
        assert_eq!(made.count(), 0, "{arguments:?}");
    }
}

fn names(directory: &Directory) -> Vec<std::ffi::OsString> {
    let entries = std::fs::read_dir(directory.path()).expect("a directory");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    names.sort();
    names
}
