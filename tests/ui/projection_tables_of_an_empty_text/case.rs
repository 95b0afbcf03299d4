//! An empty text declares no table.

use cim_es::prelude::*;

#[derive(DomainEvent, Debug, Serialize, Deserialize)]
#[event(domain = "library", name = "book")]
enum BookEvent {
    Returned,
}

#[derive(Projection)]
#[projection(name = "cards", version = 1, events = [BookEvent], tables = "")]
struct Cards;

fn main() {}
