//! The writer's side of the queue: how many commits it waits for before it writes.
//!
//! Writers that were answered come back a moment later, one after the other. Whoever came back first would have a
//! transaction alone, and all others would wait for it and then for their own; so the writer waits for as many as there
//! were, no longer than a transaction takes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::queue::{Job, Served};

/// The most commits in one transaction.
const MAX_JOBS: usize = 256;
/// The size of commits past which no further one joins a transaction.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// How long the writer stays awake for the next commit.
const SPIN: Duration = Duration::from_micros(40);
/// How long to wait at most for those that may wait together.
const LONGEST_GATHERING: Duration = Duration::from_millis(10);

/// What waits, and how many may wait together.
pub(super) struct Line {
    queue: Served,
    /// What was taken out of the queue and is still to be done.
    waiting: VecDeque<Job>,
    /// How many may wait together.
    expected: usize,
    /// How long the last transaction took.
    took: Duration,
}

/// What a wait for work ended with.
pub(super) enum Next {
    Job(Job),
    /// Nothing came in time.
    Nothing,
    /// The store is closed, and nothing waits.
    Closed,
}

impl Line {
    pub(super) fn new(queue: Served) -> Self {
        Self {
            queue,
            waiting: VecDeque::new(),
            expected: 1,
            took: Duration::ZERO,
        }
    }

    /// The next job, when it comes within a moment.
    pub(super) fn next_at_once(&mut self) -> Option<Job> {
        // A writer that was answered often writes again at once; waking a thread that sleeps takes longer than that.
        let until = Instant::now() + SPIN;
        while self.waiting.is_empty() && self.queue.seems_empty() && Instant::now() < until {
            std::thread::yield_now();
        }
        self.take_in();
        self.waiting.pop_front()
    }

    /// The next job; waits for it no longer than a while, where one is given.
    pub(super) fn next(&mut self, pause: Option<Duration>) -> Next {
        let until = pause.map(|pause| Instant::now() + pause);
        let is_open = self.queue.sleep(1, until);
        self.take_in();
        match self.waiting.pop_front() {
            Some(job) => Next::Job(job),
            None if is_open => Next::Nothing,
            None => Next::Closed,
        }
    }

    /// A job, and what waits together with it.
    pub(super) fn gather(&mut self, first: Job) -> Vec<Job> {
        let mut bytes = first.bytes();
        let mut group = vec![first];
        let until = Instant::now() + self.took.min(LONGEST_GATHERING);
        loop {
            self.take_in();
            while group.len() < MAX_JOBS
                && bytes < MAX_BYTES
                && let Some(job) = self.waiting.pop_front()
            {
                bytes += job.bytes();
                group.push(job);
            }
            let missing = self.expected.min(MAX_JOBS).saturating_sub(group.len());
            let is_full = missing == 0 || bytes >= MAX_BYTES;
            if is_full || Instant::now() >= until {
                return group;
            }
            self.queue.sleep(missing, Some(until));
        }
    }

    /// Before the answers of a transaction that took a while: as many as are answered and as wait already may wait together
    /// next.
    pub(super) fn expect_as_many(&mut self, answered: usize, took: Duration) {
        self.take_in();
        self.expected = answered + self.waiting.len();
        self.took = took;
    }

    /// Takes what has come in meanwhile.
    fn take_in(&mut self) {
        self.queue.take(&mut self.waiting);
    }
}
