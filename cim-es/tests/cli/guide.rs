//! What the guide and the README show of the command line is what it prints.

use std::path::Path;
use std::process::Command;

use super::support::{Directory, file, program};

/// The sessions of a page: each a list of commands with what they print.
fn sessions(page: &str) -> Vec<Vec<(String, String)>> {
    let mut sessions = Vec::new();
    for block in page.split("```console\n").skip(1) {
        let block = block.split("```").next().expect("a text");
        let mut session: Vec<(String, String)> = Vec::new();
        for line in block.lines() {
            match (line.strip_prefix("$ "), session.last_mut()) {
                (Some(command), _) => session.push((command.to_owned(), String::new())),
                (None, Some((_, printed))) => {
                    printed.push_str(line);
                    printed.push('\n');
                }
                (None, None) => panic!("a session begins with a command: {line}"),
            }
        }
        sessions.push(session);
    }
    sessions
}

/// Whether a text is what a page shows, in which `…` stands for anything in a line.
fn is_shown(shown: &str, printed: &str) -> bool {
    let fits = |shown: &str, printed: &str| {
        let mut rest = printed;
        let mut parts = shown.split('…');
        let first = parts.next().unwrap_or_default();
        let Some(behind) = rest.strip_prefix(first) else {
            return false;
        };
        rest = behind;
        let mut is_open = false;
        for part in parts {
            is_open = true;
            match (part, rest.find(part)) {
                ("", _) => rest = "",
                (_, Some(at)) => rest = &rest[at + part.len()..],
                (_, None) => return false,
            }
        }
        rest.is_empty() || (is_open && shown.ends_with('…'))
    };
    shown.lines().count() == printed.lines().count()
        && shown
            .lines()
            .zip(printed.lines())
            .all(|(shown, printed)| fits(shown, printed))
}

/// Runs the sessions of a page one after the other beside a library.
fn check(page: &str) -> usize {
    let directory = Directory::new();
    file(&directory);
    let binary = Path::new(env!("CARGO_BIN_EXE_cim-es"));
    let beside = binary.parent().expect("a directory").display().to_string();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut commands = 0;
    for (command, shown) in sessions(page).into_iter().flatten() {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("({command}) 2>&1")]);
        for (name, value) in program().get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        let answer = shell
            .env("PATH", format!("{beside}:{path}"))
            .current_dir(directory.path())
            .output()
            .expect("a shell runs");
        let printed = String::from_utf8(answer.stdout).expect("UTF-8");
        assert!(
            is_shown(&shown, &printed),
            "$ {command}\n{printed}\nis shown as\n{shown}"
        );
        commands += 1;
    }
    commands
}

#[cfg(unix)]
#[test]
fn what_the_guide_shows_is_what_is_printed() {
    assert!(check(include_str!("../../src/guide/command_line.md")) > 10);
}

#[cfg(unix)]
#[test]
fn what_the_readme_shows_is_what_is_printed() {
    assert!(check(include_str!("../../../README.md")) > 2);
}

#[test]
fn a_page_that_shows_something_else_is_found() {
    assert!(is_shown("a … c\n", "a long way to c\n"));
    assert!(is_shown("bafy…\n", "bafyrei\n"));
    for (shown, printed) in [
        ("a\n", "b\n"),
        ("a … c\n", "a b d\n"),
        ("a\n", "a\nb\n"),
        ("a\n", "ab\n"),
    ] {
        assert!(!is_shown(shown, printed), "{shown} {printed}");
    }
}
