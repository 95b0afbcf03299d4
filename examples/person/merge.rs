//! Merging records of the same person, with a look at the other one.

use cim_es::prelude::*;
use cim_es::repository::{Commit, ExecuteError, LoadError};

use super::values::Reason;
use super::{Person, PersonCommand, PersonError, PersonState};

/// Why two records are not merged.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// The record to merge into does not exist.
    #[error("there is no person {0} to merge into")]
    Unknown(Id<Person>),
    /// It is merged into another itself.
    #[error("{target} is merged into {into}: merge into that one")]
    Merged {
        /// The record to merge into.
        target: Id<Person>,
        /// Where it went.
        into: Id<Person>,
    },
    /// It is in the archive.
    #[error("{0} is archived, and stands for nobody any more")]
    Archived(Id<Person>),
    /// It could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The command was not executed.
    #[error(transparent)]
    Execute(#[from] ExecuteError<PersonError>),
}

/// Merges a record into another that stands for the same person and is live.
///
/// The other is looked at before, not guarded: one that is merged or archived in the same moment is not noticed. Two
/// records that are merged into each other in one moment then both end; their histories show it.
///
/// # Errors
/// [`MergeError`].
pub async fn merge(
    persons: &Repository<Person>,
    id: &Id<Person>,
    target: Id<Person>,
    reason: Reason,
    identity: &MessageIdentity,
) -> Result<Commit, MergeError> {
    let other = persons.load(&target).await?;
    match (other.state(), other.merged_into) {
        (PersonState::Unknown, _) => return Err(MergeError::Unknown(target)),
        (PersonState::Archived, _) => return Err(MergeError::Archived(target)),
        (PersonState::Merged, Some(into)) => return Err(MergeError::Merged { target, into }),
        _ => {}
    }
    let command = PersonCommand::MergeInto { target, reason };
    Ok(persons.execute(id, command, identity).await?)
}
