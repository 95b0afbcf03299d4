//! One stored event that is read as several: on every way of reading, and as one version.

use std::collections::BTreeMap;

use cim_es::event::PayloadError;
use cim_es::prelude::*;
use cim_es::repository::{ExecuteError, LoadError};
use cim_es::store::{Bookmark, EventStore, Position, Selection, TryStreamExt};
use cim_es::testing::read_stored_all;

/// The release that wrote: a loan says when it is due, and a return what it costs.
mod before {
    use cim_es::prelude::*;

    #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum BookState {
        #[state(initial)]
        #[on(Lend / Lent => OnLoan)]
        #[on(Stamp / Stamped => _)]
        Available,
        #[on(Return / Returned => Available)]
        #[on(Lose / LostAndPaid => Gone)]
        OnLoan,
        #[state(terminal)]
        Gone,
    }

    #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub enum BookEvent {
        Lent {
            reader: String,
            due: u64,
        },
        #[apply(_ = fine)]
        Returned {
            fine: u64,
        },
        #[apply(_ = price)]
        LostAndPaid {
            price: u64,
        },
        Stamped,
    }

    #[derive(Command, Clone, Debug)]
    pub enum BookCommand {
        Lend,
        Return(u64),
        Lose,
        Stamp,
    }

    #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
    #[aggregate(domain = "library", name = "book")]
    pub struct Book {
        state: BookState,
        reader: Option<String>,
        due: Option<u64>,
    }

    impl Decide for Book {
        fn decide(&self, command: BookCommand, _: &Context) -> Decision<Self> {
            match command {
                BookCommand::Lend => {
                    let reader = "Ann".to_owned();
                    emit(BookEvent::Lent { reader, due: 20 })
                }
                BookCommand::Return(fine) => emit(BookEvent::Returned { fine }),
                BookCommand::Lose => emit(BookEvent::LostAndPaid { price: 9 }),
                BookCommand::Stamp => emit(BookEvent::Stamped),
            }
        }
    }
}

/// The release that reads: loans and their terms are apart, fines are events of their own, stamps were never of interest.
mod now {
    use cim_es::prelude::*;

    #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum BookState {
        #[state(initial)]
        #[on(Lend / Lent => Lending)]
        Available,
        #[on(Lend / TermSet => OnLoan)]
        Lending,
        #[on(Return / Returned => Available)]
        #[on(Return / Fined => _)]
        #[on(Lose / Lost => Gone)]
        OnLoan,
        #[state(terminal)]
        Gone,
    }

    #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub enum BookEvent {
        #[event(version = 3)]
        #[upcast(from = 1, with = super::upcast::due_is_a_day)]
        #[upcast(from = 2, into_several = super::upcast::loan_and_term)]
        #[apply(read.push(format!("lent to {reader}")))]
        Lent { reader: String },
        #[event(version = 2)]
        #[upcast(from = 1, with = super::upcast::day_of_term)]
        #[apply(read.push(format!("until {until}")))]
        TermSet { until: u64 },
        #[apply(read.push(format!("fined {fine}")))]
        Fined { fine: u64 },
        #[event(version = 2)]
        #[upcast(from = 1, into_several = super::upcast::fine_and_return)]
        #[apply(read.push("returned".to_owned()))]
        Returned,
        #[apply(read.push("lost".to_owned()))]
        Lost,
        #[event(version = 2, retired)]
        #[upcast(from = 1, into_several = super::upcast::lost_and_fined)]
        LostAndPaid,
        #[event(version = 2, retired)]
        #[upcast(from = 1, into_several = super::upcast::nothing_at_all)]
        Stamped,
    }

    #[derive(Command, Clone, Debug)]
    pub enum BookCommand {
        Lend,
        Return,
        Lose,
    }

    #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
    #[aggregate(domain = "library", name = "book")]
    pub struct Book {
        state: BookState,
        pub read: Vec<String>,
    }

    impl Decide for Book {
        fn decide(&self, command: BookCommand, _: &Context) -> Decision<Self> {
            match command {
                BookCommand::Lend => emit_all([
                    BookEvent::Lent {
                        reader: "Bea".to_owned(),
                    },
                    BookEvent::TermSet { until: 77 },
                ]),
                BookCommand::Return => emit(BookEvent::Returned),
                BookCommand::Lose => emit(BookEvent::Lost),
            }
        }
    }
}

mod upcast {
    use super::now::BookEvent;
    use super::*;

    fn map(payload: Ipld) -> Result<BTreeMap<String, Ipld>, UpcastError> {
        match payload {
            Ipld::Map(map) => Ok(map),
            _ => Err(UpcastError::new("not a map")),
        }
    }

    fn take(map: &mut BTreeMap<String, Ipld>, field: &str) -> Result<Ipld, UpcastError> {
        let value = map.remove(field);
        value.ok_or_else(|| UpcastError::new(format!("no `{field}`")))
    }

    pub fn due_is_a_day(payload: Ipld) -> Result<Ipld, UpcastError> {
        let mut map = map(payload)?;
        let due = take(&mut map, "due")?;
        map.insert("day".to_owned(), due);
        Ok(Ipld::Map(map))
    }

    /// The term in its version 1, which its own upcaster brings further.
    pub fn loan_and_term(
        payload: Ipld,
        envelope: &EnvelopeView<'_>,
    ) -> Result<Vec<UpcastEvent>, UpcastError> {
        assert_eq!(envelope.event_type, "library.book.lent");
        let mut loan = map(payload)?;
        let term = Ipld::Map([("day".to_owned(), take(&mut loan, "day")?)].into());
        Ok(vec![
            UpcastEvent::new(subject!(BookEvent, "library.book.lent"), 3, Ipld::Map(loan)),
            UpcastEvent::new(subject!(BookEvent, "library.book.term_set"), 1, term),
        ])
    }

    pub fn day_of_term(payload: Ipld) -> Result<Ipld, UpcastError> {
        let day = take(&mut map(payload)?, "day")?;
        Ok(Ipld::Map([("until".to_owned(), day)].into()))
    }

    /// A fine of nothing was none.
    pub fn fine_and_return(
        payload: Ipld,
        _: &EnvelopeView<'_>,
    ) -> Result<Vec<UpcastEvent>, UpcastError> {
        let fine = take(&mut map(payload)?, "fine")?;
        let nothing = Ipld::Map(BTreeMap::new());
        let returned = UpcastEvent::new(subject!(BookEvent, "library.book.returned"), 2, nothing);
        if fine == Ipld::Integer(0) {
            return Ok(vec![returned]);
        }
        let fined = Ipld::Map([("fine".to_owned(), fine)].into());
        let fined = UpcastEvent::new(subject!(BookEvent, "library.book.fined"), 1, fined);
        Ok(vec![fined, returned])
    }

    pub fn lost_and_fined(
        payload: Ipld,
        _: &EnvelopeView<'_>,
    ) -> Result<Vec<UpcastEvent>, UpcastError> {
        let price = take(&mut map(payload)?, "price")?;
        let nothing = Ipld::Map(BTreeMap::new());
        let fined = Ipld::Map([("fine".to_owned(), price)].into());
        Ok(vec![
            UpcastEvent::new(subject!(BookEvent, "library.book.fined"), 1, fined),
            UpcastEvent::new(subject!(BookEvent, "library.book.lost"), 1, nothing),
        ])
    }

    pub fn nothing_at_all(_: Ipld, _: &EnvelopeView<'_>) -> Result<Vec<UpcastEvent>, UpcastError> {
        Ok(Vec::new())
    }
}

fn desk() -> MessageIdentity {
    MessageIdentity::new_from_user("desk")
}

const ID: Uuid = Uuid::from_u128(1);

/// A store with five events of the release before.
async fn written() -> (MemoryEventStore, Vec<MessageIdentity>) {
    use before::BookCommand::*;
    let store = MemoryEventStore::new();
    let books = Repository::<before::Book>::new(store.clone());
    let mut identities = Vec::new();
    for command in [Lend, Return(3), Stamp, Lend, Return(0)] {
        let identity = desk();
        books.execute(&ID.into(), command, &identity).await.unwrap();
        identities.push(identity);
    }
    (store, identities)
}

const READ: [&str; 6] = [
    "lent to Ann",
    "until 20",
    "fined 3",
    "returned",
    "lent to Ann",
    "until 20",
];

#[tokio::test]
async fn what_is_read_as_several_is_folded_in_order_and_counts_as_one_version() {
    let (store, _) = written().await;
    let books = Repository::<now::Book>::new(store);
    let book = books.load(&ID.into()).await.unwrap();
    assert_eq!(book.version(), 5);
    assert_eq!(book.read[..6], READ);
    assert_eq!(book.read[6..], ["returned"]);
    let commit = books
        .execute(&ID.into(), now::BookCommand::Lend, &desk())
        .await
        .unwrap();
    assert_eq!((commit.version(), commit.events().len()), (7, 2));
    assert_eq!(books.load(&ID.into()).await.unwrap().read.len(), 9);
}

#[tokio::test]
async fn a_moment_in_the_past_has_all_that_is_read_from_its_last_event() {
    let (store, _) = written().await;
    let books = Repository::<now::Book>::new(store.clone());
    for (version, read) in [(0, 0), (1, 2), (2, 4), (3, 4), (4, 6), (5, 7)] {
        let book = books.load_at(&ID.into(), version).await.unwrap();
        assert_eq!(
            (book.version(), book.read.len()),
            (version, read),
            "{version}"
        );
    }
    let history = books.history(&ID.into()).await.unwrap();
    let last = &history.last().unwrap().stored;
    for at in [At::Cid(last.cid), At::Time(last.timestamp())] {
        assert_eq!(books.load_at(&ID.into(), at).await.unwrap().read.len(), 7);
    }
}

#[tokio::test]
async fn a_typed_history_has_each_event_beside_the_one_that_is_stored() {
    let (store, _) = written().await;
    let books = Repository::<now::Book>::new(store);
    let recorded = books.history(&ID.into()).await.unwrap();
    let read: Vec<_> = recorded
        .iter()
        .map(|it| (it.event.event_type(), it.stored.envelope.sequence))
        .collect();
    assert_eq!(
        read,
        [
            ("library.book.lent", 1),
            ("library.book.term_set", 1),
            ("library.book.fined", 2),
            ("library.book.returned", 2),
            ("library.book.lent", 4),
            ("library.book.term_set", 4),
            ("library.book.returned", 5),
        ]
    );
    // Two stored ones, each read as two.
    let returned = subject!(now::BookEvent, "library.book.returned");
    let events = books.events_of(returned, Position::START, 1).await.unwrap();
    let read: Vec<_> = events.iter().map(|it| it.event.event_type()).collect();
    assert_eq!(read, ["library.book.fined", "library.book.returned"]);
}

#[tokio::test]
async fn a_reader_of_a_whole_store_gets_all_that_is_read_from_each_event() {
    let (store, _) = written().await;
    let selection = Selection::events::<now::BookEvent>();
    let events = store.read(selection, Bookmark::START);
    let events: Vec<_> = events.try_collect().await.unwrap();
    let read: Vec<usize> = events
        .iter()
        .map(|stored| stored.events_of::<now::BookEvent>().unwrap().len())
        .collect();
    assert_eq!(read, [2, 2, 0, 2, 1]);
    assert_eq!(events[0].decode_all::<now::BookEvent>().unwrap().len(), 2);
}

#[tokio::test]
async fn an_earlier_commit_gives_what_it_is_read_as_today() {
    let (store, identities) = written().await;
    let books = Repository::<now::Book>::new(store);
    let (lent, returned, stamped) = (&identities[0], &identities[1], &identities[2]);
    let again = books
        .execute(&ID.into(), now::BookCommand::Lend, lent)
        .await
        .unwrap();
    assert!(again.is_repeated());
    assert_eq!(again.events().len(), 1);
    let typed = again.typed::<now::BookEvent>().unwrap();
    assert_eq!(typed[1], now::BookEvent::TermSet { until: 20 });
    assert_eq!(again.recorded::<now::BookEvent>().unwrap().len(), 2);
    let again = books
        .execute(&ID.into(), now::BookCommand::Return, returned)
        .await
        .unwrap();
    assert_eq!(
        again.typed::<now::BookEvent>().unwrap()[0],
        now::BookEvent::Fined { fine: 3 }
    );
    // What is read as nothing does not tell which command it was.
    let again = books
        .execute(&ID.into(), now::BookCommand::Lend, stamped)
        .await
        .unwrap();
    assert!(again.is_repeated() && again.typed::<now::BookEvent>().unwrap().is_empty());
    // No edge of another command has an event of that commit.
    let other = books
        .execute(&ID.into(), now::BookCommand::Lose, lent)
        .await;
    assert!(
        matches!(other, Err(ExecuteError::MessageIdReused { .. })),
        "{other:?}"
    );
}

#[tokio::test]
async fn each_of_the_events_needs_an_edge_of_the_state_that_those_before_it_led_to() {
    use before::BookCommand::*;
    let store = MemoryEventStore::new();
    let books = Repository::<before::Book>::new(store.clone());
    for command in [Lend, Lose] {
        books.execute(&ID.into(), command, &desk()).await.unwrap();
    }
    let books = Repository::<now::Book>::new(store.clone());
    let book = books.load(&ID.into()).await.unwrap();
    assert_eq!(book.read[2..], ["fined 9", "lost"]);
    assert_eq!((book.state(), book.version()), (now::BookState::Gone, 2));

    let strict = Repository::<strict::Book>::new(store);
    let error = strict.load(&ID.into()).await.unwrap_err();
    let LoadError::UnexpectedEvent {
        version, source, ..
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(
        (*version, source.state, source.event),
        (1, "OnLoan", "TermSet")
    );
}

/// A machine that has no edge for the second of two events.
mod strict {
    use cim_es::prelude::*;

    #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum BookState {
        #[state(initial)]
        #[on(Lend / Lent => OnLoan)]
        #[on(Lend / TermSet => _)]
        Available,
        #[state(terminal)]
        OnLoan,
    }

    #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub enum BookEvent {
        #[event(version = 2)]
        #[upcast(from = 1, into_several = loan_and_term)]
        Lent,
        TermSet,
    }

    fn loan_and_term(_: Ipld, _: &EnvelopeView<'_>) -> Result<Vec<UpcastEvent>, UpcastError> {
        let nothing = || Ipld::Map(std::collections::BTreeMap::new());
        Ok(vec![
            UpcastEvent::new(subject!(BookEvent, "library.book.lent"), 2, nothing()),
            UpcastEvent::new(subject!(BookEvent, "library.book.term_set"), 1, nothing()),
        ])
    }

    #[derive(Command, Clone, Debug)]
    pub enum BookCommand {
        #[allow(dead_code, reason = "nothing is written")]
        Lend,
    }

    #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
    #[aggregate(domain = "library", name = "book")]
    pub struct Book {
        state: BookState,
    }
}

#[tokio::test]
async fn a_snapshot_is_of_a_version_that_counts_stored_events() {
    let (store, _) = written().await;
    let books = || {
        Repository::<now::Book>::builder(store.clone())
            .snapshot_threshold(1)
            .warm_aggregates(0)
            .build()
    };
    let commit = books()
        .execute(&ID.into(), now::BookCommand::Lend, &desk())
        .await
        .unwrap();
    assert_eq!(commit.version(), 7);
    let book = books().load(&ID.into()).await.unwrap();
    assert_eq!((book.version(), book.read.len()), (7, 9));
}

/// Upcasters that go wrong.
mod wrong {
    use cim_es::prelude::*;

    #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum LoopState {
        #[state(initial)]
        #[on(Go / Round => _, Go / Ahead => _, Go / Newer => _, Go / Refused => _, Go / Stranger => _)]
        #[on(Go / Unreadable => _)]
        Any,
    }

    #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub enum LoopEvent {
        #[event(version = 2)]
        #[upcast(from = 1, into_several = round)]
        Round,
        #[event(version = 2)]
        #[upcast(from = 1, into_several = ahead)]
        Ahead,
        #[event(version = 2)]
        #[upcast(from = 1, into_several = newer)]
        Newer,
        #[event(version = 2)]
        #[upcast(from = 1, into_several = refused)]
        Refused,
        #[event(version = 2)]
        #[upcast(from = 1, into_several = stranger)]
        Stranger,
        #[event(version = 2)]
        #[upcast(from = 1, into_several = unreadable)]
        Unreadable { count: u8 },
    }

    type Several = Result<Vec<UpcastEvent>, UpcastError>;

    fn one<E>(subject: Subject<E>, schema: u32) -> Several {
        let nothing = Ipld::Map(std::collections::BTreeMap::new());
        Ok(vec![UpcastEvent::new(subject, schema, nothing)])
    }

    fn round(_: Ipld, _: &EnvelopeView<'_>) -> Several {
        one(subject!(LoopEvent, "test.loop.ahead"), 1)
    }

    fn ahead(_: Ipld, _: &EnvelopeView<'_>) -> Several {
        one(subject!(LoopEvent, "test.loop.round"), 1)
    }

    fn newer(_: Ipld, _: &EnvelopeView<'_>) -> Several {
        one(subject!(LoopEvent, "test.loop.newer"), 3)
    }

    fn refused(_: Ipld, _: &EnvelopeView<'_>) -> Several {
        Err(UpcastError::new("not of this world"))
    }

    fn stranger(_: Ipld, _: &EnvelopeView<'_>) -> Several {
        one(subject!(super::now::BookEvent, "library.book.lent"), 3)
    }

    fn unreadable(_: Ipld, _: &EnvelopeView<'_>) -> Several {
        one(subject!(LoopEvent, "test.loop.unreadable"), 2)
    }

    #[derive(Command, Clone, Debug)]
    pub enum LoopCommand {
        #[allow(dead_code, reason = "nothing is written")]
        Go,
    }

    #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
    #[aggregate(domain = "test", name = "loop")]
    pub struct Loop {
        state: LoopState,
        count: u8,
    }
}

#[test]
fn an_upcaster_that_gives_what_cannot_be_read_says_what_and_where() {
    let nothing = Ipld::Map(BTreeMap::new());
    for (event_type, expected) in [
        (
            "test.loop.round",
            "event `test.loop.round` could not be brought from schema version 1 to 2: it is read as events which are \
             read as itself again",
        ),
        (
            "test.loop.newer",
            "event `test.loop.newer` could not be brought from schema version 1 to 2: it gave `test.loop.newer` of \
             schema version 3, and this enum has schema versions up to 2",
        ),
        (
            "test.loop.refused",
            "event `test.loop.refused` could not be brought from schema version 1 to 2: not of this world",
        ),
        (
            "test.loop.stranger",
            "event `test.loop.stranger` could not be brought from schema version 1 to 2: it gave `library.book.lent` \
             of schema version 3, and this enum has no event of this type (if it was renamed here, `#[event(was = \
             …)]` is missing or misspelled)",
        ),
        (
            "test.loop.unreadable",
            "event `test.loop.unreadable` of schema version 2 does not decode: what the upcasters gave does not \
             decode: missing field `count`; where the form of a field was changed, raise the version and add an \
             `#[upcast(…)]`",
        ),
    ] {
        let envelope = EnvelopeView::new(event_type, 1);
        let error = read_stored_all::<wrong::LoopEvent>(&envelope, &nothing).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    let unknown = EnvelopeView::new("test.loop.never", 1);
    let error = read_stored_all::<wrong::LoopEvent>(&unknown, &nothing).unwrap_err();
    assert!(
        matches!(error, PayloadError::NewerThanThisProgram { .. }),
        "{error}"
    );
}

#[test]
fn an_event_of_the_present_version_is_read_as_itself() {
    let stored = Ipld::Map([("reader".to_owned(), "Bea".into())].into());
    let envelope = EnvelopeView::new("library.book.lent", 3);
    let reader = "Bea".to_owned();
    assert_eq!(
        read_stored_all(&envelope, &stored),
        Ok(vec![now::BookEvent::Lent { reader }])
    );
}
