//! A store that an import makes: it stays where something was stored, and nowhere else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::server::start;
use super::support::{Answer, Directory, about, append, event, file, fill, lines, program};

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Files that hold nothing that can be stored, each with the status that says so.
fn refused(directory: &Directory) -> Vec<(PathBuf, i32)> {
    let file = file(directory);
    let bundle = directory.file("library.car");
    assert_eq!(about(&file, &["export", text(&bundle)]).code, 0);
    let bytes = fs::read(&bundle).expect("the bundle");
    let cut = directory.file("cut.car");
    fs::write(&cut, &bytes[..bytes.len() - 100]).expect("a file");
    // What goes on from what a new store does not have.
    fill(&file, async |store| {
        let returned = vec![event("book.returned", "Emma")];
        append(store, 9, ("library.book", "4711"), returned).await;
    });
    let week = directory.file("week.car");
    let since = ["export", text(&week), "--since", text(&bundle)];
    assert_eq!(about(&file, &since).code, 0);
    vec![
        (cut, 4),
        (week, 4),
        (file, 4),
        (directory.file("none.car"), 5),
    ]
}

#[test]
fn a_file_that_was_made_does_not_stay_where_nothing_was_stored() {
    let directory = Directory::new();
    for (bundle, status) in refused(&directory) {
        let copy = directory.file("copy.db");
        let answer = about(&copy, &["import", text(&bundle), "--create"]);
        assert_eq!(answer.code, status, "{bundle:?}: {answer:?}");
        for beside in ["copy.db", "copy.db-wal", "copy.db-shm"] {
            assert!(!directory.file(beside).exists(), "{bundle:?} left {beside}");
        }
    }
}

#[test]
fn a_stream_that_was_made_does_not_stay_where_nothing_was_stored() {
    let directory = Directory::new();
    let server = start();
    let place = format!("{}/COPY", server.url);
    for (bundle, status) in refused(&directory) {
        let answer = about(&place, &["import", text(&bundle), "--create"]);
        assert_eq!(answer.code, status, "{bundle:?}: {answer:?}");
        let streams = about(&server.url, &["streams"]);
        let is_none = streams.err.contains("no stream of events");
        assert!(is_none, "{bundle:?}: {streams:?}");
    }
    // What is there is taken as it is, whether its name is given or not.
    let bundle = text(&directory.file("library.car")).to_owned();
    let made = about(&place, &["import", &bundle, "--create"]);
    assert_eq!(made.code, 0, "{made:?}");
    for place in [&place, &server.url] {
        let again = about(place, &["import", &bundle, "--create"]);
        assert_eq!(
            again.out, "0 events were stored, 5 were there already\n",
            "{again:?}"
        );
    }
}

/// What an import says to what it reads from a pipe.
fn piped(bytes: &[u8], store: Option<&Path>, arguments: &[&str]) -> Answer {
    let mut program = program();
    if let Some(store) = store {
        program.arg("-s").arg(store);
    }
    let child = program
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.expect("it starts");
    let mut input = child.stdin.take().expect("a pipe");
    // It may end before it has read all.
    let _ = std::io::Write::write_all(&mut input, bytes);
    drop(input);
    child.wait_with_output().expect("it ends").into()
}

#[test]
fn an_import_reads_from_a_pipe() {
    let directory = Directory::new();
    let file = file(&directory);
    for form in [&[][..], &["--json-lines"]] {
        let exported = program()
            .arg("-s")
            .arg(&file)
            .args(["export", "-"])
            .args(form)
            .output();
        let bytes = exported.expect("it runs").stdout;
        let copy = directory.file(&format!("copy{}.db", form.len()));
        let imported = piped(&bytes, Some(&copy), &["import", "-", "--create"]);
        assert_eq!(
            imported.out, "5 events were stored, 0 were there already\n",
            "{imported:?}"
        );
        assert_eq!(lines(&about(&copy, &["--json", "tail"])).len(), 5);
        let checked = piped(&bytes, None, &["import", "-", "--check"]);
        assert_eq!(checked.code, 0, "{checked:?}");
    }
    let wrong = piped(b"nothing", None, &["import", "-", "--check"]);
    assert_eq!(wrong.code, 4, "{wrong:?}");
    assert!(
        wrong.err.contains("the standard input is refused"),
        "{wrong:?}"
    );
}

#[cfg(unix)]
#[test]
fn an_import_from_a_pipe_that_does_not_end_can_be_interrupted() {
    let directory = Directory::new();
    let copy = directory.file("copy.db");
    let started = program()
        .arg("-s")
        .arg(&copy)
        .args(["import", "-", "--create"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut child = started.expect("it starts");
    let pipe = child.stdin.take();
    let id = child.id().to_string();
    // A program that has not begun to listen ends as well.
    while child.try_wait().expect("a child").is_none() {
        let killed = std::process::Command::new("kill")
            .args(["-INT", &id])
            .status();
        assert!(killed.is_ok());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    drop(pipe);
    assert!(!copy.exists());
}
