//! Files that a command leaves for a later one.

use std::io::{self, Write};
use std::path::Path;

use crate::new_file::NewFile;

/// Writes a file in place of one that is there: all of it, or nothing. It then survives a power cut.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = NewFile::beside(path)?;
    new.file().write_all(bytes)?;
    new.keep()
}
