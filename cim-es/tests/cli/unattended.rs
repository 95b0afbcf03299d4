//! The program among others: in pipes, in scripts, and beside programs that write.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use cim_es::SqliteEventStore;

use super::support::{Directory, run};
use super::support::{about, append, ask, event, file, fill, program};

#[test]
fn who_stops_reading_ends_it_quietly() {
    let directory = Directory::new();
    let path = directory.file("long.db");
    fill(&path, async |store| {
        for number in 0..30 {
            let events = (0..100).map(|_| event("book.lent", "Emma")).collect();
            append(store, 2 + number, ("library.book", "4711"), events).await;
        }
    });
    for arguments in [
        &["show", "library.book", "4711"][..],
        &["tail", "-n", "3000"],
    ] {
        let started = program()
            .arg("-s")
            .arg(&path)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = started.expect("it starts");
        let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        out.read_line(&mut line).expect("a line");
        drop(out);
        let status = child.wait().expect("it ends");
        let mut err = String::new();
        let stderr = child.stderr.take().expect("a pipe");
        BufReader::new(stderr)
            .read_to_string(&mut err)
            .expect("UTF-8");
        assert_eq!(
            (status.code(), err.as_str()),
            (Some(0), ""),
            "{arguments:?}"
        );
        assert!(line.contains("VERSION"), "{line}");
    }
}

#[test]
fn where_no_person_looks_there_are_no_colours_and_no_bars() {
    let directory = Directory::new();
    let file = file(&directory);
    for arguments in [
        &["streams"][..],
        &["show", "library.book", "4711"],
        &["tail"],
        &["doctor"],
    ] {
        let answer = about(&file, arguments);
        assert!(
            !answer.out.contains('\u{1b}'),
            "{arguments:?}: {}",
            answer.out
        );
        assert_eq!(answer.err, "", "{arguments:?}");
    }
    let wrong = about(&file, &["streams", "nothing.here"]);
    assert!(!wrong.err.contains('\u{1b}'), "{}", wrong.err);
}

#[test]
fn who_follows_sees_what_another_program_stores() {
    let directory = Directory::new();
    let path = file(&directory);
    let started = program()
        .arg("-s")
        .arg(&path)
        .args(["--json", "tail", "library.book.returned", "--follow"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = started.expect("it starts");
    // Nothing matches yet, which it says before it waits.
    let mut err = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut note = String::new();
    err.read_line(&mut note).expect("a line");
    assert!(note.contains("no event in the store matches"), "{note}");
    run(async {
        let store = SqliteEventStore::open(&path).expect("the file");
        append(
            &store,
            9,
            ("library.book", "4711"),
            vec![event("book.returned", "Emma")],
        )
        .await;
        store.close().await;
    });
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
    out.read_line(&mut line).expect("a line");
    let shown: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(shown["type"], "library.book.returned");
    child.kill().expect("it runs");
    child.wait().expect("it ends");
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_it_with_status_130() {
    let directory = Directory::new();
    let path = file(&directory);
    let started = program()
        .arg("-s")
        .arg(&path)
        .args(["tail", "--follow"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = started.expect("it starts");
    let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    out.read_line(&mut line).expect("a line");
    let id = child.id().to_string();
    let killed = std::process::Command::new("kill")
        .args(["-INT", &id])
        .status();
    assert!(killed.expect("kill runs").success());
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
}

#[test]
fn what_is_stored_does_nothing_to_the_terminal() {
    let directory = Directory::new();
    let path = directory.file("hostile.db");
    fill(&path, async |store| {
        let book = ("library.book", "\u{1b}]0;owned\u{7}\n");
        append(store, 1, book, vec![event("book.lent", "\u{1b}[2J")]).await;
    });
    for arguments in [&["streams"][..], &["tail", "--payload"]] {
        let answer = about(&path, arguments);
        let acts = |c: char| c.is_control() && c != '\n';
        assert!(
            !answer.out.contains(acts),
            "{arguments:?}: {:?}",
            answer.out
        );
        assert!(answer.out.contains("owned"), "{arguments:?}");
    }
}

#[test]
fn every_command_has_help_with_examples() {
    let help = ask(["--help"]).out;
    assert!(help.contains("Exit status:"), "{help}");
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands = commands.take_while(|line| !line.is_empty());
    // What is further in goes on with a description.
    let first = |line: &'_ str| {
        line.strip_prefix("  ")
            .filter(|it| !it.starts_with(' '))
            .is_some()
    };
    let names: Vec<_> = commands
        .filter(|line| first(line))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(names.contains(&"streams"), "{names:?}");
    for name in names.into_iter().filter(|name| *name != "help") {
        let help = ask([name, "--help"]);
        assert_eq!(help.code, 0, "{name}");
        assert!(
            help.out.contains("Examples:\n  cim-es "),
            "{name}: {}",
            help.out
        );
    }
}

#[test]
fn shells_complete_it_and_the_manual_has_it() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let answer = ask(["completions", shell]);
        assert!(
            answer.code == 0 && answer.out.contains("streams"),
            "{shell}"
        );
    }
    assert!(ask(["man"]).out.contains(".TH cim-es 1"));
    let directory = Directory::new();
    let path = directory.path().to_str().expect("UTF-8");
    assert_eq!(ask(["man", "--directory", path]).code, 0);
    assert!(directory.file("cim-es-show.1").exists());
    assert_eq!(ask(["man", "--directory", "/no/such/place"]).code, 5);
}
