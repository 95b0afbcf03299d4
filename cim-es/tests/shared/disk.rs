//! A disk that is small.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::directory::Directory;

/// A small disk, unmounted with the value.
pub struct Disk(PathBuf);

impl Disk {
    /// A disk of some size, as `mount` writes it; none where this user may not mount one, which is said.
    pub fn mount(directory: &Directory, size: &str) -> Option<Self> {
        let disk = directory.file("disk");
        std::fs::create_dir(&disk).expect("a place for the disk");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(&disk)
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(disk));
        }
        eprintln!("skipped: this user may not mount a small disk");
        None
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Lets nobody write to it any more.
    pub fn protect(&self) {
        let remounted = Command::new("mount")
            .args(["-o", "remount,ro"])
            .arg(&self.0)
            .status();
        assert!(remounted.is_ok_and(|status| status.success()));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.0).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("`{}` could not be unmounted", self.0.display());
        }
    }
}
