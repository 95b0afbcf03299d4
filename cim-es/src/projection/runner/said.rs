//! What a view says of itself.

use std::time::Instant;

use tokio::sync::watch;

use super::Runner;
use crate::block::StoredEvent;
use crate::projection::commits::Batch;
use crate::projection::home::Home;
use crate::projection::{Parked, ViewId, ViewState, ViewStatus};
use crate::store::Position;

impl<H: Home> Runner<H> {
    pub(super) fn parked(&self) -> Option<Parked> {
        self.status.borrow().parked().cloned()
    }

    pub(super) fn view(&self) -> ViewId {
        self.status.borrow().view.clone()
    }

    pub(super) fn say(&self, state: ViewState) {
        self.status.send_modify(|status| status.state = state);
    }

    /// Asks how much there is to count, and says it.
    pub(super) async fn end_of_store(&self) -> Position {
        // A store that does not answer says so again when it is read.
        let end = self.store.last_position().await.unwrap_or_default();
        self.status
            .send_modify(|status| status.store_end = status.store_end.max(end));
        end
    }

    pub(super) fn say_where(&self) {
        let (shown, up_to, remark) = (self.home.shown(), self.home.up_to(), self.home.remark());
        self.status.send_modify(|status| {
            status.say_where(shown, up_to);
            status.remark = remark;
        });
    }

    /// Says how far it is, and what was counted behind a position.
    pub(super) fn say_counted(&mut self, before: Position) {
        let (shown, at) = (self.home.shown(), self.home.up_to());
        let up_to = at.position;
        let counted = self.unsaid.iter().flat_map(Batch::events);
        let counted = counted.filter(|event| event.position > before && event.position <= up_to);
        let (count, last) = counted.fold((0, None), |(count, _), event| (count + 1, Some(event)));
        let last = last.map(StoredEvent::timestamp);
        self.unsaid.retain(|batch| batch.up_to().position > up_to);
        self.status.send_modify(|status| {
            status.say_where(shown, at);
            status.store_end = status.store_end.max(up_to);
            status.counted += count;
            if let Some(last) = last {
                status.up_to_time = Some(last);
            }
        });
    }

    pub(super) fn measure(&self, (started, before): (Instant, u64)) {
        self.status.send_modify(|status| {
            let millis = started.elapsed().as_millis().max(1);
            let rate = u128::from(status.counted - before) * 1_000 / millis;
            status.events_per_second = u64::try_from(rate).ok();
        });
    }
}

/// However the task ends, its status says so.
pub(in crate::projection) struct SaysItStopped {
    pub status: watch::Sender<ViewStatus>,
    pub reason: Option<String>,
}

impl Drop for SaysItStopped {
    fn drop(&mut self) {
        let reason = self.reason.take();
        self.status
            .send_modify(|status| status.state = ViewState::Stopped { reason });
    }
}
