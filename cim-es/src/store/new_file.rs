//! A file that is there whole, or not at all.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

/// A file that is written beside the one that it becomes, and is gone with the value unless it gets its name.
pub struct NewFile {
    file: File,
    draft: PathBuf,
    target: PathBuf,
    is_named: bool,
}

impl NewFile {
    /// An empty one beside a path.
    ///
    /// # Errors
    /// The path names no file, its directory is missing, or nothing can be written there.
    pub fn beside(target: &Path) -> io::Result<Self> {
        let name = target
            .file_name()
            .ok_or_else(|| io::Error::other("the path names no file"))?;
        let mut draft = OsString::from(".");
        draft.push(name);
        draft.push(format!(".{}.part", Uuid::now_v7().simple()));
        let draft = target.with_file_name(draft);
        Ok(Self {
            file: File::options()
                .read(true)
                .write(true)
                .create_new(true)
                .open(&draft)?,
            draft,
            target: target.to_owned(),
            is_named: false,
        })
    }

    /// What is written to.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Gives it its name, in place of a file that has it. A power cut may take either of them away.
    ///
    /// # Errors
    /// What keeps it from getting its name; what was there stays.
    #[cfg(feature = "proof")]
    pub fn give_name(mut self) -> io::Result<()> {
        self.rename()
    }

    /// Gives it its name once it is on the disk: it then survives a power cut, and so does the name.
    ///
    /// # Errors
    /// What keeps it from getting its name; what was there stays.
    pub fn keep(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        self.rename()?;
        if cfg!(unix) {
            let parent = self.target.parent();
            let parent = parent.filter(|parent| !parent.as_os_str().is_empty());
            File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        Ok(())
    }

    fn rename(&mut self) -> io::Result<()> {
        fs::rename(&self.draft, &self.target)?;
        self.is_named = true;
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_named {
            // What remains is a hidden file that says by its name what it is.
            let _ = fs::remove_file(&self.draft);
        }
    }
}
