//! Where a store keeps what it keeps.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

/// Where something is stored: what an error names, for a person to look at and for a program to tell apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Location {
    /// The memory of this process.
    Memory,
    /// A file.
    File(PathBuf),
    /// A stream of a server, by its name.
    Stream(String),
    /// A bucket of a server, for values by key or for objects, by its name.
    Bucket(String),
    /// Somewhere else, as an engine of another library names it.
    Other(Cow<'static, str>),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("the store in memory"),
            Self::File(path) => path.display().fmt(f),
            Self::Stream(name) => write!(f, "stream {name}"),
            Self::Bucket(name) => write!(f, "bucket `{name}`"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

impl From<&Path> for Location {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

impl From<&'static str> for Location {
    /// Somewhere else.
    fn from(name: &'static str) -> Self {
        Self::Other(name.into())
    }
}

impl From<String> for Location {
    /// Somewhere else.
    fn from(name: String) -> Self {
        Self::Other(name.into())
    }
}
