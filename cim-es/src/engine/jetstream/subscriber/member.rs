//! A member of a durable or partitioned subscription: it gives signs of life, and takes and leaves lanes as other members
//! come and go.
//!
//! No clock is compared with another. A member that has not seen another's sign of life change for a whole lease, by its
//! own clock, empties that member's place; only then are its lanes free. A member stops its own work when its last sign
//! of life is two thirds of a lease old, which is always earlier. Every write is guarded by the revision that it follows.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::try_join3;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::SubscriptionError;
use super::book::Note;
use super::crew::{Crew, Sign, define, member_key, owner_of};
use super::lane::{self, End, Lane, LaneRecord, Owner};
use super::lease::{Holder, Lease};
use super::parked::{self, ParkedEvent};
use super::signal::{Giver, Signal, signal};
use crate::store::partition;
use crate::store::{Position, StoreError};

/// How long leaving may take.
const LEAVING: Duration = Duration::from_secs(2);

/// A lane at work here.
struct Working {
    stop: Giver,
    changes: UnboundedSender<Note<ParkedEvent>>,
}

/// This member.
pub(super) struct Member {
    crew: Crew,
    first: Position,
    owner: Owner,
    beat: u64,
    revision: u64,
    holder: Holder,
    lease: Lease,
    /// When each other member's last sign of life was first seen, by its place.
    seen: HashMap<String, (u64, Instant)>,
    working: HashMap<Option<u8>, Working>,
    lanes: JoinSet<(Option<u8>, Result<End, SubscriptionError>)>,
    /// Up to where the notes about parked events were seen.
    parked_seen: u64,
    /// The last position that the stream was seen to have.
    stream_end: Position,
    /// Whether it was told that this member has nothing to do yet.
    has_told: bool,
}

impl Crew {
    /// Takes a place among the members.
    pub(super) async fn join(self) -> Result<Member, SubscriptionError> {
        let first = define(
            &self.book,
            &self.source,
            &self.name,
            self.kind(),
            self.first,
        )
        .await?;
        let (owner, revision, sent) = self.take_place().await?;
        let (holder, lease) = Holder::new(sent, self.own_lease());
        Ok(Member {
            crew: self,
            first,
            owner,
            beat: 0,
            revision,
            holder,
            lease,
            seen: HashMap::new(),
            working: HashMap::new(),
            lanes: JoinSet::new(),
            parked_seen: 0,
            stream_end: Position::START,
            has_told: false,
        })
    }
}

impl Member {
    /// Works until it is asked to stop.
    pub(super) async fn run(mut self, stop: Signal) -> Result<(), SubscriptionError> {
        let ended = loop {
            let started = Instant::now();
            match stop.unless_given(self.turn()).await {
                None => break Ok(()),
                Some(Ok(())) => {}
                Some(Err(error)) if error.may_pass() => {
                    tracing::warn!(name = self.crew.name, %error, "a subscription waits for the servers");
                }
                Some(Err(error)) => break Err(error),
            }
            let next = started + self.crew.beat();
            match stop.unless_given(self.wait(next)).await {
                None => break Ok(()),
                Some(Ok(())) => {}
                Some(Err(error)) => break Err(error),
            }
        };
        self.leave().await;
        ended
    }

    /// A sign of life, and what follows from those of others.
    async fn turn(&mut self) -> Result<(), SubscriptionError> {
        if Instant::now() >= self.lease.until() || !self.give_sign().await? {
            self.rejoin().await?;
        }
        let started = Instant::now();
        let book = &self.crew.book;
        let (parked, signs, lanes) = try_join3(
            book.glance::<ParkedEvent>(parked::ALL, self.parked_seen + 1),
            book.glance::<Sign>("member.*", 0),
            book.glance::<LaneRecord>("lane.*", 0),
        )
        .await?;
        self.pass_on(parked);
        let members = self.look_at(signs).await?;
        let by_key = |note: Note<LaneRecord>| (note.key.clone(), note);
        let mut records: HashMap<_, _> = lanes.into_iter().map(by_key).collect();
        for lane in self.crew.lanes() {
            // Many lanes to take must not keep the next sign of life waiting.
            if started.elapsed() >= self.crew.beat() {
                break;
            }
            let is_mine = owner_of(lane, &members) == Some(&self.owner.id);
            match (is_mine, self.working.get(&lane)) {
                (false, Some(working)) => working.stop.give(),
                (true, None) => {
                    self.take(lane, records.remove(&lane::key(lane)), &members)
                        .await?
                }
                _ => {}
            }
        }
        let has_others = members.len() > 1 && !self.crew.is_partitioned;
        if has_others && self.working.is_empty() && !self.has_told {
            self.has_told = true;
            let lease = self.crew.lease.as_secs_f32();
            tracing::info!(
                name = self.crew.name,
                "another program has this subscription, or ended without stopping it: this one takes over when it stops, or \
                 was silent for {lease} s"
            );
        }
        Ok(())
    }

    /// Gives a sign of life. Gives whether this member still has its place.
    async fn give_sign(&mut self) -> Result<bool, SubscriptionError> {
        let sign = Sign {
            id: self.owner.id.clone(),
            beat: self.beat + 1,
        };
        let key = member_key(self.owner.place);
        let sent = Instant::now();
        // Past the lease the answer has no use: it would not say when the sign was given.
        let Ok(given) = timeout_at(self.lease.until(), self.write_sign(&key, &sign)).await else {
            return Ok(false);
        };
        let Some(revision) = given? else {
            return Ok(false);
        };
        self.beat = sign.beat;
        self.revision = revision;
        self.holder.extend(sent);
        Ok(true)
    }

    /// Gives the revision of the sign; none when this member has lost its place.
    async fn write_sign(&self, key: &str, sign: &Sign) -> Result<Option<u64>, StoreError> {
        let mut revision = self.revision;
        loop {
            if let Some(revision) = self.crew.book.write(key, sign, revision).await? {
                return Ok(Some(revision));
            }
            // Another took the place, or this member's own write counted and its answer was lost.
            let there = self.crew.book.read::<Sign>(key).await?;
            match there.value {
                Some(found) if found == *sign => return Ok(Some(there.revision)),
                Some(found) if found.id == sign.id => revision = there.revision,
                _ => return Ok(None),
            }
        }
    }

    /// Starts anew after this member was silent for too long.
    async fn rejoin(&mut self) -> Result<(), SubscriptionError> {
        self.holder.end();
        while let Some(ended) = self.lanes.join_next().await {
            self.ended(ended)?;
        }
        // Nobody has to wait for what is known here to be over.
        self.crew.leave_place(&self.owner).await?;
        let (owner, revision, sent) = self.crew.take_place().await?;
        tracing::warn!(
            name = self.crew.name,
            "a member was silent for too long and joins again"
        );
        let (holder, lease) = Holder::new(sent, self.crew.own_lease());
        self.owner = owner;
        self.revision = revision;
        self.beat = 0;
        self.holder = holder;
        self.lease = lease;
        self.seen.clear();
        Ok(())
    }

    /// The ids of all members that are there, this one included; those that were silent for a lease lose their place.
    async fn look_at(&mut self, signs: Vec<Note<Sign>>) -> Result<Vec<String>, SubscriptionError> {
        let mut members = vec![self.owner.id.clone()];
        let now = Instant::now();
        for note in signs {
            let Some(sign) = note.value else {
                self.seen.remove(&note.key);
                continue;
            };
            if note.key == member_key(self.owner.place) {
                continue;
            }
            let seen = self
                .seen
                .entry(note.key.clone())
                .or_insert((note.revision, now));
            // An answer from a server that lags may show an older sign.
            if note.revision > seen.0 {
                *seen = (note.revision, now);
            }
            let is_silent = now.duration_since(seen.1) >= self.crew.lease;
            if is_silent && self.crew.book.clear(&note.key, seen.0).await?.is_some() {
                tracing::warn!(name = self.crew.name, member = sign.id, "a member is gone");
                self.seen.remove(&note.key);
                continue;
            }
            members.push(sign.id);
        }
        Ok(members)
    }

    /// Takes a lane that is free, or goes on with one that is this member's.
    async fn take(
        &mut self,
        lane: Option<u8>,
        there: Option<Note<LaneRecord>>,
        members: &[String],
    ) -> Result<(), SubscriptionError> {
        let key = lane::key(lane);
        let (revision, former) = match there {
            Some(note) => (note.revision, note.value),
            None => (0, None),
        };
        let mut record = former.unwrap_or(LaneRecord {
            owner: None,
            position: self.first,
            trying: None,
            abandoned: 0,
        });
        if record.position > self.stream_end {
            let source = &self.crew.source;
            self.stream_end = source.reaching(record.position, &self.crew.name).await?;
        }
        if let Some(former) = record.owner.replace(self.owner.clone())
            && former != self.owner
        {
            if members.contains(&former.id) || !self.crew.is_gone(&former, revision).await? {
                return Ok(());
            }
            record.abandoned = match record.trying {
                Some(_) => record.abandoned + 1,
                None => 1,
            };
        }
        // Written also when it was this member's already: the revision proves it.
        let Some(revision) = self.crew.book.write(&key, &record, revision).await? else {
            return Ok(());
        };
        let (giver, signal) = signal();
        let (changes, receiver) = unbounded_channel();
        let work = Lane {
            partition: lane,
            book: self.crew.book.clone(),
            source: self.crew.source.clone(),
            worker: self.crew.worker.clone(),
            holds: self.crew.holds,
            owner: self.owner.clone(),
            record,
            revision,
            lease: self.lease.clone(),
            stop: signal,
            changes: receiver,
            parked: Default::default(),
            unwritten: None,
            careful: 0,
        };
        self.lanes.spawn(async move { (lane, work.run().await) });
        self.working.insert(
            lane,
            Working {
                stop: giver,
                changes,
            },
        );
        Ok(())
    }

    /// Tells the lanes what has changed about parked events.
    fn pass_on(&mut self, notes: Vec<Note<ParkedEvent>>) {
        for note in notes {
            self.parked_seen = self.parked_seen.max(note.revision);
            let lane = match (&note.value, self.crew.is_partitioned) {
                (Some(event), true) => Some(partition(&event.aggregate_id)),
                (None, true) => parked::partition_of(&note.key),
                (_, false) => None,
            };
            if let Some(working) = self.working.get(&lane) {
                // A lane that has just ended reads the notes when it is taken again.
                let _ = working.changes.send(note);
            }
        }
    }

    /// Waits for the next turn, and for lanes that end.
    async fn wait(&mut self, next: Instant) -> Result<(), SubscriptionError> {
        loop {
            if self.lanes.is_empty() {
                sleep_until(next).await;
                return Ok(());
            }
            match timeout_at(next, self.lanes.join_next()).await {
                Ok(Some(ended)) => self.ended(ended)?,
                Ok(None) => {}
                Err(_) => return Ok(()),
            }
        }
    }

    fn ended(
        &mut self,
        ended: Result<(Option<u8>, Result<End, SubscriptionError>), tokio::task::JoinError>,
    ) -> Result<(), SubscriptionError> {
        let (lane, ended) = ended.map_err(|error| SubscriptionError::Task {
            reason: error.to_string(),
        })?;
        self.working.remove(&lane);
        match ended {
            Ok(_) => Ok(()),
            Err(error) if error.may_pass() => {
                tracing::warn!(name = self.crew.name, %error, "a lane is taken again");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Finishes what is being handled, and leaves the place to others.
    async fn leave(mut self) {
        for working in self.working.values() {
            working.stop.give();
        }
        // The handler may be at work for long: until it is done this member is there.
        let mut next = Instant::now() + self.crew.beat();
        loop {
            match timeout_at(next, self.lanes.join_next()).await {
                Ok(None) => break,
                Ok(Some(ended)) => {
                    if let Err(error) = self.ended(ended) {
                        tracing::warn!(name = self.crew.name, %error, "a lane ended while leaving");
                    }
                }
                Err(_) => {
                    next = Instant::now() + self.crew.beat();
                    if !self.give_sign().await.unwrap_or(false) {
                        self.holder.end();
                    }
                }
            }
        }
        let left = timeout(LEAVING, self.crew.leave_place(&self.owner)).await;
        if !matches!(left, Ok(Ok(()))) {
            tracing::debug!(name = self.crew.name, "a member did not say that it leaves");
        }
    }
}
