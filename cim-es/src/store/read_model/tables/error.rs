//! What can go wrong with a statement on tables of an author's own.

use std::error::Error;
use std::sync::Arc;

use crate::store::StoreError;
use crate::store::read_model::{ReadModelError, Unserved, ViewId};

/// What can go wrong with a statement on tables of an author's own; each says which statement of which view.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// A name in braces is not one of the view's.
    #[error(
        "view `{view}` declares no `{{{name}}}`: {}; in statement `{statement}`",
        known(declared)
    )]
    UnknownName {
        /// The view.
        view: ViewId,
        /// The name.
        name: String,
        /// Those that it declares.
        declared: Vec<String>,
        /// The statement, as it was written.
        statement: String,
    },
    /// The database refuses a statement, or what it gives is not what was asked for.
    #[error("statement `{statement}` of view `{view}` failed")]
    Statement {
        /// The view.
        view: ViewId,
        /// The statement, as it was written.
        statement: String,
        /// What the database said.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// A projection does what belongs to whoever runs it.
    #[error("statement `{statement}` of view `{view}` is refused: {reason}")]
    Refused {
        /// The view.
        view: ViewId,
        /// The statement, as it was written.
        statement: String,
        /// What is wrong with it and what to do.
        reason: String,
    },
    /// Nobody serves the view yet.
    #[error("no version of view `{name}` can be asked yet: {why}")]
    NotServing {
        /// The name of the view.
        name: String,
        /// What is known of it.
        why: Unserved,
    },
    /// The storage failed, or the tables are not as they were made.
    #[error(transparent)]
    Storage(#[from] ReadModelError),
}

impl From<StoreError> for TableError {
    fn from(error: StoreError) -> Self {
        Self::Storage(error.into())
    }
}

fn known(names: &[String]) -> String {
    match names {
        [] => "it has no tables".to_owned(),
        names => format!(
            "it has {}",
            names
                .iter()
                .map(|name| format!("`{{{name}}}`"))
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}
