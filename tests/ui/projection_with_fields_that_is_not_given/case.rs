//! A projection has fields, and nobody says which value is to project.

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

#[derive(Projection)]
#[projection(name = "cards", version = 1, events = [BookEvent], documents = Card)]
struct Cards {
    prefix: String,
}

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
    let _ = manager.documents::<Cards>(cim_es::MemoryReadModels::new());
}

fn main() {}
