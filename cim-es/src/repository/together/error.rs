//! What can go wrong between several commands and their commit.

use std::error::Error;

use crate::repository::{ExecuteError, LoadError};
use crate::store::{AggregateKey, StoreError};

/// Why commands on several aggregates did not lead to a commit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TogetherError {
    /// A command is refused, or cannot be carried out; none of them took effect.
    #[error("command {} of {of}, `{command}` on {aggregate}, was not carried out", place + 1)]
    Command {
        /// The place of the command among them, from 0.
        place: usize,
        /// How many there are.
        of: usize,
        /// The command.
        command: &'static str,
        /// The aggregate.
        aggregate: Box<AggregateKey>,
        /// Whether the domain says no, as [`ExecuteError::is_refusal`] has it.
        is_refusal: bool,
        /// The [`ExecuteError`] of the aggregate.
        #[source]
        reason: Box<dyn Error + Send + Sync>,
    },
    /// What concerns an aggregate and no single command of it; the reason says whether something was stored.
    #[error("the commands on {aggregate} were not carried out")]
    Aggregate {
        /// The aggregate.
        aggregate: Box<AggregateKey>,
        /// The [`ExecuteError`] of the aggregate.
        #[source]
        reason: Box<dyn Error + Send + Sync>,
    },
    /// An aggregate could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The store did not take the commit; [`StoreError::Conflict`] when others were first each time.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An aggregate that was to stay unchanged has moved; nothing was stored.
    #[error(
        "{aggregate} was to stay unchanged at version {seen}, and has version {actual}: look at it again, and decide again"
    )]
    Moved {
        /// The aggregate.
        aggregate: Box<AggregateKey>,
        /// The version that it was to keep.
        seen: u64,
        /// The version that it has.
        actual: u64,
    },
    /// The repositories are not on one store.
    #[error(
        "the repository of {aggregate} is on another store than the first one: a commit is in one store, so make the repositories from clones of one handle to it"
    )]
    AnotherStore {
        /// The aggregate.
        aggregate: Box<AggregateKey>,
    },
    /// Two types of the program stand for one aggregate.
    #[error(
        "{aggregate} stands in the commit under two types of the program: use one repository for it"
    )]
    TwoTypes {
        /// The aggregate.
        aggregate: Box<AggregateKey>,
    },
}

impl TogetherError {
    /// Whether the domain says no to one of the commands, as [`ExecuteError::is_refusal`] tells it of one.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Command { is_refusal, .. } if *is_refusal)
    }

    /// Whether another writer was first: each time, or on an aggregate that was to stay unchanged.
    pub fn is_conflict(&self) -> bool {
        match self {
            Self::Moved { .. } => true,
            Self::Store(error) => error.is_conflict(),
            _ => false,
        }
    }

    /// The reason of an aggregate whose own error is `E`: for a program that goes by which rule said no.
    pub fn reason<E: Error + 'static>(&self) -> Option<&ExecuteError<E>> {
        match self {
            Self::Command { reason, .. } | Self::Aggregate { reason, .. } => reason.downcast_ref(),
            _ => None,
        }
    }
}
