//! The desk: what is asked, and what is answered.

use std::convert::Infallible;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use cim_es::document::{DocumentError, Found};
use cim_es::prelude::*;
use cim_es::projection::{
    DocumentsView, InMemoryView, NotReady, OpenError, ProjectionManager, WaitError,
};
use cim_es::replay::{EventReplayService, ReplayError, ReplayFrom};
use cim_es::repository::ExecuteError;
use cim_es::store::read_model::{Page, UpTo};
use cim_es::store::{EventStore, Position, StoreError};
use cim_es::{SqliteEventStore, SqliteReadModels};
use clap::{Args, Subcommand};

use super::domain::{Book, BookCommand};
use super::views::{Card, Cards, Loans};
use crate::bar;

/// How long the views may take until they have counted what is there.
const PATIENCE: Duration = Duration::from_secs(600);

/// What can be asked of the desk.
#[derive(Clone, Debug, Subcommand)]
pub enum Question {
    /// Record a book that the library has
    Acquire {
        /// Its title
        title: String,
    },
    /// Lend a book
    Lend {
        /// Its id, as `list` shows it
        key: Id<Book>,
        /// Who takes it
        reader: String,
    },
    /// Take a book back
    Return {
        /// Its id, as `list` shows it
        key: Id<Book>,
    },
    /// Who has books, and how many
    Loans,
    /// What the card of a book says
    Card {
        /// The id of the book, as `list` shows it
        key: String,
    },
    /// The books that a reader has
    Find {
        /// The name of the reader
        reader: String,
        #[command(flatten)]
        page: Part,
    },
    /// All books
    List {
        #[command(flatten)]
        page: Part,
    },
    /// Go through everything once more, and compare what comes out with what is kept
    Replay,
}

/// Which part of a list.
#[derive(Args, Clone, Debug)]
pub struct Part {
    /// Begin behind this key: the last one of the page before
    #[arg(long, value_name = "KEY")]
    after: Option<String>,
    /// How many books at most
    #[arg(long, default_value_t = 20)]
    limit: usize,
}

impl Part {
    fn page(&self) -> Page {
        let first = Page::first(self.limit);
        match &self.after {
            Some(key) => first.after(key),
            None => first,
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    #[error("no book has the key `{0}`: `list` shows the keys")]
    NoBook(String),
    #[error(
        "the view that is kept is another than what a replay gives: build it again, and look into the projection"
    )]
    Differs,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Wait(#[from] WaitError),
    #[error(transparent)]
    Document(#[from] DocumentError),
    #[error(transparent)]
    View(#[from] NotReady),
    #[error(transparent)]
    Replay(#[from] ReplayError),
    #[error(transparent)]
    Execute(#[from] ExecuteError<Infallible>),
}

/// Where questions are answered: the books, and the views of them.
pub struct Desk {
    store: SqliteEventStore,
    books: Repository<Book>,
    projections: ProjectionManager,
    loans: InMemoryView<Loans>,
    cards: DocumentsView<Card>,
}

impl Desk {
    /// Opens a file of events, and the file of views beside it; the views are level then.
    ///
    /// # Errors
    /// [`DeskError`].
    pub async fn open(path: &Path) -> Result<Self, DeskError> {
        let store = SqliteEventStore::open(path)?;
        let storage = SqliteReadModels::open(path.with_extension("views.db"))?;
        let projections = ProjectionManager::new(store.clone());
        let desk = Self {
            books: Repository::new(store.clone()),
            loans: projections.in_memory::<Loans>().await?,
            cards: projections.documents::<Cards>(storage).await?,
            projections,
            store,
        };
        desk.count(desk.store.last_position().await?).await?;
        Ok(desk)
    }

    /// Waits until the views have counted everything up to a position.
    async fn count(&self, position: Position) -> Result<(), DeskError> {
        self.loans.wait_for(position, PATIENCE).await?;
        self.cards.wait_for(position, PATIENCE).await?;
        Ok(())
    }

    /// Answers a question, in lines for a person.
    ///
    /// # Errors
    /// [`DeskError`].
    pub async fn answer(&self, question: &Question) -> Result<String, DeskError> {
        match question {
            Question::Acquire { title } => {
                let key = Id::new();
                let title = title.clone();
                self.execute(&key, BookCommand::Acquire { title }).await?;
                Ok(format!("{key}\n"))
            }
            Question::Lend { key, reader } => {
                self.known(key).await?;
                let reader = reader.clone();
                self.execute(key, BookCommand::Lend { reader }).await
            }
            Question::Return { key } => {
                self.known(key).await?;
                self.execute(key, BookCommand::Return).await
            }
            Question::Loans => self.loans().await,
            Question::Card { key } => self.card(key).await,
            Question::Find { reader, page } => {
                let found = self.cards.find("reader", reader, &page.page()).await?;
                Ok(listed(&found))
            }
            Question::List { page } => Ok(listed(&self.cards.list(&page.page()).await?)),
            Question::Replay => self.replay().await,
        }
    }

    async fn known(&self, key: &Id<Book>) -> Result<(), DeskError> {
        match self.cards.get(key).await?.value {
            Some(_) => Ok(()),
            None => Err(DeskError::NoBook(key.to_string())),
        }
    }

    /// What was done is in the next answer.
    async fn execute(&self, key: &Id<Book>, command: BookCommand) -> Result<String, DeskError> {
        let identity = MessageIdentity::new_from_user("the desk");
        let commit = self.books.execute(key, command, &identity).await?;
        self.count(commit.position()).await?;
        Ok(String::new())
    }

    async fn loans(&self) -> Result<String, DeskError> {
        let answer = self.loans.read(|loans| {
            let lines = loans.readers().map(|(reader, books)| match books {
                1 => format!("{reader} has 1 book\n"),
                _ => format!("{reader} has {books} books\n"),
            });
            lines.collect::<String>()
        });
        let answer = answer.await?;
        Ok(answer.value + &true_up_to(answer.position))
    }

    async fn card(&self, key: &str) -> Result<String, DeskError> {
        let UpTo { value, position } = self.cards.get(key).await?;
        let card = value.ok_or_else(|| DeskError::NoBook(key.to_owned()))?;
        let where_it_is = match &card.reader {
            Some(reader) => format!("{reader} has it"),
            None => "it is here".to_owned(),
        };
        let (title, loans) = (&card.title, card.loans);
        Ok(format!(
            "{title}: {where_it_is}, lent {loans} times\n{}",
            true_up_to(position)
        ))
    }

    async fn replay(&self) -> Result<String, DeskError> {
        let replay = EventReplayService::new(self.store.clone());
        let replay = replay.replay_all_events(ReplayFrom::Start);
        let progress = replay.progress();
        let (anew, stats) = bar::drawn(progress, replay.project::<Loans>()).await?;
        let kept = self.loans.read(|loans| *loans == anew).await?;
        match kept.value {
            true => Ok(format!("{stats}\n{}", true_up_to(kept.position))),
            false => Err(DeskError::Differs),
        }
    }

    /// Ends in order.
    pub async fn close(self) {
        self.projections.stop().await;
        self.store.close().await;
    }
}

/// A page of cards, and how to ask for the next one.
fn listed(page: &UpTo<Found<Card>>) -> String {
    let mut text = String::new();
    for found in &page.value.documents {
        let Card { title, reader, .. } = &found.document;
        let reader = reader.as_deref().unwrap_or("here");
        // Writing into a text does not fail.
        let _ = writeln!(text, "{}  {title} ({reader})", found.key);
    }
    if let Some(key) = &page.value.next {
        let _ = writeln!(text, "more with --after {key}");
    }
    text + &true_up_to(page.position)
}

fn true_up_to(position: Position) -> String {
    format!("true up to position {position}\n")
}
