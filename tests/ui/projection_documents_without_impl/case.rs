//! Events are listed, and nothing says what documents are made of them.

use cim_es::prelude::*;

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
struct Cards;

fn main() {}
