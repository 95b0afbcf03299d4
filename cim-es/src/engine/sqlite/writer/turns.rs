//! Lists of sealed commits reach the writer in the order in which they were given, although each is proved before: so the
//! next list is proved while the one before is written.

use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;

/// Who was last in the order.
#[derive(Default)]
pub(super) struct Turns(Mutex<Option<oneshot::Receiver<()>>>);

/// A place in the order, until the value is dropped.
pub(super) struct Turn {
    before: Option<oneshot::Receiver<()>>,
    /// Tells who is behind.
    _over: oneshot::Sender<()>,
}

impl Turns {
    /// The place behind all that were taken.
    pub(super) fn take(&self) -> Turn {
        let (over, behind) = oneshot::channel();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Turn {
            before: last.replace(behind),
            _over: over,
        }
    }
}

impl Turn {
    /// Waits until it is over for the one before. Where that one was given up early, no longer than for it.
    pub(super) async fn come(&mut self) {
        if let Some(before) = &mut self.before {
            // It is over when its end is gone.
            let _ = before.await;
        }
        self.before = None;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::Turns;

    #[test]
    fn a_turn_comes_when_the_one_before_is_over() {
        let turns = Turns::default();
        let (mut first, mut second) = (turns.take(), turns.take());
        let mut third = turns.take();
        assert!(first.come().now_or_never().is_some());
        assert!(second.come().now_or_never().is_none());
        drop(first);
        assert!(third.come().now_or_never().is_none());
        drop(second);
        assert!(third.come().now_or_never().is_some());
    }

    #[test]
    fn a_turn_that_is_given_up_holds_nobody() {
        let turns = Turns::default();
        let first = turns.take();
        drop(turns.take());
        drop(first);
        assert!(turns.take().come().now_or_never().is_some());
    }
}
