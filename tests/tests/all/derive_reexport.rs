//! The derives and macros under another name of the crate, and through a crate that re-exports it.

mod facade {
    pub use cim_es as es;
}

mod domain {
    // A name that the code of the derives would find, if any of it still named the crate by itself.
    #[allow(unused_imports)]
    use super::facade as cim_es;
    use super::facade::es::prelude::*;

    #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[machine(crate = super::facade::es)]
    pub enum BookState {
        #[state(initial)]
        #[on(Acquire / Acquired => Available)]
        Unknown,
        #[on(Lend / Lent => OnLoan)]
        #[on(Describe / Described => _)]
        Available,
        #[on(Renew / Renewed => _)]
        #[on(Return / Returned => Available)]
        OnLoan,
    }

    #[derive(DomainEvent, Clone, Debug, Serialize, Deserialize)]
    #[event(crate = super::facade::es)]
    pub enum BookEvent {
        Acquired {
            title: String,
        },
        Lent {
            reader: String,
            due: u64,
        },
        Renewed {
            due: u64,
        },
        Described {
            #[event(keep)]
            note: Option<String>,
            shelf: Option<u8>,
        },
        Returned,
    }

    #[allow(dead_code)]
    #[derive(Command, Clone, Debug)]
    #[command(crate = super::facade::es)]
    pub enum BookCommand {
        Acquire,
        Lend,
        Renew,
        Describe,
        Return,
    }

    #[derive(AggregateId, Clone, Debug, PartialEq, Eq, Hash)]
    #[aggregate_id(crate = super::facade::es)]
    pub struct Isbn(pub String);

    #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
    #[aggregate(domain = "library", name = "book", id = Isbn, crate = super::facade::es)]
    pub struct Book {
        state: BookState,
        pub title: Option<String>,
        #[in_state(OnLoan)]
        pub reader: Option<String>,
        #[in_state(OnLoan)]
        pub due: u64,
        pub note: Option<String>,
        pub shelf: Option<u8>,
    }

    domain!(crate = super::facade::es, pub LIBRARY = [BookEvent]);

    pub const LENT: Subject<BookEvent> =
        subject!(crate = super::facade::es, BookEvent, "library.book.lent");
    pub const ALL: Filter<BookEvent> =
        filter!(crate = super::facade::es, BookEvent, "library.book.*");

    value!(pub Title: "title", "a text that is not empty", |text: &str| !text.is_empty());
}

#[test]
fn an_aggregate_is_declared_through_a_crate_that_re_exports() {
    use domain::{ALL, Book, BookEvent, Isbn, LENT, LIBRARY, Title};
    use facade::es::prelude::*;

    let mut book = Book::default();
    let title = Title::new("Emma").unwrap().to_string();
    book.apply(BookEvent::Acquired { title }).unwrap();
    assert_eq!(book.title.as_deref(), Some("Emma"));
    assert!(ALL.matches(LENT.as_str()));
    assert_eq!(LIBRARY.subjects().count(), 5);
    assert_eq!(
        Isbn("978-0.14".into()).text().unwrap().token(),
        "978-0%2E14"
    );
}
