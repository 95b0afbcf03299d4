//! Event sourcing where you write only the domain.
//!
//! Annotated types go in: the states of an aggregate with their edges, its events, its commands, and one function that
//! decides. Out of them come typed subjects, content ids, the state machine, the fold, and all that plugs into durable
//! stores whose history can be proved.
//!
//! ```
//! use cim_es::prelude::*;
//!
//! #[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
//! enum LampState {
//!     #[state(initial)]
//!     #[on(Switch / SwitchedOn => On)]
//!     Off,
//!     #[on(Switch / SwitchedOff => Off)]
//!     On,
//! }
//!
//! #[derive(DomainEvent, Debug, Serialize, Deserialize)]
//! enum LampEvent {
//!     #[apply(times += 1)]
//!     SwitchedOn,
//!     SwitchedOff,
//! }
//!
//! #[derive(Command, Clone, Debug)]
//! enum LampCommand {
//!     Switch,
//! }
//!
//! #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
//! #[aggregate(domain = "home", name = "lamp")]
//! struct Lamp {
//!     state: LampState,
//!     times: u64,
//! }
//!
//! impl Decide for Lamp {
//!     fn decide(&self, _: LampCommand, _: &Context) -> Decision<Self> {
//!         match self.state {
//!             LampState::Off => emit(LampEvent::SwitchedOn),
//!             LampState::On => emit(LampEvent::SwitchedOff),
//!         }
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let lamps = Repository::<Lamp>::new(MemoryEventStore::new());
//! let id = Id::<Lamp>::new();
//! let commit = lamps.execute(&id, LampCommand::Switch, &MessageIdentity::new_from_user("me")).await?;
//! assert_eq!(commit.events()[0].event_type(), "home.lamp.switched_on");
//! assert_eq!(lamps.load(&id).await?.times, 1);
//! # Ok(())
//! # }
//! ```
//!
//! # Where to look
//!
#![cfg_attr(
    all(
        feature = "encrypt",
        feature = "jetstream",
        feature = "proof",
        feature = "sqlite",
        feature = "testing"
    ),
    doc = "The [`guide`] leads from an empty crate to aggregates on a server, with a page for each concept."
)]
#![cfg_attr(
    not(all(
        feature = "encrypt",
        feature = "jetstream",
        feature = "proof",
        feature = "sqlite",
        feature = "testing"
    )),
    doc = "The documentation with all features has a `guide`, with a page for each concept."
)]
//!
//! The reference is in these rooms:
//!
//! | room | what it is for |
//! |---|---|
//! | [`aggregate`] | what events fold into, and where commands are decided |
//! | [`machine`] | the lifecycle: states, edges, diagram |
//! | [`event`] | what happened, its names and its versions |
//! | [`message`] | who asks and when |
//! | [`subject`](mod@subject) | the names under which events are published and stored |
//! | [`block`] | content ids, the stored form of an event, and proofs |
//! | [`value`](mod@value) | value objects: valid once they exist, also when they are read back |
//! | [`store`] | the ports, and what every engine shares |
//! | `car` (feature) | files of blocks with their CIDs, for every tool of IPLD |
//! | `bundle` (feature `car`) | what a store has as one file, carried to another store |
//! | `age` (feature `encrypt`) | files that are encrypted to recipients |
//! | [`document`] | values by key that a view keeps, found by an index |
//! | [`repository`] | executing commands and loading aggregates |
//! | [`subscription`] | reacting to what happens, with retries and a place for what failed |
//! | [`projection`] | views over many aggregates, kept current |
//! | [`replay`] | going through what was stored once more: for a report, a check, a table of another program |
//! | `dag` (feature) | what happened because of what: events and their links as a graph |
//! | [`verify`] | checking a whole store, and what to do about damage |
//! | [`hybrid`] | a file that is kept level with a stream, with and without a network |
//! | `proof` (feature) | signed checkpoints, and proofs that are checked without the store |
//! | `testing` (feature) | given/when/then, the walk through the machine, the contract of stores |
//!
//! The engines are [`MemoryEventStore`] and, with the feature `sqlite` (on by default), `SqliteEventStore`;
//! the feature `jetstream` adds `jetstream::JetStreamEventStore`.
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![warn(clippy::missing_errors_doc, clippy::missing_panics_doc)]

// The derives name this crate by its absolute path, also inside it.
extern crate self as cim_es;

#[cfg(feature = "encrypt")]
pub mod age;
pub mod block;
#[cfg(feature = "car")]
pub mod bundle;
#[cfg(feature = "car")]
pub mod car;
#[cfg(feature = "dag")]
pub mod dag;
pub mod document;
mod domain;
mod engine;
#[cfg(all(
    doc,
    feature = "encrypt",
    feature = "jetstream",
    feature = "proof",
    feature = "sqlite",
    feature = "testing"
))]
pub mod guide;
pub mod hybrid;
pub mod prelude;
pub mod projection;
#[cfg(feature = "proof")]
pub mod proof;
pub mod replay;
pub mod repository;
pub mod store;
pub mod subscription;
#[cfg(feature = "testing")]
pub mod testing;
pub mod verify;

pub use cim_es_derive::{domain, filter, subject};
pub use domain::{ErrorChain, aggregate, machine, message, value};
pub use engine::memory::{MemoryEventStore, MemoryReadModels};
#[cfg(feature = "postgres")]
pub use engine::postgres::{PostgresOptions, PostgresReadModels};
#[cfg(feature = "sqlite")]
pub use engine::sqlite::{
    CheckReport, InlineReadModels, SqliteEventStore, SqliteOptions, SqliteReadModels,
    SqliteReadModelsOptions,
};
pub use repository::Repository;
/// The driver in whose terms a projection writes its tables in SQLite.
#[cfg(feature = "sqlite")]
pub use rusqlite;
/// The driver in whose terms a projection writes its tables in PostgreSQL.
#[cfg(feature = "postgres")]
pub use tokio_postgres;

#[cfg(feature = "jetstream")]
pub mod jetstream {
    //! The distributed engine: events in one JetStream stream on NATS servers, guarded by their subjects.
    //!
    //! An event is stored on `es.<p>.<id>.<domain>.<aggregate>.<operation>` and republished, once it is committed, on its
    //! public subject `<domain>.<aggregate>.<operation>`. Every write carries the aggregate's guard
    //! ([`StoredSubjects::guard`](crate::subject::StoredSubjects::guard)), so that two writers never both win.
    //!
    //! [Subscriptions](crate::subscription) are the same on every engine; their names stand here as well.

    pub use crate::engine::jetstream::*;
    pub use crate::subscription::{
        EventHandler, EventSubscriber, EventSubscriberBuilder, FnEventHandler, HandlerError,
        ParkedEvent, ParkedEvents, ParkedRequest, Retry, Subscription, SubscriptionError,
        SubscriptionStart,
    };
}

pub mod event {
    //! Events: what happened, and how it is read again years later.

    pub use crate::block::payload::{PayloadError, decode_payload, encode_payload};
    pub use crate::domain::event::*;
}

pub mod subject {
    //! Subjects: the names under which events are published, stored, read and guarded.
    //!
    //! ```text
    //! public, committed events only     <domain>.<aggregate>.<operation>
    //! stored                            es.<p>.<id>.<domain>.<aggregate>.<operation>
    //! the guard of one aggregate        es.<p>.<id>.>
    //! ```

    pub use crate::domain::info::{AggregateInfo, Domain};
    pub use crate::domain::subject::*;
    pub use crate::store::{PARTITIONS, StoredSubjects, partition};
}

#[doc(hidden)]
pub use domain::declared as __private;
