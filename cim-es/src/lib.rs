//! Event sourcing where you write only the domain.
//!
//! Annotated types go in: the states of an aggregate with their edges, its events, its commands, and one function that
//! decides. Out of them come typed subjects, content ids, the state machine, the fold, and all that plugs into durable
//! stores whose history can be proved.
//!
//! ```
//! use cim_es::prelude::*;
//!
//! #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    all(feature = "jetstream", feature = "sqlite", feature = "testing"),
    doc = "The [`guide`] leads from an empty crate to aggregates on a server, with a page for each concept."
)]
#![cfg_attr(
    not(all(feature = "jetstream", feature = "sqlite", feature = "testing")),
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
//! | [`repository`] | executing commands and loading aggregates |
//! | `testing` (feature) | given/when/then, the walk through the machine, the contract of stores |
//!
//! The engines are [`MemoryEventStore`] and, with the feature `sqlite` (on by default), `SqliteEventStore`;
//! the feature `jetstream` adds `jetstream::JetStreamEventStore`.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

// The derives name this crate by its absolute path, also inside it.
extern crate self as cim_es;

pub mod block;
mod domain;
mod engine;
#[cfg(all(doc, feature = "jetstream", feature = "sqlite", feature = "testing"))]
pub mod guide;
pub mod prelude;
pub mod repository;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;

pub use cim_es_derive::{domain, filter, subject};
pub use domain::{aggregate, machine, message, value};
#[cfg(feature = "jetstream")]
pub use engine::jetstream;
pub use engine::memory::MemoryEventStore;
#[cfg(feature = "sqlite")]
pub use engine::sqlite::{CheckReport, SqliteEventStore, SqliteOptions};
pub use repository::Repository;

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
