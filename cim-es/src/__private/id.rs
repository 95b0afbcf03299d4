//! Ids of the author's own, by way of their text.

use std::fmt::Display;
use std::str::FromStr;

use crate::aggregate::IdError;
use crate::subject::{Token, TokenError};

/// The id in a text.
pub fn parse_id<T>(text: &str, expected: &'static str) -> Result<T, IdError>
where
    T: FromStr,
    T::Err: Display,
{
    text.parse().map_err(|error: T::Err| IdError {
        text: text.to_owned(),
        expected,
        reason: error.to_string(),
    })
}

/// The text of an id as a token.
pub fn id_token(id: &impl Display) -> Result<Token, TokenError> {
    Token::new(&id.to_string())
}
