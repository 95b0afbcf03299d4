//! A view of documents is asked for in memory.

use cim_es::prelude::*;
use cim_es::event::Elsewhere;
use cim_es::projection::{ProjectDocuments, ProjectionError, ProjectionManager};

#[derive(DomainEvent, Debug, Serialize, Deserialize)]
#[event(domain = "library", name = "book")]
enum BookEvent {
    Returned,
}

#[derive(Document, Debug, Serialize, Deserialize)]
struct Card {
    title: String,
}

#[derive(Projection, Default)]
#[projection(name = "cards", version = 1, events = [BookEvent], documents = Card)]
struct Cards;

impl ProjectDocuments<BookEvent> for Cards {
    async fn project(
        &self,
        _: BookEvent,
        _: &Source<'_, Elsewhere>,
        _: &mut Documents<'_, Card>,
    ) -> Result<(), ProjectionError> {
        Ok(())
    }
}

fn open(manager: &ProjectionManager) {
    let _ = manager.in_memory::<Cards>();
}

fn main() {}
