//! Where a test keeps its files.

use std::path::{Path, PathBuf};

use uuid::Uuid;

/// A directory that is gone with the value.
pub struct Directory(PathBuf);

impl Directory {
    /// Among the system's temporary files.
    pub fn new() -> Self {
        Self::under(&std::env::temp_dir())
    }

    /// Within another one.
    pub fn under(parent: &Path) -> Self {
        let path = parent.join(format!("cim-es-{}", Uuid::now_v7().simple()));
        std::fs::create_dir_all(&path).expect("a directory for the test");
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The path of a file in it, which may not be there.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Default for Directory {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What remains is in the directory for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
