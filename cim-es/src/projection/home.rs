//! Where a view is kept, as the runner sees it.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use super::commits::{Batch, Commit};
use super::{Parked, Skipped};
use crate::block::StoredEvent;
use crate::store::{Bookmark, Position};

/// A home counts whole commits, and says where it is.
pub(super) trait Home: Send + Sync + 'static {
    /// The last event that is counted in what readers are shown.
    fn shown(&self) -> Bookmark;

    /// The last event that is counted, where the view goes on: another than [`shown`](Self::shown) while it is built
    /// again.
    fn up_to(&self) -> Bookmark;

    /// The events that a person had the view pass over.
    fn skipped(&self) -> &[Skipped];

    /// What a person should know of it.
    fn remark(&self) -> Option<String>;

    /// Asks to be the one that counts, or to stay it; where it is, it goes on from [`up_to`](Self::up_to).
    fn hold(&mut self) -> impl Future<Output = Result<Holding, Fault>> + Send;

    /// After what time it is to be asked again; none where nobody else could count.
    fn hold_again_in(&self) -> Option<Duration>;

    /// Whether something built beside waits to be shown.
    fn wants_level(&self) -> bool;

    /// Counts commits: all of them, or those before the first that cannot be counted. Where more are to come, the last of
    /// them may be on their way when this is over ([`is_storing`](Self::is_storing)).
    fn take(&mut self, batch: &Batch, more: More)
    -> impl Future<Output = Result<(), Fault>> + Send;

    /// Whether commits that were taken are on their way to where the view is kept. [`up_to`](Self::up_to) is before them,
    /// and nothing but [`take`](Self::take) and [`stored`](Self::stored) is to be asked until they have arrived.
    fn is_storing(&self) -> bool {
        false
    }

    /// Waits until all that was taken is kept. Whoever stops waiting loses nothing.
    fn stored(&mut self) -> impl Future<Output = Result<(), Fault>> + Send {
        std::future::ready(Ok(()))
    }

    /// Everything that is selected up to a position was counted: readers are shown what was built beside.
    fn level(&mut self, through: Position) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Begins again before the first event.
    fn rebuild(&mut self, before: Before) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Notes where the view stopped.
    fn park(&mut self, parked: &Parked) -> impl Future<Output = Result<(), Fault>> + Send;

    /// Notes that an event is passed over.
    fn skip(&mut self, skipped: &Skipped) -> impl Future<Output = Result<(), Fault>> + Send;

    /// The view is stopped.
    fn close(&mut self) -> impl Future<Output = ()> + Send;
}

/// Whether commits follow those that are to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum More {
    /// They are to be had at once.
    Follow,
    /// They may come at any time.
    MayCome,
}

/// Who counts the events of a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holding {
    Mine,
    /// Another program does; it is to be asked again after a pause, or earlier.
    Another {
        pause: Duration,
    },
}

/// What readers are shown while a view is built again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// What it was before.
    Shown,
    /// Nothing: it was made of another history.
    Hidden,
}

/// Why commits were not counted.
#[derive(Debug)]
pub(super) enum Fault {
    /// An event cannot be counted. Everything before its commit was.
    Event(Box<Refused>),
    /// An event cannot be counted, and what was made of its commit so far cannot be taken back: the view begins again
    /// before the first event, and comes to that commit again.
    Torn(Box<Refused>),
    /// The storage of the view failed.
    Storage {
        reason: String,
        /// Whether it may answer later.
        is_transient: bool,
    },
    /// The storage does not take what the projection made.
    Unfit(String),
    /// Another program counts now, or what is there has to be looked up again.
    Lost,
}

impl Fault {
    /// What cannot be stored of a commit is a fault of its last event.
    pub(super) fn of_commit(self, commit: &Commit<'_>) -> Self {
        match (self, commit.last()) {
            (Self::Unfit(reason), Some(event)) => Self::Event(Refused::new(event, reason)),
            (fault, _) => fault,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(refused) | Self::Torn(refused) => f.write_str(&refused.reason),
            Self::Storage { reason, .. } | Self::Unfit(reason) => f.write_str(reason),
            Self::Lost => f.write_str("another program keeps the view current"),
        }
    }
}

/// The event that cannot be counted.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub bookmark: Bookmark,
    pub event_type: String,
    pub reason: String,
}

impl Refused {
    pub(super) fn new(event: &StoredEvent, reason: String) -> Box<Self> {
        Box::new(Self {
            bookmark: event.bookmark(),
            event_type: event.event_type().to_owned(),
            reason,
        })
    }
}
