//! The texts of the domain: each is valid once it exists, also when it is read back from a store.

use cim_es::prelude::*;

pub use crate::quickstart::values::{Label, Reason};

value! {
    /// A part of a name, or another short text about a person, in any script.
    pub Text: "text",
    "1 to 200 bytes in one line, without spaces around it",
    |text| is_line(text, 200)
}

value! {
    /// What shows that something is so: a document, a register, a card.
    pub Evidence: "evidence",
    "1 to 500 bytes in one line, without spaces around it",
    |text| is_line(text, 500)
}

value! {
    /// A country by its two letters of ISO 3166-1, such as `CH`; whether they are assigned is not checked.
    pub Country: "country",
    "the two capital letters of ISO 3166-1, such as CH",
    |text| text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase())
}

value! {
    /// A language by its tag of RFC 5646, section 2.1, such as `de` or `pt-BR`; whether its parts are registered is not
    /// checked.
    pub Language: "language",
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
}

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
