//! A view in tables is opened in the home that it has.

use cim_es::projection::{ProjectTables, ProjectionError, ProjectionManager, Tables};
use cim_es::prelude::*;

#[derive(DomainEvent, Debug, Serialize, Deserialize)]
#[event(domain = "library", name = "book")]
enum BookEvent {
    Returned,
}

#[derive(Projection, Default)]
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

fn main() {
    let manager = ProjectionManager::new(MemoryEventStore::new());
    let _ = manager.in_memory::<Cards>();
}
