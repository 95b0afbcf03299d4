//! Durations as people write them.

use std::time::Duration;

/// The units, the longest name first where one starts with another. A year has 365 days.
const UNITS: [(&str, u64); 6] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("y", 31_536_000_000),
];

/// A whole number and a unit: `250ms`, `5s`, `2m`, `12h`, `365d`, `1y`.
///
/// # Errors
/// What is expected, in words.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let unit_at = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let milliseconds = UNITS
        .iter()
        .find(|(name, _)| *name == unit.trim())
        .zip(number.parse::<u64>().ok())
        .and_then(|((_, factor), number)| number.checked_mul(*factor));
    milliseconds.map(Duration::from_millis).ok_or_else(|| {
        "a duration is a whole number and one of the units ms, s, m, h, d, y, such as `5s` or `365d`"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        for (text, milliseconds) in [
            ("250ms", 250),
            ("5s", 5_000),
            (" 2 m ", 120_000),
            ("12h", 43_200_000),
            ("365d", 31_536_000_000),
            ("1y", 31_536_000_000),
        ] {
            assert_eq!(
                parse(text),
                Ok(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "5",
            "s",
            "-5s",
            "1.5s",
            "5 seconds",
            "99999999999999999999s",
            "18446744073709551615y",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
