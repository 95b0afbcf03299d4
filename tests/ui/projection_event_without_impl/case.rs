//! An enum of events is listed, and nothing says what is made of it.

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
use lending::{BookEvent, ReaderEvent};

#[derive(Projection, Debug, Default)]
#[projection(name = "loans", version = 1, events = [BookEvent, ReaderEvent])]
struct Loans;

impl Project<BookEvent> for Loans {
    fn project(&mut self, _: BookEvent, _: &Source<Elsewhere>) {}
}

fn main() {}
