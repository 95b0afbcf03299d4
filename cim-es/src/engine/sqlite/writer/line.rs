//! The writer's side of the queue: how many commits it waits for before it ends a transaction.
//!
//! Writers that were answered come back a moment later, one after the other. Whoever came back first would have a
//! transaction alone, and all others would wait for it and then for their own; so the writer waits for as many as there
//! were, no longer than a transaction takes. It begins with those that are there: while one core adds their events, the
//! others seal those of the commits that are still to come.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::queue::{Append, Job, Served};

/// The most commits in one transaction.
const MAX_JOBS: usize = 256;
/// The size of commits past which no further one joins a transaction.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// How long the writer stays awake for the next commit.
const SPIN: Duration = Duration::from_micros(40);
/// How long to wait at most for those that may wait together.
const LONGEST_GATHERING: Duration = Duration::from_millis(10);

/// How many of those that are missing have to come for the writer to be woken while a transaction is open.
const FEW: usize = 16;

/// What waits, and how many may wait together.
pub(super) struct Line {
    queue: Served,
    /// What was taken out of the queue and is still to be done.
    waiting: VecDeque<Job>,
    /// How many may wait together.
    expected: usize,
    /// How long the last transaction took, without the waiting in it.
    took: Duration,
    /// What is done together now.
    group: Group,
}

/// Jobs that are done together.
struct Group {
    jobs: usize,
    bytes: usize,
    /// How long further ones are waited for.
    until: Instant,
    /// How long was waited since the transaction began.
    waited: Duration,
    /// What came while a transaction was open, and is not done in it.
    aside: Vec<Job>,
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
            group: Group::until(Instant::now()),
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

    /// A job, and what waits together with it. Where a commit is among them, those that may come are not waited for: they
    /// [join](Self::join) the transaction.
    pub(super) fn gather(&mut self, first: Job) -> Vec<Job> {
        self.group = Group::until(Instant::now() + self.took.min(LONGEST_GATHERING));
        self.group.count(&first);
        let mut has_commit = matches!(first, Job::Append(_));
        let mut jobs = vec![first];
        loop {
            while let Some(job) = self.next_of_group() {
                has_commit |= matches!(job, Job::Append(_));
                jobs.push(job);
            }
            if has_commit || !self.waits_for(usize::MAX) {
                self.group.waited = Duration::ZERO;
                return jobs;
            }
        }
    }

    /// A further commit for the open transaction; waits for it while some may come.
    pub(super) fn join(&mut self) -> Option<Append> {
        loop {
            while let Some(job) = self.next_of_group() {
                match job {
                    Job::Append(append) if append.answer.is_wanted() => return Some(append),
                    // Nobody waits for the outcome any more, so nobody may count on it.
                    Job::Append(_) => {}
                    job => self.group.aside.push(job),
                }
            }
            if !self.waits_for(FEW) {
                return None;
            }
        }
    }

    /// What came while the transaction was open, and was not done in it.
    pub(super) fn take_aside(&mut self) -> Vec<Job> {
        std::mem::take(&mut self.group.aside)
    }

    /// How long was waited since the transaction began.
    pub(super) fn waited(&self) -> Duration {
        self.group.waited
    }

    /// The next job of the group that has come already.
    fn next_of_group(&mut self) -> Option<Job> {
        if self.group.is_full() {
            return None;
        }
        if self.waiting.is_empty() {
            self.take_in();
        }
        let job = self.waiting.pop_front()?;
        self.group.count(&job);
        Some(job)
    }

    /// Waits until some jobs have come, or all that are missing. Whether any may.
    fn waits_for(&mut self, jobs: usize) -> bool {
        let missing = self.expected.min(MAX_JOBS).saturating_sub(self.group.jobs);
        let now = Instant::now();
        if missing == 0 || self.group.is_full() || now >= self.group.until {
            return false;
        }
        let is_open = self.queue.sleep(missing.min(jobs), Some(self.group.until));
        self.group.waited += now.elapsed();
        is_open
    }

    /// Before the answers of a transaction that took a while: as many as are answered and as wait already may wait together
    /// next.
    pub(super) fn expect_as_many(&mut self, answered: usize, took: Duration) {
        self.take_in();
        self.expected = answered + self.waiting.len() + self.group.aside.len();
        self.took = took;
    }

    /// Takes what has come in meanwhile.
    fn take_in(&mut self) {
        self.queue.take(&mut self.waiting);
    }
}

impl Group {
    fn until(until: Instant) -> Self {
        Self {
            jobs: 0,
            bytes: 0,
            until,
            waited: Duration::ZERO,
            aside: Vec::new(),
        }
    }

    fn count(&mut self, job: &Job) {
        self.jobs += 1;
        self.bytes += job.bytes();
    }

    fn is_full(&self) -> bool {
        self.jobs >= MAX_JOBS || self.bytes >= MAX_BYTES
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::Line;
    use crate::engine::sqlite::writer::queue::{Job, Queue, Served};

    fn line() -> (Arc<Queue>, Line) {
        let queue = Arc::new(Queue::new());
        (queue.clone(), Line::new(Served::new(queue)))
    }

    #[test]
    fn what_is_no_commit_is_done_when_the_transaction_has_ended() {
        let (queue, mut line) = line();
        queue.send(Job::Look).expect("it is open");
        assert!(line.join().is_none());
        assert_eq!(line.take_aside().len(), 1);
        assert!(line.take_aside().is_empty());
    }

    #[test]
    fn what_does_not_come_is_waited_for_no_longer_than_a_transaction_takes() {
        let (_queue, mut line) = line();
        let took = Duration::from_millis(2);
        line.expect_as_many(3, took);
        let start = Instant::now();
        assert_eq!(line.gather(Job::Look).len(), 1);
        assert!(start.elapsed() >= took);
        assert!(line.join().is_none());
        assert_eq!(line.waited(), Duration::ZERO, "its time was over");
    }
}
