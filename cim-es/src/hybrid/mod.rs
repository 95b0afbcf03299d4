//! A file that is kept level with a stream: a program works with or without a network, and nothing is lost in any order.
//!
//! [`HybridEventStore`] is a store like any other. A commit is acknowledged when the file has it. What the stream has not
//! acknowledged is the **queue**: a part of the file itself, read from it page by page, whole commits with their original
//! bytes in the order of the file. What others bring to the stream comes down into the file the same way.
//!
//! ```
//! use cim_es::hybrid::{HybridEventStore, Reachable};
//! use cim_es::prelude::*;
//! # #[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
//! # enum LampState { #[state(initial)] #[on(Switch / Switched => _)] Any }
//! # #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
//! # enum LampEvent { Switched { on: bool } }
//! # #[derive(Command, Clone, Debug)]
//! # enum LampCommand { Switch }
//! # #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
//! # #[aggregate(domain = "home", name = "lamp")]
//! # struct Lamp { state: LampState, on: bool }
//! # impl Decide for Lamp {
//! #     fn decide(&self, _: LampCommand, _: &Context) -> Decision<Self> {
//! #         emit(LampEvent::Switched { on: !self.on })
//! #     }
//! # }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // In a program a file and a server; here both sides are in memory.
//! let (file, stream) = (MemoryEventStore::new(), MemoryEventStore::new());
//! let store = HybridEventStore::open(file, Reachable(stream.clone())).await?;
//! let lamps = Repository::<Lamp>::new(store.clone());
//! lamps.execute(&Id::new(), LampCommand::Switch, &MessageIdentity::new_from_user("me")).await?;
//! while store.queue_size().await? > 0 {
//!     tokio::task::yield_now().await;
//! }
//! assert_eq!(Repository::<Lamp>::new(stream).load_all().await?.len(), 1);
//! assert_eq!(store.status().await?.to_string(), "Connected: true, Queue Size: 0");
//! # store.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! Where both sides of an aggregate went on from one event, that aggregate alone **diverges**: it is told once, takes no
//! command here until a person has decided ([`StoreError::Unresolved`](crate::store::StoreError::Unresolved)), and keeps
//! nobody else. A commit that one side refuses for good is **parked** with the reason; what follows on its aggregates waits,
//! others go on.

mod connector;
mod divergence;
mod down;
mod error;
#[cfg(feature = "jetstream")]
mod nats;
mod notice;
mod options;
mod parked;
mod positions;
mod protocol;
mod queue;
mod reapply;
mod replace;
mod resolve;
mod runner;
mod state;
mod status;
#[cfg(all(feature = "jetstream", feature = "sqlite"))]
mod storage;
mod store;
mod up;

pub use connector::{Connector, LocalStore, Reachable, RemoteStore};
pub use divergence::{
    Branch, BranchEvent, CommonEvent, Divergence, DivergenceCause, LeftOut, Resolved, TakenName,
};
pub use down::DownStep;
pub use error::{ConnectFailure, HybridError};
#[cfg(feature = "jetstream")]
pub use nats::NatsConnector;
pub use notice::{Notice, Noticed};
pub use options::HybridOptions;
pub use parked::{ParkedCommit, Way};
pub use protocol::Protocol;
pub use reapply::{OnDivergence, Reapplies, Writes};
pub use status::HybridStatus;
#[cfg(all(feature = "jetstream", feature = "sqlite"))]
pub use storage::OpenStorage;
pub use store::HybridEventStore;
pub use up::UpStep;
