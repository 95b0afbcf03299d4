//! The chain of one aggregate's events, checked one event at a time.

use std::collections::HashSet;
use std::fmt;

use ::cid::Cid;
use serde::{Deserialize, Serialize};

use super::{
    AggregateKey, CommitPart, Envelope, Fault, Head, Place, Position, StoredEvent, Truncation,
    Verdict,
};
use crate::domain::message::Timestamp;

/// An event of a chain by its place and its CID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainHead {
    /// The version of the aggregate after the event.
    pub sequence: u64,
    /// The CID of the event.
    pub cid: Cid,
}

impl From<&StoredEvent> for ChainHead {
    fn from(event: &StoredEvent) -> Self {
        Self {
            sequence: event.envelope.sequence,
            cid: event.cid,
        }
    }
}

impl From<Head> for ChainHead {
    fn from(head: Head) -> Self {
        Self {
            sequence: head.version,
            cid: head.cid,
        }
    }
}

/// Checks that events are the history of one aggregate, in order and whole; each event was proved on its own before.
///
/// It keeps the last event only, so a history of any length takes the same memory; with
/// [`knowing_parents`](Self::knowing_parents), it also keeps the CIDs.
///
/// What it cannot see: without a head that is known from elsewhere, events that are missing at the end, or a history
/// that someone who may write has rewritten and linked anew.
///
/// ```
/// use cim_es::block::{ChainVerifier, StoredEvent, Verdict};
/// use cim_es::store::AggregateKey;
///
/// fn check(key: &AggregateKey, history: &[StoredEvent]) -> Result<(), Verdict> {
///     let mut chain = ChainVerifier::new(key);
///     for event in history {
///         chain.accept(event)?;
///     }
///     chain.finish()?;
///     Ok(())
/// }
/// ```
#[must_use = "nothing is proved before `finish`"]
pub struct ChainVerifier<'a> {
    owner: Option<Owner>,
    /// None behind the last sequence that there can be.
    next: Option<u64>,
    previous: Previous,
    last: Option<Last>,
    /// The heads that are still to be met.
    heads: Vec<ChainHead>,
    /// Why a head that was demanded cannot be met.
    unmet: Option<Verdict>,
    parents: Option<Parents<'a>>,
}

/// Kind and id of the aggregate whose history it is.
struct Owner {
    kind: String,
    id: String,
}

impl Owner {
    fn of(envelope: &Envelope) -> Self {
        Self {
            kind: envelope.aggregate.clone(),
            id: envelope.aggregate_id.clone(),
        }
    }

    fn has(&self, envelope: &Envelope) -> bool {
        self.kind == envelope.aggregate && self.id == envelope.aggregate_id
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.id)
    }
}

/// What the next event must link to.
enum Previous {
    Unknown,
    Is(Option<Cid>),
}

struct Last {
    place: Place,
    commit: CommitPart,
    timestamp: Timestamp,
}

struct Parents<'a> {
    seen: HashSet<Cid>,
    knows: Box<dyn Fn(&Cid) -> bool + Send + Sync + 'a>,
}

impl<'a> ChainVerifier<'a> {
    /// For the history of an aggregate from its first event.
    pub fn new(aggregate: &AggregateKey) -> Self {
        Self::start(Some(aggregate), Some(1), Previous::Is(None))
    }

    /// For the history of whichever aggregate the first event names.
    pub fn of_any_aggregate() -> Self {
        Self::start(None, Some(1), Previous::Is(None))
    }

    /// For what follows an event that was verified before, such as the last one of a snapshot.
    pub fn after(aggregate: &AggregateKey, head: ChainHead) -> Self {
        let next = head.sequence.checked_add(1);
        let verifier = Self::start(Some(aggregate), next, Previous::Is(Some(head.cid)));
        // There is no event 0, so that nothing can follow it.
        match head.sequence {
            0 => verifier.expecting(head),
            _ => verifier,
        }
    }

    /// For what follows an event of whichever aggregate, which the caller has told apart.
    pub(crate) fn behind(head: ChainHead) -> Self {
        let next = head.sequence.checked_add(1);
        Self::start(None, next, Previous::Is(Some(head.cid)))
    }

    /// For a history from a sequence on, when the event before it is not known: its link is then not checked. 0 and 1
    /// are the first event.
    pub fn from_sequence(aggregate: &AggregateKey, first: u64) -> Self {
        match first {
            0 | 1 => Self::new(aggregate),
            first => Self::start(Some(aggregate), Some(first), Previous::Unknown),
        }
    }

    fn start(aggregate: Option<&AggregateKey>, next: Option<u64>, previous: Previous) -> Self {
        Self {
            owner: aggregate.map(|key| Owner {
                kind: key.kind().to_owned(),
                id: key.id().as_str().to_owned(),
            }),
            next,
            previous,
            last: None,
            heads: Vec::new(),
            unmet: None,
            parents: None,
        }
    }

    /// Demands that the history passes through an event that is known from elsewhere. Events behind it are fine: a head
    /// that was noted down earlier stays a proof of what came before it. Several heads may be demanded; each must be
    /// met.
    ///
    /// A head before the first event that is looked at is never met: [`accept`](Self::accept) and
    /// [`finish`](Self::finish) then refuse with [`Truncation::BeforeStart`]. So it is with a head whose sequence is 0.
    pub fn expecting(mut self, head: ChainHead) -> Self {
        let is_before = self.next.is_none_or(|next| head.sequence < next);
        if !is_before {
            self.heads.push(head);
            return self;
        }
        let is_last =
            head.sequence > 0 && self.next.map_or(u64::MAX, |next| next - 1) == head.sequence;
        let place = Place {
            cid: head.cid,
            position: Position::START,
            sequence: Some(head.sequence),
        };
        let unmet = match self.previous {
            Previous::Is(Some(known)) if is_last && known == head.cid => return self,
            Previous::Is(Some(other)) if is_last => Fault::Fork { other }.at(place),
            Previous::Unknown if is_last => {
                // The first event links to it.
                self.previous = Previous::Is(Some(head.cid));
                self.heads.push(head);
                return self;
            }
            _ => {
                let missing = Truncation::BeforeStart {
                    head: head.sequence,
                    first: self.first(),
                };
                Fault::Truncated { missing }.at(place)
            }
        };
        self.unmet.get_or_insert(unmet);
        self
    }

    /// The sequence of the first event that is looked at.
    fn first(&self) -> u64 {
        self.next.unwrap_or(u64::MAX)
    }

    /// Demands that every causal parent stands earlier in this history or is known to the caller.
    pub fn knowing_parents(self, knows: impl Fn(&Cid) -> bool + Send + Sync + 'a) -> Self {
        let parents = Parents {
            seen: HashSet::new(),
            knows: Box::new(knows),
        };
        Self {
            parents: Some(parents),
            ..self
        }
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// [`Verdict`]; the verifier is then unchanged.
    pub fn accept(&mut self, event: &StoredEvent) -> Result<(), Verdict> {
        self.accept_envelope(event.position, event.cid, &event.envelope)
    }

    /// Takes the next event by its envelope alone, which must have been proved to hash to the CID.
    ///
    /// # Errors
    /// [`Verdict`]; the verifier is then unchanged.
    pub fn accept_envelope(
        &mut self,
        position: Position,
        cid: Cid,
        envelope: &Envelope,
    ) -> Result<(), Verdict> {
        if let Some(unmet) = &self.unmet {
            return Err(unmet.clone());
        }
        let sequence = envelope.sequence;
        let place = Place {
            cid,
            position,
            sequence: Some(sequence),
        };
        self.check_owner(place, envelope)?;
        self.check_sequence(place, sequence)?;
        self.check_previous(place, envelope)?;
        self.check_commit(place, envelope)?;
        self.check_heads(place, sequence)?;
        self.check_parents(place, envelope)?;
        self.owner.get_or_insert_with(|| Owner::of(envelope));
        self.next = sequence.checked_add(1);
        self.heads.retain(|head| head.sequence > sequence);
        self.previous = Previous::Is(Some(cid));
        self.last = Some(Last {
            place,
            commit: envelope.commit,
            timestamp: envelope.timestamp,
        });
        if let Some(parents) = &mut self.parents {
            parents.seen.insert(cid);
        }
        Ok(())
    }

    /// Says that no event follows; gives the last one.
    ///
    /// # Errors
    /// [`Fault::Truncated`] when an expected head was not reached or cannot be, or the last commit is not whole.
    pub fn finish(self) -> Result<Option<ChainHead>, Verdict> {
        if let Some(unmet) = self.unmet {
            return Err(unmet);
        }
        let last_sequence = self.last.as_ref().and_then(|last| last.place.sequence);
        let reached = last_sequence.unwrap_or(self.next.map_or(u64::MAX, |next| next - 1));
        if let Some(head) = self.heads.iter().max_by_key(|head| head.sequence) {
            let place = self.last.map_or(
                Place {
                    cid: head.cid,
                    position: Position::START,
                    sequence: None,
                },
                |last| last.place,
            );
            let missing = Truncation::End {
                last: reached.min(head.sequence - 1),
                expected: head.sequence,
            };
            return Err(Fault::Truncated { missing }.at(place));
        }
        let Some(last) = self.last else {
            return Ok(None);
        };
        whole_commit(&last)?;
        Ok(Some(ChainHead {
            sequence: reached,
            cid: last.place.cid,
        }))
    }

    fn check_owner(&self, place: Place, envelope: &Envelope) -> Result<(), Verdict> {
        match &self.owner {
            Some(owner) if !owner.has(envelope) => Err(Fault::WrongAggregate {
                expected: owner.to_string(),
                found: Owner::of(envelope).to_string(),
            }
            .at(place)),
            _ => Ok(()),
        }
    }

    fn check_sequence(&self, place: Place, found: u64) -> Result<(), Verdict> {
        if self.next == Some(found) {
            return Ok(());
        }
        let fault = match self.previous {
            Previous::Is(Some(other))
                if found.checked_add(1) == self.next && other != place.cid =>
            {
                Fault::Fork { other }
            }
            Previous::Is(None) => Fault::Truncated {
                missing: Truncation::Start { first: found },
            },
            _ => Fault::Gap {
                expected: self.first(),
                found,
            },
        };
        Err(fault.at(place))
    }

    fn check_previous(&self, place: Place, envelope: &Envelope) -> Result<(), Verdict> {
        let found = envelope.previous;
        match self.previous {
            Previous::Is(expected) if expected != found => {
                Err(Fault::PreviousMismatch { expected, found }.at(place))
            }
            Previous::Unknown if found.is_none() => Err(Fault::NotCanonical {
                reason: "only the first event of an aggregate links to no predecessor".to_owned(),
            }
            .at(place)),
            _ => Ok(()),
        }
    }

    /// A commit goes on where it was left, and a new one starts only behind a whole one.
    fn check_commit(&self, place: Place, envelope: &Envelope) -> Result<(), Verdict> {
        let found = envelope.commit;
        match &self.last {
            Some(last) if !last.commit.is_last() && !found.is_first() => {
                let is_next = last.commit.is_followed_by(&found);
                if is_next && last.timestamp == envelope.timestamp {
                    return Ok(());
                }
                let last = Some(last.commit);
                Err(Fault::CommitMismatch { last, found }.at(place))
            }
            Some(last) => {
                whole_commit(last)?;
                starts_commit(place, found)
            }
            None if self.next == Some(1) => starts_commit(place, found),
            None => Ok(()),
        }
    }

    fn check_heads(&self, place: Place, sequence: u64) -> Result<(), Verdict> {
        let mut heads = self.heads.iter();
        match heads.find(|head| head.sequence == sequence && head.cid != place.cid) {
            Some(head) => Err(Fault::Fork { other: head.cid }.at(place)),
            None => Ok(()),
        }
    }

    fn check_parents(&self, place: Place, envelope: &Envelope) -> Result<(), Verdict> {
        let Some(parents) = &self.parents else {
            return Ok(());
        };
        let is_known = |parent: &&Cid| parents.seen.contains(*parent) || (parents.knows)(parent);
        match envelope.parents.iter().find(|parent| !is_known(parent)) {
            Some(parent) => Err(Fault::MissingParent { parent: *parent }.at(place)),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for ChainVerifier<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChainVerifier")
            .field("next", &self.next)
            .field("heads", &self.heads)
            .finish_non_exhaustive()
    }
}

fn whole_commit(last: &Last) -> Result<(), Verdict> {
    if last.commit.is_last() {
        return Ok(());
    }
    Err(broken_off(last.place, last.commit))
}

fn starts_commit(place: Place, part: CommitPart) -> Result<(), Verdict> {
    if part.is_first() {
        return Ok(());
    }
    Err(broken_off(place, part))
}

fn broken_off(place: Place, part: CommitPart) -> Verdict {
    let missing = Truncation::Commit {
        index: part.index,
        count: part.of,
    };
    Fault::Truncated { missing }.at(place)
}
