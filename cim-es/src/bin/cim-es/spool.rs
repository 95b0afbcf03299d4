//! The standard input, kept in a file without a name: it is read more than once.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;
use uuid::Uuid;

/// What the standard input had.
#[derive(Clone)]
pub struct Spool(Arc<Kept>);

struct Kept {
    file: Mutex<File>,
    /// Where it still has a name, which it loses with the value.
    path: Option<PathBuf>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // It lies where the system cleans up.
            let _ = fs::remove_file(path);
        }
    }
}

impl Spool {
    /// Reads the standard input to its end.
    pub async fn of_stdin() -> io::Result<Self> {
        let (tell, told) = oneshot::channel();
        // A thread that nobody waits for: an interrupt ends the program while it still reads.
        std::thread::Builder::new().spawn(move || drop(tell.send(Self::read())))?;
        told.await
            .unwrap_or_else(|_| Err(io::Error::other("the thread that reads it ended")))
    }

    /// What is secret in it is for its owner alone.
    fn read() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("cim-es-{}", Uuid::now_v7().simple()));
        let mut options = File::options();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path)?;
        // Elsewhere an open file keeps its name.
        let path = (!cfg!(unix) || fs::remove_file(&path).is_err()).then_some(path);
        let copied = io::copy(&mut io::stdin().lock(), &mut file);
        let file = Mutex::new(file);
        let kept = Kept { file, path };
        copied.map(|_| Self(Arc::new(kept)))
    }

    /// From its start.
    pub fn open(&self) -> Pass {
        let kept = Arc::clone(&self.0);
        Pass { kept, at: 0 }
    }
}

/// A pass over it, at a place of its own.
pub struct Pass {
    kept: Arc<Kept>,
    at: u64,
}

impl Read for Pass {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let file = &self.kept.file;
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.at))?;
        let read = file.read(buffer)?;
        self.at += read as u64;
        Ok(read)
    }
}
