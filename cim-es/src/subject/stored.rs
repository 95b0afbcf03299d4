//! Subjects as a store on NATS keeps them: the tokens in front of the public subject.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use super::{Token, TokenError};

/// How many partitions the ids are spread over; fixed for ever, because it stands in stored subjects.
pub const PARTITIONS: u8 = 64;

/// The partition of an id: the first byte of the SHA-256 of its text, modulo 64. It never changes for an id.
///
/// ```
/// use cim_es::subject::partition;
///
/// assert_eq!(partition("0197a3e0-0000-7000-8000-000000000001"), 0x0b);
/// ```
pub fn partition(id: &str) -> u8 {
    Sha256::digest(id)[0] % PARTITIONS
}

/// How stored subjects are made from ids and public subjects: `<prefix>.<partition>.<id>.<public subject>`.
///
/// Every program that writes to a stream must use the same prefix: it is a part of the guard, and the server compares
/// guards byte by byte.
///
/// ```
/// use cim_es::subject::{StoredSubjects, Token};
///
/// let subjects = StoredSubjects::default();
/// let id = Token::new("4711")?;
/// assert_eq!(subjects.guard(&id), "es.1e.4711.>");
/// let stored = subjects.stored(&id, "infrastructure.compute.registered");
/// assert_eq!(stored, "es.1e.4711.infrastructure.compute.registered");
/// assert_eq!(subjects.public(&stored), Some("infrastructure.compute.registered"));
/// assert_eq!(subjects.filter("infrastructure.>"), "es.*.*.infrastructure.>");
/// # Ok::<(), cim_es::subject::TokenError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StoredSubjects {
    prefix: String,
}

impl Default for StoredSubjects {
    /// The prefix `es`.
    fn default() -> Self {
        Self {
            prefix: "es".to_owned(),
        }
    }
}

impl FromStr for StoredSubjects {
    type Err = TokenError;

    /// From a prefix of one or several tokens.
    fn from_str(prefix: &str) -> Result<Self, TokenError> {
        for token in prefix.split('.') {
            Token::new(token)?;
        }
        Ok(Self {
            prefix: prefix.to_owned(),
        })
    }
}

impl fmt::Display for StoredSubjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.<partition>.<id>.<public subject>", self.prefix)
    }
}

impl StoredSubjects {
    /// The tokens in front of the partition.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// What every write on an aggregate is guarded by, and what matches all that is stored under an id.
    ///
    /// It depends on the prefix and the id alone. On replicated streams the server holds a guard only against writers
    /// that send the same bytes, so every write path takes the guard from here.
    pub fn guard(&self, id: &Token) -> String {
        format!("{}.{:02x}.{id}.>", self.prefix, partition(id.as_str()))
    }

    /// Where an event of a type is stored.
    pub fn stored(&self, id: &Token, event_type: &str) -> String {
        let partition = partition(id.as_str());
        format!("{}.{partition:02x}.{id}.{event_type}", self.prefix)
    }

    /// What matches the stored events of every aggregate whose public subjects match a filter.
    pub fn filter(&self, public: &str) -> String {
        format!("{}.*.*.{public}", self.prefix)
    }

    /// The same for the aggregates of one partition: what a member of a group reads to get them in order.
    pub fn partition_filter(&self, partition: u8, public: &str) -> String {
        format!("{}.{partition:02x}.*.{public}", self.prefix)
    }

    /// The public subject of a stored one; none when it is not a stored subject of this prefix.
    pub fn public<'a>(&self, stored: &'a str) -> Option<&'a str> {
        let rest = stored.strip_prefix(&self.prefix)?.strip_prefix('.')?;
        rest.splitn(3, '.').nth(2)
    }
}
