//! People as documents, found by the words of their names.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cim_es::document::{DocumentError, Found};
use cim_es::prelude::*;
use cim_es::projection::{
    DocumentsView, OpenError, ProjectDocuments, ProjectionError, ProjectionManager, WaitError,
};
use cim_es::store::read_model::{Page, ReadModelStorage, UpTo};
use cim_es::store::{EventStore, StoreError};
use cim_es::{MemoryReadModels, SqliteReadModels};

use super::aggregate::{Person, PersonEvent, PersonEvent::*};
use super::date::Date;
use super::name::PersonName;

/// How long the view may take until it has counted what is there.
const PATIENCE: Duration = Duration::from_secs(600);

/// What is shown of somebody who was found.
#[derive(Document, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub name: PersonName,
    /// The words of the name, without regard to case.
    #[index]
    pub words: Vec<String>,
    pub birth_date: Option<Date>,
}

/// An entry for each person whose record stands for somebody.
#[derive(Projection)]
#[projection(
    name = "people",
    version = 1,
    events = [PersonEvent::{Created, NameUpdated, BirthDateSet, BirthDateCorrected, MergedInto, Archived}],
    documents = Entry
)]
pub struct People;

impl ProjectDocuments<PersonEvent> for People {
    async fn project(
        &self,
        event: PersonEvent,
        at: &Source<'_, Person>,
        people: &mut Documents<'_, Entry>,
    ) -> Result<(), ProjectionError> {
        let known = people.get(&at.id()).await?;
        let entry = match (event, known) {
            (Created { name, .. }, _) => Entry {
                words: words(&name.to_string()),
                name,
                birth_date: None,
            },
            (NameUpdated { new, .. }, Some(known)) => Entry {
                words: words(&new.to_string()),
                name: new,
                ..known
            },
            (BirthDateSet { date } | BirthDateCorrected { date, .. }, Some(known)) => Entry {
                birth_date: Some(date),
                ..known
            },
            // Another record stands for the person, or none.
            (MergedInto { .. } | Archived { .. }, _) => {
                people.delete(&at.id())?;
                return Ok(());
            }
            _ => return Ok(()),
        };
        people.put(&at.id(), entry)?;
        Ok(())
    }
}

/// The words of a text, each once, as they are compared.
fn words(text: &str) -> Vec<String> {
    let parts = text.split(|it: char| !it.is_alphanumeric() && it != '\'');
    let words = parts.filter(|word| !word.is_empty());
    let mut words: Vec<String> = words.map(str::to_lowercase).collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// Why nobody can be looked for.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    #[error("a name has a word at least: `{0}` has none")]
    NoWord(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Wait(#[from] WaitError),
    #[error(transparent)]
    Document(#[from] DocumentError),
}

/// Looks for people by their names.
pub struct Search {
    projections: ProjectionManager,
    people: DocumentsView<Entry>,
}

impl Search {
    /// Keeps the entries of the people of a store, in a file beside theirs, or in memory; it is level then.
    ///
    /// # Errors
    /// [`SearchError`].
    pub async fn open(
        store: Arc<dyn EventStore>,
        beside: Option<&Path>,
    ) -> Result<Self, SearchError> {
        let storage: Arc<dyn ReadModelStorage> = match beside {
            Some(path) => Arc::new(SqliteReadModels::open(path.with_extension("views.db"))?),
            None => Arc::new(MemoryReadModels::new()),
        };
        let end = store.last_position().await?;
        let projections = ProjectionManager::new(store);
        let people = projections.documents::<People>(storage).await?;
        people.wait_for(end, PATIENCE).await?;
        Ok(Self {
            projections,
            people,
        })
    }

    /// Those with all words of a text in their names, of a page of those with the first of them.
    ///
    /// # Errors
    /// [`SearchError`].
    pub async fn find(&self, name: &str, page: &Page) -> Result<UpTo<Found<Entry>>, SearchError> {
        let wanted = words(name);
        // The longest word is most likely the rarest.
        let Some(rarest) = wanted.iter().max_by_key(|word| word.len()) else {
            return Err(SearchError::NoWord(name.to_owned()));
        };
        let mut found = self.people.find("words", rarest, page).await?;
        let has_all = |entry: &Entry| wanted.iter().all(|word| entry.words.contains(word));
        found.value.documents.retain(|it| has_all(&it.document));
        Ok(found)
    }

    /// Ends in order.
    pub async fn close(self) {
        self.projections.stop().await;
    }
}
