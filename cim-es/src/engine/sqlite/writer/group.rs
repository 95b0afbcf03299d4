//! Trying what waits together, and finding out what it is that fails: one bad commit must not fail its neighbours.

use crate::store::StoreError;

/// After how many that fail by themselves the rest is no longer tried all together.
const FAILURES: usize = 4;

/// Why a transaction over a group was rolled back.
pub(super) enum Failure {
    /// One of the group cannot be stored; the others may be.
    One(usize, StoreError),
    /// What they came to together was not stored, and each of them may be the reason.
    Group(StoreError),
    /// No transaction can be stored at the moment, or it is not known whether this one was.
    All(StoreError),
}

impl Failure {
    /// What went wrong, for whom it makes no difference to whom.
    pub(super) fn into_error(self) -> StoreError {
        let (Self::One(_, error) | Self::Group(error) | Self::All(error)) = self;
        error
    }

    /// Whether the file, or its log, may not be allowed to grow.
    pub(super) fn may_lack_room(&self) -> bool {
        let (Self::One(_, error) | Self::Group(error) | Self::All(error)) = self;
        matches!(error, StoreError::Full { .. } | StoreError::Engine { .. })
    }
}

/// Tries all in one transaction, and where that fails without those that fail, or in smaller groups. Each is answered
/// once: by `attempt` where it was stored, else by `refuse`. An attempt may add further jobs to those that it is given.
pub(super) fn store<J>(
    mut jobs: Vec<J>,
    is_wanted: impl Fn(&J) -> bool,
    refuse: impl Fn(J, StoreError),
    mut attempt: impl FnMut(&mut Vec<J>) -> Result<(), Failure>,
) {
    let mut together = jobs.len();
    let mut failures = 0;
    loop {
        // Nobody waits for the outcome any more, so nobody may count on it.
        jobs.retain(&is_wanted);
        if jobs.is_empty() {
            return;
        }
        let rest = jobs.split_off(together.clamp(1, jobs.len()));
        let outcome = attempt(&mut jobs);
        together = together.max(jobs.len());
        match outcome {
            Ok(()) => jobs.clear(),
            Err(Failure::One(index, error)) => {
                refuse(jobs.remove(index), error);
                failures += 1;
                if failures >= FAILURES {
                    together = together.div_ceil(2);
                }
            }
            Err(Failure::Group(error)) => {
                if jobs.len() == 1 {
                    refuse(jobs.remove(0), error);
                } else {
                    together = jobs.len().div_ceil(2);
                }
            }
            Err(Failure::All(error)) => {
                for job in jobs.into_iter().chain(rest) {
                    refuse(job, error.clone());
                }
                return;
            }
        }
        jobs.extend(rest);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::{Failure, store};
    use crate::store::StoreError;

    /// What became of each of some jobs: stored, or refused, in the order of the answers; and the size of each attempt.
    #[derive(Default)]
    struct Seen {
        stored: Vec<usize>,
        refused: Vec<usize>,
        attempts: Vec<usize>,
    }

    fn full() -> StoreError {
        StoreError::Full {
            location: "store.db".into(),
            reason: "no room".into(),
        }
    }

    fn run(jobs: usize, fails: impl Fn(&[usize]) -> Option<Failure>) -> Seen {
        let seen = RefCell::new(Seen::default());
        store(
            (0..jobs).collect(),
            |_| true,
            |job, _| seen.borrow_mut().refused.push(job),
            |group| {
                let mut seen = seen.borrow_mut();
                seen.attempts.push(group.len());
                if let Some(failure) = fails(group) {
                    return Err(failure);
                }
                seen.stored.append(group);
                Ok(())
            },
        );
        seen.into_inner()
    }

    #[test]
    fn whoever_fails_alone_is_left_out_and_the_others_are_stored() {
        let bad = [3, 40, 41, 42, 43, 44, 99];
        let first_bad = |group: &[usize]| group.iter().position(|job| bad.contains(job));
        let seen = run(100, |group| {
            first_bad(group).map(|index| Failure::One(index, full()))
        });
        assert_eq!(seen.refused, bad);
        assert_eq!(seen.stored.len(), 93);
        assert!(seen.stored.is_sorted());
    }

    #[test]
    fn what_fails_only_together_is_tried_in_smaller_groups_and_then_alone() {
        let seen = run(64, |group| {
            group.contains(&17).then(|| Failure::Group(full()))
        });
        assert_eq!(seen.refused, [17]);
        assert_eq!(seen.stored.len(), 63);
        assert!(seen.attempts.len() < 80, "{:?}", seen.attempts);
    }

    #[test]
    fn where_no_transaction_can_be_stored_everybody_is_told_at_once() {
        let seen = run(64, |_| Some(Failure::All(full())));
        assert_eq!(seen.refused.len(), 64);
        assert_eq!(seen.attempts, [64]);
    }

    #[test]
    fn what_an_attempt_adds_is_tried_again_with_the_others() {
        let (mut later, mut attempts) = (vec![3, 4], Vec::new());
        let refused = RefCell::new(Vec::new());
        store(
            vec![1, 2],
            |_| true,
            |job, _| refused.borrow_mut().push(job),
            |group| {
                group.append(&mut later);
                attempts.push(group.clone());
                match group.iter().position(|job| *job == 3) {
                    Some(bad) => Err(Failure::One(bad, full())),
                    None => Ok(()),
                }
            },
        );
        assert_eq!(refused.into_inner(), [3]);
        assert_eq!(attempts, [vec![1, 2, 3, 4], vec![1, 2, 4]]);
    }

    #[test]
    fn who_waits_no_more_is_left_out() {
        let stored = RefCell::new(Vec::new());
        store(
            vec![1, 2, 3],
            |job| *job != 2,
            |_, _| panic!("nothing fails"),
            |group| {
                stored.borrow_mut().append(group);
                Ok(())
            },
        );
        assert_eq!(stored.into_inner(), [1, 3]);
    }
}
