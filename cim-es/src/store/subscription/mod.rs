//! The port for subscriptions: what an engine is asked for that runs them in its own way, and what is the same however
//! they are run: handlers, how often they are tried, what is parked, and why a subscription ends.
//!
//! An engine without a way of its own has subscriptions too: they follow its events, see `subscription/followed/`.

mod error;
mod handler;
mod in_order;
mod lease;
mod parked;
mod plan;
mod port;
mod running;
mod worker;

pub use error::SubscriptionError;
pub use handler::{EventHandler, FnEventHandler, HandlerError};
pub(crate) use in_order::ParkedInOrder;
pub(crate) use lease::{Holder, Lease};
pub(crate) use parked::cut;
pub use parked::{ParkedEvent, ParkedRequest};
pub use plan::SubscriptionStart;
pub(crate) use plan::{Mode, Plan};
pub(crate) use port::{KeepsParked, SubscriptionEngine};
pub use running::Subscription;
pub use worker::Retry;
pub(crate) use worker::{Outcome, Turn, Worker};
