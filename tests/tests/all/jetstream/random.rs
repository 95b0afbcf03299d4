//! Random numbers that a seed repeats.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// A source of random numbers (SplitMix64), which several tasks may share.
#[derive(Debug)]
pub struct Random(AtomicU64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// A source of its own for somebody, which is the same each time.
    pub fn of(&self, somebody: u64) -> Self {
        let own = Self::new(self.0.load(Ordering::Relaxed) ^ somebody.wrapping_mul(STEP));
        Self::new(own.next())
    }

    pub fn next(&self) -> u64 {
        let mut value = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    /// A number in a range, which is not empty.
    pub fn within(&self, range: Range<u64>) -> u64 {
        range.start + self.next() % (range.end - range.start)
    }

    /// One of several.
    pub fn one_of<'a, T>(&self, several: &'a [T]) -> &'a T {
        &several[self.within(0..several.len() as u64) as usize]
    }

    /// True once in so many times.
    pub fn once_in(&self, times: u64) -> bool {
        self.within(0..times) == 0
    }
}

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
