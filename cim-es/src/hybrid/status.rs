//! How a file and a stream stand to each other, for a person.

use std::fmt;

use crate::store::Position;

/// How a file and a stream stand to each other; it prints as one line.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HybridStatus {
    /// Whether the stream answered when it was last asked.
    pub is_connected: bool,
    /// How many events of the file the stream has not acknowledged.
    pub queue_size: u64,
    /// How many commits were set aside.
    pub parked: usize,
    /// How many aggregates went on differently on both sides, and wait for a decision.
    pub diverged: usize,
    /// How many aggregates wait behind one of these, themselves included.
    pub waiting: usize,
    /// Up to which position of the file the stream has everything.
    pub acknowledged: Position,
    /// Up to which position the stream was read.
    pub read: Position,
    /// What was last said of a stream that is away, or why the file takes nothing of one that answers; none while both are
    /// well.
    pub failure: Option<String>,
    /// The last thing that a person should know.
    pub notice: Option<String>,
}

impl fmt::Display for HybridStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Connected: {}, Queue Size: {}",
            self.is_connected, self.queue_size
        )?;
        if self.parked > 0 {
            write!(f, ", Parked: {}", self.parked)?;
        }
        if self.diverged > 0 {
            write!(f, ", Diverged: {}", self.diverged)?;
        }
        if self.waiting > 0 {
            write!(f, ", Waiting: {}", self.waiting)?;
        }
        if let Some(failure) = &self.failure {
            write!(f, " ({failure})")?;
        }
        if let Some(notice) = &self.notice {
            write!(f, "; {notice}")?;
        }
        Ok(())
    }
}
