//! All that a domain needs: `use cim_es::prelude::*;`.
//!
//! The derives of serde are here too. The code that they write names the crate `serde`, so a domain's `Cargo.toml`
//! has `serde = "1"` beside `cim-es`.
//!
//! ```
//! use cim_es::prelude::*;
//!
//! /// An account is opened once, then money comes and goes.
//! #[derive(StateMachine, Clone, Debug, PartialEq, Serialize, Deserialize)]
//! enum AccountState {
//!     #[state(initial)]
//!     #[on(Open / Opened => Open)]
//!     Unopened,
//!     #[on(Deposit / Deposited => _)]
//!     Open,
//! }
//!
//! #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
//! enum AccountEvent {
//!     Opened { owner: String },
//!     #[apply(balance += amount)]
//!     Deposited { amount: u64 },
//! }
//!
//! #[derive(Command, Clone, Debug)]
//! enum AccountCommand {
//!     Open { owner: String },
//!     Deposit { amount: u64 },
//! }
//!
//! #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
//! #[aggregate(domain = "bank", name = "account")]
//! struct Account {
//!     state: AccountState,
//!     owner: Option<String>,
//!     balance: u64,
//! }
//!
//! impl Decide for Account {
//!     fn decide(&self, command: AccountCommand, _: &Context) -> Decision<Self> {
//!         match command {
//!             AccountCommand::Open { owner } => emit(AccountEvent::Opened { owner }),
//!             AccountCommand::Deposit { amount: 0 } => nothing(),
//!             AccountCommand::Deposit { amount } => emit(AccountEvent::Deposited { amount }),
//!         }
//!     }
//! }
//!
//! let mut account = Account::default();
//! account.apply(AccountEvent::Opened { owner: "Ann".to_owned() })?;
//! account.apply(AccountEvent::Deposited { amount: 5 })?;
//! assert_eq!((account.state, account.balance), (AccountState::Open, 5));
//! assert_eq!(AccountEvent::TYPES, ["bank.account.opened", "bank.account.deposited"]);
//! # Ok::<(), cim_es::machine::UnexpectedEvent>(())
//! ```

pub use cid::Cid;
pub use ipld_core::ipld::Ipld;
pub use serde::{Deserialize, Serialize};
pub use uuid::Uuid;

#[cfg(feature = "sqlite")]
pub use crate::SqliteEventStore;
pub use crate::aggregate::{
    Aggregate, AggregateId, Command, Decide, Decision, Events, Id, UniqueName, emit, emit_all,
    nothing,
};
pub use crate::document::{Document, Documents, IndexField};
pub use crate::event::{DomainEvent, EnvelopeView, UpcastError, UpcastEvent};
pub use crate::machine::StateMachine;
pub use crate::message::{Context, MessageIdentity, Timestamp};
pub use crate::projection::{Project, Projection, Source};
pub use crate::repository::{At, Repository};
pub use crate::subject::{Domain, Filter, Subject};
pub use crate::value::ValueError;
pub use crate::{MemoryEventStore, domain, filter, subject, value};
