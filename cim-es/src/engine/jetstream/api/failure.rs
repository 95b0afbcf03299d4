//! What a request to the servers can come to, other than the answer that was asked for.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::engine::jetstream::connect::PermissionDenied;
use crate::store::{Location, StoreError};

/// Why a request to the JetStream API had no good answer.
///
/// It is the source of a [`StoreError::Engine`], for programs that want to tell the cases apart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApiFailure {
    /// The server refused the request.
    #[error("the server refused: {description} (code {code}, error {error})")]
    Refused {
        /// The status, as in HTTP.
        code: u16,
        /// The number of the error in the list of the server's errors.
        error: u64,
        /// What the server said.
        description: String,
    },
    /// No server listens on the subject: the stream has no leader at the moment, or JetStream is off.
    #[error(
        "no server answers for the stream; it may be electing a leader, or JetStream is not enabled"
    )]
    NoResponders,
    /// The answer did not come in time.
    #[error(
        "no answer within {} ms; the servers may be unreachable, or not permit the request",
        .0.as_millis()
    )]
    TimedOut(Duration),
    /// The answer is older than what this program has seen of the stream.
    #[error(
        "the answer is older than what this program has seen: its server is cut off from the others and does not know it \
         yet, or the stream was made anew"
    )]
    Stale,
    /// The server does not permit the request.
    #[error(transparent)]
    Denied(#[from] PermissionDenied),
    /// The subject is longer than what a server reads; nothing was sent.
    #[error("a subject of {bytes} bytes is longer than what a server reads: take shorter names")]
    LongSubject {
        /// How long it is.
        bytes: usize,
    },
    /// The answer was not what the API promises.
    #[error("the answer cannot be read: {0}")]
    Malformed(String),
    /// The client could not send the request.
    #[error("the client failed: {0}")]
    Client(String),
}

/// What a failure means for who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// The same request may succeed a moment later.
    Transient,
    /// A guard has another value than the write expected.
    Conflict,
    /// The stream, the server or the account has no room.
    Full,
    /// The message is larger than what is taken.
    TooLarge,
    /// This user, or nobody, may write.
    ReadOnly,
    /// What was asked for does not exist.
    Missing,
    /// The same request fails again.
    Permanent,
}

/// Numbers of errors that the code looks for by themselves, from the list that the server publishes.
pub(crate) mod errors {
    pub(crate) const INSUFFICIENT_RESOURCES: u64 = 10023;
    pub(crate) const NO_MESSAGE_FOUND: u64 = 10037;
    pub(crate) const STREAM_NAME_IN_USE: u64 = 10058;
    pub(crate) const STREAM_NOT_FOUND: u64 = 10059;
    pub(crate) const CONSUMER_NOT_FOUND: u64 = 10014;
    pub(crate) const SUBJECTS_OVERLAP: u64 = 10065;
    pub(crate) const DUPLICATE_IN_FLIGHT: u64 = 10158;
    pub(crate) const BATCH_INCOMPLETE: u64 = 10176;
    pub(crate) const BATCH_REPEATS: u64 = 10201;
    pub(crate) const NOT_ENABLED: u64 = 10076;
    pub(crate) const NOT_ENABLED_FOR_ACCOUNT: u64 = 10039;
}

/// What the numbers of the server's errors mean; what is not on the list goes by its status.
const CLASSES: [(u64, Class); 39] = [
    // Resource limits exceeded for account.
    (10002, Class::Full),
    // No suitable peers: a cluster that has just started does not know all of its servers.
    (10005, Class::Transient),
    // JetStream system temporarily unavailable.
    (10008, Class::Transient),
    // JetStream cluster can not handle request: the server is not the leader.
    (10009, Class::Transient),
    (errors::CONSUMER_NOT_FOUND, Class::Missing),
    (errors::INSUFFICIENT_RESOURCES, Class::Full),
    // Maximum consumers limit reached.
    (10026, Class::Permanent),
    // Insufficient memory resources available.
    (10028, Class::Full),
    (errors::NO_MESSAGE_FOUND, Class::Missing),
    (errors::NOT_ENABLED_FOR_ACCOUNT, Class::Permanent),
    // Sequence not found.
    (10043, Class::Missing),
    // Insufficient storage resources available.
    (10047, Class::Full),
    // The configuration of a stream is invalid.
    (10052, Class::Permanent),
    // Message size exceeds maximum allowed.
    (10054, Class::TooLarge),
    (errors::STREAM_NAME_IN_USE, Class::Permanent),
    (errors::STREAM_NOT_FOUND, Class::Missing),
    // Expected stream does not match.
    (10060, Class::Permanent),
    // Expected stream sequence does not match.
    (10063, Class::Conflict),
    (errors::SUBJECTS_OVERLAP, Class::Permanent),
    // Wrong last message id.
    (10070, Class::Conflict),
    // Wrong last sequence.
    (10071, Class::Conflict),
    // Replicas on a server without a cluster.
    (10074, Class::Permanent),
    (errors::NOT_ENABLED, Class::Permanent),
    // The stream's store failed, which is how a limit of the stream shows.
    (10077, Class::Full),
    // Header size exceeds maximum allowed.
    (10097, Class::TooLarge),
    // Invalid operation on sealed stream.
    (10109, Class::ReadOnly),
    // Stream is offline, consumer is offline: a newer server wrote them.
    (10118, Class::Permanent),
    (10119, Class::Permanent),
    // Consumer does not exist.
    (10149, Class::Missing),
    (errors::DUPLICATE_IN_FLIGHT, Class::Transient),
    // Expected last sequence per subject temporarily unavailable.
    (10163, Class::Transient),
    // Wrong last sequence, known before the write was ordered.
    (10164, Class::Conflict),
    // Too many requests.
    (10167, Class::Transient),
    // Atomic publish is disabled.
    (10174, Class::Permanent),
    (errors::BATCH_INCOMPLETE, Class::Transient),
    // Atomic publish batch is too large.
    (10199, Class::TooLarge),
    (errors::BATCH_REPEATS, Class::Transient),
    // Cluster member change is in progress.
    (10202, Class::Transient),
    // Atomic publish too many inflight.
    (10210, Class::Transient),
];

impl ApiFailure {
    /// What it means for who asked.
    pub(crate) fn class(&self) -> Class {
        match self {
            Self::NoResponders | Self::TimedOut(_) | Self::Stale => Class::Transient,
            Self::Denied(_) => Class::ReadOnly,
            Self::Malformed(_) | Self::Client(_) | Self::LongSubject { .. } => Class::Permanent,
            Self::Refused { code, error, .. } => {
                let listed = CLASSES.iter().find(|(number, _)| number == error);
                match (listed, code) {
                    (Some((_, class)), _) => *class,
                    (None, 404) => Class::Missing,
                    (None, 413) => Class::TooLarge,
                    // What fails in a server may succeed in the next one, or once it has started.
                    (None, 429 | 500..) => Class::Transient,
                    (None, _) => Class::Permanent,
                }
            }
        }
    }

    pub(crate) fn is_transient(&self) -> bool {
        self.class() == Class::Transient
    }

    /// Whether the server refused with this number.
    pub(crate) fn has_error(&self, number: u64) -> bool {
        matches!(self, Self::Refused { error, .. } if *error == number)
    }

    /// The error of a store for a failed write. What a limit or a right says, it says in its own words.
    pub(super) fn into_write_error(
        self,
        location: Location,
        operation: &'static str,
    ) -> StoreError {
        match self.class() {
            Class::Full => StoreError::Full {
                location,
                reason: self.to_string(),
            },
            Class::ReadOnly => StoreError::ReadOnly {
                location,
                reason: self.to_string(),
            },
            Class::TooLarge => StoreError::InvalidCommit {
                reason: format!(
                    "{self}: raise `max_payload` of the server and `max_msg_size` of {location}, or keep large content as an \
                     object and its CID in the event"
                ),
            },
            _ => self.into_error(location, operation),
        }
    }

    /// The error of a store for anything else that failed.
    pub(super) fn into_error(self, location: Location, operation: &'static str) -> StoreError {
        StoreError::Engine {
            location,
            operation,
            source: Arc::new(self),
        }
    }
}

/// The failure of a request under an error of a store.
pub(crate) fn failure_of(error: &StoreError) -> Option<&ApiFailure> {
    match error {
        StoreError::Engine { source, .. } => source.downcast_ref(),
        _ => None,
    }
}

/// Whether an error of a store is one that may pass by itself.
pub(crate) fn is_transient(error: &StoreError) -> bool {
    failure_of(error).is_some_and(ApiFailure::is_transient)
}

/// The error in an answer.
#[derive(Debug, Deserialize)]
pub(super) struct ErrorAnswer {
    #[serde(default)]
    code: u16,
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

impl From<ErrorAnswer> for ApiFailure {
    fn from(answer: ErrorAnswer) -> Self {
        Self::Refused {
            code: answer.code,
            error: answer.err_code,
            description: answer.description,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(error: u64, code: u16) -> Class {
        let description = String::new();
        ApiFailure::Refused {
            code,
            error,
            description,
        }
        .class()
    }

    #[test]
    fn both_numbers_of_a_wrong_last_sequence_are_conflicts() {
        for error in [10071, 10164] {
            assert_eq!(refused(error, 400), Class::Conflict, "{error}");
        }
    }

    #[test]
    fn what_a_server_cannot_take_at_the_moment_passes() {
        for (error, code) in [
            (10176, 400),
            (10210, 429),
            (10008, 503),
            (10163, 400),
            (10012, 500),
            (0, 503),
        ] {
            assert_eq!(refused(error, code), Class::Transient, "{error}");
        }
        assert!(ApiFailure::NoResponders.is_transient());
    }

    #[test]
    fn a_stream_without_room_is_full_whatever_its_status() {
        for error in [10077, 10023, 10047, 10002, 10028] {
            assert_eq!(refused(error, 503), Class::Full, "{error}");
        }
    }

    #[test]
    fn what_stays_wrong_is_not_taken_for_something_that_passes() {
        for (error, code, class) in [
            (10026, 400, Class::Permanent),
            (10039, 503, Class::Permanent),
            (10076, 503, Class::Permanent),
            (10074, 500, Class::Permanent),
            (10059, 404, Class::Missing),
            (10054, 400, Class::TooLarge),
            (10109, 400, Class::ReadOnly),
        ] {
            assert_eq!(refused(error, code), class, "{error}");
        }
    }

    #[test]
    fn no_number_stands_twice_in_the_table() {
        let numbers: std::collections::BTreeSet<_> = CLASSES.iter().map(|(it, _)| it).collect();
        assert_eq!(numbers.len(), CLASSES.len());
    }
}
