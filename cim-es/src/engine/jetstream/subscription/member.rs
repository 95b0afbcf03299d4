//! A member of a durable or partitioned subscription: it sends heartbeats, and takes and leaves partitions as other members
//! come and go.
//!
//! No clock is compared with another. A member that has not seen another's heartbeat change for a whole lease, by its
//! own clock, empties that member's place; only then are its partitions free. A member stops its own work when its last heartbeat
//! of life is two thirds of a lease old, which is always earlier. Every write is guarded by the revision that it follows.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::try_join3;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::SubscriptionError;
use super::coordination::Entry;
use super::failure::MayPass;
use super::membership::{Heartbeat, Membership, define, member_key, owner_of};
use super::parked;
use super::partition_worker::{self, End, Owner, PartitionRecord, PartitionWorker};
use crate::domain::ErrorChain;
use crate::store::subscription::{Holder, Lease, ParkedEvent, ParkedInOrder};
use crate::store::{Position, StoreError};
use tokio_util::sync::CancellationToken;

/// How long leaving may take.
const LEAVING: Duration = Duration::from_secs(2);

/// A partition at work here.
struct Working {
    stop: CancellationToken,
    changes: UnboundedSender<Entry<ParkedEvent>>,
}

/// This member.
pub(super) struct Member {
    membership: Membership,
    first: Position,
    owner: Owner,
    beat: u64,
    revision: u64,
    holder: Holder,
    lease: Lease,
    /// When each other member's last heartbeat was first seen, by its place.
    seen: HashMap<String, (u64, Instant)>,
    working: HashMap<Option<u8>, Working>,
    partitions: JoinSet<(Option<u8>, Result<End, SubscriptionError>)>,
    /// Up to where the entries about parked events were seen.
    parked_seen: u64,
    /// The last position that the stream was seen to have.
    stream_end: Position,
    /// Whether it was told that this member has nothing to do yet.
    has_told: bool,
}

impl Membership {
    /// Takes a place among the members.
    pub(super) async fn join(self) -> Result<Member, SubscriptionError> {
        let first = define(
            &self.coordination,
            &self.source,
            self.name(),
            self.kind(),
            self.first,
        )
        .await?;
        let (owner, revision, sent) = self.take_place().await?;
        let (holder, lease) = Holder::new(sent, self.own_lease());
        Ok(Member {
            membership: self,
            first,
            owner,
            beat: 0,
            revision,
            holder,
            lease,
            seen: HashMap::new(),
            working: HashMap::new(),
            partitions: JoinSet::new(),
            parked_seen: 0,
            stream_end: Position::START,
            has_told: false,
        })
    }
}

impl Member {
    /// Works until it is asked to stop.
    pub(super) async fn run(mut self, stop: CancellationToken) -> Result<(), SubscriptionError> {
        let ended = loop {
            let started = Instant::now();
            match stop.run_until_cancelled(self.turn()).await {
                None => break Ok(()),
                Some(Ok(())) => {}
                Some(Err(error)) if error.may_pass() => {
                    tracing::warn!(name = self.membership.name(), error = %ErrorChain(&error), "a subscription waits for the servers");
                }
                Some(Err(error)) => break Err(error),
            }
            let next = started + self.membership.beat();
            match stop.run_until_cancelled(self.wait(next)).await {
                None => break Ok(()),
                Some(Ok(())) => {}
                Some(Err(error)) => break Err(error),
            }
        };
        self.leave().await;
        ended
    }

    /// A heartbeat, and what follows from those of others.
    async fn turn(&mut self) -> Result<(), SubscriptionError> {
        if Instant::now() >= self.lease.until() || !self.beat_once().await? {
            self.rejoin().await?;
        }
        let started = Instant::now();
        let coordination = &self.membership.coordination;
        let (parked, heartbeats, partitions) = try_join3(
            coordination.glance::<ParkedEvent>(parked::ALL, self.parked_seen + 1),
            coordination.glance::<Heartbeat>("member.*", 0),
            coordination.glance::<PartitionRecord>("partition.*", 0),
        )
        .await?;
        self.pass_on(parked);
        let members = self.look_at(heartbeats).await?;
        let by_key = |entry: Entry<PartitionRecord>| (entry.key.clone(), entry);
        let mut records: HashMap<_, _> = partitions.into_iter().map(by_key).collect();
        for partition in self.membership.partitions() {
            // Many partitions to take must not keep the next heartbeat waiting.
            if started.elapsed() >= self.membership.beat() {
                break;
            }
            let is_mine = owner_of(partition, &members) == Some(&self.owner.id);
            match (is_mine, self.working.get(&partition)) {
                (false, Some(working)) => working.stop.cancel(),
                (true, None) => {
                    self.take(
                        partition,
                        records.remove(&partition_worker::key(partition)),
                        &members,
                    )
                    .await?
                }
                _ => {}
            }
        }
        let has_others = members.len() > 1 && !self.membership.is_partitioned();
        if has_others && self.working.is_empty() && !self.has_told {
            self.has_told = true;
            let lease = self.membership.lease.as_secs_f32();
            tracing::info!(
                name = self.membership.name(),
                "another program has this subscription, or ended without stopping it: this one takes over when it stops, or \
                 was silent for {lease} s"
            );
        }
        Ok(())
    }

    /// Sends a heartbeat. Gives whether this member still has its place.
    async fn beat_once(&mut self) -> Result<bool, SubscriptionError> {
        let heartbeat = Heartbeat {
            id: self.owner.id.clone(),
            beat: self.beat + 1,
        };
        let key = member_key(self.owner.place);
        let sent = Instant::now();
        // Past the lease the answer has no use: it would not say when the heartbeat was sent.
        let Ok(given) =
            timeout_at(self.lease.until(), self.write_heartbeat(&key, &heartbeat)).await
        else {
            return Ok(false);
        };
        let Some(revision) = given? else {
            return Ok(false);
        };
        self.beat = heartbeat.beat;
        self.revision = revision;
        self.holder.extend(sent);
        Ok(true)
    }

    /// Gives the revision of the heartbeat; none when this member has lost its place.
    async fn write_heartbeat(
        &self,
        key: &str,
        heartbeat: &Heartbeat,
    ) -> Result<Option<u64>, StoreError> {
        let mut revision = self.revision;
        loop {
            if let Some(revision) = self
                .membership
                .coordination
                .write(key, heartbeat, revision)
                .await?
            {
                return Ok(Some(revision));
            }
            // Another took the place, or this member's own write counted and its answer was lost.
            let there = self.membership.coordination.read::<Heartbeat>(key).await?;
            match there.value {
                Some(found) if found == *heartbeat => return Ok(Some(there.revision)),
                Some(found) if found.id == heartbeat.id => revision = there.revision,
                _ => return Ok(None),
            }
        }
    }

    /// Starts anew after this member was silent for too long.
    async fn rejoin(&mut self) -> Result<(), SubscriptionError> {
        self.holder.end();
        while let Some(ended) = self.partitions.join_next().await {
            self.ended(ended)?;
        }
        // Nobody has to wait for what is known here to be over.
        self.membership.leave_place(&self.owner).await?;
        let (owner, revision, sent) = self.membership.take_place().await?;
        tracing::warn!(
            name = self.membership.name(),
            "a member was silent for too long and joins again"
        );
        let (holder, lease) = Holder::new(sent, self.membership.own_lease());
        self.owner = owner;
        self.revision = revision;
        self.beat = 0;
        self.holder = holder;
        self.lease = lease;
        self.seen.clear();
        Ok(())
    }

    /// The ids of all members that are there, this one included; those that were silent for a lease lose their place.
    async fn look_at(
        &mut self,
        heartbeats: Vec<Entry<Heartbeat>>,
    ) -> Result<Vec<String>, SubscriptionError> {
        let mut members = vec![self.owner.id.clone()];
        let now = Instant::now();
        for entry in heartbeats {
            let Some(heartbeat) = entry.value else {
                self.seen.remove(&entry.key);
                continue;
            };
            if entry.key == member_key(self.owner.place) {
                continue;
            }
            let seen = self
                .seen
                .entry(entry.key.clone())
                .or_insert((entry.revision, now));
            // An answer from a server that lags may show an older heartbeat.
            if entry.revision > seen.0 {
                *seen = (entry.revision, now);
            }
            let is_silent = now.duration_since(seen.1) >= self.membership.lease;
            if is_silent
                && self
                    .membership
                    .coordination
                    .clear(&entry.key, seen.0)
                    .await?
                    .is_some()
            {
                tracing::warn!(
                    name = self.membership.name(),
                    member = heartbeat.id,
                    "a member is gone"
                );
                self.seen.remove(&entry.key);
                continue;
            }
            members.push(heartbeat.id);
        }
        Ok(members)
    }

    /// Takes a partition that is free, or goes on with one that is this member's.
    async fn take(
        &mut self,
        partition: Option<u8>,
        there: Option<Entry<PartitionRecord>>,
        members: &[String],
    ) -> Result<(), SubscriptionError> {
        let key = partition_worker::key(partition);
        let (revision, former) = match there {
            Some(entry) => (entry.revision, entry.value),
            None => (0, None),
        };
        let mut record = former.unwrap_or(PartitionRecord {
            owner: None,
            position: self.first,
            cid: None,
            trying: None,
            abandoned: 0,
        });
        if record.position > self.stream_end {
            let source = &self.membership.source;
            self.stream_end = source
                .reaching(record.position, self.membership.name())
                .await?;
        }
        if let Some(cid) = &record.cid {
            let there = self.membership.source.event_at(record.position).await?;
            if there.is_some_and(|event| event.cid.to_string() != *cid) {
                return Err(SubscriptionError::StreamRemade {
                    name: self.membership.name().to_owned(),
                    location: self.membership.source.api.location(),
                });
            }
        }
        if let Some(former) = record.owner.replace(self.owner.clone())
            && former != self.owner
        {
            if members.contains(&former.id) || !self.membership.is_gone(&former, revision).await? {
                return Ok(());
            }
            record.abandoned = match record.trying {
                Some(_) => record.abandoned + 1,
                None => 1,
            };
        }
        // Written also when it was this member's already: the revision proves it.
        let Some(revision) = self
            .membership
            .coordination
            .write(&key, &record, revision)
            .await?
        else {
            return Ok(());
        };
        let stop = CancellationToken::new();
        let (changes, receiver) = unbounded_channel();
        let work = PartitionWorker {
            partition,
            coordination: self.membership.coordination.clone(),
            source: self.membership.source.clone(),
            owner: self.owner.clone(),
            record,
            revision,
            lease: self.lease.clone(),
            stop: stop.clone(),
            changes: receiver,
            parked: ParkedInOrder::new(self.membership.source.plan.holds),
            unwritten: None,
            careful: 0,
        };
        self.partitions
            .spawn(async move { (partition, work.run().await) });
        self.working.insert(partition, Working { stop, changes });
        Ok(())
    }

    /// Tells the partitions what has changed about parked events.
    fn pass_on(&mut self, entries: Vec<Entry<ParkedEvent>>) {
        for entry in entries {
            self.parked_seen = self.parked_seen.max(entry.revision);
            let partition = match (&entry.value, self.membership.is_partitioned()) {
                (Some(event), true) => Some(crate::store::partition(&event.aggregate_id)),
                (None, true) => parked::partition_of(&entry.key),
                (_, false) => None,
            };
            if let Some(working) = self.working.get(&partition) {
                // A partition that has just ended reads the entries when it is taken again.
                let _ = working.changes.send(entry);
            }
        }
    }

    /// Waits for the next turn, and for partitions that end.
    async fn wait(&mut self, next: Instant) -> Result<(), SubscriptionError> {
        loop {
            if self.partitions.is_empty() {
                sleep_until(next).await;
                return Ok(());
            }
            match timeout_at(next, self.partitions.join_next()).await {
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
        let (partition, ended) = ended.map_err(|error| SubscriptionError::Task {
            reason: error.to_string(),
        })?;
        self.working.remove(&partition);
        match ended {
            Ok(_) => Ok(()),
            Err(error) if error.may_pass() => {
                tracing::warn!(name = self.membership.name(), error = %ErrorChain(&error), "a partition is taken again");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Finishes what is being handled, and leaves the place to others.
    async fn leave(mut self) {
        for working in self.working.values() {
            working.stop.cancel();
        }
        // The handler may be at work for long: until it is done this member is there.
        let mut next = Instant::now() + self.membership.beat();
        loop {
            match timeout_at(next, self.partitions.join_next()).await {
                Ok(None) => break,
                Ok(Some(ended)) => {
                    if let Err(error) = self.ended(ended) {
                        tracing::warn!(name = self.membership.name(), error = %ErrorChain(&error), "a partition ended while leaving");
                    }
                }
                Err(_) => {
                    next = Instant::now() + self.membership.beat();
                    if !self.beat_once().await.unwrap_or(false) {
                        self.holder.end();
                    }
                }
            }
        }
        let left = timeout(LEAVING, self.membership.leave_place(&self.owner)).await;
        if !matches!(left, Ok(Ok(()))) {
            tracing::debug!(
                name = self.membership.name(),
                "a member did not say that it leaves"
            );
        }
    }
}
