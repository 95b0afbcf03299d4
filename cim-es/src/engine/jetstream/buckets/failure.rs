//! What can go wrong with a bucket, and how long it is tried again.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::engine::jetstream::api::{ApiFailure, errors};
use crate::engine::jetstream::connect::{Connection, PermissionDenied};
use crate::store::StoreError;

/// How long an operation goes on while the servers elect a leader or restart.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long it waits before it asks again.
const PAUSE: Duration = Duration::from_millis(100);
/// Codes of the server for a stream, a server or an account that has no room.
const FULL: [u64; 6] = [
    errors::ACCOUNT_RESOURCES_EXCEEDED,
    errors::INSUFFICIENT_RESOURCES,
    errors::MEMORY_RESOURCES_EXCEEDED,
    errors::STORAGE_RESOURCES_EXCEEDED,
    errors::MESSAGE_TOO_LARGE,
    errors::STORE_FAILED,
];
/// Codes of the server for a leader that is not, or not yet.
const NO_LEADER: [u64; 3] = [
    errors::UNAVAILABLE,
    errors::NOT_LEADER,
    errors::LAST_SEQUENCE_NOT_READY,
];

/// What is being done with a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Open,
    Create,
    Read,
    Write,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Open => "opening",
            Self::Create => "creating",
            Self::Read => "reading",
            Self::Write => "writing",
        }
    }
}

/// Why an operation did not take place.
pub(super) enum Failure {
    /// Nobody answered, or there is no leader at the moment.
    Passing(String),
    Denied(PermissionDenied),
    Server {
        code: u16,
        error: u64,
        description: String,
    },
    Malformed(String),
}

impl Failure {
    /// A failure that the server reports: its status, the number of the error, and its words. With 503 it has no leader
    /// at the moment.
    pub(super) fn of_server(code: u16, error: u64, description: String) -> Self {
        if NO_LEADER.contains(&error) || (code == 503 && !FULL.contains(&error)) {
            return Self::Passing(description);
        }
        Self::Server {
            code,
            error,
            description,
        }
    }

    fn into_error(self, place: &str, operation: Operation) -> StoreError {
        let place = place.to_owned();
        let failure = match self {
            Self::Denied(denied) if matches!(operation, Operation::Create | Operation::Write) => {
                return StoreError::ReadOnly {
                    place,
                    reason: denied.to_string(),
                };
            }
            Self::Server {
                error, description, ..
            } if FULL.contains(&error) => {
                return StoreError::Full {
                    place,
                    reason: format!("{description} (error {error})"),
                };
            }
            Self::Denied(denied) => ApiFailure::Denied(denied),
            Self::Server {
                code,
                error,
                description,
            } => ApiFailure::Refused {
                code,
                error,
                description,
            },
            Self::Passing(reason) => {
                ApiFailure::Client(format!("{reason}, for {} s", PATIENCE.as_secs()))
            }
            Self::Malformed(reason) => ApiFailure::Malformed(reason),
        };
        StoreError::Engine {
            place,
            operation: operation.name(),
            source: Arc::new(failure),
        }
    }
}

/// Does some work again and again while its failures pass.
pub(super) async fn patiently<T, F>(
    connection: &Connection,
    place: &str,
    operation: Operation,
    mut work: impl FnMut() -> F,
) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, Failure>>,
{
    let end = Instant::now() + PATIENCE;
    loop {
        // The client itself lets everyone wait, once it holds many messages for servers that are away.
        let failure = match timeout_at(end, work()).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(failure)) => failure,
            Err(_) => Failure::Passing("no answer".to_owned()),
        };
        let Failure::Passing(reason) = &failure else {
            return Err(failure.into_error(place, operation));
        };
        if let Some(ended) = connection.why_ended() {
            let reason = ended.to_string();
            return Err(StoreError::Closed { reason });
        }
        if Instant::now() >= end {
            return Err(failure.into_error(place, operation));
        }
        tracing::debug!(place, ?operation, reason, "asking again");
        sleep(PAUSE).await;
    }
}

/// How often an operation is tried again that the servers refuse for a state which cannot last.
pub(super) const ATTEMPTS: u32 = 100;

/// Waits a moment, before something is asked again.
pub(super) async fn pause() {
    sleep(PAUSE).await;
}
