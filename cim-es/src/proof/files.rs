//! Where hashes and the last checkpoint are kept: a directory, or the memory.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::CheckpointError;
use crate::store::Location;
use crate::store::lock_file::lock;
use crate::store::new_file::NewFile;

/// Files by name; a name has `/` between its parts.
#[derive(Clone, Debug)]
pub(super) enum Files {
    Directory(Arc<Path>),
    Memory(Arc<Mutex<BTreeMap<String, Vec<u8>>>>),
}

fn failed(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> CheckpointError {
    let location = Location::File(path.to_owned());
    move |error| CheckpointError::File {
        location,
        doing,
        source: Arc::new(error),
    }
}

fn memory(files: &Mutex<BTreeMap<String, Vec<u8>>>) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
    files.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Files {
    pub(super) fn location(&self) -> Location {
        match self {
            Self::Directory(path) => Location::File(path.to_path_buf()),
            Self::Memory(_) => Location::Memory,
        }
    }

    pub(super) fn location_of(&self, name: &str) -> Location {
        match self {
            Self::Directory(path) => Location::File(path.join(name)),
            Self::Memory(_) => Location::Memory,
        }
    }

    /// What a file holds; none where there is no such file.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, CheckpointError> {
        match self {
            Self::Directory(path) => read(&path.join(name)),
            Self::Memory(files) => Ok(memory(files).get(name).cloned()),
        }
    }

    /// Writes a file whole or not at all; a power cut may take it away again.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), CheckpointError> {
        match self {
            Self::Directory(path) => write(&path.join(name), bytes, false),
            Self::Memory(files) => {
                memory(files).insert(name.to_owned(), bytes.to_vec());
                Ok(())
            }
        }
    }

    /// Writes a file whole or not at all, and so that it stays.
    pub(super) fn keep(&self, name: &str, bytes: &[u8]) -> Result<(), CheckpointError> {
        match self {
            Self::Directory(path) => write(&path.join(name), bytes, true),
            Self::Memory(_) => self.write(name, bytes),
        }
    }

    /// Removes all files whose names begin with this and a `/`.
    pub(super) fn remove_under(&self, name: &str) -> Result<(), CheckpointError> {
        match self {
            Self::Directory(path) => {
                let path = path.join(name);
                match fs::remove_dir_all(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        Err(failed(&path, "removed")(error))
                    }
                    _ => Ok(()),
                }
            }
            Self::Memory(files) => {
                let start = format!("{name}/");
                memory(files).retain(|it, _| !it.starts_with(&start));
                Ok(())
            }
        }
    }

    /// Keeps other programs from writing, as long as the file is open; none for the memory.
    pub(super) fn lock(&self) -> Result<Option<File>, CheckpointError> {
        let Self::Directory(path) = self else {
            return Ok(None);
        };
        fs::create_dir_all(path).map_err(failed(path, "written"))?;
        let name = path.join("lock");
        match lock(&name).map_err(failed(&name, "locked"))? {
            Some(file) => Ok(Some(file)),
            None => Err(CheckpointError::InUse {
                location: self.location(),
            }),
        }
    }
}

/// What a file holds; none where there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, CheckpointError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path, "read")(error)),
    }
}

/// Writes a file in place of one that is there, whole or not at all, with the folders that it stands in. If it is to
/// stay, it is on the disk before it has its name.
pub(super) fn write(path: &Path, bytes: &[u8], stays: bool) -> Result<(), CheckpointError> {
    let new = || match NewFile::beside(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
            NewFile::beside(path)
        }
        new => new,
    };
    let write = || {
        let new = new()?;
        new.file().write_all(bytes)?;
        match stays {
            true => new.keep(),
            false => new.give_name(),
        }
    };
    write().map_err(failed(path, "written"))
}
