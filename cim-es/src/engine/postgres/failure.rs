//! What PostgreSQL reports, in the words of [`StoreError`].

use std::sync::Arc;

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

use crate::domain::ErrorChain;
use crate::store::{Location, StoreError};

/// Names a failure that leaves nothing stored: every one but that of a commit without an answer.
pub(super) fn store_error(
    location: &Location,
    operation: &'static str,
    error: Error,
) -> StoreError {
    let location = location.clone();
    let reason = format!("{operation}: {}", ErrorChain(&error));
    let Some(code) = error.code() else {
        // Not the server but what is between: it is away, or does not answer in its protocol.
        return match is_between(&error) {
            true => StoreError::Busy { location, reason },
            false => StoreError::Engine {
                location,
                operation,
                source: Arc::new(error),
            },
        };
    };
    match class(code) {
        Class::Full => StoreError::Full { location, reason },
        Class::ReadOnly => StoreError::ReadOnly { location, reason },
        Class::Passing => StoreError::Busy { location, reason },
        Class::Refused => StoreError::Incompatible { location, reason },
        Class::Changed => StoreError::Incompatible {
            location,
            reason: format!(
                "a table is not as it was made ({reason}): put it back, or drop the schema, and the views are built anew"
            ),
        },
        Class::Depended => StoreError::Incompatible {
            location,
            reason: format!(
                "something that is not of this library depends on a table of a view ({}): drop that, or have it depend on nothing here",
                error.as_db_error().map(detailed).unwrap_or(reason)
            ),
        },
        Class::Other => StoreError::Engine {
            location,
            operation,
            source: Arc::new(error),
        },
    }
}

/// Whether a failure is one of the statement, and not of the database or of what is between.
pub(super) fn is_of_statement(error: &Error) -> bool {
    let Some(code) = error.code() else {
        return !is_between(error);
    };
    let is_of_server = ["53", "57", "58", "XX"]
        .iter()
        .any(|kind| code.code().starts_with(kind));
    let is_of_statement = matches!(class(code), Class::Changed | Class::Other);
    is_of_statement && !is_of_server || *code == SqlState::FEATURE_NOT_SUPPORTED
}

enum Class {
    /// Something of somebody else stands on what is to go.
    Depended,
    Full,
    ReadOnly,
    Passing,
    /// The server does not let this program in.
    Refused,
    Changed,
    Other,
}

fn class(code: &SqlState) -> Class {
    match code.code() {
        "53100" | "53200" => Class::Full,
        "25006" | "42501" => Class::ReadOnly,
        // Shutdowns, too many connections, locks, deadlocks, cancelled by an operator.
        "57P01" | "57P02" | "57P03" | "57014" | "53000" | "53300" | "40001" | "40P01" | "55P03" => {
            Class::Passing
        }
        "2BP01" => Class::Depended,
        "3D000" | "0A000" => Class::Refused,
        "42P01" | "42703" | "42804" | "23502" | "23505" | "23514" | "42P10" => Class::Changed,
        // Connections; and who is let in.
        code if code.starts_with("08") => Class::Passing,
        code if code.starts_with("28") => Class::Refused,
        _ => Class::Other,
    }
}

/// A message with what it says beside.
fn detailed(error: &DbError) -> String {
    let detail = error.detail().unwrap_or_default();
    format!("{}: {}", error.message(), detail.replace('\n', ", "))
}

/// Whether a failure is one of the connection: closed, refused, or cut.
fn is_between(error: &Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if cause.is::<std::io::Error>() {
            return true;
        }
        source = cause.source();
    }
    error.is_closed()
}
