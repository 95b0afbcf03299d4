//! Writing to the disk what was written to a file, while more of it is written: who waits for all of it in the end then waits
//! for the rest alone.

use std::fs::File;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// After how many bytes the disk is asked for.
const EVERY: usize = 16 * 1024 * 1024;

/// A thread that has a file written to the disk, again and again.
pub(super) struct Syncing {
    due: SyncSender<()>,
    thread: JoinHandle<io::Result<()>>,
    /// The bytes that were written since it was asked last.
    bytes: usize,
}

impl Syncing {
    /// # Errors
    /// There is no thread, or no further handle of the file.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let file = file.try_clone()?;
        // While it is at work, it need not be asked more than once.
        let (due, asked) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("cim-es-sync".into())
            .spawn(move || sync(&file, &asked))?;
        Ok(Self {
            due,
            thread,
            bytes: 0,
        })
    }

    /// Says that more was written.
    pub(super) fn note(&mut self, bytes: usize) {
        self.bytes += bytes;
        if self.bytes >= EVERY {
            self.bytes = 0;
            // It is asked already, or has failed, which it says in the end.
            let _ = self.due.try_send(());
        }
    }

    /// Waits until it is done with what it was asked for.
    ///
    /// # Errors
    /// What kept the file from the disk: the system says it once, and not again when all is written.
    pub(super) fn finish(self) -> io::Result<()> {
        drop(self.due);
        let panicked = |_| io::Error::other("the thread that writes to the disk failed");
        self.thread.join().map_err(panicked)?
    }
}

fn sync(file: &File, asked: &Receiver<()>) -> io::Result<()> {
    asked.iter().try_for_each(|()| file.sync_data())
}
