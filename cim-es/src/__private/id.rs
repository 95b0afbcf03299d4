//! Ids of the author's own, by way of their text.

use std::fmt::{self, Display};
use std::str::FromStr;

use crate::aggregate::IdError;

/// What the field of an id has to do: print, and parse what it printed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the text of an aggregate id",
    label = "this type has to print and parse: `Display`, and `FromStr` with an error that prints"
)]
pub trait IdText: Sized {
    fn show(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result;
    fn read(text: &str, expected: &'static str) -> Result<Self, IdError>;
}

#[diagnostic::do_not_recommend]
impl<T> IdText for T
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
