//! What a view is doing.

use std::fmt;
use std::time::Duration;

use super::running::Confirmed;
use super::{Parked, Skipped, ViewId};
use crate::domain::message::Timestamp;
use crate::store::{Bookmark, Position};

/// What a view is doing, how far it is, and what a person had it pass over. It prints as one line.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ViewStatus {
    /// The view.
    pub view: ViewId,
    /// What it is doing.
    pub state: ViewState,
    /// The last event that is counted: in the view, or in what is built in its place.
    pub up_to: Bookmark,
    /// Where the store ended when it was last asked: the view is level there. Position 0 before that.
    pub store_end: Position,
    /// When the last counted event happened; none where this program has counted none yet.
    pub up_to_time: Option<Timestamp>,
    /// How many events this program has counted.
    pub counted: u64,
    /// How many events a second it counted while it last caught up; none before it did.
    pub events_per_second: Option<u64>,
    /// The events that a person had it pass over.
    pub skipped: Vec<Skipped>,
    /// Why it was built again, when it was.
    pub rebuilt: Option<String>,
    /// What else a person should know, such as that its state cannot be saved.
    pub remark: Option<String>,
    /// The last event that is counted in what readers see.
    shown: Bookmark,
    confirmed: Confirmed,
}

/// What a view is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ViewState {
    /// It counts what was stored before it came.
    CatchingUp,
    /// It has counted everything, and counts what comes.
    Live,
    /// A person had it stand still.
    Paused,
    /// It stands before an event that it cannot count.
    Parked(Box<Parked>),
    /// What it reads from or writes to does not answer; it tries again.
    Waiting {
        /// What was said.
        reason: String,
        /// Since when.
        since: Timestamp,
    },
    /// Another program keeps the view current; this one takes over when it ends.
    Standby,
    /// It was stopped.
    Stopped {
        /// Why, where nobody asked for it.
        reason: Option<String>,
    },
}

impl ViewStatus {
    pub(super) fn new(view: ViewId) -> Self {
        Self {
            view,
            state: ViewState::CatchingUp,
            up_to: Bookmark::START,
            store_end: Position::START,
            up_to_time: None,
            counted: 0,
            events_per_second: None,
            skipped: Vec::new(),
            rebuilt: None,
            remark: None,
            shown: Bookmark::START,
            confirmed: Confirmed::default(),
        }
    }

    /// The last event that is counted in what readers see.
    pub(super) fn shown(&self) -> Bookmark {
        self.shown
    }

    pub(super) fn say_where(&mut self, shown: Bookmark, up_to: Bookmark) {
        (self.shown, self.up_to) = (shown, up_to);
    }

    /// Up to where the view is true beyond what it has counted.
    pub(super) fn confirmed(&self) -> Confirmed {
        self.confirmed
    }

    pub(super) fn confirm(&mut self, confirmed: Confirmed) {
        self.confirmed = confirmed;
    }

    /// Forgets what was of another history.
    pub(super) fn begin_again(&mut self, reason: String) {
        self.rebuilt = Some(reason);
        self.skipped.clear();
        self.say_where(Bookmark::START, Bookmark::START);
        (self.store_end, self.confirmed) = (Position::START, Confirmed::default());
    }

    /// Why it stopped, if it did and if that is known.
    pub(super) fn stopped_because(&self) -> Option<Option<String>> {
        match &self.state {
            ViewState::Stopped { reason } => Some(reason.clone()),
            _ => None,
        }
    }

    /// How many positions the store is ahead, as far as it is known.
    pub fn positions_behind(&self) -> u64 {
        match self.state {
            ViewState::Live => 0,
            _ => self.store_end.0.saturating_sub(self.up_to.position.0),
        }
    }

    /// How long ago the last counted event happened, while the view has not counted everything; zero when it has; none
    /// while it has counted none.
    pub fn behind(&self, now: Timestamp) -> Option<Duration> {
        if self.state == ViewState::Live {
            return Some(Duration::ZERO);
        }
        let micros = now.as_micros().saturating_sub(self.up_to_time?.as_micros());
        Some(Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
    }

    /// Where it stands still, and why, when it is parked.
    pub fn parked(&self) -> Option<&Parked> {
        match &self.state {
            ViewState::Parked(parked) => Some(parked),
            _ => None,
        }
    }
}

impl fmt::Display for ViewState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CatchingUp => f.write_str("catching up"),
            Self::Live => f.write_str("live"),
            Self::Paused => f.write_str("paused"),
            Self::Parked(parked) => write!(
                f,
                "parked before {} at position {}: {}",
                parked.event_type,
                parked.bookmark.position,
                one_line(&parked.reason)
            ),
            Self::Waiting { reason, since } => {
                write!(f, "waiting since {since}: {}", one_line(reason))
            }
            Self::Standby => f.write_str("kept current by another program"),
            Self::Stopped { reason: None } => f.write_str("stopped"),
            Self::Stopped {
                reason: Some(reason),
            } => write!(f, "stopped: {}", one_line(reason)),
        }
    }
}

impl fmt::Display for ViewStatus {
    /// One line, such as `loans v1: live at 1042, 977 events counted`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { view, state, .. } = self;
        write!(f, "{view}: {} at {}", name_of(state), self.up_to.position)?;
        // Before it asked the store, and while it is beyond what the store said, the end is not known.
        let is_end_known =
            self.store_end > Position::START && self.store_end >= self.up_to.position;
        if self.state == ViewState::CatchingUp && is_end_known {
            write!(f, " of {}", self.store_end)?;
        }
        write!(f, ", {} events counted", self.counted)?;
        if let (ViewState::CatchingUp, Some(rate)) = (state, self.events_per_second) {
            write!(f, ", {rate} a second")?;
        }
        if let Some(detail) = detail_of(state) {
            write!(f, "; {detail}")?;
        }
        if !self.skipped.is_empty() {
            write!(f, "; {} skipped", self.skipped.len())?;
        }
        if let Some(reason) = &self.rebuilt {
            write!(f, "; built again: {}", one_line(reason))?;
        }
        if let Some(remark) = &self.remark {
            write!(f, "; {}", one_line(remark))?;
        }
        Ok(())
    }
}

fn name_of(state: &ViewState) -> &'static str {
    match state {
        ViewState::CatchingUp => "catching up",
        ViewState::Live => "live",
        ViewState::Paused => "paused",
        ViewState::Parked(_) => "parked",
        ViewState::Waiting { .. } => "waiting",
        ViewState::Standby => "on standby",
        ViewState::Stopped { .. } => "stopped",
    }
}

fn detail_of(state: &ViewState) -> Option<String> {
    let text = state.to_string();
    (text != name_of(state)).then_some(text)
}

/// A text on one line.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
