//! Time as it is stored: microseconds since the Unix epoch.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// A moment in microseconds since the Unix epoch, the resolution in which events are stored.
///
/// It reads and prints as RFC 3339 in UTC; in an event, and wherever serde writes it, it is the number.
///
/// ```
/// use cim_es::message::Timestamp;
///
/// let time: Timestamp = "2026-01-31T12:00:00Z".parse()?;
/// assert_eq!(time.as_micros(), 1_769_860_800_000_000);
/// assert_eq!(format!("{time:?}"), "Timestamp(2026-01-31T12:00:00.000000Z)");
/// # Ok::<(), cim_es::message::TimestampError>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// A text that is no RFC 3339 time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no time: {reason}; write it as RFC 3339, such as 2026-01-31T12:00:00Z")]
pub struct TimestampError {
    text: String,
    reason: String,
}

impl Timestamp {
    /// From microseconds since the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// This moment and so much time after it, at most the end of the range.
    ///
    /// ```
    /// # use cim_es::prelude::*;
    /// # use std::time::Duration;
    /// let start = Timestamp::from_micros(5);
    /// assert_eq!(start.after(Duration::from_millis(1)), Timestamp::from_micros(1_005));
    /// assert_eq!(start.after(Duration::MAX), Timestamp::from_micros(i64::MAX));
    /// ```
    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        let micros = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros))
    }

    /// As a date and time; none for a moment outside the years that [`chrono`] knows.
    pub fn to_datetime(self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_micros(self.0)
    }
}

impl From<DateTime<Utc>> for Timestamp {
    /// Cuts what is finer than a microsecond.
    fn from(time: DateTime<Utc>) -> Self {
        Self(time.timestamp_micros())
    }
}

impl From<SystemTime> for Timestamp {
    /// Cuts what is finer than a microsecond; moments past the range are its end.
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self(i64::try_from(after.as_micros()).unwrap_or(i64::MAX)),
            Err(before) => {
                let micros = before.duration().as_micros();
                Self(i64::try_from(micros).map_or(i64::MIN, |micros| -micros))
            }
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_datetime() {
            Some(time) => f.write_str(&time.to_rfc3339_opts(SecondsFormat::Micros, true)),
            None => write!(f, "{} µs", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    /// As it prints: the events in the output of a failed test are for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({self})")
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        DateTime::parse_from_rfc3339(text)
            .map(|time| Self(time.timestamp_micros()))
            .map_err(|error| TimestampError {
                text: text.to_owned(),
                reason: error.to_string(),
            })
    }
}

/// Where the runtime reads the time, once a command.
pub trait Clock: Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// The clock of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }
}

/// A clock that stands still: for tests and for replays.
#[derive(Clone, Copy, Debug)]
pub struct FixedClock(
    /// The moment that the clock always shows.
    pub Timestamp,
);

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        self.0
    }
}
