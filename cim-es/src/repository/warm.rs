//! The aggregates that stay in memory, and whose turn it is to work on one.
//!
//! The two are kept apart: an aggregate that is at work is found by whoever comes next even when others have pushed it
//! out of memory. What waits is what somebody waits for, so nothing is kept for an aggregate at rest but itself.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use lru::LruCache;

use super::loaded::Known;
use crate::domain::aggregate::Aggregate;
use crate::store::Head;

/// The aggregates of one repository that are in memory or at work.
pub(super) struct WarmAggregates<A: Aggregate> {
    limit: usize,
    shared: Mutex<Shared<A>>,
}

struct Shared<A: Aggregate> {
    at_rest: LruCache<A::Id, Known<A>>,
    /// Those who work on an aggregate or wait for it; the first one works.
    at_work: HashMap<A::Id, VecDeque<Ticket>>,
    next_ticket: u64,
}

struct Ticket {
    number: u64,
    waker: Option<Waker>,
}

/// The turn of one command on an aggregate. However it ends, the aggregate goes back to where it was, and the next in
/// line works.
pub(super) struct Turn<A: Aggregate> {
    warm: Arc<WarmAggregates<A>>,
    id: A::Id,
    number: u64,
    pub(super) known: Known<A>,
    /// Whether `known` is what some events of the aggregate give; else it is not kept.
    pub(super) is_whole: bool,
}

impl<A: Aggregate> WarmAggregates<A> {
    pub(super) fn new(limit: usize) -> Self {
        let shared = Shared {
            // Sized by what is in it, and not by what may be.
            at_rest: LruCache::unbounded(),
            at_work: HashMap::new(),
            next_ticket: 0,
        };
        Self {
            limit,
            shared: Mutex::new(shared),
        }
    }

    /// Waits for the turn on an aggregate; first come, first served.
    pub(super) async fn turn(self: &Arc<Self>, id: &A::Id) -> Turn<A> {
        let mut turn = self.line_up(id);
        poll_fn(|context| {
            let mut shared = self.shared();
            let line = shared.at_work.get_mut(id);
            let place = line.and_then(|line| {
                let place = line
                    .iter()
                    .position(|ticket| ticket.number == turn.number)?;
                Some((place, &mut line[place]))
            });
            match place {
                Some((1.., ticket)) => {
                    ticket.waker = Some(context.waker().clone());
                    Poll::Pending
                }
                _ => Poll::Ready(()),
            }
        })
        .await;
        let at_rest = self.shared().at_rest.pop(id);
        turn.is_whole = at_rest.is_some();
        if let Some(known) = at_rest {
            turn.known = known;
        }
        turn
    }

    /// The last event of an aggregate that is in memory and not at work, as it was known last; the inner none is for an
    /// aggregate without events.
    pub(super) fn head(&self, id: &A::Id) -> Option<Option<Head>> {
        let shared = self.shared();
        shared.at_rest.peek(id).map(|known| known.loaded.head())
    }

    fn line_up(self: &Arc<Self>, id: &A::Id) -> Turn<A> {
        let mut shared = self.shared();
        let number = shared.next_ticket;
        shared.next_ticket += 1;
        let line = shared.at_work.entry(id.clone()).or_default();
        line.push_back(Ticket {
            number,
            waker: None,
        });
        Turn {
            warm: self.clone(),
            id: id.clone(),
            number,
            known: Known::empty(0),
            is_whole: false,
        }
    }

    fn shared(&self) -> MutexGuard<'_, Shared<A>> {
        // Nothing of the author's runs under it.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<A: Aggregate> Drop for Turn<A> {
    fn drop(&mut self) {
        let known = std::mem::replace(&mut self.known, Known::empty(0));
        let mut shared = self.warm.shared();
        if self.is_whole {
            shared.at_rest.put(self.id.clone(), known);
        }
        let mut pushed_out = Vec::new();
        while shared.at_rest.len() > self.warm.limit {
            pushed_out.extend(shared.at_rest.pop_lru());
        }
        let Some(line) = shared.at_work.get_mut(&self.id) else {
            return;
        };
        line.retain(|ticket| ticket.number != self.number);
        let next = line.front_mut().and_then(|ticket| ticket.waker.take());
        if line.is_empty() {
            shared.at_work.remove(&self.id);
        }
        drop(shared);
        // The author's types are dropped, and a task is woken, without the lock.
        drop(pushed_out);
        if let Some(next) = next {
            next.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::prelude::*;

    #[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
    enum LampState {
        #[state(initial)]
        #[on(Switch / Switched => _)]
        Any,
    }

    #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum LampEvent {
        Switched,
    }

    #[allow(dead_code, reason = "no command is decided here")]
    #[derive(Command, Clone, Debug)]
    enum LampCommand {
        Switch,
    }

    #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
    #[aggregate(domain = "home", name = "lamp")]
    struct Lamp {
        state: LampState,
    }

    impl WarmAggregates<Lamp> {
        /// How many aggregates are in memory, and how many at work.
        fn counts(&self) -> (usize, usize) {
            let shared = self.shared();
            (shared.at_rest.len(), shared.at_work.len())
        }
    }

    fn taken(warm: &Arc<WarmAggregates<Lamp>>, id: &Id<Lamp>) -> Option<Turn<Lamp>> {
        warm.turn(id).now_or_never()
    }

    #[test]
    fn turns_come_in_the_order_of_asking_and_pass_over_who_gave_up() {
        let warm = Arc::new(WarmAggregates::new(1));
        let id = Id::new();
        let first = taken(&warm, &id).expect("nobody else works on it");
        let mut waiting: Vec<_> = (0..4).map(|_| Box::pin(warm.turn(&id))).collect();
        assert!(waiting.iter_mut().all(|turn| turn.now_or_never().is_none()));
        assert!(taken(&warm, &Id::new()).is_some(), "another is free");
        drop(waiting.remove(1));
        drop(first);
        assert!(waiting[1].as_mut().now_or_never().is_none());
        // Who is next gives up after it was woken.
        drop(waiting.remove(0));
        let turn = waiting[0].as_mut().now_or_never();
        assert!(turn.is_some());
        drop(turn);
        drop(waiting);
        assert_eq!(warm.counts(), (0, 0));
    }

    #[test]
    fn an_aggregate_at_work_keeps_its_turn_when_others_push_it_out_of_memory() {
        let warm = Arc::new(WarmAggregates::new(2));
        let id = Id::new();
        let mut at_work = taken(&warm, &id).expect("nobody else works on it");
        at_work.is_whole = true;
        for _ in 0..10 {
            let mut other = taken(&warm, &Id::new()).expect("it is free");
            other.is_whole = true;
        }
        assert!(taken(&warm, &id).is_none());
        drop(at_work);
        assert_eq!(warm.counts(), (2, 0));
        assert!(taken(&warm, &id).expect("it is free").is_whole);
    }

    #[test]
    fn what_is_half_folded_is_not_kept() {
        let warm = Arc::new(WarmAggregates::new(2));
        let id = Id::new();
        taken(&warm, &id).expect("it is free").is_whole = true;
        taken(&warm, &id).expect("it is free").is_whole = false;
        assert!(!taken(&warm, &id).expect("it is free").is_whole);
    }
}
