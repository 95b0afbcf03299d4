//! The tables are declared in SQL.

use cim_es::prelude::*;

#[derive(DomainEvent, Debug, Serialize, Deserialize)]
#[event(domain = "library", name = "book")]
enum BookEvent {
    Returned,
}

#[derive(Projection)]
#[projection(name = "cards", version = 1, events = [BookEvent], tables = 1)]
struct Cards;

fn main() {}
