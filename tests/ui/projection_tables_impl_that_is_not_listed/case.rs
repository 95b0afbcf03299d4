//! What is made of an event that is not listed would never be made.

use cim_es::projection::{ProjectTables, ProjectionError, Tables};
use cim_es::prelude::*;

#[derive(DomainEvent, Debug, Serialize, Deserialize)]
#[event(domain = "library", name = "book")]
enum BookEvent {
    Returned,
}

#[derive(DomainEvent, Debug, Serialize, Deserialize)]
#[event(domain = "library", name = "reader")]
enum ReaderEvent {
    Registered,
}

#[derive(Projection)]
#[projection(name = "cards", version = 1, events = [BookEvent], tables = "CREATE TABLE {cards} (id TEXT)")]
struct Cards;

impl ProjectTables<BookEvent> for Cards {
    fn project(
        &self,
        _: BookEvent,
        _: &Source<'_, cim_es::event::Elsewhere>,
        _: &Tables<'_>,
    ) -> Result<(), ProjectionError> {
        Ok(())
    }
}

impl ProjectTables<ReaderEvent> for Cards {
    fn project(
        &self,
        _: ReaderEvent,
        _: &Source<'_, cim_es::event::Elsewhere>,
        _: &Tables<'_>,
    ) -> Result<(), ProjectionError> {
        Ok(())
    }
}

fn main() {}
