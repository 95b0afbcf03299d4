//! Asking again while the servers may only be electing a leader.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::request::{Api, ApiFailure};
use crate::store::StoreError;

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long to go on asking, with pauses that grow.
pub(crate) struct Patience {
    /// For ever when none.
    deadline: Option<Instant>,
    pause: Duration,
}

impl Patience {
    pub(crate) fn until(deadline: Instant) -> Self {
        Self {
            deadline: Some(deadline),
            pause: FIRST_PAUSE,
        }
    }

    /// For what goes on however long the servers are away.
    pub(crate) fn without_end() -> Self {
        Self {
            deadline: None,
            pause: FIRST_PAUSE,
        }
    }

    /// Waits before the next attempt.
    ///
    /// # Errors
    /// The failure, when it is not one that passes or there is no time left.
    pub(crate) async fn wait(
        &mut self,
        api: &Api,
        operation: &'static str,
        failure: ApiFailure,
    ) -> Result<(), StoreError> {
        let next = Instant::now() + self.pause;
        let is_over = self.deadline.is_some_and(|deadline| next >= deadline);
        if !failure.is_passing() || api.has_ended() || is_over {
            return Err(api.error(operation, failure));
        }
        tracing::debug!(stream = %api.stream, operation, %failure, "trying again");
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}
