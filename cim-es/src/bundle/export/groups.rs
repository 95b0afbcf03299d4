//! Aggregates that have commits in common, directly or by others: none of them goes without the others.

/// Groups of numbers, each alone at first (a disjoint-set forest).
#[derive(Debug, Default)]
pub(super) struct Groups(Vec<usize>);

impl Groups {
    /// Makes sure that a number is there.
    pub(super) fn add(&mut self, number: usize) {
        let next = self.0.len();
        self.0.extend(next..=number);
    }

    /// The number that stands for the group of another.
    pub(super) fn of(&mut self, number: usize) -> usize {
        let mut at = number;
        while self.0[at] != at {
            // Halves the way for the next who asks.
            self.0[at] = self.0[self.0[at]];
            at = self.0[at];
        }
        at
    }

    /// Makes one group of two.
    pub(super) fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.of(one), self.of(other));
        self.0[one.max(other)] = one.min(other);
    }
}
