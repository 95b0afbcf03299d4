//! Staying the one who holds a subscription, while a handler may be at work for long.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::record::Record;
use crate::store::read_model::Hold;
use crate::store::subscription::{Holder, Lease};

/// How many heartbeats a lease has room for.
const HEARTBEATS: u32 = 4;

/// Prolongs the hold until it is dropped.
pub(super) struct Heartbeat {
    task: JoinSet<()>,
    pub(super) lease: Lease,
}

impl Heartbeat {
    /// Begins with a hold that was asked for at a moment.
    pub(super) fn start(record: Arc<Record>, held: Instant, lease: Duration) -> Self {
        // Others wait for a whole lease.
        let (holder, until) = Holder::new(held, lease * 2 / 3);
        let mut task = JoinSet::new();
        task.spawn(beat(record, holder, lease));
        Self { task, lease: until }
    }

    /// Ends, so that nothing is prolonged any more.
    pub(super) async fn end(mut self) {
        self.task.shutdown().await;
    }
}

async fn beat(record: Arc<Record>, holder: Holder, lease: Duration) {
    loop {
        sleep(lease / HEARTBEATS).await;
        let sent = Instant::now();
        match record.hold(lease).await {
            Ok(Hold::Held { .. }) => holder.extend(sent),
            Ok(Hold::HeldByAnother { .. }) => return holder.end(),
            Err(error) => {
                tracing::warn!(view = %record.view, %error, "a subscription could not be held for longer");
            }
        }
    }
}
