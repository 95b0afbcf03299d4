//! A file that is there whole, or not at all.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::bundle::BundleError;

/// The bytes that are gathered before they are written.
const BUFFER: usize = 256 * 1024;

/// A file that is written beside the one that it becomes, and is gone with the value unless it is kept.
pub(super) struct NewFile {
    file: File,
    draft: PathBuf,
    target: PathBuf,
    is_kept: bool,
}

impl NewFile {
    pub(super) fn beside(target: &Path) -> Result<Self, BundleError> {
        let name = target.file_name().ok_or_else(|| {
            let error = std::io::Error::other("the path names no file");
            BundleError::file("made", target, error)
        })?;
        let draft = format!(
            ".{}.{}.part",
            name.to_string_lossy(),
            Uuid::now_v7().simple()
        );
        let draft = target.with_file_name(draft);
        let file = File::options().write(true).create_new(true).open(&draft);
        Ok(Self {
            file: file.map_err(|error| BundleError::file("made", target, error))?,
            draft,
            target: target.to_owned(),
            is_kept: false,
        })
    }

    /// What is written to it.
    pub(super) fn output(&self) -> Result<BufWriter<File>, BundleError> {
        let file = self.file.try_clone();
        let file = file.map_err(|error| BundleError::file("made", &self.target, error))?;
        Ok(BufWriter::with_capacity(BUFFER, file))
    }

    /// Makes it survive a power cut, and gives it its name.
    pub(super) fn keep(mut self) -> Result<(), BundleError> {
        let failed = |doing: &'static str| {
            let target = self.target.clone();
            move |error| BundleError::file(doing, &target, error)
        };
        self.file.sync_all().map_err(failed("written"))?;
        fs::rename(&self.draft, &self.target).map_err(failed("named"))?;
        self.is_kept = true;
        if cfg!(unix) {
            let parent = self.target.parent();
            let parent = parent.filter(|parent| !parent.as_os_str().is_empty());
            let directory = File::open(parent.unwrap_or(Path::new(".")));
            let synced = directory.and_then(|directory| directory.sync_all());
            synced.map_err(|error| BundleError::file("written", &self.target, error))?;
        }
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_kept {
            // What remains is a hidden file that says by its name what it is.
            let _ = fs::remove_file(&self.draft);
        }
    }
}
