//! Why a subscription ends, in the words that a person knows.

use super::SubscriptionError;
use crate::engine::jetstream::api::{ApiFailure, errors, is_transient};
use crate::store::{Location, StoreError};

/// Tells what may pass from what does not.
pub(super) trait MayPass {
    /// Whether the servers may only be restarting.
    fn may_pass(&self) -> bool;
}

impl MayPass for SubscriptionError {
    fn may_pass(&self) -> bool {
        let (Self::Store(error) | Self::NotParked { source: error, .. }) = self else {
            return false;
        };
        is_transient(error)
    }
}

/// The same with names of their own for a refused permission and a stream that is missing.
pub(super) fn named(error: SubscriptionError) -> SubscriptionError {
    if let SubscriptionError::Store(StoreError::Engine {
        location, source, ..
    }) = &error
    {
        match source.downcast_ref::<ApiFailure>() {
            Some(ApiFailure::Denied(denied)) => return denied.clone().into(),
            Some(failure) if failure.has_error(errors::STREAM_NOT_FOUND) => {
                return SubscriptionError::StreamMissing {
                    stream: match location {
                        Location::Stream(name) => name.clone(),
                        other => other.to_string(),
                    },
                };
            }
            _ => {}
        }
    }
    error
}
