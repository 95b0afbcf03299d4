//! Commits that are read while those before them are counted.

use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::commits::{Batch, Commits};
use crate::store::StoreError;

/// Where the next commits come from.
pub(super) enum Reading {
    /// From a task that reads ahead; it holds at most one batch that nobody has taken.
    Ahead(Ahead),
    /// From the store, when they are asked for: what comes is there at once, and nothing is taken before it is counted.
    AsAsked(Box<Commits>),
}

/// What the task has read. It ends when this is dropped.
pub(super) struct Ahead {
    batches: mpsc::Receiver<Next>,
    task: AbortHandle,
}

type Next = Result<Option<Batch>, StoreError>;

impl Reading {
    /// Reads ahead.
    pub(super) fn ahead(mut commits: Commits) -> Self {
        let (sender, batches) = mpsc::channel(1);
        let reading = async move {
            loop {
                let next = commits.next().await;
                let is_end = !matches!(next, Ok(Some(_)));
                if sender.send(next).await.is_err() || is_end {
                    return;
                }
            }
        };
        let task = tokio::spawn(reading).abort_handle();
        Self::Ahead(Ahead { batches, task })
    }

    /// Reads when it is asked.
    pub(super) fn as_asked(commits: Commits) -> Self {
        Self::AsAsked(Box::new(commits))
    }

    /// As [`Commits::next`]. Whoever stops waiting loses nothing.
    pub(super) async fn next(&mut self) -> Next {
        match self {
            Self::AsAsked(commits) => commits.next().await,
            Self::Ahead(ahead) => {
                let next = ahead.batches.recv().await;
                next.unwrap_or_else(|| {
                    let reason = "reading was ended from outside: the runtime shuts down".into();
                    Err(StoreError::Closed { reason })
                })
            }
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.task.abort();
    }
}
