//! The new commits: the events of this side that are taken again, in their order, behind the stream's.

use std::collections::{HashMap, HashSet};

use super::done::{Done, There};
use super::names::{NameChanges, Names};
use super::typed::Side;
use super::{Merged, Policies};
use crate::block::{Cid, EventBlock, StoredEvent};
use crate::domain::message::{MessageIdentity, Timestamp};
use crate::hybrid::HybridError;
use crate::hybrid::divergence::LeftOut;
use crate::hybrid::parked::aggregates;
use crate::hybrid::replace::Sides;
use crate::repository::is_of_a_name;
use crate::store::{
    AggregateKey, CommitRequest, EventStore, ExpectedVersion, Head, NewEvent, Position,
    SealOptions, SealedCommit, SealedEvent, TryStreamExt, Versions, seal,
};

/// Who writes what a function of the author's has made of both sides, as the source of the new commit.
const ACTOR: &str = "cim-es reapply";

impl Policies {
    /// Takes again what was done here, on what the stream has.
    pub(in crate::hybrid) async fn merge(
        &self,
        remote: &dyn EventStore,
        sides: &Sides,
        now: Timestamp,
    ) -> Result<Merged, HybridError> {
        let mut merging = Merging {
            aggregates: HashMap::new(),
            heads: HashMap::new(),
            names: Names::new(remote),
            done: Done::of(sides),
            again: Vec::new(),
            left_out: Vec::new(),
        };
        let commits = sides.ours();
        let names = commits.iter().flatten().filter(|it| is_of_a_name(it));
        let names: HashSet<AggregateKey> = names.map(|it| AggregateKey::of_event(it)).collect();
        for aggregate in sides.aggregates().filter(|key| !names.contains(key)) {
            let Some(policy) = self.of(aggregate.kind()) else {
                return Err(HybridError::NoPolicy {
                    aggregate: Box::new(aggregate.clone()),
                });
            };
            let mut side = policy.begin();
            let mut history = remote.history(aggregate, Versions::ALL);
            while let Some(event) = history.try_next().await? {
                side.fold(&event)
                    .map_err(|reason| HybridError::NotReapplied {
                        aggregate: Box::new(aggregate.clone()),
                        reason,
                    })?;
                merging.heads.insert(aggregate.clone(), event.head());
            }
            merging.aggregates.insert(aggregate.clone(), side);
        }
        for commit in commits {
            merging.take(&commit).await?;
        }
        merging.finish().await?;
        merging.into_commits(sides, now)
    }
}

struct Merging<'a> {
    aggregates: HashMap<AggregateKey, Box<dyn Side>>,
    /// The last events of the aggregates in the stream.
    heads: HashMap<AggregateKey, Head>,
    names: Names<'a>,
    done: Done,
    /// The new commits.
    again: Vec<Again>,
    left_out: Vec<LeftOut>,
}

impl Merging<'_> {
    /// Takes a commit again, as a commit: one over several aggregates as a whole or not at all, of one aggregate what can be
    /// taken of it. What its message did in the stream already is not done again.
    async fn take(&mut self, commit: &[&StoredEvent]) -> Result<(), HybridError> {
        let Some(first) = commit.first() else {
            return Ok(());
        };
        self.again.push(Again::of_the_message_of(first));
        let (mut open, mut is_otherwise) = (Vec::new(), false);
        for event in commit.iter().copied().filter(|it| !is_of_a_name(it)) {
            let policy = self.aggregates.get(&AggregateKey::of_event(event));
            let is_by_the_author = policy.is_some_and(|side| side.waits_for_all());
            match self.done.has(event, is_by_the_author) {
                Some(There::Same) => {}
                Some(There::Other) => {
                    is_otherwise = true;
                    open.push(event);
                }
                None => open.push(event),
            }
        }
        let owned: Vec<StoredEvent> = open.iter().map(|it| (*it).clone()).collect();
        if is_otherwise {
            let reason = "the command that led to it has led to something else in the stream";
            self.leave_out(&open, reason);
        } else if aggregates(&owned).len() == 1 {
            for event in open {
                self.take_together(&[event]).await?;
            }
        } else {
            self.take_together(&open).await?;
        }
        Ok(())
    }

    fn leave_out(&mut self, events: &[&StoredEvent], reason: &str) {
        self.left_out.extend(events.iter().map(|event| LeftOut {
            aggregate: AggregateKey::of_event(event),
            version: event.envelope.sequence,
            event_type: event.event_type().to_owned(),
            cid: event.cid,
            reason: reason.to_owned(),
        }));
    }

    async fn take_together(&mut self, events: &[&StoredEvent]) -> Result<(), HybridError> {
        let tried = self.on_trial(events).await?;
        let is_taken = tried.is_ok();
        for event in events {
            if let Some(side) = self.aggregates.get_mut(&AggregateKey::of_event(event)) {
                side.end(is_taken);
            }
        }
        match tried {
            Ok(trial) => self.keep(trial),
            Err(reason) => self.leave_out(events, &reason),
        }
        Ok(())
    }

    /// Adds what was taken on trial to the commit that is being made.
    fn keep(&mut self, (events, changes): Trial) {
        self.names.keep(&changes);
        if let Some(again) = self.again.last_mut() {
            again.events.extend(events);
            let names = changes.events.into_iter().map(New::of_a_name);
            again.events.extend(names);
        }
    }

    /// Adds what follows once all was taken, as one commit.
    async fn finish(&mut self) -> Result<(), HybridError> {
        self.again.push(Again::of_the_author());
        let keys: Vec<AggregateKey> = self.aggregates.keys().cloned().collect();
        for key in keys {
            let Some(side) = self.aggregates.get_mut(&key) else {
                continue;
            };
            let not_reapplied = |reason| HybridError::NotReapplied {
                aggregate: Box::new(key.clone()),
                reason,
            };
            let new = side.finish().map_err(not_reapplied)?;
            let unit = new.into_iter().map(|event| New {
                aggregate: key.clone(),
                event,
                pasts: Vec::new(),
            });
            let unit = unit.collect();
            let tried = self.with_names(unit, vec![key.clone()]).await?;
            let trial = tried.map_err(not_reapplied)?;
            if let Some(side) = self.aggregates.get_mut(&key) {
                side.end(true);
            }
            self.keep(trial);
        }
        Ok(())
    }

    async fn on_trial(
        &mut self,
        events: &[&StoredEvent],
    ) -> Result<Result<Trial, String>, HybridError> {
        let mut unit = Vec::new();
        let mut touched: Vec<AggregateKey> = Vec::new();
        for event in events {
            let key = AggregateKey::of_event(event);
            let Some(side) = self.aggregates.get_mut(&key) else {
                return Ok(Err(format!("{key} is not among those that diverged")));
            };
            match side.take(event) {
                Ok(new) => unit.extend(new.into_iter().enumerate().map(|(place, new)| New {
                    aggregate: key.clone(),
                    // What is several now has one that is known by the id.
                    event: match place {
                        0 => new.with_id(event.envelope.id),
                        _ => new,
                    },
                    pasts: pasts_of(event),
                })),
                Err(reason) => return Ok(Err(reason)),
            }
            if !touched.contains(&key) {
                touched.push(key);
            }
        }
        self.with_names(unit, touched).await
    }

    /// New events of some aggregates, with what becomes of the names of these.
    async fn with_names(
        &mut self,
        unit: Unit,
        touched: Vec<AggregateKey>,
    ) -> Result<Result<Trial, String>, HybridError> {
        let mut changes = NameChanges::default();
        let mut held = Vec::new();
        for key in touched {
            let Some(side) = self.aggregates.get(&key) else {
                continue;
            };
            match side.names() {
                Ok(names) => held.push((key, names)),
                Err(reason) => return Ok(Err(reason)),
            }
        }
        // All release before one claims, so that a name can pass from one to another.
        for (key, names) in &held {
            if let Err(reason) = self.names.release(&mut changes, key, names).await? {
                return Ok(Err(reason));
            }
        }
        for (key, names) in &held {
            if let Err(reason) = self.names.claim(&mut changes, key, names).await? {
                return Ok(Err(reason));
            }
        }
        Ok(Ok((unit, changes)))
    }

    /// Seals what was taken again: each event has the one that it takes again as a parent, and the first one of each
    /// aggregate the last one of its branch.
    fn into_commits(self, sides: &Sides, now: Timestamp) -> Result<Merged, HybridError> {
        let mut heads: HashMap<AggregateKey, Option<Head>> = HashMap::new();
        let mut linked: HashSet<AggregateKey> = HashSet::new();
        let mut commits = Vec::new();
        // One of which nothing was taken is none.
        let again = self.again.into_iter();
        for again in again.filter(|again| !again.events.is_empty()) {
            let mut request = CommitRequest::new(again.identity, now);
            for new in again.events {
                let key = new.aggregate;
                let branch = sides.head(&key).filter(|_| linked.insert(key.clone()));
                let pasts = branch.map(|head| head.cid).into_iter().chain(new.pasts);
                let event = new.event.with_parents(pasts);
                request = request.event(key, ExpectedVersion::Any, event);
            }
            let keys: Vec<_> = request
                .aggregates
                .iter()
                .map(|it| it.aggregate.clone())
                .collect();
            let present: Vec<_> = keys
                .iter()
                .map(|key| match heads.get(key) {
                    Some(head) => *head,
                    None => self
                        .heads
                        .get(key)
                        .copied()
                        .or_else(|| self.names.head(key)),
                })
                .collect();
            let sealed = seal(request, &present, &SealOptions::default())?;
            for event in &sealed {
                heads.insert(key_of(event), Some(head_of(event)));
            }
            let events = sealed.into_iter().map(|event| EventBlock {
                cid: event.cid,
                body: event.body().clone(),
            });
            commits.push(SealedCommit {
                events: events.collect(),
            });
        }
        Ok(Merged {
            commits,
            left_out: self.left_out,
        })
    }
}

/// A new event.
struct New {
    aggregate: AggregateKey,
    event: NewEvent,
    /// The event of this side that it takes again, and that one's pasts: what was taken again before stays linked.
    pasts: Vec<Cid>,
}

impl New {
    fn of_a_name((aggregate, event): (AggregateKey, NewEvent)) -> Self {
        Self {
            aggregate,
            event,
            pasts: Vec::new(),
        }
    }
}

fn pasts_of(event: &StoredEvent) -> Vec<Cid> {
    let earlier = event.envelope.parents.iter().copied();
    [event.cid].into_iter().chain(earlier).collect()
}

/// A new commit.
struct Again {
    identity: MessageIdentity,
    events: Unit,
}

impl Again {
    /// What a message did here, done again: it keeps its identity, so that it takes effect once, whoever sends it again,
    /// and whichever side's effect arrives.
    fn of_the_message_of(event: &StoredEvent) -> Self {
        let envelope = &event.envelope;
        let (message, conversation) = (envelope.causation_id, envelope.correlation_id);
        let actor = envelope.source.as_deref();
        let mut identity = match message == conversation {
            true => MessageIdentity::root(message, actor),
            false => {
                let root = MessageIdentity::root(conversation, actor);
                MessageIdentity::caused_by(&root).with_message_id(message)
            }
        };
        for (name, value) in envelope.meta.iter() {
            identity = identity.with_meta(name, value.clone());
        }
        Self {
            identity,
            events: Unit::new(),
        }
    }

    fn of_the_author() -> Self {
        Self {
            identity: MessageIdentity::new_from_user(ACTOR),
            events: Unit::new(),
        }
    }
}

/// New events that count together.
type Unit = Vec<New>;

/// The new events of some that were taken again, and what becomes of names with them.
type Trial = (Unit, NameChanges);

fn key_of(event: &SealedEvent) -> AggregateKey {
    AggregateKey::of_event(&event.clone().into_stored(Position::START))
}

fn head_of(event: &SealedEvent) -> Head {
    Head {
        version: event.envelope.sequence,
        cid: event.cid,
        position: Position::START,
        timestamp: event.envelope.timestamp,
    }
}
