//! What can go wrong, each as one line for the person in front of the program.

use std::io;
use std::path::PathBuf;

use cim_es::block::Verdict;
use cim_es::jetstream::OpenError;
use cim_es::repository::{ExecuteError, LoadError};
use cim_es::store::StoreError;

use super::domain::ComputeError;
use super::host::HostError;
use crate::place::PlaceError;

/// Why the program could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum QuickstartError {
    /// There is no place for the store.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// There is no store, and nothing was to be recorded.
    #[error("{} does not exist: run without options first, to register this machine", .0.display())]
    NoStore(PathBuf),
    /// The store has no history of this machine.
    #[error("{} has no history of this machine: run without options first, to register it", .0.display())]
    NotRegistered(PathBuf),
    /// The machine could not be read.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The servers could not be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The history could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The history is not what was written.
    #[error("the history does not verify")]
    Verdict(#[from] Verdict),
    /// The command was not executed.
    #[error(transparent)]
    Execute(#[from] ExecuteError<ComputeError>),
    /// The copy of the store could not be made, changed or read.
    #[error("the copy of the store cannot be used: {0}")]
    Copy(String),
    /// The change in the copy was not noticed.
    #[error("the flipped byte was not noticed")]
    NotNoticed,
    /// The result could not be written.
    #[error("the output cannot be written")]
    Output(#[from] io::Error),
}
