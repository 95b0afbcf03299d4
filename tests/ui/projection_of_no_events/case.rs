//! A view that is made of no events.

use cim_es::prelude::*;

mod lending {
    use cim_es::prelude::*;

    #[derive(DomainEvent, Debug, Serialize, Deserialize)]
    #[event(domain = "library", name = "book")]
    pub enum BookEvent {
        Lent { reader: String },
        Returned,
    }

    #[derive(DomainEvent, Debug, Serialize, Deserialize)]
    #[event(domain = "library", name = "reader")]
    pub enum ReaderEvent {
        Registered { name: String },
    }
}

use cim_es::event::Elsewhere;
use lending::BookEvent;

#[derive(Projection, Debug, Default)]
#[projection(name = "loans", version = 1, events = [])]
struct Loans;

impl Project<BookEvent> for Loans {
    fn project(&mut self, _: BookEvent, _: &Source<Elsewhere>) {}
}

fn main() {}
