//! One token of a subject.

use std::fmt;
use std::sync::Arc;

/// The longest token in bytes.
const MAX_BYTES: usize = 255;

/// One token of a subject: not empty, at most 255 bytes, without whitespace, control characters, `.`, `*` and `>`.
///
/// The rule is that of the [NATS documentation](https://docs.nats.io/nats-concepts/subjects).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(Arc<str>);

/// A text that cannot stand as one token of a subject.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The text is empty.
    #[error("a token of a subject cannot be empty")]
    Empty,
    /// The text is longer than 255 bytes.
    #[error("a token of a subject has at most {MAX_BYTES} bytes, this one has {bytes}: `{}…`", start.escape_debug())]
    TooLong {
        /// The length in bytes.
        bytes: usize,
        /// How the text starts.
        start: String,
    },
    /// The text has a character with a meaning of its own in subjects, or whitespace.
    #[error(
        "`{}` cannot stand as a token of a subject: character {character:?} at {at} is not allowed there",
        text.escape_debug()
    )]
    Character {
        /// The text.
        text: String,
        /// The character.
        character: char,
        /// Its place in bytes, from 0.
        at: usize,
    },
}

impl Token {
    /// A token from a text.
    ///
    /// # Errors
    /// [`TokenError`] says what the text has that a token cannot have.
    pub fn new(text: &str) -> Result<Self, TokenError> {
        if text.is_empty() {
            return Err(TokenError::Empty);
        }
        if text.len() > MAX_BYTES {
            return Err(TokenError::TooLong {
                bytes: text.len(),
                start: text.chars().take(32).collect(),
            });
        }
        if let Some((at, character)) = text.char_indices().find(|(_, c)| !Self::may_hold(*c)) {
            return Err(TokenError::Character {
                text: text.to_owned(),
                character,
                at,
            });
        }
        Ok(Self(Arc::from(text)))
    }

    /// Whether a character may stand in a token.
    pub(crate) fn may_hold(character: char) -> bool {
        !matches!(character, '.' | '*' | '>')
            && !character.is_whitespace()
            && !character.is_control()
    }

    pub(crate) fn into_text(self) -> Arc<str> {
        self.0
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
