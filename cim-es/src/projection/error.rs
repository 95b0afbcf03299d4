//! What can go wrong with a view.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use super::{Parked, ViewId};
use crate::document::DocumentError;
use crate::domain::ErrorChain;
use crate::store::read_model::ReadModelError;
use crate::store::{Location, Position, SelectionError};

/// Why a projection cannot take an event: any error of the author's own by `?`, or a sentence.
///
/// ```
/// use cim_es::projection::ProjectionError;
///
/// fn number(text: &str) -> Result<u32, ProjectionError> {
///     if text.is_empty() {
///         return Err(ProjectionError::new("the order has no number"));
///     }
///     Ok(text.parse()?)
/// }
/// assert_eq!(number("x").unwrap_err().to_string(), "invalid digit found in string");
/// ```
pub struct ProjectionError(Box<dyn Error + Send + Sync>);

impl ProjectionError {
    /// A reason in a sentence of one's own.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into().into())
    }

    /// The error of a type, where it is one.
    #[cfg(feature = "sqlite")]
    pub(super) fn downcast<E: Error + Send + Sync + 'static>(self) -> Result<E, Self> {
        let error = self.0.downcast::<E>();
        error.map_or_else(|other| Err(Self(other)), |error| Ok(*error))
    }

    /// What a storage said while the projection asked it, where that is the reason.
    pub(super) fn into_storage_error(self) -> Result<ReadModelError, Self> {
        let error = match self.0.downcast::<DocumentError>() {
            Ok(error) => match *error {
                DocumentError::Storage(error) => return Ok(error),
                error => Box::new(error),
            },
            Err(error) => error,
        };
        #[cfg(any(feature = "sqlite", feature = "postgres"))]
        let error = match error.downcast::<crate::store::read_model::TableError>() {
            Ok(error) => match *error {
                crate::store::read_model::TableError::Storage(error) => return Ok(error),
                error => Box::new(error),
            },
            Err(error) => error,
        };
        let error = error.downcast::<ReadModelError>();
        error.map_or_else(|other| Err(Self(other)), |error| Ok(*error))
    }
}

/// It is no error by itself, so that every error can be taken into it by `?`.
impl<E: Error + Send + Sync + 'static> From<E> for ProjectionError {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl fmt::Display for ProjectionError {
    /// With all that led to it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ErrorChain(&*self.0).fmt(f)
    }
}

impl fmt::Debug for ProjectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProjectionError({self})")
    }
}

/// Why a view cannot be opened.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The manager runs a view of this name already.
    #[error(
        "a view named `{name}` runs here already, by `{projection}`: keep its handle and clone it, or give the other projection another name"
    )]
    NameTaken {
        /// The name.
        name: &'static str,
        /// The type of the projection that has it.
        projection: &'static str,
    },
    /// The manager was stopped.
    #[error("view `{name}` cannot be opened: the manager was stopped")]
    ManagerStopped {
        /// The name.
        name: &'static str,
    },
    /// There is nothing that could run the view.
    #[error(
        "view `{name}` needs a running Tokio runtime with a timer: open it within one, such as in a function with `#[tokio::main]`, or add `enable_time()` to its builder"
    )]
    NoRuntime {
        /// The name.
        name: &'static str,
    },
    /// The events of the projection cannot be selected.
    #[error("the events of view `{name}` cannot be selected")]
    NothingSelected {
        /// The name.
        name: &'static str,
        /// Why not.
        source: SelectionError,
    },
    /// A later version of the view answers already, and this one is gone.
    #[error(
        "view `{view}` is not built: `{serving}` answers already; run the later program, or ask the view with a reader"
    )]
    Superseded {
        /// The view of this program.
        view: ViewId,
        /// The version that answers.
        serving: ViewId,
    },
    /// This version of the view is kept already, in parts where it is to be whole, or whole where it is to be in parts.
    #[error(
        "view `{view}` is kept already, {}, or raise the version of the projection: a later version takes over from this one, and each event counts once in it",
        other_form(*is_in_parts)
    )]
    KeptOtherwise {
        /// The view.
        view: ViewId,
        /// Whether it is kept in parts.
        is_in_parts: bool,
    },
    /// The view is to be kept in the file of a store, and the manager runs on another.
    #[error(
        "view `{name}` is to be kept with the events in {location}, and the manager runs on another store: make the manager on this one"
    )]
    AnotherStore {
        /// The name.
        name: &'static str,
        /// The file of the store.
        location: Location,
    },
    /// Another manager of this program keeps the view with the events of the same store.
    #[error(
        "view `{view}` is kept with the events already, by another manager of this program: keep its handle and clone it, or ask the view with a `DocumentReader`"
    )]
    KeptAlready {
        /// The view.
        view: ViewId,
    },
    /// The storage cannot be used for the view.
    #[error(transparent)]
    Storage(#[from] ReadModelError),
}

/// Why a view has not come as far as was waited for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The time was over first.
    #[error(
        "view `{view}` has not counted position {wanted} within {limit:?}: it is at {up_to} ({status}); wait longer, or answer with what it has"
    )]
    TooSlow {
        /// The view.
        view: ViewId,
        /// What was waited for.
        wanted: Position,
        /// How far the view is.
        up_to: Position,
        /// For how long was waited.
        limit: Duration,
        /// What it is doing.
        status: String,
    },
    /// It stopped at an earlier event.
    #[error(
        "view `{view}` does not come to position {wanted}: it is parked before position {} at {up_to}: {}; mend the projection and resume it, or skip the event with a reason",
        parked.bookmark.position,
        parked.reason
    )]
    Parked {
        /// The view.
        view: ViewId,
        /// What was waited for.
        wanted: Position,
        /// How far the view is.
        up_to: Position,
        /// Where it stopped, and why.
        parked: Box<Parked>,
    },
    /// It was stopped.
    #[error(
        "view `{view}` does not come to position {wanted}: it was stopped at {up_to}{}",
        because(reason)
    )]
    Stopped {
        /// The view.
        view: ViewId,
        /// What was waited for.
        wanted: Position,
        /// How far the view is.
        up_to: Position,
        /// Why it stopped, where nobody asked for it.
        reason: Option<String>,
    },
}

impl WaitError {
    /// How far the view is.
    pub fn up_to(&self) -> Position {
        match self {
            Self::TooSlow { up_to, .. }
            | Self::Parked { up_to, .. }
            | Self::Stopped { up_to, .. } => *up_to,
        }
    }
}

/// Why a view did not do what was asked of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// It is not parked, so there is nothing to resume from or to pass over.
    #[error("view `{view}` is not parked, it is {status}: there is no event to pass over")]
    NotParked {
        /// The view.
        view: ViewId,
        /// What it is doing.
        status: String,
    },
    /// A reason has to say why an event is passed over.
    #[error("an event is passed over for a reason that is kept with the view: say it")]
    NoReason,
    /// Somebody has to answer for an event that is passed over.
    #[error("an event is passed over by somebody, whose name is kept with the view: say who")]
    Nobody,
    /// It was stopped.
    #[error("view `{view}` was stopped{}: open it again", because(reason))]
    Stopped {
        /// The view.
        view: ViewId,
        /// Why it stopped, where nobody asked for it.
        reason: Option<String>,
    },
    /// Another program keeps the view current.
    #[error("view `{view}` is kept current by another program: ask there")]
    ElsewhereKept {
        /// The view.
        view: ViewId,
    },
    /// The storage could not be told.
    #[error("view `{view}`: {reason}")]
    Storage {
        /// The view.
        view: ViewId,
        /// What the storage said.
        reason: String,
    },
}

/// The view has no state that may be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "view `{view}` has nothing to show: it stopped while it was built again{}; open it again",
    because(reason)
)]
pub struct NotReady {
    /// The view.
    pub view: ViewId,
    /// Why it stopped, where nobody asked for it.
    pub reason: Option<String>,
}

fn other_form(is_in_parts: bool) -> &'static str {
    match is_in_parts {
        true => "in parts: open it in parts (`split`)",
        false => "as a whole: open it without `split`",
    }
}

fn because(reason: &Option<String>) -> String {
    match reason {
        Some(reason) => format!(": {reason}"),
        None => String::new(),
    }
}
