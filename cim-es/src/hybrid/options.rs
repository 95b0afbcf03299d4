//! How a file is kept level with a stream.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::connector::{Connector, LocalStore};
use super::reapply::{OnDivergence, Policies};
use super::{HybridEventStore, Protocol};
use crate::domain::aggregate::Aggregate;
use crate::domain::message::{Clock, SystemClock};
use crate::store::{Selection, StoreError};

/// How a file is kept level with a stream.
#[derive(Clone)]
pub struct HybridOptions {
    pub(super) selection: Selection,
    pub(super) policies: Policies,
    pub(super) max_retries: u32,
    pub(super) list_events: usize,
    pub(super) pauses: (Duration, Duration),
    pub(super) save_interval: Duration,
    pub(super) clock: Arc<dyn Clock>,
}

impl Default for HybridOptions {
    fn default() -> Self {
        Self {
            selection: Selection::everything(),
            policies: Policies::default(),
            max_retries: 3,
            list_events: 1_000,
            pauses: (Duration::from_millis(50), Duration::from_secs(10)),
            save_interval: Duration::from_secs(1),
            clock: Arc::new(SystemClock),
        }
    }
}

impl HybridOptions {
    /// Everything both ways; what diverges is refused; three attempts before a commit is parked.
    pub fn new() -> Self {
        Self::default()
    }

    /// Which events of the stream come into the file; all by default. Whole commits come, and whole histories: what else
    /// belongs to one that is wanted comes with it. What was done here goes into the stream whatever is selected; an
    /// aggregate that others write to as well belongs into the selection, or what is done on it here diverges.
    pub fn selection(mut self, selection: Selection) -> Self {
        self.selection = selection;
        self
    }

    /// What becomes of an aggregate of a kind that went on differently on both sides; by default it waits for a person. Of
    /// aggregates that hang together by a commit, each kind has to have been told of.
    pub fn on_divergence<A: Aggregate>(mut self, policy: OnDivergence<A>) -> Self {
        self.policies.set(policy);
        self
    }

    /// How many times a commit is tried that the stream refuses itself, before it is parked; 3 by default. What keeps the
    /// stream from answering is no refusal, and is tried again without an end.
    pub fn max_retries(mut self, times: u32) -> Self {
        self.max_retries = times;
        self
    }

    /// How many events are sent as one list, 1,000 by default; a commit goes whole, whatever its size.
    pub fn list_events(mut self, events: usize) -> Self {
        self.list_events = events.max(1);
        self
    }

    /// The first and the longest pause after a failure, 50 ms and 10 s by default; it doubles in between.
    pub fn pauses(mut self, first: Duration, longest: Duration) -> Self {
        self.pauses = (first, longest.max(first));
        self
    }

    /// After which time what is known of the stream is written into the file at the latest, 1 s by default. What is lost
    /// of it is found out again.
    pub fn save_interval(mut self, interval: Duration) -> Self {
        self.save_interval = interval;
        self
    }

    /// The clock that gives records their times.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Opens a hybrid store on a store that is open, and begins to connect. It needs a runtime of tokio with its timer,
    /// and waits for no network.
    ///
    /// One store keeps a file level at a time. Where another does, in this program or elsewhere, this one reads and writes
    /// the file all the same, and takes over when that one ends.
    ///
    /// # Errors
    /// [`StoreError::NothingSelected`] for a selection that can match nothing, [`StoreError::Damaged`] where what is known
    /// of the stream is not what was written, and the failures of the store.
    pub async fn open(
        self,
        local: impl LocalStore,
        connector: impl Connector,
    ) -> Result<HybridEventStore, StoreError> {
        let protocol = Protocol::open(Arc::new(local), self).await?;
        match protocol.claim().await {
            // The task says so, and goes on trying.
            Ok(()) | Err(StoreError::KeptLevel { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(HybridEventStore::start(protocol, Arc::new(connector)))
    }
}

impl fmt::Debug for HybridOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HybridOptions")
            .field("selection", &self.selection)
            .field("reapplied", &self.policies)
            .field("max_retries", &self.max_retries)
            .field("list_events", &self.list_events)
            .field("pauses", &self.pauses)
            .field("save_interval", &self.save_interval)
            .finish_non_exhaustive()
    }
}
