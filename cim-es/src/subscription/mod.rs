//! Subscribing: a handler gets committed events, proved, and none is skipped silently.
//!
//! | kind | gets | order | on |
//! |---|---|---|---|
//! | live, the default | what happens from now on | of the store | any store |
//! | [durable](EventSubscriberBuilder::durable) | all, from where it left off | of the store | any store |
//! | [group](EventSubscriberBuilder::group) | a part of all, shared with other members | none | NATS servers |
//! | [partitioned](EventSubscriberBuilder::partitioned) | a part of all aggregates, shared with other members | of each aggregate | NATS servers |
//!
//! An event is handed over at least once. What a handler fails on comes again after a pause that grows, and is parked
//! past the limit: [`ParkedEvents`] lists it, and has it handled again or discarded.
//!
//! The same text runs on every store:
//!
//! ```
//! use cim_es::block::StoredEvent;
//! use cim_es::prelude::*;
//! use cim_es::subscription::{EventSubscriberBuilder, FnEventHandler};
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
//! let store = MemoryEventStore::new();
//! let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
//! let handler = FnEventHandler::typed(move |(event, _): (LampEvent, StoredEvent)| {
//!     tell.send(event)?;
//!     Ok(())
//! });
//! let subscription = EventSubscriberBuilder::new()
//!     .store(&store)
//!     .subject(LampEvent::subjects())
//!     .durable("dashboard")
//!     .handler(handler)
//!     .build()?
//!     .subscribe()
//!     .await?;
//!
//! let lamps = Repository::<Lamp>::new(store.clone());
//! lamps.execute(&Id::new(), LampCommand::Switch, &MessageIdentity::new_from_user("me")).await?;
//! assert_eq!(told.recv().await, Some(LampEvent::Switched { on: true }));
//! subscription.stop().await?;
//! # Ok(())
//! # }
//! ```

mod builder;
mod choice;
mod followed;
#[cfg(feature = "jetstream")]
mod nats;
mod parked_events;
mod subscriber;

pub use crate::store::subscription::{
    EventHandler, FnEventHandler, HandlerError, ParkedEvent, ParkedRequest, Retry, Subscription,
    SubscriptionError, SubscriptionStart,
};
pub use builder::EventSubscriberBuilder;
pub use parked_events::ParkedEvents;
pub use subscriber::EventSubscriber;
