//! What the field of an id has to do.

use std::fmt::{self, Display};
use std::str::FromStr;

use super::IdError;

/// A type that can be the field of a struct with `#[derive(AggregateId)]`: it prints, and parses what it printed.
///
/// It is implemented through [`Display`] and [`FromStr`] alone.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the text of an aggregate id",
    label = "this type has to print and parse: `Display`, and `FromStr` with an error that prints"
)]
pub trait IdField: Sized {
    /// Prints the id.
    ///
    /// # Errors
    /// What the formatter reports.
    fn show(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result;

    /// The id in a text; `expected` is the type that the error names.
    ///
    /// # Errors
    /// [`IdError`] when the text is no id.
    fn read(text: &str, expected: &'static str) -> Result<Self, IdError>;
}

#[diagnostic::do_not_recommend]
impl<T> IdField for T
where
    T: Display + FromStr<Err: Display>,
{
    fn show(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt(formatter)
    }

    fn read(text: &str, expected: &'static str) -> Result<Self, IdError> {
        text.parse().map_err(|error: T::Err| IdError {
            text: text.to_owned(),
            expected,
            reason: error.to_string(),
        })
    }
}
