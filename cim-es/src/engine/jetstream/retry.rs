//! How the engine tries again: one policy for each situation, all on this page.
//!
//! | policy | when | pauses |
//! |---|---|---|
//! | [`REQUEST`] | a request that nobody answers, or that a server cannot take at the moment | 20 ms to 1 s |
//! | [`COMMIT`] | the same bytes of a commit, whose outcome is open | 5 ms to 1 s |
//! | [`RACE`] | another writer was first: read the tip, seal again | 1 ms to 100 ms |
//! | [`REPLICA`] | the answer of a replica lags behind what the leader said | 2 ms to 32 ms, 5 times |
//! | [`HOLE`] | a history read by its wildcard has a hole | 10 ms to 80 ms, 5 times |
//! | [`STALE`] | an answer is older than what this program has seen | 100 ms, for [`DEPOSED`] |
//! | [`CONSUMER`] | no consumer can be had, or it was lost | 25 ms to 1 s |
//! | [`GUARDED`] | a guarded write to a bucket was refused, perhaps because of itself | 100 ms |
//! | [`reconnect`] | the connection was lost | as configured, to 64 times that |
//!
//! Every pause is at random between a half and the whole, so that programs which met once do not meet again. How long
//! it goes on is the patience of the connection or of the store, unless the table says otherwise.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long a leader that was cut off from the other servers takes itself for the leader: they look every 10 s whether
/// they still reach a majority. Until then it answers from the past.
pub(crate) const DEPOSED: Duration = Duration::from_secs(12);
/// As good as for ever, and a moment from now that a clock can count.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

pub(crate) const REQUEST: Policy = Policy::from_to(20, 1_000);
pub(crate) const COMMIT: Policy = Policy::from_to(5, 1_000);
pub(crate) const RACE: Policy = Policy::from_to(1, 100);
pub(crate) const REPLICA: Policy = Policy::from_to(2, 32).times(5);
pub(crate) const HOLE: Policy = Policy::from_to(10, 80).times(5);
pub(crate) const STALE: Policy = Policy::from_to(100, 100);
pub(crate) const CONSUMER: Policy = Policy::from_to(25, 1_000);
pub(crate) const GUARDED: Policy = Policy::from_to(100, 100).times(100);

/// Connecting again after a first delay.
pub(crate) fn reconnect(first: Duration) -> Policy {
    const GROWTH: u32 = 64;
    Policy {
        first,
        longest: first.saturating_mul(GROWTH),
        times: u32::MAX,
    }
}

/// Pauses that double from a first to a longest one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    first: Duration,
    longest: Duration,
    /// How many times something is tried again.
    times: u32,
}

impl Policy {
    const fn from_to(first: u64, longest: u64) -> Self {
        Self {
            first: Duration::from_millis(first),
            longest: Duration::from_millis(longest),
            times: u32::MAX,
        }
    }

    const fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    /// The pause after a number of attempts, from 1: from a half of it to the whole, at random.
    pub(crate) fn pause(self, attempt: usize) -> Duration {
        let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
        let factor = 2_u32.saturating_pow(doublings);
        let whole = self.first.saturating_mul(factor).min(self.longest);
        whole / 2 + (whole / 2).mul_f64(random())
    }

    /// Trying again until a moment.
    pub(crate) fn until(self, deadline: Instant) -> Retry {
        Retry {
            policy: self,
            deadline: Some(deadline),
            attempts: 0,
        }
    }

    /// Trying again for some time from now on.
    pub(crate) fn within(self, time: Duration) -> Retry {
        self.until(deadline(time))
    }

    /// Trying again however long it takes.
    pub(crate) fn without_end(self) -> Retry {
        Retry {
            policy: self,
            deadline: None,
            attempts: 0,
        }
    }
}

/// The moment at which some time from now on is over.
pub(crate) fn deadline(time: Duration) -> Instant {
    Instant::now() + time.min(LONGEST)
}

/// One situation in which something is tried again.
#[derive(Debug)]
pub(crate) struct Retry {
    policy: Policy,
    deadline: Option<Instant>,
    attempts: u32,
}

impl Retry {
    /// Waits before the next attempt. Gives whether there is one: no pause ends after the deadline.
    pub(crate) async fn pause(&mut self) -> bool {
        let Some(pause) = self.next() else {
            return false;
        };
        sleep(pause).await;
        true
    }

    /// The pause before the next attempt; none when there is none.
    pub(crate) fn next(&mut self) -> Option<Duration> {
        if self.attempts >= self.policy.times {
            return None;
        }
        let pause = self.policy.pause(self.attempts as usize + 1);
        let is_over = |deadline| Instant::now() + pause >= deadline;
        if self.deadline.is_some_and(is_over) {
            return None;
        }
        self.attempts += 1;
        Some(pause)
    }

    /// Begins with the first pause again, after something went well.
    pub(crate) fn reset(&mut self) {
        self.attempts = 0;
    }
}

/// A number from 0 to 1: the hash of nothing under the keys that the standard library draws for each map.
fn random() -> f64 {
    let hash = RandomState::new().hash_one(());
    f64::from((hash >> 32) as u32) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_doubles_up_to_a_limit_and_half_of_it_is_at_random() {
        let policy = reconnect(Duration::from_millis(100));
        for (attempt, longest) in [
            (1, 100),
            (2, 200),
            (4, 800),
            (7, 6_400),
            (8, 6_400),
            (99_999, 6_400),
        ] {
            let longest = Duration::from_millis(longest);
            for _ in 0..100 {
                let pause = policy.pause(attempt);
                assert!(
                    longest / 2 <= pause && pause <= longest,
                    "{attempt}: {pause:?}"
                );
            }
        }
        let differing: std::collections::HashSet<_> = (0..20).map(|_| policy.pause(5)).collect();
        assert!(differing.len() > 10);
        assert_eq!(reconnect(Duration::ZERO).pause(3), Duration::ZERO);
    }

    #[test]
    fn nothing_is_tried_again_past_its_deadline_or_its_number() {
        assert_eq!(REQUEST.within(Duration::from_millis(5)).next(), None);
        let mut replica = REPLICA.without_end();
        let pauses = std::iter::from_fn(|| replica.next()).count();
        assert_eq!(pauses, 5);
        assert!(REQUEST.within(Duration::MAX).next().is_some());
    }
}
