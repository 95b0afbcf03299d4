//! The files under an open store, and whether its path still leads to them.
//!
//! SQLite keeps its files open and does not notice when a path leads to others meanwhile: what it commits from then on
//! is acknowledged, and gone with the file. So the store itself compares, at each transaction: device and inode of the
//! file, of its log and of the log's shared index are what they were when they were opened. While a file is open, no
//! other file gets its numbers.
//!
//! The files are looked at by their names alone. To open one and close it again would drop the locks that SQLite has on
//! it in this process. And nothing is asked for but which file it is: once somebody asked when a file was changed, Linux
//! notes its next change to the nanosecond, so that each sync of the log had to write the log's inode too. That took half
//! as long again as the sync itself (measured on ext4, Linux 6.18).

use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::format::Format;
use super::{create, mounts};
use crate::store::{Location, StoreError};

/// What SQLite keeps beside the file in the mode that a store uses: the log, and the index of the log that processes
/// share.
const BESIDE: [&str; 2] = ["-wal", "-shm"];

/// What tells a file from every other of the machine while somebody has it open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

/// A path and the file that it must lead to.
struct Watched {
    path: PathBuf,
    identity: Identity,
}

/// The files of one store.
pub(super) struct Files {
    pub(super) location: Location,
    /// What the file must be.
    pub(super) format: &'static Format,
    /// The path without links: SQLite keeps what is beside the file by this name.
    pub(super) path: PathBuf,
    main: Vec<Watched>,
    beside: OnceLock<Vec<Watched>>,
}

impl Files {
    /// The file that a path leads to now.
    pub(super) fn at(
        path: &Path,
        location: &Location,
        format: &'static Format,
    ) -> Result<Self, StoreError> {
        let unusable = |error: io::Error| StoreError::Incompatible {
            location: location.clone(),
            reason: format!("the path cannot be followed: {error}"),
        };
        // As it stands now: a program may change its directory later.
        let named = std::path::absolute(path).map_err(unusable)?;
        let resolved = fs::canonicalize(&named).map_err(unusable)?;
        let mut main = Vec::new();
        for path in [&named, &resolved] {
            if let Some(identity) = identity(path).map_err(unusable)?
                && main.iter().all(|other: &Watched| other.path != *path)
            {
                let path = path.clone();
                main.push(Watched { path, identity });
            }
        }
        Ok(Self {
            location: location.clone(),
            format,
            path: resolved,
            main,
            beside: OnceLock::new(),
        })
    }

    /// Refuses a file whose log another process would look for elsewhere: SQLite finds the log by the name of the file.
    pub(super) fn check_name(&self) -> Result<(), StoreError> {
        let unusable = |reason: String| StoreError::Incompatible {
            location: self.location.clone(),
            reason,
        };
        let names = names(&self.path);
        if names > 1 {
            // A program that was killed while it made the file leaves the other name that it made it under.
            create::remove_drafts(&self.path);
        }
        let names = names.min(self::names(&self.path));
        if names > 1 {
            return Err(unusable(format!(
                "the file has {names} names (hard links), and what is committed under one of them stays in a log that \
                 the others do not lead to; remove the other names, or make a copy of the file and open that"
            )));
        }
        let mount = mounts::of(&self.path);
        if mount.is_the_file {
            return Err(unusable(
                "the file alone is mounted there, so that its log would stay behind where the file is not; mount the \
                 directory that it is in"
                    .into(),
            ));
        }
        if let Some(kind) = mount.network {
            tracing::warn!(
                location = %self.location,
                kind,
                "the file lies on a network: only processes of one machine may open it at a time"
            );
        }
        Ok(())
    }

    /// Keeps in mind which log is in use, once SQLite has opened it.
    pub(super) fn watch_log(&self) -> Result<(), StoreError> {
        if self.main.is_empty() {
            return Ok(());
        }
        let mut found = Vec::new();
        for suffix in BESIDE {
            let path = beside(&self.path, suffix);
            let identity = identity(&path).map_err(|error| self.replaced(&path, &gone(&error)))?;
            found.extend(identity.map(|identity| Watched { path, identity }));
        }
        // Every connection of the store finds the same ones, or its first transaction is refused.
        let _ = self.beside.set(found);
        Ok(())
    }

    /// Whether every path still leads to the file that was opened.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let beside = self.beside.get();
        for watched in self.main.iter().chain(beside.into_iter().flatten()) {
            match identity(&watched.path) {
                Ok(Some(found)) if found == watched.identity => {}
                Ok(_) => {
                    return Err(self.replaced(&watched.path, "is another file now"));
                }
                Err(error) => return Err(self.replaced(&watched.path, &gone(&error))),
            }
        }
        Ok(())
    }

    /// The error of a store whose files are not at their paths any more.
    pub(super) fn replaced(&self, path: &Path, what: &str) -> StoreError {
        StoreError::Replaced {
            location: self.location.clone(),
            reason: format!("`{}` {what}", path.display()),
        }
    }
}

/// The path of a file that SQLite keeps beside another.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Whether two paths lead to one file.
pub(super) fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |path| identity(path).ok().flatten();
    identity(one).is_some_and(|one| Some(one) == identity(other))
}

fn gone(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => {
            "is not there any more: it was deleted or renamed, or a directory above it was".into()
        }
        _ => format!("cannot be looked at any more: {error}"),
    }
}

/// Which file a path leads to; none where that cannot be said.
#[cfg(target_os = "linux")]
fn identity(path: &Path) -> io::Result<Option<Identity>> {
    use rustix::fs::{AtFlags, CWD, StatxFlags, makedev, statx};
    use rustix::io::Errno;
    match statx(CWD, path, AtFlags::empty(), StatxFlags::INO) {
        Ok(found) => Ok(Some(Identity {
            device: makedev(found.stx_dev_major, found.stx_dev_minor),
            inode: found.stx_ino,
        })),
        // Linux before 4.11 does not know the call, and some containers do not permit it.
        Err(Errno::NOSYS | Errno::PERM) => identity_by_all(path),
        Err(error) => Err(error.into()),
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
fn identity(path: &Path) -> io::Result<Option<Identity>> {
    identity_by_all(path)
}

/// The same, out of all that is known of a file.
#[cfg(unix)]
fn identity_by_all(path: &Path) -> io::Result<Option<Identity>> {
    use std::os::unix::fs::MetadataExt;
    let found = fs::metadata(path)?;
    Ok(Some(Identity {
        device: found.dev(),
        inode: found.ino(),
    }))
}

/// Elsewhere a file that is open can be neither deleted nor replaced.
#[cfg(not(unix))]
fn identity(path: &Path) -> io::Result<Option<Identity>> {
    fs::metadata(path).map(|_| None)
}

/// How many names a file has.
#[cfg(unix)]
fn names(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).map_or(1, |found| found.nlink())
}

#[cfg(not(unix))]
fn names(_: &Path) -> u64 {
    1
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::{identity, identity_by_all};

    #[test]
    fn both_ways_to_ask_which_file_it_is_give_the_same() {
        for path in ["/", "/proc/self/exe", "Cargo.toml"] {
            let path = path.as_ref();
            let asked = identity(path).expect("it is there");
            assert_eq!(asked, identity_by_all(path).expect("it is there"));
            assert!(asked.is_some());
        }
        assert!(identity("nowhere".as_ref()).is_err());
    }
}
