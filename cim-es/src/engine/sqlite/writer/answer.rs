//! Waiting for the answer of the thread that writes.

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::oneshot::{Receiver, error::TryRecvError};

use crate::store::StoreError;

/// How long one who waits alone stays awake: about twice the time of a commit on a disk in the machine.
///
/// To wake a thread that sleeps took 20 to 40 µs of a commit of 120 µs, measured with an idle second core.
const AWAKE: Duration = Duration::from_micros(250);

/// Those who wait now.
#[derive(Default)]
pub(super) struct Answers {
    waiting: AtomicUsize,
}

impl Answers {
    /// The answer, or [`StoreError::OutcomeUnknown`] when the thread ended without one.
    pub(super) async fn wait<T>(
        &self,
        mut question: Receiver<Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let _waiting = Waiting::new(&self.waiting);
        let awake_until = Instant::now() + AWAKE;
        // Each round lets every other task of the runtime run first. Where several wait, those rounds would only take
        // the processor from the thread that is waited for, and one wake-up serves many.
        while self.waiting.load(Ordering::Relaxed) == 1 && Instant::now() < awake_until {
            match question.try_recv() {
                Ok(answer) => return answer,
                Err(TryRecvError::Closed) => return Err(unanswered()),
                Err(TryRecvError::Empty) => step_back().await,
            }
        }
        question.await.unwrap_or_else(|_| Err(unanswered()))
    }
}

/// Lets everything else of the executor run once.
///
/// Not tokio's own `yield_now`: that leaves it to the runtime to wake the task, and the runtime may itself be waiting for
/// this, in a `block_on` of another executor.
async fn step_back() {
    let mut has_waited = false;
    poll_fn(|context| match std::mem::replace(&mut has_waited, true) {
        true => Poll::Ready(()),
        false => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}

/// Counts one who waits, until it has its answer or is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn unanswered() -> StoreError {
    StoreError::OutcomeUnknown {
        reason: "the writing thread failed before it answered; open the file again".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use futures_util::FutureExt;
    use tokio::sync::oneshot;

    use super::Answers;
    use crate::store::StoreError;

    #[tokio::test]
    async fn who_stops_waiting_does_not_count_as_waiting() {
        let answers = Answers::default();
        let (_answer, question) = oneshot::channel::<Result<(), StoreError>>();
        let mut waiting = Box::pin(answers.wait(question));
        assert!((&mut waiting).now_or_never().is_none());
        assert_eq!(answers.waiting.load(Ordering::Relaxed), 1);
        drop(waiting);
        assert_eq!(answers.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn an_answer_that_takes_long_and_one_that_never_comes_end_the_waiting() {
        let answers = Answers::default();
        let (answer, question) = oneshot::channel();
        std::thread::spawn(move || {
            std::thread::sleep(4 * super::AWAKE);
            answer.send(Ok(7))
        });
        assert_eq!(answers.wait(question).await.expect("it is answered"), 7);
        let (answer, question) = oneshot::channel::<Result<(), StoreError>>();
        drop(answer);
        let outcome = answers.wait(question).await;
        assert!(
            matches!(outcome, Err(StoreError::OutcomeUnknown { .. })),
            "{outcome:?}"
        );
    }
}
