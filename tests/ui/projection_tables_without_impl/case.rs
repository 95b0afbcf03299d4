//! Events are listed, and nothing says what rows are made of them.

use cim_es::prelude::*;

#[derive(DomainEvent, Debug, Serialize, Deserialize)]
#[event(domain = "library", name = "book")]
enum BookEvent {
    Returned,
}

#[derive(Projection)]
#[projection(name = "cards", version = 1, events = [BookEvent], tables = "CREATE TABLE {cards} (id TEXT)")]
struct Cards;

fn main() {}
