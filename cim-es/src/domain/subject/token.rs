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
        if let Some(at) = misfit(text.as_bytes(), 0, text.len()) {
            return Err(TokenError::Character {
                text: text.to_owned(),
                character: char_at(text.as_bytes(), at).0,
                at,
            });
        }
        Ok(Self(Arc::from(text)))
    }

    /// Whether a character may stand in a token.
    pub(crate) const fn may_hold(character: char) -> bool {
        let is_control = matches!(character, '\0'..='\x1f' | '\x7f'..='\u{9f}');
        !is_control && !matches!(character, '.' | '*' | '>') && !character.is_whitespace()
    }

    pub(crate) fn into_text(self) -> Arc<str> {
        self.0
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a part of a text has the length of a token.
pub(super) const fn has_length(bytes: usize) -> bool {
    0 < bytes && bytes <= MAX_BYTES
}

/// Where the first character stands, in a part of a text, that a token cannot hold.
pub(super) const fn misfit(text: &[u8], from: usize, to: usize) -> Option<usize> {
    let mut at = from;
    while at < to {
        let (character, length) = char_at(text, at);
        if !Token::may_hold(character) {
            return Some(at);
        }
        at += length;
    }
    None
}

/// The character that begins at a place of a text, and its length in bytes.
const fn char_at(text: &[u8], at: usize) -> (char, usize) {
    let first = text[at] as u32;
    let (length, mut code) = match first {
        0..0x80 => return (text[at] as char, 1),
        0x80..0xe0 => (2, first & 0x1f),
        0xe0..0xf0 => (3, first & 0x0f),
        _ => (4, first & 0x07),
    };
    let mut behind = 1;
    while behind < length && at + behind < text.len() {
        code = code << 6 | (text[at + behind] & 0x3f) as u32;
        behind += 1;
    }
    match char::from_u32(code) {
        Some(character) => (character, length),
        None => (char::REPLACEMENT_CHARACTER, length),
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_is_judged_at_compile_time_as_the_standard_library_judges_it() {
        let mut text = [0; 4];
        for character in '\0'..=char::MAX {
            let bytes = character.encode_utf8(&mut text).as_bytes();
            assert_eq!(char_at(bytes, 0), (character, bytes.len()));
            let is_own = matches!(character, '.' | '*' | '>');
            let is_held = !(is_own || character.is_whitespace() || character.is_control());
            assert_eq!(Token::may_hold(character), is_held, "{character:?}");
        }
    }
}
