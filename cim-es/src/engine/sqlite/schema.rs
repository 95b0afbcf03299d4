//! The tables of the file, and how a file of this format is told from any other.
//!
//! Every answer can be checked against a second structure of the file, so that a damaged page leads to an error and
//! not to a shorter answer:
//! - positions are contiguous from 1, and the latest `last` of `types` is the last of them;
//! - an event names the position of its aggregate's and of its type's previous event; `aggregates` and `types` name
//!   the last one;
//! - `versions` has the position of every 256th version of an aggregate, and which ones there are follows from the
//!   version of its head;
//! - an aggregate is found by `key`, a digest of its name, and by the index over its name;
//! - `types` are numbered without a gap and carry a digest of their kind and name: a type has a row for each kind of
//!   aggregates that has events of it;
//! - `cid_segments` are numbered by the positions that they cover and carry a digest.
//!
//! `type_positions` and `cid_segments` are written once for every [`SEGMENT`] positions, so that a commit of one event
//! touches three pages; the events behind the last full segment are looked through.

use super::format::{Beside, Format};
use super::{check, epochs, object_details, read_models, sync_state};

/// The positions after which the indexes over types and CIDs are written.
pub(super) const SEGMENT: u64 = 256;

/// The last position that the indexes cover, when `last` is the last of all.
pub(super) fn indexed(last: u64) -> u64 {
    last / SEGMENT * SEGMENT
}

/// Marks the file as one of this library: the letters `CIME`.
const APPLICATION_ID: i32 = 0x4349_4d45;
/// The version of the tables.
pub(super) const USER_VERSION: i32 = 3;
/// The version in which `types` had one row for each type, whatever the kind; see `upgrade.rs`.
pub(super) const WITHOUT_KINDS: i32 = 2;
/// The version of a file that has read models beside its events, from the first inline view on.
pub(super) const WITH_READ_MODELS: i32 = 4;
/// The version of a file that is kept level with a stream, and knows how far it is.
pub(super) const WITH_SYNC_STATE: i32 = 5;
/// The version of a file in which a branch was replaced: what an earlier program remembers of it would not be true.
pub(super) const WITH_EPOCHS: i32 = 6;
/// The version of a file that keeps size, content type and time beside each object.
pub(super) const WITH_OBJECT_DETAILS: i32 = 7;

/// Everything in the file by name, in the words in which SQLite keeps it.
pub(super) const OBJECTS: &[(&str, &str)] = &[
    (
        "aggregates",
        "CREATE TABLE aggregates (
    key INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    position INTEGER NOT NULL,
    cid BLOB NOT NULL,
    timestamp INTEGER NOT NULL,
    UNIQUE (id, kind)
) STRICT",
    ),
    (
        "types",
        "CREATE TABLE types (
    number INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    digest INTEGER NOT NULL,
    last INTEGER NOT NULL
) STRICT",
    ),
    (
        "events",
        "CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    aggregate INTEGER NOT NULL,
    previous_of_aggregate INTEGER NOT NULL,
    type INTEGER NOT NULL,
    previous_of_type INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    timestamp INTEGER NOT NULL,
    cid BLOB NOT NULL,
    body BLOB NOT NULL
) STRICT",
    ),
    (
        "versions",
        "CREATE TABLE versions (
    aggregate INTEGER NOT NULL,
    version INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (aggregate, version)
) STRICT, WITHOUT ROWID",
    ),
    (
        "type_positions",
        "CREATE TABLE type_positions (
    type INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (type, position)
) STRICT, WITHOUT ROWID",
    ),
    (
        "cid_segments",
        "CREATE TABLE cid_segments (
    number INTEGER PRIMARY KEY,
    entries BLOB NOT NULL,
    digest BLOB NOT NULL
) STRICT",
    ),
    (
        "objects",
        "CREATE TABLE objects (
    number INTEGER PRIMARY KEY,
    cid BLOB NOT NULL UNIQUE,
    body BLOB NOT NULL
) STRICT",
    ),
    (
        "objects_by_tail",
        "CREATE INDEX objects_by_tail ON objects (substr(cid, 21))",
    ),
    (
        "snapshots",
        "CREATE TABLE snapshots (
    number INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    tag INTEGER NOT NULL,
    version INTEGER NOT NULL,
    position INTEGER NOT NULL,
    cid BLOB NOT NULL,
    state BLOB NOT NULL,
    digest BLOB NOT NULL,
    UNIQUE (kind, id, tag)
) STRICT",
    ),
    (
        "checkpoints",
        "CREATE TABLE checkpoints (
    number INTEGER PRIMARY KEY,
    reader TEXT NOT NULL UNIQUE,
    position INTEGER NOT NULL,
    digest BLOB NOT NULL
) STRICT",
    ),
    (
        "history",
        "CREATE VIEW history AS
SELECT
    events.position,
    aggregates.kind,
    aggregates.id,
    events.sequence,
    types.name AS type,
    strftime('%Y-%m-%dT%H:%M:%fZ', events.timestamp / 1000000.0, 'unixepoch') AS time,
    'f' || lower(hex(events.cid)) AS cid,
    events.body
FROM events
JOIN aggregates ON aggregates.key = events.aggregate
JOIN types ON types.number = events.type
ORDER BY events.position",
    ),
];

/// The table `types` in a file of version [`WITHOUT_KINDS`].
const TYPES_WITHOUT_KINDS: &str = "CREATE TABLE types (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    digest INTEGER NOT NULL,
    last INTEGER NOT NULL
) STRICT";

/// How an object of [`OBJECTS`] is declared in a file of a version.
pub(super) fn declaration(version: i32, name: &str, present: &'static str) -> &'static str {
    match (version, name) {
        (WITHOUT_KINDS, "types") => TYPES_WITHOUT_KINDS,
        _ => present,
    }
}

/// A mark for a new file, which stands in its first page, and so in every log that the file grew in: the number that
/// SQLite raises by one when something else is declared in the file. SQLite begins at 1, a store anywhere.
pub(super) fn mark() -> i32 {
    let mut random = [0; 4];
    random.copy_from_slice(&uuid::Uuid::now_v7().as_bytes()[12..]);
    // Positive, and with room above.
    i32::from_be_bytes(random) & 0x3fff_ffff
}

/// The file of an event store. An acknowledged commit survives a power cut.
pub(super) const FORMAT: Format = Format {
    name: "a store of events",
    in_memory: "`MemoryEventStore` to keep events in memory",
    application_id: APPLICATION_ID,
    user_version: USER_VERSION,
    oldest_version: WITHOUT_KINDS,
    declaration,
    objects: OBJECTS,
    beside: &[
        Beside {
            version: WITH_READ_MODELS,
            objects: read_models::OBJECTS,
        },
        Beside {
            version: WITH_SYNC_STATE,
            objects: sync_state::OBJECTS,
        },
        Beside {
            version: WITH_EPOCHS,
            objects: epochs::OBJECTS,
        },
        Beside {
            version: WITH_OBJECT_DETAILS,
            objects: object_details::OBJECTS,
        },
    ],
    is_shared: false,
    synchronous: "FULL",
    check_latest: check::latest,
};

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::{FORMAT, USER_VERSION};

    /// A file of other tables under the same version would be taken for a damaged one.
    #[test]
    fn other_tables_have_another_version() {
        let digest: String = Sha256::digest(FORMAT.creation())[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            (USER_VERSION, digest.as_str()),
            (3, "6bf70e5824678867"),
            "the tables changed: raise USER_VERSION, then pin both here",
        );
    }
}
