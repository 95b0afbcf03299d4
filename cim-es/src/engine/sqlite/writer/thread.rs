//! The thread that writes what waits in line.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::desk::Desk;
use super::line::{Line, Next};
use super::queue::{Job, Served};

/// How long to wait for a log that could not be made shorter.
const AGAIN: Duration = Duration::from_secs(1);

/// The desk, for whoever has something to write; none once the store is closed.
pub(super) type SharedDesk = Arc<Mutex<Option<Desk>>>;

/// The thread that writes.
pub(super) struct Thread {
    desk: SharedDesk,
    line: Line,
    poll_interval: Duration,
    /// When it last looked for commits of other processes.
    looked: Instant,
}

impl Thread {
    pub(super) fn new(desk: SharedDesk, queue: Served, poll_interval: Duration) -> Self {
        Self {
            desk,
            line: Line::new(queue),
            poll_interval,
            looked: Instant::now(),
        }
    }

    /// Serves the queue until it is closed and empty, or a caller who wrote has failed.
    pub(super) fn run(mut self) {
        while let Some(first) = self.wait() {
            let group = self.line.gather(first);
            let line = &mut self.line;
            let served = with(&self.desk, |desk| {
                desk.serve(group, line);
                // After the answers: nobody waits for the log to be moved.
                desk.tend_log();
                desk.is_followed()
            });
            let Some(is_followed) = served else { break };
            // Work that never ends must not keep the commits of other processes from the subscriptions.
            if is_followed && self.looked.elapsed() >= self.poll_interval {
                self.look();
            }
        }
    }

    /// The next job; none when the store is closed. While subscriptions wait, looks for commits of other processes.
    fn wait(&mut self) -> Option<Job> {
        if let Some(job) = self.line.next_at_once() {
            return Some(job);
        }
        loop {
            let (is_followed, has_long_log) =
                with(&self.desk, |desk| (desk.is_followed(), desk.has_long_log()))?;
            let pause = match (is_followed, has_long_log) {
                (true, _) => Some(self.poll_interval),
                (false, true) => Some(AGAIN),
                (false, false) => None,
            };
            match self.line.next(pause) {
                Next::Job(job) => return Some(job),
                Next::Closed => return None,
                Next::Nothing if is_followed => self.look(),
                Next::Nothing => {}
            }
            with(&self.desk, |desk| desk.shorten_log(AGAIN))?;
        }
    }

    fn look(&mut self) {
        self.looked = Instant::now();
        with(&self.desk, Desk::look);
    }
}

impl Drop for Thread {
    /// Closes the file, however the thread ends.
    fn drop(&mut self) {
        *self.desk.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Does something at the desk; none where whoever had it last has failed.
fn with<T>(desk: &SharedDesk, work: impl FnOnce(&mut Desk) -> T) -> Option<T> {
    desk.lock().ok()?.as_mut().map(work)
}
