//! Waiting after a conflict: longer each time, and by chance, so that those who met do not meet again.

use std::collections::BinaryHeap;
use std::collections::hash_map::RandomState;
use std::future::poll_fn;
use std::hash::BuildHasher;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

/// The longest wait after the first conflict; it doubles with each further one.
const FIRST: Duration = Duration::from_millis(1);
/// The longest wait at all.
const LONGEST: Duration = Duration::from_millis(64);

/// The attempts that are left to a command after conflicts.
pub(super) struct Backoff {
    left: u32,
    bound: Duration,
}

impl Backoff {
    pub(super) fn new(retries: u32) -> Self {
        Self {
            left: retries,
            bound: FIRST,
        }
    }

    /// Waits before the next attempt; false when none is left.
    pub(super) async fn next(&mut self) -> bool {
        let Some(left) = self.left.checked_sub(1) else {
            return false;
        };
        self.left = left;
        pause(part_of(self.bound)).await;
        self.bound = (self.bound * 2).min(LONGEST);
        true
    }
}

/// A random part of a time.
fn part_of(bound: Duration) -> Duration {
    // The standard library seeds each of these from the operating system.
    let random = RandomState::new().hash_one(0_u8) >> 32;
    bound.mul_f64(random as f64 / f64::from(u32::MAX))
}

/// Waits under any executor, or none: a thread of its own keeps the time.
pub(super) async fn pause(time: Duration) {
    let alarm = Arc::new(Alarm {
        at: Instant::now() + time,
        waker: Mutex::new(None),
    });
    let mut is_set = false;
    poll_fn(|context| {
        if Instant::now() >= alarm.at {
            return Poll::Ready(());
        }
        *alarm.waker() = Some(context.waker().clone());
        // It may have rung for the waker before.
        if is_set && Instant::now() >= alarm.at {
            return Poll::Ready(());
        }
        if !is_set {
            is_set = true;
            match timer().map(|timer| timer.send(alarm.clone())) {
                Some(Ok(())) => {}
                // Without a thread there is no waiting: the next attempt comes at once.
                _ => return Poll::Ready(()),
            }
        }
        Poll::Pending
    })
    .await;
}

struct Alarm {
    at: Instant,
    waker: Mutex<Option<Waker>>,
}

impl Alarm {
    fn waker(&self) -> std::sync::MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The soonest is the greatest.
impl Ord for Alarm {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.at.cmp(&self.at)
    }
}

impl PartialOrd for Alarm {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Alarm {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Alarm {}

fn timer() -> Option<&'static Sender<Arc<Alarm>>> {
    static TIMER: OnceLock<Option<Sender<Arc<Alarm>>>> = OnceLock::new();
    TIMER
        .get_or_init(|| {
            let (sender, receiver) = channel();
            let thread = std::thread::Builder::new().name("cim-es-time".into());
            let started = thread.spawn(move || keep_time(&receiver));
            started.is_ok().then_some(sender)
        })
        .as_ref()
}

fn keep_time(new: &Receiver<Arc<Alarm>>) {
    let mut alarms = BinaryHeap::<Arc<Alarm>>::new();
    loop {
        let next = alarms.peek().map(|alarm| alarm.at);
        let received = match next {
            None => new.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(at) => new.recv_timeout(at.saturating_duration_since(Instant::now())),
        };
        match received {
            Ok(alarm) => alarms.push(alarm),
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {}
        }
        while alarms
            .peek()
            .is_some_and(|alarm| alarm.at <= Instant::now())
        {
            let waker = alarms.pop().and_then(|alarm| alarm.waker().take());
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_ends_under_an_executor_that_knows_nothing_of_time() {
        let started = Instant::now();
        run(async {
            futures_util::future::join(
                pause(Duration::from_millis(20)),
                pause(Duration::from_millis(5)),
            )
            .await;
        });
        assert!(started.elapsed() >= Duration::from_millis(20));
    }

    #[test]
    fn the_attempts_end() {
        run(async {
            let mut backoff = Backoff::new(2);
            assert!(backoff.next().await);
            assert!(backoff.next().await);
            assert!(!backoff.next().await);
        });
    }

    /// Runs a future on this thread, which sleeps while nothing wakes it.
    fn run(future: impl Future<Output = ()>) {
        struct Thread(std::thread::Thread);
        impl std::task::Wake for Thread {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = Arc::new(Thread(std::thread::current())).into();
        let mut context = std::task::Context::from_waker(&waker);
        let mut future = std::pin::pin!(future);
        while future.as_mut().poll(&mut context).is_pending() {
            std::thread::park();
        }
    }
}
