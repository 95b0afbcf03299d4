//! Subscriptions as JetStream runs them: through consumers on the stored subjects, so that nothing is missed while a
//! connection is made again, and shared by members on several machines.
//!
//! | kind | how far it came |
//! |---|---|
//! | live | in memory |
//! | durable | a record in a key-value bucket |
//! | group | a durable consumer on the server |
//! | partitioned | a record for each partition |

mod coordination;
mod engine;
mod failure;
mod feed;
mod group;
mod hand;
mod live;
mod member;
mod membership;
mod parked;
mod partition_worker;
mod resending;

pub(super) use coordination::make_room;
pub(crate) use engine::JetStreamSubscriptions;

use crate::store::subscription::SubscriptionError;
