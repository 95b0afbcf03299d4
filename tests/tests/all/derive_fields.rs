//! Fields that belong to a state, and updates that leave a field as it is.

use cim_es::prelude::*;

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
pub enum BookCommand {
    Acquire,
    Lend,
    Renew,
    Describe,
    Return,
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "library", name = "book")]
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

fn on_loan() -> Book {
    let mut book = Book::default();
    book.apply(BookEvent::Acquired {
        title: "Emma".into(),
    })
    .unwrap();
    let lent = BookEvent::Lent {
        reader: "Ann".into(),
        due: 5,
    };
    book.apply(lent).unwrap();
    book
}

#[test]
fn a_field_of_a_state_is_cleared_when_the_state_is_left() {
    let mut book = on_loan();
    assert_eq!((book.reader.as_deref(), book.due), (Some("Ann"), 5));
    book.apply(BookEvent::Renewed { due: 7 }).unwrap();
    assert_eq!((book.reader.as_deref(), book.due), (Some("Ann"), 7));
    book.apply(BookEvent::Returned).unwrap();
    assert_eq!((book.reader, book.due), (None, 0));
    assert_eq!(book.title.as_deref(), Some("Emma"));
}

#[test]
fn an_aggregate_tells_which_fields_belong_to_which_states() {
    let expected: [(&str, &[&str]); 2] = [("reader", &["OnLoan"]), ("due", &["OnLoan"])];
    assert_eq!(Book::IN_STATES, expected);
}

#[test]
fn an_absent_field_erases_unless_it_is_kept() {
    let mut book = Book::default();
    book.apply(BookEvent::Acquired {
        title: "Emma".into(),
    })
    .unwrap();
    let described = |note: Option<&str>, shelf| BookEvent::Described {
        note: note.map(str::to_owned),
        shelf,
    };
    book.apply(described(Some("worn"), Some(3))).unwrap();
    book.apply(described(None, None)).unwrap();
    assert_eq!((book.note.as_deref(), book.shelf), (Some("worn"), None));
    book.apply(described(Some("mended"), None)).unwrap();
    assert_eq!(book.note.as_deref(), Some("mended"));
}
