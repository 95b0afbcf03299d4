//! Events are listed, and nothing says what rows of PostgreSQL are made of them.

use cim_es::projection::{ProjectTables, ProjectionError, Tables};
use cim_es::prelude::*;

#[derive(DomainEvent, Debug, Serialize, Deserialize)]
#[event(domain = "library", name = "book")]
enum BookEvent {
    Returned,
}

const TABLES: &str = "CREATE TABLE {cards} (id TEXT)";

#[derive(Projection)]
#[projection(name = "cards", version = 1, events = [BookEvent], tables = TABLES, postgres_tables = TABLES)]
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
