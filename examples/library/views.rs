//! What can be asked: who has which books, in memory; and a card for each book, as documents.

use std::collections::{BTreeMap, BTreeSet};

use cim_es::prelude::*;
use cim_es::projection::{ProjectDocuments, ProjectionError};

use super::domain::{Book, BookEvent, BookEvent::*};

/// Which books each reader has.
#[derive(Projection, Clone, Debug, Default, PartialEq)]
#[projection(name = "loans", version = 1, events = [BookEvent::{Lent, Returned}])]
pub struct Loans {
    readers: BTreeMap<String, BTreeSet<Id<Book>>>,
    books: BTreeMap<Id<Book>, String>,
}

impl Project<BookEvent> for Loans {
    fn project(&mut self, event: BookEvent, at: &Source<Book>) {
        if let Some(reader) = self.books.remove(&at.id())
            && let Some(books) = self.readers.get_mut(&reader)
        {
            books.remove(&at.id());
        }
        if let Lent { reader } = event {
            self.books.insert(at.id(), reader.clone());
            self.readers.entry(reader).or_default().insert(at.id());
        }
    }
}

impl Loans {
    /// The readers who have books, and how many.
    pub fn readers(&self) -> impl Iterator<Item = (&str, usize)> {
        let readers = self.readers.iter();
        let readers = readers.map(|(reader, books)| (reader.as_str(), books.len()));
        readers.filter(|(_, books)| *books > 0)
    }
}

/// What is known of one book.
#[derive(Document, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Card {
    pub title: String,
    /// Who has it.
    #[index]
    pub reader: Option<String>,
    /// How many times it was lent.
    pub loans: u32,
}

/// A card for each book, by its id.
#[derive(Projection)]
#[projection(name = "cards", version = 1, events = [BookEvent], documents = Card)]
pub struct Cards;

impl ProjectDocuments<BookEvent> for Cards {
    async fn project(
        &self,
        event: BookEvent,
        at: &Source<'_, Book>,
        cards: &mut Documents<'_, Card>,
    ) -> Result<(), ProjectionError> {
        let mut card = cards.get(&at.id()).await?.unwrap_or_default();
        match event {
            Acquired { title } => card.title = title,
            Lent { reader } => {
                card.reader = Some(reader);
                card.loans += 1;
            }
            Returned => card.reader = None,
        }
        cards.put(&at.id(), card)?;
        Ok(())
    }
}
