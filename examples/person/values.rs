//! The texts of the domain: each is valid once it exists, also when it is read back from a store.

use std::fmt;
use std::str::FromStr;

use cim_es::prelude::*;

pub use crate::quickstart::values::{Label, Reason, ValueError};

/// Declares a value that is a text with a rule; decoding goes through the same rule.
macro_rules! text_value {
    ($(#[$doc:meta])* $name:ident: $what:literal, $rule:literal, $is_valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = ValueError;

            fn try_from(text: String) -> Result<Self, ValueError> {
                let is_valid: fn(&str) -> bool = $is_valid;
                match is_valid(&text) {
                    true => Ok(Self(text)),
                    false => Err(ValueError::new(text, $what, $rule)),
                }
            }
        }

        impl FromStr for $name {
            type Err = ValueError;

            fn from_str(text: &str) -> Result<Self, ValueError> {
                text.to_owned().try_into()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_value!(
    /// A part of a name, or another short text about a person, in any script.
    Text: "text",
    "1 to 200 bytes in one line, without spaces around it",
    |text| is_line(text, 200)
);

text_value!(
    /// What shows that something is so: a document, a register, a card.
    Evidence: "evidence",
    "1 to 500 bytes in one line, without spaces around it",
    |text| is_line(text, 500)
);

text_value!(
    /// A country by its two letters of ISO 3166-1, such as `CH`; whether they are assigned is not checked.
    Country: "country",
    "the two capital letters of ISO 3166-1, such as CH",
    |text| text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase())
);

text_value!(
    /// A language by its tag of RFC 5646, section 2.1, such as `de` or `pt-BR`; whether its parts are registered is not
    /// checked.
    Language: "language",
    "a tag of RFC 5646 such as de or pt-BR: 2 to 8 letters, then parts of 1 to 8 letters and digits after hyphens",
    |text| {
        let mut parts = text.split('-');
        let is_primary = |part: &str| {
            (2..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphabetic())
        };
        let is_part = |part: &str| {
            (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
        };
        parts.next().is_some_and(is_primary) && parts.all(is_part)
    }
);

impl From<Reason> for Evidence {
    /// A reason is a text under the same rule.
    fn from(reason: Reason) -> Self {
        Self(reason.into())
    }
}

fn is_line(text: &str, max_bytes: usize) -> bool {
    (1..=max_bytes).contains(&text.len())
        && !text.chars().any(char::is_control)
        && text.trim() == text
}
