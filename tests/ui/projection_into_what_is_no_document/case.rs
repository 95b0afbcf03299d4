//! What a projection names as its documents is none.

use cim_es::prelude::*;
use cim_es::event::Elsewhere;
use cim_es::projection::{ProjectDocuments, ProjectionError};

#[derive(DomainEvent, Debug, Serialize, Deserialize)]
#[event(domain = "library", name = "book")]
enum BookEvent {
    Returned,
}

#[derive(Debug, Serialize, Deserialize)]
struct Card {
    title: String,
}

#[derive(Projection)]
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

fn main() {}
