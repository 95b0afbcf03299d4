//! Dates as precise as they are known: a day, a month or a year.

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, Days, Months, NaiveDate};
use cim_es::prelude::*;

/// A date of the Gregorian calendar to the day, the month or the year, as ISO 8601 writes them: `1985-04-12`,
/// `1985-04`, `1985`.
///
/// What is known to the month alone has a first and a last day on which it may have been; comparing goes by these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Date {
    first: NaiveDate,
    precision: Precision,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Precision {
    Day,
    Month,
    Year,
}

impl Date {
    /// The date of a year, and of a month and a day where they are known; none when there is no such date, or a day
    /// without a month.
    pub fn of(year: u16, month: Option<u8>, day: Option<u8>) -> Option<Self> {
        let precision = match (month, day) {
            (Some(_), Some(_)) => Precision::Day,
            (Some(_), None) => Precision::Month,
            (None, None) => Precision::Year,
            (None, Some(_)) => return None,
        };
        let (month, day) = (month.unwrap_or(1), day.unwrap_or(1));
        let first = NaiveDate::from_ymd_opt(year.into(), month.into(), day.into())?;
        let is_written_with_four_digits = (1..=9_999).contains(&year);
        is_written_with_four_digits.then_some(Self { first, precision })
    }

    /// The date of a moment where the day begins first, in the zone UTC+14: what has not begun there has begun nowhere.
    pub fn furthest_at(moment: Timestamp) -> Option<Self> {
        const AHEAD: chrono::TimeDelta = chrono::TimeDelta::hours(14);
        let there = moment.to_datetime()?.checked_add_signed(AHEAD)?;
        Some(Self {
            first: there.date_naive(),
            precision: Precision::Day,
        })
    }

    /// The first day on which it may have been.
    pub fn first_day(&self) -> NaiveDate {
        self.first
    }

    /// The last day on which it may have been.
    pub fn last_day(&self) -> NaiveDate {
        let months = match self.precision {
            Precision::Day => return self.first,
            Precision::Month => 1,
            Precision::Year => 12,
        };
        let next = self.first.checked_add_months(Months::new(months));
        next.and_then(|next| next.checked_sub_days(Days::new(1)))
            .unwrap_or(NaiveDate::MAX)
    }

    /// Whether it was later than another, however imprecise both are.
    pub fn is_surely_after(&self, other: &Self) -> bool {
        self.first_day() > other.last_day()
    }

    /// Whether another date says the same, and as much or more.
    pub fn is_made_precise_by(&self, other: &Self) -> bool {
        self.first_day() <= other.first_day() && other.last_day() <= self.last_day()
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = (self.first.year(), self.first.month(), self.first.day());
        match self.precision {
            Precision::Day => write!(f, "{year:04}-{month:02}-{day:02}"),
            Precision::Month => write!(f, "{year:04}-{month:02}"),
            Precision::Year => write!(f, "{year:04}"),
        }
    }
}

impl FromStr for Date {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        parsed(text).ok_or_else(|| {
            const RULE: &str =
                "a day, a month or a year that there is, such as 1985-04-12, 1985-04 or 1985";
            ValueError::new(text.to_owned(), "date", RULE)
        })
    }
}

fn parsed(text: &str) -> Option<Date> {
    let two = |text| number(text, 2).and_then(|number| u8::try_from(number).ok());
    match text.split('-').collect::<Vec<_>>()[..] {
        [year] => Date::of(number(year, 4)?, None, None),
        [year, month] => Date::of(number(year, 4)?, Some(two(month)?), None),
        [year, month, day] => Date::of(number(year, 4)?, Some(two(month)?), Some(two(day)?)),
        _ => None,
    }
}

/// The number that so many digits, and nothing else, write.
fn number(text: &str, digits: usize) -> Option<u16> {
    let is_number = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

impl TryFrom<String> for Date {
    type Error = ValueError;

    fn try_from(text: String) -> Result<Self, ValueError> {
        text.parse()
    }
}

impl From<Date> for String {
    fn from(date: Date) -> Self {
        date.to_string()
    }
}
