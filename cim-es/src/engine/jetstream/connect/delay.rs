//! How long to wait before connecting again.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

/// The longest delay is this many times the first.
const GROWTH: u32 = 64;

/// The delay before an attempt, counted from 1. It doubles from one attempt to the next, and half of it is at random, so
/// that the clients of a server that restarts do not all come back at once.
pub(super) fn delay(first: Duration, attempt: usize) -> Duration {
    let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
    let factor = 2_u32.saturating_pow(doublings).min(GROWTH);
    let longest = first.saturating_mul(factor);
    longest / 2 + (longest / 2).mul_f64(random())
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
    fn the_delay_doubles_up_to_a_limit_and_half_of_it_is_at_random() {
        let first = Duration::from_millis(100);
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
                let delay = delay(first, attempt);
                assert!(
                    longest / 2 <= delay && delay <= longest,
                    "{attempt}: {delay:?}"
                );
            }
        }
        let differing: std::collections::HashSet<_> = (0..20).map(|_| delay(first, 5)).collect();
        assert!(differing.len() > 10);
        assert_eq!(delay(Duration::ZERO, 3), Duration::ZERO);
    }
}
