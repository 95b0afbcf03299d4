//! A point in a history: a version, or a time.

use std::str::FromStr;

use chrono::{NaiveDate, NaiveDateTime};
use cim_es::message::Timestamp;

/// A point in a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    Version(u64),
    Time(Timestamp),
}

/// The time that a text names.
pub fn time(text: &str) -> Result<Timestamp, String> {
    match text.parse() {
        Ok(Moment::Time(time)) => Ok(time),
        Ok(Moment::Version(_)) | Err(_) => Err(
            "write a time such as 2026-01-31T12:00:00Z; a date is its first moment, and a time without a zone is in UTC"
                .to_owned(),
        ),
    }
}

const FORMATS: [&str; 4] = [
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
];

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            let version = text
                .parse()
                .map_err(|_| format!("{text} is past any version"))?;
            return Ok(Self::Version(version));
        }
        if let Ok(time) = text.parse() {
            return Ok(Self::Time(time));
        }
        let times = FORMATS
            .iter()
            .filter_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
        let dates = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
        let mut found = times.chain(dates.and_then(|date| date.and_hms_opt(0, 0, 0)));
        let time = found.next().ok_or(
            "write a version such as 7, or a time such as 2026-01-31T12:00:00Z; a date is its first moment, and a time without a zone is in UTC",
        )?;
        Ok(Self::Time(time.and_utc().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_in_a_history_is_a_version_or_a_time() {
        let time = |text: &str| Ok(Moment::Time(text.parse().unwrap()));
        let parse = Moment::from_str;
        assert_eq!(parse("7"), Ok(Moment::Version(7)));
        assert_eq!(parse("2026-01-31"), time("2026-01-31T00:00:00Z"));
        assert_eq!(parse("2026-01-31 12:30"), time("2026-01-31T12:30:00Z"));
        assert_eq!(
            parse("2026-01-31T12:30:01.5"),
            time("2026-01-31T12:30:01.5Z")
        );
        assert_eq!(
            parse("2026-01-31T12:30:00+02:00"),
            time("2026-01-31T10:30:00Z")
        );
        for wrong in ["", "yesterday", "-1", "2026-13-01", "99999999999999999999"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
