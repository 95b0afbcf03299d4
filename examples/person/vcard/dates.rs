//! The dates of a card, as precise as they are (RFC 6350, section 4.3).

use calcard::vcard::{VCardEntry, VCardParameterName, VCardParameterValue, VCardValueType};

use crate::person::date::Date;

/// What a property for a date says.
#[derive(Debug, PartialEq)]
pub enum Said {
    /// A date with its year at least.
    Date(Date),
    /// Something that is right and cannot be kept here: nothing, a day without a year, or a text.
    Unkept,
    /// No date.
    Wrong,
}

/// Reads the value of a property such as BDAY. The forms with and without hyphens are read in every version, since
/// programs mix them up, and a time behind the date is not looked at.
pub fn read(entry: &VCardEntry, value: &str) -> Said {
    let value = value.trim();
    let day = value.split(['T', 't', ' ']).next().unwrap_or(value);
    if day.is_empty() || is_text(entry) || is_without_year(day) {
        return Said::Unkept;
    }
    let is_omitted = omitted_year(entry).is_some_and(|year| day.starts_with(&year));
    match date(day) {
        None => Said::Wrong,
        Some(_) if is_omitted => Said::Unkept,
        Some(date) => Said::Date(date),
    }
}

fn date(text: &str) -> Option<Date> {
    match (text.len(), text.is_ascii()) {
        (8, true) => {
            let (year, rest) = text.split_at(4);
            let (month, day) = rest.split_at(2);
            format!("{year}-{month}-{day}").parse().ok()
        }
        _ => text.parse().ok(),
    }
}

/// `--0412`, `--04-12`, `--04` and `---12`.
fn is_without_year(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("--") else {
        return false;
    };
    let digits = rest.replace('-', "");
    let is_digits = digits.bytes().all(|b| b.is_ascii_digit());
    is_digits && matches!(digits.len(), 2 | 4)
}

pub(super) fn is_text(entry: &VCardEntry) -> bool {
    let is_text = |it: &VCardParameterValue| {
        matches!(it, VCardParameterValue::ValueType(VCardValueType::Text))
    };
    let mut parameters = entry.params.iter();
    parameters.any(|it| it.name == VCardParameterName::Value && is_text(&it.value))
}

/// The year that stands for none: programs by Apple write 1604 and say so in a parameter.
fn omitted_year(entry: &VCardEntry) -> Option<String> {
    let is_that = |name: &VCardParameterName| matches!(name, VCardParameterName::Other(name) if name.eq_ignore_ascii_case("X-APPLE-OMIT-YEAR"));
    let mut parameters = entry.params.iter();
    match &parameters.find(|it| is_that(&it.name))?.value {
        VCardParameterValue::Text(year) => Some(year.clone()),
        VCardParameterValue::Integer(year) => Some(year.to_string()),
        _ => None,
    }
}
