//! The answers of the thread that writes, and waiting for them.
//!
//! Many are answered at once. If the thread woke each of them, it would lose the processor to each: who is woken runs at
//! once, finds nothing else to do, and sleeps again before the next one is woken. So the thread wakes one, and whoever is
//! awake wakes the others.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::store::StoreError;

type Outcome<T> = Result<T, StoreError>;

/// The answer that is to be given.
pub(super) struct Answer<T>(Arc<Slot<T>>);

/// The answer that is waited for.
pub(super) struct Question<T>(Arc<Slot<T>>);

struct Slot<T>(Mutex<State<T>>);

enum State<T> {
    /// Nobody has answered; who waits is woken by this.
    Open(Option<Waker>),
    /// Answered, together with others who may have to be woken.
    Answered(Outcome<T>, Option<Arc<Sleepers>>),
    /// The thread ended without an answer, or the answer was taken.
    Over,
    /// Nobody waits any more.
    Unwanted,
}

/// A question, and the answer to it.
pub(super) fn question<T>() -> (Answer<T>, Question<T>) {
    let slot = Arc::new(Slot(Mutex::new(State::Open(None))));
    (Answer(slot.clone()), Question(slot))
}

impl<T> Slot<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an end to the waiting, where somebody waits. Gives what wakes who does.
    fn end(&self, with: State<T>) -> Option<Waker> {
        let mut state = self.lock();
        match &mut *state {
            State::Open(waker) => {
                let waker = waker.take();
                *state = with;
                waker
            }
            State::Answered(..) | State::Over | State::Unwanted => None,
        }
    }
}

impl<T> Answer<T> {
    /// Whether somebody waits for it.
    pub(super) fn is_wanted(&self) -> bool {
        !matches!(*self.0.lock(), State::Unwanted)
    }

    /// Gives it.
    pub(super) fn send(self, outcome: Outcome<T>) {
        if let Some(waker) = self.0.end(State::Answered(outcome, None)) {
            waker.wake();
        }
    }

    /// Gives it, together with others: who waits is woken with those.
    pub(super) fn send_with(self, outcome: Outcome<T>, others: &Arc<Sleepers>) {
        let answered = State::Answered(outcome, Some(others.clone()));
        others.add(self.0.end(answered));
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        if let Some(waker) = self.0.end(State::Over) {
            waker.wake();
        }
    }
}

impl<T> Question<T> {
    /// The answer, when it is there.
    fn look(&self, context: Option<&Context<'_>>) -> Poll<Outcome<T>> {
        let mut state = self.0.lock();
        if let State::Open(waker) = &mut *state {
            if let Some(context) = context {
                *waker = Some(context.waker().clone());
            }
            return Poll::Pending;
        }
        let taken = std::mem::replace(&mut *state, State::Over);
        drop(state);
        Poll::Ready(match taken {
            State::Answered(outcome, others) => {
                if let Some(others) = others {
                    others.wake();
                }
                outcome
            }
            State::Open(_) | State::Over | State::Unwanted => Err(StoreError::OutcomeUnknown {
                reason: "the writing thread failed before it answered; open the file again".into(),
            }),
        })
    }
}

impl<T> Drop for Question<T> {
    fn drop(&mut self) {
        let last = std::mem::replace(&mut *self.0.lock(), State::Unwanted);
        // Who was chosen to wake the others may have gone.
        if let State::Answered(_, Some(others)) = last {
            others.wake();
        }
    }
}

/// Those who have an answer and sleep.
#[derive(Default)]
pub(super) struct Sleepers(Mutex<VecDeque<Waker>>);

impl Sleepers {
    fn add(&self, waker: Option<Waker>) {
        self.lock().extend(waker);
    }

    /// Wakes them, beside whoever else does.
    pub(super) fn wake(&self) {
        loop {
            let next = self.lock().pop_front();
            match next {
                Some(waker) => waker.wake(),
                None => return,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Waker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many commits that are alone are stored before it is looked again whether others would come. To look takes a turn of
/// the executor, which may move the caller to another thread, on a core that sleeps.
const UNSEEN: usize = 32;

/// Those who are about to write, or wait for their answer.
#[derive(Default)]
pub(super) struct Callers {
    now: AtomicUsize,
    /// How many who seem alone are still taken for that without a look.
    unseen: AtomicUsize,
}

/// One of them, until it has its answer or is dropped.
pub(super) struct Caller<'a>(&'a Callers);

impl Callers {
    /// One more.
    pub(super) fn add(&self) -> Caller<'_> {
        self.now.fetch_add(1, Ordering::Relaxed);
        Caller(self)
    }
}

impl Caller<'_> {
    /// Whether nobody else is about to write. Who writes at once is not seen by the others of its thread, so now and then
    /// everybody of its executor who could come is given a moment to do so.
    pub(super) async fn is_alone(&self) -> bool {
        let unseen = &self.0.unseen;
        if self.seems_alone() {
            let counted = unseen.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            });
            if counted.is_ok() {
                return true;
            }
            step_back().await;
        }
        let is_alone = self.seems_alone();
        unseen.store(if is_alone { UNSEEN } else { 0 }, Ordering::Relaxed);
        is_alone
    }

    fn seems_alone(&self) -> bool {
        self.0.now.load(Ordering::Relaxed) == 1
    }

    /// The answer, or [`StoreError::OutcomeUnknown`] when the thread ended without one.
    pub(super) async fn wait<T>(self, question: Question<T>) -> Outcome<T> {
        poll_fn(|context| question.look(Some(context))).await
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake, Waker};
    use std::time::Duration;

    use futures_util::FutureExt;
    use futures_util::future::join_all;

    use super::{Callers, Question, Sleepers, UNSEEN, question};
    use crate::store::StoreError;

    /// Counts how many times it was woken.
    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Counter {
        /// Asks once, as a task that then sleeps.
        fn ask(self: &Arc<Self>, question: &Question<u32>) -> bool {
            let waker = Waker::from(self.clone());
            question.look(Some(&Context::from_waker(&waker))).is_ready()
        }

        fn woken(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    #[tokio::test]
    async fn who_stops_waiting_does_not_count_as_waiting() {
        let callers = Callers::default();
        let (answer, question) = question::<()>();
        let mut waiting = Box::pin(callers.add().wait(question));
        assert!((&mut waiting).now_or_never().is_none());
        assert!(!callers.add().is_alone().await);
        assert!(answer.is_wanted());
        drop(waiting);
        assert!(callers.add().is_alone().await);
        assert!(!answer.is_wanted());
    }

    #[tokio::test]
    async fn of_several_who_come_at_once_none_is_alone() {
        let callers = Callers::default();
        let come = || async {
            let caller = callers.add();
            let is_alone = caller.is_alone().await;
            // Each is still there when the next one looks.
            tokio::task::yield_now().await;
            is_alone
        };
        let come_at_once = || join_all((0..3).map(|_| come()));
        assert_eq!(come_at_once().await, [false; 3]);
        assert!(come().await);
        // One or two who do not look are as if alone; then they are seen.
        let mut rounds = 0;
        while come_at_once().await != [false; 3] {
            rounds += 1;
            assert!(rounds <= UNSEEN);
        }
        assert!(come().await);
    }

    #[tokio::test]
    async fn an_answer_that_takes_long_and_one_that_never_comes_end_the_waiting() {
        const LONG: Duration = Duration::from_millis(1);
        let callers = Callers::default();
        let (answer, asked) = question();
        std::thread::spawn(move || {
            std::thread::sleep(LONG);
            answer.send(Ok(7));
        });
        assert_eq!(callers.add().wait(asked).await.expect("it is answered"), 7);
        let (answer, asked) = question::<()>();
        let waiting = callers.add().wait(asked);
        let mut waiting = std::pin::pin!(waiting);
        assert!(waiting.as_mut().now_or_never().is_none());
        std::thread::spawn(move || {
            std::thread::sleep(LONG);
            drop(answer);
        });
        let outcome = waiting.await;
        assert!(
            matches!(outcome, Err(StoreError::OutcomeUnknown { .. })),
            "{outcome:?}"
        );
    }

    #[test]
    fn who_is_woken_first_wakes_all_who_were_answered_with_it() {
        let asked: Vec<_> = (0..4).map(|_| question()).collect();
        let counters: Vec<_> = (0..4).map(|_| Arc::new(Counter::default())).collect();
        for (counter, (_, question)) in counters.iter().zip(&asked) {
            assert!(!counter.ask(question));
        }
        let others = Arc::new(Sleepers::default());
        let mut questions = Vec::new();
        for (number, (answer, question)) in (0..).zip(asked) {
            answer.send_with(Ok(number), &others);
            questions.push(question);
        }
        assert!(counters.iter().all(|counter| counter.woken() == 0));
        assert!(counters[2].ask(&questions[2]), "it is answered");
        assert!(counters.iter().all(|counter| counter.woken() == 1));
        others.wake();
        assert!(counters.iter().all(|counter| counter.woken() == 1));
        assert!(counters[0].ask(&questions[0]), "it is answered");
    }

    #[test]
    fn who_is_gone_before_it_wakes_the_others_wakes_them_as_it_goes() {
        let ((first, gone), (second, stays)) = (question(), question());
        let counter = Arc::new(Counter::default());
        assert!(!counter.ask(&stays));
        let others = Arc::new(Sleepers::default());
        first.send_with(Ok(1), &others);
        second.send_with(Ok(2), &others);
        drop(gone);
        assert_eq!(counter.woken(), 1);
        assert!(counter.ask(&stays));
    }
}
