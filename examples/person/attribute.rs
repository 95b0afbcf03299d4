//! What is known about a person beside name, birth and death: typed, and valid for a time.

use std::fmt;
use std::num::NonZeroU16;

use cim_es::prelude::*;

use super::date::Date;
use super::values::{Country, Language, Text};

/// The number of an attribute of one person, from 1; never given twice.
pub type AttributeNumber = u32;

/// What is known, by its type. A person has one value of a type at a time, or several where the type says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttributeValue {
    /// Where the person was born.
    BirthPlace(Text),
    /// The gender that the person says of itself, in its own words.
    GenderIdentity(Text),
    /// The height in centimetres.
    Height(NonZeroU16),
    /// A language that the person understands; several.
    Language(Language),
    /// A nationality; several.
    Nationality(Country),
    /// What the person is called beside its name; several.
    Nickname(Text),
    /// Whether organs may be taken after death.
    OrganDonor(bool),
    /// How to refer to the person; several.
    Pronouns(Text),
    /// What stands in a register of births or a passport.
    Sex(Sex),
}

/// What documents say of a person's sex: the letters of property GENDER (RFC 6350, section 6.2.7) without `unknown`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sex {
    /// Female.
    Female,
    /// Male.
    Male,
    /// Another than these two.
    Other,
    /// None, or it does not apply.
    None,
}

/// A value and when it holds: from the first day of one date to the last day of another, both included; without one,
/// from ever or for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Parts")]
pub struct Attribute {
    value: AttributeValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_from: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_until: Option<Date>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    value: AttributeValue,
    #[serde(default)]
    valid_from: Option<Date>,
    #[serde(default)]
    valid_until: Option<Date>,
}

impl AttributeValue {
    /// The name of the type, as it is stored.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::BirthPlace(_) => "birth_place",
            Self::GenderIdentity(_) => "gender_identity",
            Self::Height(_) => "height",
            Self::Language(_) => "language",
            Self::Nationality(_) => "nationality",
            Self::Nickname(_) => "nickname",
            Self::OrganDonor(_) => "organ_donor",
            Self::Pronouns(_) => "pronouns",
            Self::Sex(_) => "sex",
        }
    }

    /// Whether a person may have several values of this type at a time.
    pub fn is_multi_valued(&self) -> bool {
        use AttributeValue::{Language, Nationality, Nickname, Pronouns};
        matches!(
            self,
            Language(_) | Nationality(_) | Nickname(_) | Pronouns(_)
        )
    }
}

impl Attribute {
    /// A value that holds from a date until another.
    ///
    /// # Errors
    /// [`ValueError`] when it would end before it begins.
    pub fn new(
        value: AttributeValue,
        valid_from: Option<Date>,
        valid_until: Option<Date>,
    ) -> Result<Self, ValueError> {
        Parts {
            value,
            valid_from,
            valid_until,
        }
        .try_into()
    }

    /// A value that holds from ever and for ever, as far as is known.
    pub fn always(value: AttributeValue) -> Self {
        Self {
            value,
            valid_from: None,
            valid_until: None,
        }
    }

    /// The value.
    pub fn value(&self) -> &AttributeValue {
        &self.value
    }

    /// The same time with another value.
    pub fn with_value(&self, value: AttributeValue) -> Self {
        Self {
            value,
            ..self.clone()
        }
    }

    /// The same value from a date on.
    pub fn beginning(self, valid_from: Option<Date>) -> Self {
        Self {
            value: self.value,
            valid_from,
            valid_until: None,
        }
    }

    /// Whether it holds on some day of a date.
    pub fn holds_at(&self, date: &Date) -> bool {
        let has_begun = self
            .valid_from
            .is_none_or(|from| !from.is_surely_after(date));
        has_begun
            && self
                .valid_until
                .is_none_or(|until| !date.is_surely_after(&until))
    }

    /// Whether a person cannot have both: they are of one type, hold on one day, and the type allows one value, or the
    /// value is the same.
    pub fn conflicts_with(&self, other: &Self) -> bool {
        let is_one_type = self.value.type_name() == other.value.type_name();
        let is_exclusive = !self.value.is_multi_valued() || self.value == other.value;
        is_one_type && is_exclusive && self.overlaps(other)
    }

    fn overlaps(&self, other: &Self) -> bool {
        let ends_before = |one: &Self, other: &Self| {
            let ends = one.valid_until.zip(other.valid_from);
            ends.is_some_and(|(until, from)| from.is_surely_after(&until))
        };
        !ends_before(self, other) && !ends_before(other, self)
    }
}

impl TryFrom<Parts> for Attribute {
    type Error = ValueError;

    fn try_from(parts: Parts) -> Result<Self, ValueError> {
        if let Some((from, until)) = parts.valid_from.zip(parts.valid_until)
            && from.is_surely_after(&until)
        {
            const RULE: &str = "it begins on the day that it ends, or before";
            return Err(ValueError::new(
                format!("{from} to {until}"),
                "time of validity",
                RULE,
            ));
        }
        Ok(Self {
            value: parts.value,
            valid_from: parts.valid_from,
            valid_until: parts.valid_until,
        })
    }
}

impl fmt::Display for AttributeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BirthPlace(it) | Self::GenderIdentity(it) => it.fmt(f),
            Self::Nickname(it) | Self::Pronouns(it) => it.fmt(f),
            Self::Height(centimetres) => write!(f, "{centimetres} cm"),
            Self::Language(it) => it.fmt(f),
            Self::Nationality(it) => it.fmt(f),
            Self::OrganDonor(is_donor) => f.write_str(if *is_donor { "yes" } else { "no" }),
            Self::Sex(Sex::Female) => f.write_str("female"),
            Self::Sex(Sex::Male) => f.write_str("male"),
            Self::Sex(Sex::Other) => f.write_str("other"),
            Self::Sex(Sex::None) => f.write_str("none"),
        }
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.value.type_name(), self.value)?;
        if let Some(from) = self.valid_from {
            write!(f, " from {from}")?;
        }
        self.valid_until
            .map_or(Ok(()), |until| write!(f, " until {until}"))
    }
}
