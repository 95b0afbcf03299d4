//! A moment as people write it.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Days, NaiveDate, NaiveTime};
use cim_es::prelude::*;

/// A moment: a time, or the end of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(pub Timestamp);

/// A text that is neither a time nor a date.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no moment: write a time with its offset from UTC such as 2026-01-31T12:00:00Z, or a date such as 2026-01-31"
)]
pub struct MomentError(String);

impl FromStr for Moment {
    type Err = MomentError;

    /// A time by RFC 3339, or a date, which stands for the last microsecond of that day in UTC.
    fn from_str(text: &str) -> Result<Self, MomentError> {
        let end_of_day = |day: NaiveDate| {
            let next = day.checked_add_days(Days::new(1))?;
            let next = next.and_time(NaiveTime::MIN).and_utc().timestamp_micros();
            Some(Timestamp::from_micros(next - 1))
        };
        let time = match text.parse::<NaiveDate>() {
            Ok(day) => end_of_day(day),
            Err(_) => DateTime::parse_from_rfc3339(text)
                .ok()
                .map(|time| time.to_utc().into()),
        };
        time.map(Self).ok_or_else(|| MomentError(text.to_owned()))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
