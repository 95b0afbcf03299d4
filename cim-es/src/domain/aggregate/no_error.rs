//! The error of an aggregate that declares none.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;

/// The error of an aggregate without `error = …` in `#[aggregate(…)]`. It has no value: no rule of such a domain refuses
/// a command.
///
/// When the compiler expects it and finds an error of yours, a decision refuses a command and the declaration does not
/// say with what: add `error = YourError` to `#[aggregate(…)]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoErrorInAggregateAttribute {}

impl fmt::Display for NoErrorInAggregateAttribute {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl Error for NoErrorInAggregateAttribute {}

/// What an aggregate without a declared error takes by `?`: an error that cannot happen. Of others its message says that
/// they must be declared.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`error = {Self}` is missing in `#[aggregate(…)]`",
    label = "the aggregate declares no error: add `error = {Self}` to `#[aggregate(…)]`"
)]
pub trait DeclaredError {
    fn never(self) -> NoErrorInAggregateAttribute;
}

impl DeclaredError for Infallible {
    fn never(self) -> NoErrorInAggregateAttribute {
        match self {}
    }
}

impl<E: DeclaredError> From<E> for NoErrorInAggregateAttribute {
    fn from(error: E) -> Self {
        error.never()
    }
}
