//! The name of a person, in its parts.

use std::fmt;

use cim_es::prelude::*;

use super::values::Text;

/// The parts of a name, as property N of a vCard has them (RFC 6350, section 6.2.2), and the name as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NameParts {
    /// Family names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub family: Vec<Text>,
    /// Given names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub given: Vec<Text>,
    /// Additional names, between given and family names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub additional: Vec<Text>,
    /// What stands before the name, such as a title.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<Text>,
    /// What stands after it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub suffixes: Vec<Text>,
    /// The whole name as it is written, where that is not its parts in the order above, prefixes first and family names
    /// behind the additional ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written: Option<Text>,
}

/// A name with a family name or a given name at least.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "NameParts", into = "NameParts")]
pub struct PersonName(NameParts);

impl PersonName {
    /// The parts.
    pub fn parts(&self) -> &NameParts {
        &self.0
    }

    /// The name of one text, split where a reader would most likely split it: before a comma stands the family name;
    /// without one the last word is the family name, and a single word a given name. The text itself is kept.
    ///
    /// # Errors
    /// [`ValueError`] for an empty text, one of several lines, and one that is too long.
    pub fn from_full(text: &str) -> Result<Self, ValueError> {
        let written: Text = text.parse()?;
        let (given, family) = match text.split_once(',') {
            Some((family, given)) => (given.trim(), family.trim()),
            None => text.rsplit_once(' ').unwrap_or((text, "")),
        };
        let part = |part: &str| match part.trim() {
            "" => Ok(Vec::new()),
            part => Ok(vec![part.parse()?]),
        };
        NameParts {
            family: part(family)?,
            given: part(given)?,
            written: Some(written),
            ..NameParts::default()
        }
        .try_into()
    }
}

impl NameParts {
    fn joined(&self) -> String {
        let order = [
            &self.prefixes,
            &self.given,
            &self.additional,
            &self.family,
            &self.suffixes,
        ];
        let parts: Vec<_> = order.into_iter().flatten().map(Text::as_str).collect();
        parts.join(" ")
    }
}

impl TryFrom<NameParts> for PersonName {
    type Error = ValueError;

    fn try_from(mut parts: NameParts) -> Result<Self, ValueError> {
        let joined = parts.joined();
        if parts.family.is_empty() && parts.given.is_empty() {
            let shown = parts.written.map_or(joined, String::from);
            return Err(ValueError::new(
                shown,
                "name",
                "a family name or a given name at least",
            ));
        }
        if parts
            .written
            .as_ref()
            .is_some_and(|written| written.as_str() == joined)
        {
            parts.written = None;
        }
        Ok(Self(parts))
    }
}

impl From<PersonName> for NameParts {
    fn from(name: PersonName) -> Self {
        name.0
    }
}

impl fmt::Display for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.written {
            Some(written) => f.write_str(written.as_str()),
            None => f.write_str(&self.0.joined()),
        }
    }
}
