//! The text of an id, and how it stands as one token of a subject.

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::sync::Arc;

use crate::domain::subject::Token;

/// The longest id in bytes. Escaped it has at most three times as many, so that a subject with it stays far below the
/// 4 KiB that a NATS control line holds.
const MAX_BYTES: usize = 255;

/// The text of an aggregate's id: any text that is not empty and has at most 255 bytes.
///
/// Envelopes, files and messages for people have the text as it is. Only where the id stands as one token of a stored
/// subject is it [escaped](Self::token).
///
/// ```
/// use cim_es::aggregate::IdText;
///
/// let plain = IdText::new("4711")?;
/// assert_eq!(plain.token(), "4711");
/// let email = IdText::new("ann.lee@example.org")?;
/// assert_eq!(email.as_str(), "ann.lee@example.org");
/// assert_eq!(email.token(), "ann%2Elee@example%2Eorg");
/// # Ok::<(), cim_es::aggregate::IdTextError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdText(Arc<str>);

/// A text that cannot be an aggregate's id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdTextError {
    /// The text is empty.
    #[error("an aggregate's id cannot be empty: give each aggregate an id of its own")]
    Empty,
    /// The text is longer than 255 bytes.
    #[error(
        "an aggregate's id has at most {MAX_BYTES} bytes, this one has {bytes}: `{}…`; take a digest of it, or a UUID",
        start.escape_debug()
    )]
    TooLong {
        /// The length in bytes.
        bytes: usize,
        /// How the text starts.
        start: String,
    },
}

impl IdText {
    /// The text of an id.
    ///
    /// # Errors
    /// [`IdTextError`] for a text that is empty or longer than 255 bytes.
    pub fn new(text: &str) -> Result<Self, IdTextError> {
        if text.is_empty() {
            return Err(IdTextError::Empty);
        }
        if text.len() > MAX_BYTES {
            return Err(IdTextError::TooLong {
                bytes: text.len(),
                start: text.chars().take(32).collect(),
            });
        }
        Ok(Self::trusted(text))
    }

    /// From a text that was an id before.
    pub(crate) fn trusted(text: &str) -> Self {
        Self(Arc::from(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as one token of a subject.
    ///
    /// A character that a token cannot hold (`.`, `*`, `>`, whitespace, control characters) stands as its bytes in
    /// UTF-8, each as `%` and two upper hexadecimal digits, as in a URL; so does `%` itself. All other characters stay
    /// as they are, in their case. Different ids have different tokens, and a token has at most 765 bytes. This never
    /// changes, because it stands in stored subjects.
    pub fn token(&self) -> Cow<'_, str> {
        let is_escaped = |c: char| c == '%' || !Token::may_hold(c);
        if !self.0.contains(is_escaped) {
            return Cow::Borrowed(&self.0);
        }
        let mut token = String::with_capacity(self.0.len() + 16);
        for character in self.0.chars() {
            if !is_escaped(character) {
                token.push(character);
                continue;
            }
            for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                // Writing to a text does not fail.
                let _ = write!(token, "%{byte:02X}");
            }
        }
        Cow::Owned(token)
    }
}

impl From<Token> for IdText {
    fn from(token: Token) -> Self {
        Self(token.into_text())
    }
}

impl fmt::Display for IdText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn token(text: &str) -> String {
        IdText::new(text).unwrap().token().into_owned()
    }

    #[test]
    fn a_plain_id_is_its_own_token() {
        for plain in [
            "4711",
            "0197a3e0-0000-7000-8000-000000000001",
            "ä:1/=",
            "a@b",
            "MiXed_+~$!",
        ] {
            assert_eq!(token(plain), plain);
        }
    }

    #[test]
    fn what_a_token_cannot_hold_is_escaped_for_ever_in_the_same_way() {
        for (text, escaped) in [
            ("ann.lee@example.org", "ann%2Elee@example%2Eorg"),
            ("Ann Lee", "Ann%20Lee"),
            ("2.15.1", "2%2E15%2E1"),
            ("*", "%2A"),
            (">", "%3E"),
            ("100%", "100%25"),
            ("%2E", "%252E"),
            ("a\r\nb\0", "a%0D%0Ab%00"),
            ("a\u{a0}b", "a%C2%A0b"),
            ("\u{85}", "%C2%85"),
            ("\u{3000}", "%E3%80%80"),
        ] {
            assert_eq!(token(text), escaped);
        }
    }

    #[test]
    fn an_empty_or_an_endless_id_is_refused() {
        assert_eq!(IdText::new(""), Err(IdTextError::Empty));
        assert!(IdText::new(&"a".repeat(255)).is_ok());
        let error = IdText::new(&".".repeat(256)).unwrap_err();
        assert!(matches!(error, IdTextError::TooLong { bytes: 256, .. }));
        assert_eq!(token(&".".repeat(255)).len(), 765);
    }

    proptest! {
        #[test]
        fn the_token_of_any_id_is_one_token_and_no_two_ids_share_it(
            ids in proptest::collection::hash_set("[a.%2E* \\n\u{a0}ä]{1,6}", 1..64)
        ) {
            let mut owners = HashMap::new();
            for id in ids {
                let escaped = token(&id);
                prop_assert!(Token::new(&escaped).is_ok(), "{:?}", escaped);
                prop_assert_eq!(owners.insert(escaped, id), None);
            }
        }

        #[test]
        fn any_text_is_an_id(text in "\\PC{1,60}|(?s:.){1,60}") {
            prop_assert!(Token::new(&token(&text)).is_ok() || token(&text).len() > 255);
        }
    }
}
