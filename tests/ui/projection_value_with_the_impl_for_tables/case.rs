//! Where no tables are declared there is nothing to write to.

use cim_es::projection::{ProjectTables, ProjectionError, Tables};
use cim_es::prelude::*;

#[derive(DomainEvent, Debug, Serialize, Deserialize)]
#[event(domain = "library", name = "book")]
enum BookEvent {
    Returned,
}

#[derive(Projection, Default)]
#[projection(name = "cards", version = 1, events = [BookEvent])]
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

fn main() {}
