//! Many commits on their way at once.
//!
//! They are sent in the order of the list over one connection, which keeps it. A commit whose aggregates have another on
//! its way waits for it, since its guard is the sequence that the other gets, and what follows in the list waits behind.
//! Where that would come often, or where there are many, several commits go as one atomic batch: it takes the server some
//! milliseconds, whatever is in it, where each message by itself is written to the disk by itself; and only the first event of
//! each aggregate in it needs a guard. A batch of which one commit cannot be stored is not stored at all; its commits then
//! go one by one.
//!
//! An answer that says more than that all was stored leads to what every append does: see `outcome`.

use std::collections::{HashMap, HashSet};
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use async_nats::{Message, StatusCode, Subscriber};
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::present::Present;
use super::unit::Unit;
use super::{Fate, is_general};
use crate::engine::jetstream::api::{Ack, ApiFailure, parse};
use crate::engine::jetstream::connect::PermissionDenied;
use crate::engine::jetstream::stream::outcome::Answer;
use crate::engine::jetstream::stream::publish::judge;
use crate::engine::jetstream::stream::{Stream, append};
use crate::store::{ProvedCommit, StoreError};

/// The most messages on their way: fewer than the client takes before it lets others wait.
const IN_FLIGHT: usize = 1_500;
/// The most bytes on their way.
const IN_FLIGHT_BYTES: usize = 16 * 1024 * 1024;
/// The most messages of several commits that go as one; the server takes 1,000.
const BATCH: usize = 500;
/// The most bytes of several commits that go as one.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// How many messages must come between two that wait for an acknowledgement, for each to go by itself.
const BETWEEN_WAITS: usize = 16;
/// From how many messages on a batch takes less time than each by itself.
const WORTH: usize = 48;
/// After how many refused commits nothing more is sent.
const REFUSALS: usize = 64;

/// The ids of the aggregates of commits that failed.
#[derive(Default)]
pub(super) struct Blocked<'a>(HashMap<&'a str, usize>);

impl<'a> Blocked<'a> {
    /// Lets wait what follows a commit at a place of the list.
    pub(super) fn block(&mut self, commit: &'a ProvedCommit, place: usize) {
        for id in ids(commit) {
            self.0.entry(id).or_insert(place);
        }
    }

    /// Whether a commit waits.
    fn has(&self, commit: &ProvedCommit) -> bool {
        ids(commit).any(|id| self.0.contains_key(id))
    }

    /// The commit behind which another waits, which then blocks in turn.
    pub(super) fn is_behind(&mut self, commit: &'a ProvedCommit) -> Option<usize> {
        let earlier = ids(commit).find_map(|id| self.0.get(id).copied())?;
        self.block(commit, earlier);
        Some(earlier)
    }
}

/// A list of commits that is being sent.
pub(super) struct Flight<'a> {
    store: &'a Stream,
    commits: &'a [ProvedCommit],
    /// Whether each is to be stored.
    is_wanted: Vec<bool>,
    present: Present,
    fates: Vec<Fate>,
    /// The first commit that was not sent.
    next: usize,
    /// Up to where each goes by itself.
    singly_until: usize,
    /// The ids of the aggregates of what is on its way.
    busy: HashSet<&'a str>,
    blocked: Blocked<'a>,
    /// What waits for its first answer, by number.
    waiting: HashMap<u64, Unit<'a>>,
    settling: FuturesUnordered<BoxFuture<'a, (Unit<'a>, Vec<Fate>)>>,
    sent: u64,
    messages: usize,
    bytes: usize,
    refusals: usize,
    /// Whether the stream takes nothing more.
    is_over: bool,
}

/// What happened while commits were on their way.
enum Event<'a> {
    Answer(Option<Message>),
    Denied(PermissionDenied),
    Settled(Unit<'a>, Vec<Fate>),
    Tick,
}

impl<'a> Flight<'a> {
    pub(super) fn of(
        store: &'a Stream,
        commits: &'a [ProvedCommit],
        is_wanted: Vec<bool>,
        present: Present,
    ) -> Self {
        Self {
            store,
            commits,
            is_wanted,
            present,
            fates: vec![Fate::NotSent; commits.len()],
            next: 0,
            singly_until: 0,
            busy: HashSet::new(),
            blocked: Blocked::default(),
            waiting: HashMap::new(),
            settling: FuturesUnordered::new(),
            sent: 0,
            messages: 0,
            bytes: 0,
            refusals: 0,
            is_over: false,
        }
    }

    /// Sends what is to be stored, and gives the fate of each commit.
    pub(super) async fn run(mut self) -> Vec<Fate> {
        let Some(first) = self.is_wanted.iter().position(|is_wanted| *is_wanted) else {
            return self.fates;
        };
        self.next = first;
        let api = &self.store.api;
        let inbox = api.client().new_inbox();
        let mut answers = match api.listen(format!("{inbox}.*")).await {
            Ok(answers) => answers,
            Err(failure) => {
                self.fates[first] = Fate::Failed(api.write_error("publish", failure));
                return self.fates;
            }
        };
        let mut refusals = api.connection.refusals();
        let mut tick = interval((api.timeout / 8).max(Duration::from_millis(5)));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.send(&inbox).await;
            if self.waiting.is_empty() && self.settling.is_empty() {
                return self.fates;
            }
            let event = {
                let mut denied = pin!(refusals.next(|_| true));
                let settling = &mut self.settling;
                poll_fn(|cx| {
                    if let Poll::Ready(answer) = answers.poll_next_unpin(cx) {
                        return Poll::Ready(Event::Answer(answer));
                    }
                    if let Poll::Ready(Some((unit, fates))) = settling.poll_next_unpin(cx) {
                        return Poll::Ready(Event::Settled(unit, fates));
                    }
                    if let Poll::Ready(denied) = denied.as_mut().poll(cx) {
                        return Poll::Ready(Event::Denied(denied));
                    }
                    tick.poll_tick(cx).map(|_| Event::Tick)
                })
                .await
            };
            match event {
                Event::Answer(Some(message)) => {
                    self.hear(&message);
                    self.hear_more(&mut answers);
                }
                // The connection was closed: nothing that waits is answered any more.
                Event::Answer(None) => self.give_up(|_| true, "the subscription ended"),
                Event::Denied(denied) => self.refuse(&denied),
                Event::Settled(unit, fates) => self.done(&unit, fates),
                Event::Tick => {
                    let now = Instant::now();
                    self.give_up(|unit| unit.late <= now, "no answer came in time");
                }
            }
        }
    }

    /// Sends as much as there is room for.
    async fn send(&mut self, inbox: &str) {
        while let Some(mut unit) = self.take().await {
            let api = &self.store.api;
            for event in &unit.events {
                self.busy.insert(&event.envelope.aggregate_id);
            }
            self.messages += unit.outgoing.len();
            self.bytes += unit.bytes;
            self.sent += 1;
            let answer = format!("{inbox}.{}", self.sent);
            let handed = match api.has_ended() {
                false => unit.outgoing.hand_over(api, &answer).await,
                true => Err(ApiFailure::Client(api.closed().to_string())),
            };
            match handed {
                Ok(()) => {
                    unit.late = Instant::now() + api.timeout;
                    self.waiting.insert(self.sent, unit);
                }
                Err(failure) => self.settle(unit, Answer::NotSent(failure)),
            }
        }
    }

    /// The next commits that can be sent; none while there are none, or no room.
    async fn take(&mut self) -> Option<Unit<'a>> {
        loop {
            self.pass_over();
            if self.is_over || self.next >= self.commits.len() || self.is_busy(self.next) {
                return None;
            }
            let run = self.run_from_here();
            let events = run.iter().map(|at| self.commits[*at].events().len());
            let events = events.sum::<usize>();
            let is_full = self.messages + events > IN_FLIGHT || self.bytes > IN_FLIGHT_BYTES;
            if is_full && self.messages > 0 {
                return None;
            }
            let deadline = self.store.api.deadline();
            let turn = match events > 1 {
                false => None,
                true => match self.store.batches.try_acquire() {
                    Ok(turn) => Some(turn),
                    // One of those on their way gives it back.
                    Err(_) if self.messages > 0 => return None,
                    Err(_) => match append::turn(self.store, deadline).await {
                        Ok(turn) => Some(turn),
                        Err(error) => {
                            self.fail(self.next, error);
                            return None;
                        }
                    },
                },
            };
            let (first, end) = (self.next, self.next + 1);
            self.next = run.last().map_or(end, |last| last + 1);
            let is_single = run.len() == 1;
            match Unit::new(self.store, self.commits, run, &self.present, deadline) {
                Ok(mut unit) => {
                    unit.turn = turn;
                    return Some(unit);
                }
                Err(error) if is_single => self.fail(first, error),
                // Which of them it is shows when each goes by itself.
                Err(_) => {
                    self.singly_until = self.next;
                    self.next = first;
                }
            }
        }
    }

    /// Passes over what is not to be sent.
    fn pass_over(&mut self) {
        while self.next < self.commits.len() {
            let (at, commit) = (self.next, &self.commits[self.next]);
            if self.is_wanted[at] {
                if let Some(earlier) = self.blocked.is_behind(commit) {
                    self.fates[at] = Fate::Behind(earlier);
                } else {
                    match self.check_events(commit) {
                        Ok(()) => return,
                        Err(error) => self.fail(at, error),
                    }
                }
            }
            self.next += 1;
        }
    }

    /// Whether a commit cannot go with what is before it.
    fn is_held_back(&self, at: usize) -> bool {
        let commit = &self.commits[at];
        self.is_busy(at) || self.blocked.has(commit) || self.check_events(commit).is_err()
    }

    fn check_events(&self, commit: &ProvedCommit) -> Result<(), StoreError> {
        let envelopes = commit.events().iter().map(|event| &event.envelope);
        self.store.check_events(
            envelopes.map(|envelope| (&*envelope.aggregate_id, envelope.event_type.as_str())),
        )
    }

    fn is_busy(&self, at: usize) -> bool {
        ids(&self.commits[at]).any(|id| self.busy.contains(id))
    }

    /// The commits that go as one: the next, or with it those that follow, where most would wait for each other.
    fn run_from_here(&mut self) -> Vec<usize> {
        let first = self.next;
        if first < self.singly_until {
            return vec![first];
        }
        let mut run = Vec::new();
        let (mut events, mut bytes, mut waits) = (0, 0, 0);
        let mut since_wait = HashSet::new();
        for at in first..self.commits.len() {
            let commit = &self.commits[at];
            if !self.is_wanted[at] {
                continue;
            }
            events += commit.events().len();
            bytes += commit
                .events()
                .iter()
                .map(|it| it.body().len())
                .sum::<usize>();
            let is_too_much = events > BATCH || bytes > BATCH_BYTES;
            if at > first && (is_too_much || self.is_held_back(at)) {
                break;
            }
            let mut is_repeated = false;
            for id in ids(commit) {
                is_repeated |= since_wait.contains(id);
            }
            if is_repeated {
                since_wait.clear();
                waits += 1;
            }
            since_wait.extend(ids(commit));
            run.push(at);
        }
        let end = run.last().map_or(first, |last| last + 1);
        let is_of_batches = run.iter().any(|at| self.commits[*at].events().len() > 1);
        let is_of_many = run.len() >= WORTH || waits * BETWEEN_WAITS > run.len();
        if is_of_batches || is_of_many {
            return run;
        }
        self.singly_until = end;
        vec![first]
    }

    /// Takes all answers that are there.
    fn hear_more(&mut self, answers: &mut Subscriber) {
        while let Some(Some(message)) = answers.next().now_or_never() {
            self.hear(&message);
        }
    }

    fn hear(&mut self, message: &Message) {
        let number = message.subject.rsplit('.').next();
        let number = number.and_then(|number| number.parse().ok());
        let Some(unit) = number.and_then(|number: u64| self.waiting.remove(&number)) else {
            return;
        };
        let answer = match message.status {
            Some(StatusCode::NO_RESPONDERS) => Err(ApiFailure::NoResponders),
            _ => parse::<Ack>(&message.payload),
        };
        let needs_a_look = unit.outgoing.is_batch() && !self.store.is_replicated();
        match judge(self.store, answer) {
            Answer::Stored(last) if !needs_a_look => {
                let fates = unit.stored(self.commits, last);
                self.done(&unit, fates);
            }
            answer => self.settle(unit, answer),
        }
    }

    /// Finds out about what some of those that wait have come to.
    fn give_up(&mut self, is_meant: impl Fn(&Unit<'a>) -> bool, reason: &str) {
        let timeout = self.store.api.timeout;
        let late = self.waiting.extract_if(|_, unit| is_meant(unit));
        let mut late: Vec<_> = late.collect();
        late.sort_unstable_by_key(|(number, _)| *number);
        for (_, unit) in late {
            tracing::debug!(
                commits = unit.commits.len(),
                reason,
                "looking whether commits were stored"
            );
            self.settle(unit, Answer::Silent(ApiFailure::TimedOut(timeout)));
        }
    }

    /// What the server does not permit gets no answer.
    fn refuse(&mut self, denied: &PermissionDenied) {
        let is_it = |(_, unit): &(&u64, &Unit<'a>)| unit.outgoing.is_on(&denied.subject);
        let number = self.waiting.iter().find(is_it).map(|(number, _)| *number);
        if let Some(unit) = number.and_then(|number| self.waiting.remove(&number)) {
            self.settle(unit, Answer::NotSent(denied.clone().into()));
        }
    }

    fn settle(&mut self, unit: Unit<'a>, answer: Answer) {
        let settled = unit.settle(self.store, self.commits, answer);
        self.settling.push(Box::pin(settled));
    }

    /// Takes in what became of some commits.
    fn done(&mut self, unit: &Unit<'a>, fates: Vec<Fate>) {
        self.messages -= unit.outgoing.len();
        self.bytes -= unit.bytes;
        for event in &unit.events {
            self.busy.remove(event.envelope.aggregate_id.as_str());
        }
        for (at, fate) in unit.commits.iter().zip(fates) {
            match &fate {
                Fate::At(last) => {
                    let events = self.commits[*at].events();
                    let first = last + 1 - events.len() as u64;
                    for (event, sequence) in events.iter().zip(first..) {
                        self.present.raise(&event.envelope.aggregate_id, sequence);
                    }
                }
                Fate::There(events) => {
                    for event in events {
                        let id = &event.envelope.aggregate_id;
                        self.present.raise(id, event.position.0);
                    }
                }
                Fate::Failed(error) => {
                    self.fail(*at, error.clone());
                    continue;
                }
                Fate::Behind(earlier) => self.blocked.block(&self.commits[*at], *earlier),
                Fate::NotSent => self.blocked.block(&self.commits[*at], *at),
            }
            self.fates[*at] = fate;
        }
    }

    /// A commit failed, and what follows it waits.
    fn fail(&mut self, at: usize, error: StoreError) {
        self.blocked.block(&self.commits[at], at);
        self.refusals += 1;
        self.is_over |= is_general(&error) || self.refusals >= REFUSALS;
        self.fates[at] = Fate::Failed(error);
    }
}

/// The ids of the aggregates of a commit: two kinds with one id have one guard.
fn ids(commit: &ProvedCommit) -> impl Iterator<Item = &str> {
    commit.aggregates().map(|key| key.id().as_str())
}
