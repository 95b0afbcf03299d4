//! Keeps people: imports them from vCard files and shows what is known; `--help` says more.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use cim_es::jetstream::{EventStoreConfig, NatsConfig, OpenError};
use cim_es::prelude::*;
use cim_es::repository::{ExecuteError, LoadError};
use cim_es::store::read_model::Page;
use cim_es::store::{EventStore, StoreError};
use cim_es_examples::person::import::{ImportError, Mode, Outcome, import};
use cim_es_examples::person::merge::{MergeError, merge};
use cim_es_examples::person::search::{Search, SearchError};
use cim_es_examples::person::values::{Label, Reason};
use cim_es_examples::person::vcard::{Cards, Identify};
use cim_es_examples::person::{Person, PersonCommand, PersonError, view};
use cim_es_examples::place::{self, PlaceError};
use cim_es_examples::terminal;
use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

/// Keeps people: who they are, as far as it is known, and how it came to be known.
#[derive(Parser)]
#[command(name = "person", version)]
struct Args {
    /// The SQLite file that keeps the people [default: person.db in the user's data directory]
    #[arg(long, value_name = "FILE", global = true)]
    store: Option<PathBuf>,

    /// Keep them in the stream PEOPLE_EVENTS on a NATS server with JetStream instead, such as nats://127.0.0.1:4222
    #[arg(long, value_name = "URL", global = true, conflicts_with = "store")]
    nats: Option<String>,

    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Record what the cards of a vCard file (version 3.0 or 4.0) say: names, dates of birth and death, attributes
    ///
    /// Contacts, addresses and employment are left out. A bad card is reported with its line and leaves nothing; the
    /// others are imported. A second import of the same file changes nothing.
    Import {
        /// The file
        file: PathBuf,
        /// Record nothing when a single card is bad
        #[arg(long)]
        all_or_nothing: bool,
        /// Know the people of cards without UID again by name and birth date: two who share both are then one
        #[arg(long)]
        by_name: bool,
    },
    /// List everybody
    List,
    /// Look for people by words of their names
    Find {
        /// One word or several, such as `lovelace` or "ada lovelace"
        name: String,
        /// Begin behind this id: the last one of the page before
        #[arg(long, value_name = "ID")]
        after: Option<String>,
        /// How many at most
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Show one person
    Show {
        /// The id, as `list` shows it
        id: Id<Person>,
        /// As it was known at a time, such as 2026-01-31T12:00:00Z
        #[arg(long, value_name = "TIME")]
        at: Option<Timestamp>,
    },
    /// Show how it came to be known
    History {
        /// The id, as `list` shows it
        id: Id<Person>,
    },
    /// Merge a record into another of the same person
    Merge {
        /// The record that ends
        id: Id<Person>,
        /// The record that stands for the person from now on
        target: Id<Person>,
        /// Why the two are the same
        reason: Reason,
    },
    /// Take a record out of use
    Deactivate {
        /// The id, as `list` shows it
        id: Id<Person>,
        /// Why
        reason: Reason,
    },
    /// Take a record into use again
    Reactivate {
        /// The id, as `list` shows it
        id: Id<Person>,
        /// Why
        reason: Reason,
    },
    /// Close the record of somebody who has died, or one that is out of use
    Archive {
        /// The id, as `list` shows it
        id: Id<Person>,
        /// Why
        reason: Reason,
    },
}

/// Why the program could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
enum ProgramError {
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error("{} cannot be read", .file.display())]
    File {
        file: PathBuf,
        source: std::io::Error,
    },
    #[error("the output cannot be written")]
    Output(#[from] std::io::Error),
    #[error("the name of the file stands for the source of its cards, and cannot")]
    Source(#[from] ValueError),
    #[error("nobody has id {0}: `list` shows the ids")]
    Nobody(Id<Person>),
    #[error("nothing was known of {id} at {time}: `history` shows since when")]
    NotYet { id: Id<Person>, time: Timestamp },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Import(#[from] ImportError),
    #[error(transparent)]
    Merge(#[from] MergeError),
    #[error(transparent)]
    Search(#[from] SearchError),
    #[error(transparent)]
    Execute(#[from] ExecuteError<PersonError>),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = run(&Args::parse()).await;
    let written = outcome.and_then(|(text, code)| {
        terminal::print(&text)?;
        Ok(code)
    });
    written.unwrap_or_else(|error| terminal::fail(&error))
}

/// Gives what there is to say, and how the program ends.
async fn run(args: &Args) -> Result<(String, ExitCode), ProgramError> {
    let store = open(args).await?;
    let persons = Repository::<Person>::new(store.clone());
    let text = match &args.action {
        Action::Import {
            file,
            all_or_nothing,
            by_name,
        } => {
            let mode = match all_or_nothing {
                true => Mode::AllOrNothing,
                false => Mode::EachCard,
            };
            let identify = match by_name {
                true => Identify::ByUidOrName,
                false => Identify::ByUid,
            };
            return import_file(&persons, file, mode, identify).await;
        }
        Action::List => {
            let everybody = persons.load_all().await?;
            let count = counted(everybody.len(), "person", "people");
            format!("{}\n{count}\n", view::list(&everybody).trim_fmt())
        }
        Action::Find { name, after, limit } => {
            let first = Page::first(*limit);
            let page = match after {
                Some(id) => first.after(id),
                None => first,
            };
            find(args, store, name, &page).await?
        }
        Action::Show { id, at } => {
            let person = match at {
                Some(time) => persons.load_at(id, *time).await?,
                None => persons.load(id).await?,
            };
            match (person.version(), at) {
                (0, Some(time)) => {
                    return Err(ProgramError::NotYet {
                        id: *id,
                        time: *time,
                    });
                }
                (0, None) => return Err(ProgramError::Nobody(*id)),
                _ => format!("{}\n", view::person(id, &person).trim_fmt()),
            }
        }
        Action::History { id } => {
            let history = persons.history(id).await?;
            if history.is_empty() {
                return Err(ProgramError::Nobody(*id));
            }
            format!("{}\n", view::history(&history).trim_fmt())
        }
        Action::Merge { id, target, reason } => {
            let identity = MessageIdentity::new_from_user("command line");
            merge(&persons, id, *target, reason.clone(), &identity).await?;
            format!("{id} is merged into {target}.\n")
        }
        Action::Deactivate { id, reason } => {
            let reason = reason.clone();
            execute(&persons, id, PersonCommand::Deactivate { reason }).await?
        }
        Action::Reactivate { id, reason } => {
            let reason = reason.clone();
            execute(&persons, id, PersonCommand::Reactivate { reason }).await?
        }
        Action::Archive { id, reason } => {
            let reason = reason.clone();
            execute(&persons, id, PersonCommand::Archive { reason }).await?
        }
    };
    Ok((text, ExitCode::SUCCESS))
}

async fn execute(
    persons: &Repository<Person>,
    id: &Id<Person>,
    command: PersonCommand,
) -> Result<String, ProgramError> {
    let identity = MessageIdentity::new_from_user("command line");
    if persons.load(id).await?.version() == 0 {
        return Err(ProgramError::Nobody(*id));
    }
    persons.execute(id, command, &identity).await?;
    let person = persons.load(id).await?;
    Ok(format!("{}\n", view::person(id, &person).trim_fmt()))
}

/// Those who were found, each with an id, and how to ask for the next page.
async fn find(
    args: &Args,
    store: Arc<dyn EventStore>,
    name: &str,
    page: &Page,
) -> Result<String, ProgramError> {
    let beside = match &args.nats {
        Some(_) => None,
        None => Some(place::file(args.store.as_deref(), "person.db", false)?),
    };
    let search = Search::open(store, beside.as_deref()).await?;
    let found = search.find(name, page).await?;
    search.close().await;
    let mut text = format!("{}\n", view::entries(&found.value.documents).trim_fmt());
    if let Some(id) = &found.value.next {
        text += &format!("There may be more: ask again with --after {id}\n");
    }
    let count = counted(found.value.documents.len(), "person", "people");
    Ok(text + &format!("{count}, as it was at position {}\n", found.position))
}

async fn open(args: &Args) -> Result<Arc<dyn EventStore>, ProgramError> {
    if let Some(server) = &args.nats {
        let stream = EventStoreConfig::new("PEOPLE_EVENTS", ["people.>"]);
        let stores = NatsConfig::new([server]).event_store(stream).open().await?;
        return Ok(Arc::new(stores));
    }
    let may_begin = matches!(args.action, Action::Import { .. });
    let path = place::file(args.store.as_deref(), "person.db", may_begin)?;
    Ok(Arc::new(SqliteEventStore::open(path)?))
}

async fn import_file(
    persons: &Repository<Person>,
    file: &Path,
    mode: Mode,
    identify: Identify,
) -> Result<(String, ExitCode), ProgramError> {
    let bytes = std::fs::read(file).map_err(|source| ProgramError::File {
        file: file.to_owned(),
        source,
    })?;
    let name = file
        .file_name()
        .unwrap_or(file.as_os_str())
        .to_string_lossy();
    let source: Label = name.parse()?;
    let cards = Cards::read(&bytes, identify);
    let passes = match mode {
        Mode::EachCard => 1,
        Mode::AllOrNothing => 2,
    };
    let bar = ProgressBar::new(passes * cards.people.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos} of {len} steps, {eta} left") {
        bar.set_style(style);
    }
    let outcome = import(persons, &cards, &source, mode, || bar.inc(1));
    let outcome = outcome.await?;
    bar.finish_and_clear();
    for bad in &outcome.bad {
        terminal::complain(format_args!("{source}, {bad}"));
    }
    let code = match outcome.bad.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    };
    Ok((report(&source, &cards, &outcome, mode), code))
}

fn report(source: &Label, cards: &Cards, outcome: &Outcome, mode: Mode) -> String {
    let is_stopped = mode == Mode::AllOrNothing && !outcome.bad.is_empty();
    let bad = counted(outcome.bad.len(), "bad card", "bad cards");
    let mut text = match (is_stopped, outcome.bad.len()) {
        (true, _) => format!("Nothing was imported: {bad}.\n"),
        (false, 0) => format!("Imported {source}.\n"),
        (false, _) => format!("Imported {source} without {bad}.\n"),
    };
    let mut line = |line: String| text += &format!("{line}\n");
    if !is_stopped {
        for (count, what) in [
            (outcome.new, "new"),
            (outcome.changed, "changed"),
            (outcome.unchanged, "known as they are"),
            (outcome.closed, "archived or merged, and left as they are"),
        ] {
            if count > 0 {
                line(format!("{} {what}", counted(count, "person", "people")));
            }
        }
        let events: usize = outcome.events.values().sum();
        line(format!("{} recorded", counted(events, "event", "events")));
        for (event_type, count) in &outcome.events {
            line(format!("  {count} {event_type}"));
        }
    }
    if cards.others > 0 {
        let others = counted(cards.others, "card", "cards");
        line(format!(
            "{others} of groups, organizations or things left out"
        ));
    }
    let left_out: usize = cards.left_out.values().sum();
    if left_out > 0 {
        let names = cards.left_out.iter();
        let names: Vec<_> = names
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        let properties = counted(left_out, "property", "properties");
        line(format!("{properties} left out: {}", names.join(", ")));
    }
    text
}

/// A number of things, in words that fit it.
fn counted(count: usize, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}
