//! The tables of a file of read models.
//!
//! A row of `views` and of `documents` carries a digest of what stands in it, so that a page that was damaged and a row
//! that somebody changed give an error, and never another answer.

use sha2::{Digest, Sha256};

use crate::engine::sqlite::format::Format;

/// The file of read models. A commit is there after the program was killed, and a power cut takes commits from the end,
/// each as a whole. The author of a projection may keep tables of his own in it.
pub(in crate::engine::sqlite) const FORMAT: Format = Format {
    name: "a file of read models",
    in_memory: "`MemoryReadModels` to keep views in memory",
    // The letters `CIMR`.
    application_id: 0x4349_4d52,
    user_version: 1,
    oldest_version: 1,
    declaration: |_, _, present| present,
    objects: OBJECTS,
    beside: &[],
    is_shared: true,
    synchronous: "NORMAL",
    check_latest: |_| Ok(()),
};

/// Everything of ours in the file by name, in the words in which SQLite keeps it. A file of events has the same, once it
/// has an inline view.
pub(in crate::engine::sqlite) const OBJECTS: &[(&str, &str)] = &[
    (
        "views",
        "CREATE TABLE views (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    fingerprint INTEGER NOT NULL,
    position INTEGER NOT NULL,
    cid BLOB NOT NULL,
    settled INTEGER NOT NULL,
    parked BLOB NOT NULL,
    skipped BLOB NOT NULL,
    held BLOB NOT NULL,
    is_serving INTEGER NOT NULL,
    is_indexed INTEGER NOT NULL,
    digest INTEGER NOT NULL,
    UNIQUE (name, version)
) STRICT",
    ),
    (
        "documents",
        "CREATE TABLE documents (
    view INTEGER NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    entries BLOB NOT NULL,
    digest INTEGER NOT NULL,
    PRIMARY KEY (view, key)
) STRICT, WITHOUT ROWID",
    ),
    (
        "entries",
        "CREATE TABLE entries (
    view INTEGER NOT NULL,
    field TEXT NOT NULL,
    value TEXT NOT NULL,
    key TEXT NOT NULL,
    PRIMARY KEY (view, field, value, key)
) STRICT, WITHOUT ROWID",
    ),
];

/// A digest of parts, each with its length.
pub(super) fn digest(parts: &[&[u8]]) -> i64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut first = [0; 8];
    first.copy_from_slice(&hash.finalize()[..8]);
    i64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of other tables under the same version would be taken for a damaged one.
    #[test]
    fn other_tables_have_another_version() {
        let pinned = (1, 487_991_923_668_021_257);
        let found = (FORMAT.user_version, digest(&[FORMAT.creation().as_bytes()]));
        assert_eq!(
            found, pinned,
            "the tables changed: raise `user_version`, then pin both here",
        );
    }
}
