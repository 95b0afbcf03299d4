//! Subjects as a store on NATS keeps them: the tokens in front of the public subject.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::domain::aggregate::IdText;
use crate::domain::subject::{Token, TokenError};

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
/// use cim_es::{aggregate::IdText, subject::StoredSubjects};
///
/// let subjects = StoredSubjects::default();
/// let id = IdText::new("4711")?;
/// assert_eq!(subjects.guard(&id), "es.1e.4711.>");
/// let stored = subjects.stored(&id, "infrastructure.compute.registered");
/// assert_eq!(stored, "es.1e.4711.infrastructure.compute.registered");
/// assert_eq!(subjects.public(&stored), Some("infrastructure.compute.registered"));
/// assert_eq!(subjects.filter("infrastructure.>"), "es.*.*.infrastructure.>");
/// let email = IdText::new("ann@example.org")?;
/// assert_eq!(subjects.guard(&email), "es.03.ann@example%2Eorg.>");
/// # Ok::<(), cim_es::aggregate::IdTextError>(())
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
    pub fn guard(&self, id: &IdText) -> String {
        let partition = partition(id.as_str());
        format!("{}.{partition:02x}.{}.>", self.prefix, id.token())
    }

    /// Where an event of a type is stored.
    pub fn stored(&self, id: &IdText, event_type: &str) -> String {
        let partition = partition(id.as_str());
        format!(
            "{}.{partition:02x}.{}.{event_type}",
            self.prefix,
            id.token()
        )
    }

    /// What matches the stored events of every aggregate whose public subjects match a filter.
    pub fn filter(&self, public: &str) -> String {
        format!("{}.*.*.{public}", self.prefix)
    }

    /// The same for the aggregates of one partition: what a member of a group reads to get them in order.
    pub fn partition_filter(&self, partition: u8, public: &str) -> String {
        format!("{}.{partition:02x}.*.{public}", self.prefix)
    }

    /// Whether a subject is where an event of an id and a type is stored.
    pub fn is_stored(&self, subject: &str, id: &IdText, event_type: &str) -> bool {
        let rest = subject.strip_prefix(&self.prefix);
        let rest = rest.and_then(|rest| rest.strip_prefix('.'));
        let Some((token, rest)) = rest.and_then(|rest| rest.split_once('.')) else {
            return false;
        };
        let rest = rest.strip_prefix(&*id.token());
        let found = rest.and_then(|rest| rest.strip_prefix('.'));
        found == Some(event_type) && is_partition(token, partition(id.as_str()))
    }

    /// The public subject of a stored one; none when it is not a stored subject of this prefix.
    pub fn public<'a>(&self, stored: &'a str) -> Option<&'a str> {
        let rest = stored.strip_prefix(&self.prefix)?.strip_prefix('.')?;
        rest.splitn(3, '.').nth(2)
    }
}

/// Whether a token is a partition in two lower hexadecimal digits.
fn is_partition(token: &str, partition: u8) -> bool {
    let digit = |value: u8| char::from_digit(u32::from(value), 16);
    let mut digits = token.chars();
    let is = (digits.next(), digits.next()) == (digit(partition >> 4), digit(partition & 15));
    is && digits.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_stored_on_its_own_subject_and_on_no_other() {
        for prefix in ["es", "tenant.es"] {
            let subjects: StoredSubjects = prefix.parse().unwrap();
            for id in [
                "4711",
                "0197a3e0-0000-7000-8000-000000000001",
                "ä",
                "Ann.Lee *",
            ] {
                let (id, event_type) = (IdText::new(id).unwrap(), "bank.account.opened");
                let stored = subjects.stored(&id, event_type);
                assert!(subjects.is_stored(&stored, &id, event_type), "{stored}");
                assert_eq!(subjects.public(&stored), Some(event_type));
                let guard = subjects.guard(&id);
                assert!(stored.starts_with(guard.trim_end_matches('>')));
                let elsewhere = format!(
                    "{prefix}.{:02x}.{}.{event_type}",
                    partition(id.as_str()) ^ 1,
                    id.token()
                );
                for wrong in [
                    elsewhere.as_str(),
                    &stored.to_uppercase(),
                    &stored[1..],
                    &format!("{stored}.more"),
                    &format!("{prefix}.{id}.{event_type}"),
                    event_type,
                    "",
                ] {
                    assert!(!subjects.is_stored(wrong, &id, event_type), "{wrong}");
                }
            }
        }
    }

    #[test]
    fn every_partition_is_below_64_and_some_id_falls_into_each() {
        let partitions = (0..2_000).map(|id| partition(&id.to_string()));
        let found: std::collections::BTreeSet<_> = partitions.collect();
        assert!(found.into_iter().eq(0..PARTITIONS));
    }

    #[test]
    fn a_prefix_is_one_or_several_tokens() {
        for wrong in ["", "es.", ".es", "es.*", "e s", ">"] {
            assert!(wrong.parse::<StoredSubjects>().is_err(), "{wrong}");
        }
    }
}
