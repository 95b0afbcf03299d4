//! Subscribing: a handler gets committed events, proved, and none is skipped silently.
//!
//! | kind | gets | order | how far it came |
//! |---|---|---|---|
//! | live | what happens from now on | of the stream | in memory |
//! | durable | all, from where it left off | of the stream | a record in a key-value bucket |
//! | group | a part of all, shared with other members | none | a durable consumer on the server |
//! | partitioned | a part of all aggregates, shared with other members | of each aggregate | a record for each partition |
//!
//! Each reads through JetStream consumers on the stored subjects, so nothing is missed while a connection is made again.
//! An event is handed over at least once. What a handler fails on comes again after a pause that grows, and is parked
//! past the limit: [`ParkedEvents`] lists it, and has it handled again or discarded.
//!
//! ```no_run
//! use cim_es::block::StoredEvent;
//! use cim_es::jetstream::{EventSubscriberBuilder, FnEventHandler, NatsConfig};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let handler = FnEventHandler::new(|event: StoredEvent| {
//!     println!("{} at {}", event.event_type(), event.timestamp());
//!     Ok(())
//! });
//! let subscription = EventSubscriberBuilder::new()
//!     .client(NatsConfig::default().connect().await?)
//!     .subject("infrastructure.>")
//!     .handler(handler)
//!     .build()?
//!     .subscribe()
//!     .await?;
//! subscription.await?;
//! # Ok(())
//! # }
//! ```

mod builder;
mod coordination;
mod error;
mod feed;
mod group;
mod handler;
mod lease;
mod live;
mod member;
mod membership;
mod parked;
mod partition_worker;
mod plan;
mod running;
mod subscriber;
mod worker;

pub use builder::{EventSubscriberBuilder, SubscriptionStart};
pub(super) use coordination::make_room;
pub use error::SubscriptionError;
pub use handler::{EventHandler, FnEventHandler, HandlerError};
pub use parked::{ParkedEvent, ParkedEvents, ParkedRequest};
pub use running::Subscription;
pub use subscriber::EventSubscriber;
pub use worker::Retry;
