//! An error with what led to it, as one line.

use std::error::Error;
use std::fmt;

/// Shows an error and its causes in one line, `: ` between them.
///
/// An error of this library says in its own sentence what was to be done and where, and leaves what kept it from being
/// done to its [`source`](Error::source). A program that prints an error for a person prints the chain:
///
/// ```
/// # use cim_es::{ErrorChain, store::SelectionError, store::StoreError};
/// let error = StoreError::NothingSelected(SelectionError::NoPartition);
/// assert_eq!(
///     ErrorChain(&error).to_string(),
///     format!("{error}: {}", SelectionError::NoPartition)
/// );
/// ```
///
/// A cause whose words the error around it repeats, as some libraries do, is shown once.
#[derive(Clone, Copy, Debug)]
pub struct ErrorChain<'a>(
    /// The error.
    pub &'a (dyn Error + 'static),
);

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        f.write_str(&said)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !said.contains(&text) {
                write!(f, ": {text}")?;
                said = text;
            }
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Layer(&'static str, Option<Box<Layer>>);

    impl fmt::Display for Layer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Layer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|layer| layer as _)
        }
    }

    fn over(text: &'static str, cause: Layer) -> Layer {
        Layer(text, Some(Box::new(cause)))
    }

    #[test]
    fn every_cause_is_shown_once_and_in_order() {
        let error = over("no lunch", over("no bread", Layer("no flour", None)));
        assert_eq!(
            ErrorChain(&error).to_string(),
            "no lunch: no bread: no flour"
        );
    }

    #[test]
    fn a_cause_that_the_error_around_it_repeats_is_shown_once() {
        let cause = over("no bread", Layer("no flour", None));
        let error = over("no lunch, since: no bread", cause);
        assert_eq!(
            ErrorChain(&error).to_string(),
            "no lunch, since: no bread: no flour"
        );
    }
}
