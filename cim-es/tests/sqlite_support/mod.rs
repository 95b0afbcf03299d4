//! What the tests of the SQLite engine share.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::path::{Path, PathBuf};

use uuid::Uuid;

/// A directory that is gone with the value.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(format!("cim-es-{}", Uuid::now_v7().simple()));
        std::fs::create_dir_all(&path).expect("a directory for the test");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

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
