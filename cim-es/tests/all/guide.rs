//! What the guide shows of messages is what is printed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cim_es::message::FixedClock;
use cim_es::prelude::*;
use cim_es::store::{Bookmark, EventStore, Position, Selection};
use cim_es::verify::Verification;
use cim_es::{ErrorChain, Repository};
use futures_util::TryStreamExt;
use rusqlite::Connection;

use crate::sqlite_support::{Directory, run};

#[expect(dead_code, reason = "the guide uses what is not used here")]
mod lending {
    include!("../../src/guide/library.rs");
}

/// Books of a later program that reads a number where a text was stored.
mod retyped {
    use cim_es::prelude::*;

    #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum BookState {
        #[state(initial)]
        #[on(/ Acquired => _, / Lent => _)]
        Known,
    }

    #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub enum BookEvent {
        #[apply(_ = title)]
        Acquired { title: String },
        #[apply(_ = reader)]
        Lent { reader: u32 },
    }

    #[derive(Command, Clone, Debug)]
    pub enum BookCommand {}

    #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
    #[aggregate(domain = "library", name = "book")]
    pub struct Book {
        state: BookState,
    }
}

/// Books of a later program that does not renew a loan any more.
mod unrenewed {
    use cim_es::prelude::*;

    #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum BookState {
        #[state(initial)]
        #[on(/ Acquired => _, / Lent => OnLoan, / Renewed => _)]
        Known,
        #[state(terminal)]
        OnLoan,
    }

    #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub enum BookEvent {
        #[apply(_ = title)]
        Acquired {
            title: String,
        },
        #[apply(_ = reader)]
        Lent {
            reader: String,
        },
        Renewed,
    }

    #[derive(Command, Clone, Debug)]
    pub enum BookCommand {}

    #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
    #[aggregate(domain = "library", name = "book")]
    pub struct Book {
        state: BookState,
    }
}

/// The messages that name an event, each with its page.
fn printed() -> Vec<(&'static str, String)> {
    let directory = Directory::new();
    let path = directory.file("lending.db");
    let id = Uuid::from_u128(2);
    let (unread, unapplied) = run(async {
        let store = SqliteEventStore::open(&path).expect("the file opens");
        lend(&store, id).await;
        let read = Repository::<retyped::Book>::new(store.clone());
        let unread = read.load(&id.into()).await.expect_err("no such number");
        let applied = Repository::<unrenewed::Book>::new(store.clone());
        let unapplied = applied.load(&id.into()).await.expect_err("no such edge");
        store.close().await;
        (
            ErrorChain(&unread).to_string(),
            ErrorChain(&unapplied).to_string(),
        )
    });
    flip_the_last_byte(&path, 2);
    let damaged = run(async {
        let store = SqliteEventStore::open(&path).expect("the file opens");
        let events = store.read(Selection::everything(), Bookmark::from(Position::START));
        let damaged = events.try_collect::<Vec<_>>().await.err();
        ErrorChain(&damaged.expect("it is noticed")).to_string()
    });
    let verified = run(async {
        let store = SqliteEventStore::options().even_if_damaged().open(&path);
        let mut told = Vec::new();
        let mut verification = Verification::of(store.expect("the file opens"));
        let tell = |damage| told.push(ErrorChain(&damage).to_string());
        verification.finish(tell).await.expect("it reads");
        assert_eq!(told.len(), 1);
        told.remove(0)
    });
    let named = |message: String| message.replace(&path.display().to_string(), "lending.db");
    let (damaged, verified) = (named(damaged), named(verified));
    vec![
        ("store.md", damaged),
        ("verify.md", verified),
        ("schema_change.md", unread),
        ("schema_change.md", unapplied),
    ]
}

/// A book that is acquired, lent and renewed, always with the same CIDs.
async fn lend(store: &SqliteEventStore, id: Uuid) {
    use lending::BookCommand::{Acquire, Lend, Renew};
    let clock = FixedClock(Timestamp::from_micros(1_790_000_000_000_000));
    let builder = Repository::<lending::Book>::builder(store.clone());
    let books = builder.clock(clock).build();
    let commands = [
        Acquire {
            title: "Emma".into(),
        },
        Lend {
            reader: "Ann".into(),
        },
        Renew,
    ];
    for (number, command) in (1..).zip(commands) {
        let desk = MessageIdentity::root(Uuid::from_u128(number), Some("desk"));
        let executed = books.execute(&id.into(), command, &desk).await;
        executed.expect("it is accepted");
    }
}

fn flip_the_last_byte(path: &Path, position: i64) {
    let file = Connection::open(path).expect("it opens");
    let read = "SELECT body FROM events WHERE position = ?1";
    let body: Result<Vec<u8>, _> = file.query_row(read, [position], |row| row.get(0));
    let mut body = body.expect("the event is there");
    *body.last_mut().expect("it has bytes") ^= 1;
    let write = "UPDATE events SET body = ?2 WHERE position = ?1";
    let written = file
        .execute(write, (position, body))
        .expect("it is written");
    assert_eq!(written, 1);
}

fn pages() -> Vec<(String, String)> {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/guide");
    let entries = std::fs::read_dir(guide).expect("the guide");
    let paths = entries.map(|entry| entry.expect("a page").path());
    let pages = paths.filter(|path| path.extension().is_some_and(|found| found == "md"));
    pages
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy();
            let page = std::fs::read_to_string(&path).expect("the page");
            (name.into_owned(), page)
        })
        .collect()
}

/// The lines of the blocks of a page that show what is printed.
fn shown(page: &str) -> Vec<&str> {
    let mut shown = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line == "```text" {
            shown.extend(lines.by_ref().take_while(|line| *line != "```"));
        }
    }
    shown
}

#[test]
fn a_message_in_the_guide_that_names_an_event_is_the_one_that_is_printed() {
    let printed = printed();
    let pages = pages();
    for (name, message) in &printed {
        let page = pages.iter().find(|(page, _)| page == name);
        let (_, page) = page.expect("the page is there");
        assert!(
            shown(page).contains(&message.as_str()),
            "{name} does not show what is printed:\n{message}"
        );
    }
    for (name, page) in &pages {
        for line in shown(page).into_iter().filter(|line| line.contains("bafy")) {
            assert!(
                printed.contains(&(name.as_str(), line.to_owned())),
                "{name} shows a message that no test prints; print it here:\n{line}"
            );
        }
    }
}

/// What the compiler says without our doing.
const OF_THE_COMPILER: [&str; 6] = [
    "error: recursion limit reached while expanding `#[on]`",
    "error[E0463]: can't find crate for `serde`",
    "error[E0433]: cannot find `jetstream` in `cim_es`",
    "error: async closure does not implement `Fn` because it captures state from its environment",
    "error[E0432]: unresolved import `cim_es::testing`",
    "error: no rules expected ",
];

#[test]
fn an_error_of_the_compiler_in_the_guide_is_one_that_a_case_records() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/ui");
    let mut recorded = BTreeSet::new();
    for path in files(&cases)
        .into_iter()
        .filter(|path| path.ends_with("case.stderr"))
    {
        let text = std::fs::read_to_string(&path).expect("the record");
        recorded.extend(text.lines().flat_map(said).map(|line| without_names(&line)));
    }
    assert!(recorded.len() > 100, "the cases were not found");
    for (name, page) in pages() {
        for line in shown(&page).into_iter().flat_map(said) {
            let is_known = recorded.contains(&without_names(&line))
                || OF_THE_COMPILER.iter().any(|known| line.starts_with(known));
            assert!(
                is_known,
                "{name} shows an error that no case of `tests/ui` records: add one, or correct it:\n{line}"
            );
        }
    }
}

/// What a line of a compiler's error says: the error itself, a label under the code, or a note.
fn said(line: &str) -> Option<String> {
    if line.starts_with("error") {
        return Some(line.to_owned());
    }
    let label = line.trim_start().strip_prefix('|').and_then(|under| {
        let at = under.rfind('^')?;
        Some(under[at + 1..].trim())
    });
    let said = label.or_else(|| line.trim_start().strip_prefix("= note: "))?;
    (!said.is_empty()).then(|| said.to_owned())
}

/// A message without what is between its backticks; a list of names is one name.
fn without_names(message: &str) -> String {
    let mut parts = message.split('`');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    while let (Some(_), rest) = (parts.next(), parts.next().unwrap_or_default()) {
        match rest {
            ", " => {}
            rest => {
                plain.push('`');
                plain.push_str(rest);
            }
        }
    }
    plain
        .chars()
        .filter(|found| !found.is_ascii_digit())
        .collect()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("the cases");
    let paths = entries.map(|entry| entry.expect("a case").path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => files(&path),
            false => vec![path],
        })
        .collect()
}
