//! What SQLite says of a statement that it does not understand, said once.

use std::error::Error;
use std::fmt;

use crate::store::read_model::one_line;

/// How much of a statement is shown behind the place of the mistake, in characters.
const SHOWN: usize = 40;

/// What SQLite says of a statement, without the whole of it.
pub(crate) fn said(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqlInputError {
            msg, sql, offset, ..
        } => {
            let rest = usize::try_from(*offset).ok().and_then(|at| sql.get(at..));
            match rest {
                Some(rest) if !rest.is_empty() => {
                    let near: String = rest.chars().take(SHOWN).collect();
                    format!("{msg}, at `{}`", one_line(&near))
                }
                _ => msg.clone(),
            }
        }
        error => error.to_string(),
    }
}

/// A mistake in a statement, for an error that shows the statement already: `rusqlite` shows it again, and has a source
/// that says no more than that there is one.
#[derive(Debug)]
pub(super) struct Mistake(String);

impl Mistake {
    /// The mistake, where the statement is why.
    pub(super) fn of(error: &rusqlite::Error) -> Option<Self> {
        match error {
            rusqlite::Error::SqlInputError { msg, .. } => Some(Self(msg.clone())),
            _ => None,
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Mistake {}
