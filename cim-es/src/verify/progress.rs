//! How far a verification has come, and what it came to.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::block::Position;

/// What is being checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Stage {
    /// The events, each with its place in its history and its commit.
    #[default]
    Events,
    /// What is kept of the ends of histories.
    Aggregates,
    /// What is kept of the lists of events of one type.
    Types,
    /// What else is stored: indexes, objects, snapshots, checkpoints, views.
    Beside,
    /// Nothing more.
    Done,
}

/// How far a verification has come: what a program draws a bar from.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct VerificationProgress {
    /// What is being checked.
    pub stage: Stage,
    /// The number of events that were looked at, by this verification and those that it goes on from.
    pub events: u64,
    /// The bytes of these events.
    pub bytes: u64,
    /// Up to which position all events were looked at.
    pub position: Position,
    /// The last position of all.
    pub end: Position,
    /// How many damages were told.
    pub damages: u64,
    /// How long this verification has taken so far.
    pub elapsed: Duration,
    /// The number of events that this verification has looked at itself.
    pub(super) own_events: u64,
}

impl VerificationProgress {
    /// The part of the events that is done, from 0 to 1.
    pub fn fraction(&self) -> f64 {
        match self.end.0 {
            0 => 1.0,
            end => (self.position.0 as f64 / end as f64).min(1.0),
        }
    }

    /// How many events were looked at in a second.
    pub fn events_per_second(&self) -> f64 {
        match self.elapsed.as_secs_f64() {
            0.0 => 0.0,
            seconds => self.own_events as f64 / seconds,
        }
    }

    /// How long the rest of the events takes if it goes on as before; none before anything can be said.
    pub fn remaining(&self) -> Option<Duration> {
        let left = self.end.0.saturating_sub(self.position.0) as f64;
        Duration::try_from_secs_f64(left / self.events_per_second()).ok()
    }
}

/// What a verification came to.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct VerificationReport {
    /// The events that were looked at.
    pub events: u64,
    /// The bytes of these events.
    pub bytes: u64,
    /// The aggregates that they belong to.
    pub aggregates: u64,
    /// The aggregates whose first events the store has dropped, as it was set up to; what is left of them is whole.
    pub cut_aggregates: u64,
    /// What else was looked at: index rows, objects, snapshots, checkpoints, views.
    pub others: u64,
    /// At how many places of a stream an operator has removed a message, such as one of an unfinished commit. An event that
    /// was removed shows as a gap as well, unless it was the last one of its aggregate.
    pub removed: u64,
    /// How many damages were told.
    pub damages: u64,
    /// The last position that was looked at.
    pub position: Position,
    /// Whether everything was looked at.
    pub is_complete: bool,
    /// How long this verification has taken.
    pub elapsed: Duration,
}

impl VerificationReport {
    /// Whether everything was looked at and nothing is damaged.
    pub fn is_sound(&self) -> bool {
        self.is_complete && self.damages == 0
    }
}
