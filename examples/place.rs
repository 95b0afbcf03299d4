//! Where the programs keep their histories when no server does.

use std::io;
use std::path::{Path, PathBuf};

/// Why there is no such place.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The system names no directory for the user's data.
    #[error("this user has no data directory: name the file with --store FILE")]
    NoDataDirectory,
    /// The file is a directory.
    #[error("{} is a directory: name a file with --store FILE", .0.display())]
    IsDirectory(PathBuf),
    /// There is no file, and the command does not begin one.
    #[error("there is no store in {}: import a file first, or name another store with --store FILE", .0.display())]
    NoStore(PathBuf),
    /// The directory of the file cannot be made.
    #[error("directory {} cannot be made", .directory.display())]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The file that the command line names, or else the one with the default name in the user's data directory. For a
/// program that may begin it, its directory exists afterwards.
///
/// # Errors
/// [`PlaceError`].
pub fn file(named: Option<&Path>, default: &str, may_begin: bool) -> Result<PathBuf, PlaceError> {
    file_in(data_directory().as_deref(), named, default, may_begin)
}

/// The user's data directory, where the system names one.
pub fn data_directory() -> Option<PathBuf> {
    let project = directories::ProjectDirs::from("", "", "cim-es");
    project.map(|project| project.data_dir().to_owned())
}

/// As [`file()`], with the data directory of somebody else.
///
/// # Errors
/// [`PlaceError`].
pub fn file_in(
    data_directory: Option<&Path>,
    named: Option<&Path>,
    default: &str,
    may_begin: bool,
) -> Result<PathBuf, PlaceError> {
    let in_data_directory = || data_directory.map(|data| data.join(default));
    let path = named.map(Path::to_owned).or_else(in_data_directory);
    let path = path.ok_or(PlaceError::NoDataDirectory)?;
    if path.is_dir() {
        return Err(PlaceError::IsDirectory(path));
    }
    if !may_begin && !path.exists() {
        return Err(PlaceError::NoStore(path));
    }
    if let Some(directory) = path.parent() {
        let directory = directory.to_owned();
        std::fs::create_dir_all(&directory)
            .map_err(|source| PlaceError::Directory { directory, source })?;
    }
    Ok(path)
}
