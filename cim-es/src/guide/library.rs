use cim_es::prelude::*;

use self::{BookCommand::*, BookError::*, BookEvent::*};

/// Where a book is in its life. On each edge: command / event => next state.
#[derive(StateMachine, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum BookState {
    #[state(initial)]
    #[on(Acquire / Acquired => Available)]
    Unknown,
    #[on(Lend / Lent => OnLoan)]
    #[on(Withdraw / Withdrawn => Withdrawn)]
    Available,
    #[on(Renew / Renewed => _)]
    #[on(Return / Returned => Available)]
    OnLoan,
    #[state(terminal)]
    Withdrawn,
}

/// What happened; stored for ever.
#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum BookEvent {
    /// The library has the book.
    Acquired { title: String },
    /// A reader has the book.
    #[apply(loans += 1, renewals = 0)]
    Lent { reader: String, due: Timestamp },
    /// The reader keeps it longer.
    #[apply(renewals += 1)]
    Renewed { due: Timestamp },
    /// The book is back.
    #[apply(reader = None, due = None)]
    Returned,
    /// The library gave the book away.
    #[apply(_ = reason)]
    Withdrawn { reason: String },
}

/// What can be asked.
#[derive(Command, Clone, Debug)]
pub enum BookCommand {
    Acquire { title: String },
    Lend { reader: String },
    Renew,
    Return,
    Withdraw { reason: String },
}

/// What the events add up to.
#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "library", name = "book", error = BookError)]
pub struct Book {
    state: BookState,
    pub title: Option<String>,
    pub reader: Option<String>,
    pub due: Option<Timestamp>,
    pub loans: u32,
    pub renewals: u32,
}

/// Why a command is refused, beside those that the states refuse.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BookError {
    #[error("the loan was due at {due}: return the book")]
    Overdue { due: Timestamp },
    #[error("the loan was renewed {MAX_RENEWALS} times already")]
    RenewedTooOften,
}

/// The time in microseconds for which a book is lent: 28 days.
pub const LOAN: i64 = 28 * 24 * 60 * 60 * 1_000_000;
/// How often a loan can be renewed.
pub const MAX_RENEWALS: u32 = 2;

impl Decide for Book {
    fn decide(&self, command: BookCommand, context: &Context) -> Decision<Self> {
        let now = context.now();
        let due = Timestamp::from_micros(now.as_micros() + LOAN);
        match command {
            Acquire { title } => emit(Acquired { title }),
            Lend { reader } => emit(Lent { reader, due }),
            Renew if self.renewals == MAX_RENEWALS => Err(RenewedTooOften),
            Renew => match self.due {
                Some(due) if due < now => Err(Overdue { due }),
                _ => emit(Renewed { due }),
            },
            Return => emit(Returned),
            Withdraw { reason } => emit(Withdrawn { reason }),
        }
    }
}
