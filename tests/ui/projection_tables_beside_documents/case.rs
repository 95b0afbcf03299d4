//! A view is kept in one form.

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
#[projection(
    name = "cards",
    version = 1,
    events = [BookEvent],
    documents = Card,
    tables = "CREATE TABLE {cards} (id TEXT)",
)]
struct Cards;

fn main() {}
