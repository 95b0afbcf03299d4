//! What is made in tables is not made in the value.

use cim_es::prelude::*;

#[derive(DomainEvent, Debug, Serialize, Deserialize)]
#[event(domain = "library", name = "book")]
enum BookEvent {
    Returned,
}

#[derive(Projection)]
#[projection(name = "cards", version = 1, events = [BookEvent], tables = "CREATE TABLE {cards} (id TEXT)")]
struct Cards;

impl Project<BookEvent> for Cards {
    fn project(&mut self, _: BookEvent, _: &Source<'_, cim_es::event::Elsewhere>) {}
}

fn main() {}
