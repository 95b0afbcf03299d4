//! The desk of the library: each answer is what the books are, with the position up to which it is true.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use cim_es::prelude::*;
use cim_es_examples::library::{Book, Desk, DeskError, Question};
use clap::Parser;

#[derive(Parser)]
#[command(no_binary_name = true)]
struct Line {
    #[command(subcommand)]
    question: Question,
}

fn question(words: &[&str]) -> Question {
    Line::parse_from(words).question
}

async fn ask(desk: &Desk, words: &[&str]) -> Result<String, DeskError> {
    desk.answer(&question(words)).await
}

async fn acquire(desk: &Desk, title: &str) -> String {
    let key = ask(desk, &["acquire", title]).await.unwrap();
    key.trim().to_owned()
}

#[tokio::test]
async fn each_answer_has_what_was_done_before_it_and_says_up_to_where_it_is_true() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("library.db");
    let desk = Desk::open(&path).await.unwrap();
    assert_eq!(
        ask(&desk, &["loans"]).await.unwrap(),
        "true up to position 0\n"
    );
    let emma = acquire(&desk, "Emma").await;
    let dune = acquire(&desk, "Dune").await;
    ask(&desk, &["lend", &emma, "Ann"]).await.unwrap();
    ask(&desk, &["lend", &dune, "Ann"]).await.unwrap();
    assert_eq!(
        ask(&desk, &["loans"]).await.unwrap(),
        "Ann has 2 books\ntrue up to position 4\n"
    );
    ask(&desk, &["return", &dune]).await.unwrap();
    ask(&desk, &["lend", &dune, "Ben"]).await.unwrap();
    assert_eq!(
        ask(&desk, &["loans"]).await.unwrap(),
        "Ann has 1 book\nBen has 1 book\ntrue up to position 6\n"
    );
    assert_eq!(
        ask(&desk, &["card", &dune]).await.unwrap(),
        "Dune: Ben has it, lent 2 times\ntrue up to position 6\n"
    );
    assert_eq!(
        ask(&desk, &["find", "Ann"]).await.unwrap(),
        format!("{emma}  Emma (Ann)\ntrue up to position 6\n")
    );
    let replayed = ask(&desk, &["replay"]).await.unwrap();
    assert!(
        replayed.starts_with("4 events of 2 aggregates"),
        "{replayed}"
    );
    desk.close().await;

    // What is asked again later is answered from the file.
    let desk = Desk::open(&path).await.unwrap();
    let found = ask(&desk, &["find", "Ben"]).await.unwrap();
    assert_eq!(
        found,
        format!("{dune}  Dune (Ben)\ntrue up to position 6\n")
    );
    desk.close().await;
}

#[tokio::test]
async fn a_long_list_comes_a_page_at_a_time_and_each_book_once() {
    let directory = tempfile::tempdir().unwrap();
    let desk = Desk::open(&directory.path().join("library.db")).await;
    let desk = desk.unwrap();
    let mut keys = Vec::new();
    for number in 0..7 {
        keys.push(acquire(&desk, &format!("Volume {number}")).await);
    }
    keys.sort();
    let mut seen = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let mut words = vec!["list", "--limit", "3"];
        words.extend(after.iter().flat_map(|key| ["--after", key.as_str()]));
        let page = ask(&desk, &words).await.unwrap();
        assert!(page.ends_with("true up to position 7\n"), "{page}");
        let books = page.lines().filter(|line| line.contains("Volume"));
        seen.extend(
            books
                .filter_map(|line| line.split(' ').next())
                .map(str::to_owned),
        );
        let more = page
            .lines()
            .find_map(|line| line.strip_prefix("more with --after "));
        match more {
            Some(key) => after = Some(key.to_owned()),
            None => break,
        }
    }
    assert_eq!(seen, keys);
    desk.close().await;
}

#[tokio::test]
async fn a_book_that_is_not_there_and_a_command_out_of_turn_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let desk = Desk::open(&directory.path().join("library.db")).await;
    let desk = desk.unwrap();
    let nobody = Id::<Book>::new().to_string();
    for words in [["card", nobody.as_str()], ["return", nobody.as_str()]] {
        let refused = ask(&desk, &words).await.unwrap_err();
        assert!(matches!(refused, DeskError::NoBook(_)), "{refused}");
    }
    let emma = acquire(&desk, "Emma").await;
    let refused = ask(&desk, &["return", &emma]).await.unwrap_err();
    let said = refused.to_string();
    assert!(
        said.contains("`Return` is not accepted in state `Available`"),
        "{said}"
    );
    desk.close().await;
}

/// Runs the program with what a person types.
fn typed(store: &Path, lines: &str) -> Output {
    use std::io::Write;

    let mut child = Command::new(env!("CARGO"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .args(["run", "--quiet", "--example", "library", "--", "--store"])
        .arg(store)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("cargo starts");
    let mut terminal = child.stdin.take().expect("it is piped");
    terminal.write_all(lines.as_bytes()).expect("it is read");
    drop(terminal);
    child.wait_with_output().expect("it ends")
}

#[test]
fn lines_are_answered_one_after_the_other_and_a_bad_one_ends_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("library.db");
    let output = typed(
        &store,
        "acquire \"Pride and Prejudice\"\nborrow it\ncard nobody\nlist\n\nacquire Late\n",
    );
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 3, "{said}");
    assert_eq!(
        lines[1],
        format!("{}  Pride and Prejudice (here)", lines[0])
    );
    assert_eq!(lines[2], "true up to position 1");
    let complained = String::from_utf8(output.stderr).unwrap();
    for part in ["borrow", "no book has the key `nobody`"] {
        assert!(complained.contains(part), "{complained}");
    }
}
