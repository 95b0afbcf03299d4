//! A file for a secret: its owner alone may read it.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Makes a file that its owner alone may read; one that is there is never written over. Where it cannot be written whole,
/// it is removed again.
pub(crate) fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    if written.is_err() {
        // What failed is reported; a part of a secret is of no use.
        let _ = std::fs::remove_file(path);
    }
    written
}
