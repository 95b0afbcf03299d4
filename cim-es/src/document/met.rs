//! Which keys a view may have documents under, in a room that does not grow.

use std::hash::{BuildHasher, RandomState};

/// The words of the room: 2 MiB. Of two million keys that were never met, a few in 100 are taken for one that may have been;
/// such a document is looked for and not found, as if nothing were known.
const WORDS: u64 = 1 << 18;

/// The keys that were met since the view was empty. It says of a key that it was never met, or that it may have been.
pub(super) struct MetKeys {
    words: Vec<u64>,
    digests: RandomState,
}

impl MetKeys {
    pub(super) fn new() -> Self {
        Self {
            words: vec![0; WORDS as usize],
            digests: RandomState::new(),
        }
    }

    pub(super) fn insert(&mut self, key: &str) {
        let (word, bits) = self.place(key);
        self.words[word] |= bits;
    }

    /// Whether a key may have been met; one that was met is never denied.
    pub(super) fn may_have(&self, key: &str) -> bool {
        let (word, bits) = self.place(key);
        self.words[word] & bits == bits
    }

    /// The word of a key and its four bits there, all out of one digest.
    fn place(&self, key: &str) -> (usize, u64) {
        let digest = self.digests.hash_one(key);
        let bits = (0..4).map(|number| 1 << (digest >> (40 + 6 * number) & 63));
        (
            (digest % WORDS) as usize,
            bits.fold(0, |all, bit: u64| all | bit),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::MetKeys;

    #[test]
    fn a_key_that_was_met_is_never_denied_and_most_others_are() {
        let mut met = MetKeys::new();
        let keys: Vec<String> = (0..100_000).map(|number| format!("key-{number}")).collect();
        let (inside, outside) = keys.split_at(50_000);
        for key in inside {
            met.insert(key);
        }
        assert!(inside.iter().all(|key| met.may_have(key)));
        let mistaken = outside.iter().filter(|key| met.may_have(key)).count();
        assert!(mistaken < 100, "{mistaken} of 50,000");
    }
}
