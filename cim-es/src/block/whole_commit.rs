//! Commits over any number of aggregates, checked in the order in which a store keeps their events.

use std::collections::HashMap;

use super::{CommitPart, Envelope, Fault, Place, StoredEvent, Truncation, Verdict};
use crate::domain::message::Timestamp;

/// Checks that events come as whole commits: those of one commit side by side, none missing, each aggregate's events
/// counted as they say. It is for readers of several aggregates at once, such as an import or the check of a whole
/// store; [`ChainVerifier`](super::ChainVerifier) checks the history of one aggregate.
///
/// It keeps the parts of the present commit alone.
///
/// ```
/// use cim_es::block::{CommitVerifier, StoredEvent, Verdict};
///
/// fn check(events: &[StoredEvent]) -> Result<(), Verdict> {
///     let mut commits = CommitVerifier::new();
///     for event in events {
///         commits.accept(event)?;
///     }
///     commits.finish()
/// }
/// ```
#[derive(Debug, Default)]
pub struct CommitVerifier {
    open: Option<Open>,
}

/// A commit of which events are missing yet.
#[derive(Debug)]
struct Open {
    place: Place,
    last: CommitPart,
    timestamp: Timestamp,
    /// The last part of each aggregate that has events to come.
    unfinished: Unfinished,
    /// The number of events that are still to come for these aggregates.
    owed: u64,
}

impl CommitVerifier {
    /// For events from the first of a commit on.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next event of the store. Says whether a commit ends with it.
    ///
    /// # Errors
    /// [`Fault::Truncated`] where events of a commit are missing, [`Fault::CommitMismatch`] where the event cannot
    /// stand in the commit that was begun. The verifier is then unchanged.
    pub fn accept(&mut self, event: &StoredEvent) -> Result<bool, Verdict> {
        self.accept_envelope(event.place(), &event.envelope)
    }

    /// Takes the next event of the store by its envelope alone, which must have been proved to hash to the CID.
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    pub fn accept_envelope(&mut self, place: Place, envelope: &Envelope) -> Result<bool, Verdict> {
        let aggregate = || (&*envelope.aggregate, &*envelope.aggregate_id);
        self.accept_part(place, envelope.commit, envelope.timestamp, aggregate)
    }

    /// The same by what of the envelope is looked at; kind and id are asked for where the commit has several events.
    pub(crate) fn accept_part<T: AsRef<str>>(
        &mut self,
        place: Place,
        part: CommitPart,
        timestamp: Timestamp,
        aggregate: impl FnOnce() -> (T, T),
    ) -> Result<bool, Verdict> {
        if self.open.is_none() && part == CommitPart::ALONE {
            return Ok(true);
        }
        let (kind, id) = aggregate();
        let aggregate = (kind.as_ref(), id.as_ref());
        let earlier = match &self.open {
            None if part.is_first_of_whole() => None,
            None => return Err(missing(place, part)),
            Some(open) if part.is_first_of_whole() => return Err(missing(open.place, open.last)),
            Some(open) => {
                let earlier = open.unfinished.get(aggregate);
                open.check(place, part, timestamp, earlier)?;
                earlier
            }
        };
        if earlier.is_none() && !part.is_first() {
            let last = self.open.as_ref().map(|open| open.last);
            return Err(mismatch(place, last, part));
        }
        let mut open = self.open.take().unwrap_or_else(|| Open {
            place,
            last: part,
            timestamp,
            unfinished: Unfinished::default(),
            owed: 0,
        });
        let behind = u64::from(part.of - part.index);
        open.owed = match earlier {
            Some(_) => open.owed - 1,
            None => open.owed + behind,
        };
        match (behind, earlier) {
            (0, None) => {}
            (0, Some(_)) => open.unfinished.remove(aggregate),
            _ => open.unfinished.put(aggregate, part),
        }
        (open.place, open.last) = (place, part);
        if !part.is_last_of_whole() {
            self.open = Some(open);
        }
        Ok(part.is_last_of_whole())
    }

    /// Whether events of a commit are still to come.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Says that no event follows.
    ///
    /// # Errors
    /// [`Fault::Truncated`] when events of the last commit are missing.
    pub fn finish(self) -> Result<(), Verdict> {
        match self.open {
            Some(open) => Err(missing(open.place, open.last)),
            None => Ok(()),
        }
    }
}

/// The last parts of aggregates that have events to come. The events of one mostly follow each other, so that of the
/// latest is at hand.
#[derive(Debug, Default)]
struct Unfinished {
    latest: Option<(Name, CommitPart)>,
    others: HashMap<Name, CommitPart>,
}

/// Kind and id of an aggregate.
type Name = (String, String);

fn is_name(name: &Name, (kind, id): (&str, &str)) -> bool {
    name.1 == id && name.0 == kind
}

fn name_of((kind, id): (&str, &str)) -> Name {
    (kind.to_owned(), id.to_owned())
}

impl Unfinished {
    fn get(&self, aggregate: (&str, &str)) -> Option<CommitPart> {
        match &self.latest {
            Some((name, part)) if is_name(name, aggregate) => Some(*part),
            _ if self.others.is_empty() => None,
            _ => self.others.get(&name_of(aggregate)).copied(),
        }
    }

    fn put(&mut self, aggregate: (&str, &str), part: CommitPart) {
        if let Some((name, latest)) = &mut self.latest
            && is_name(name, aggregate)
        {
            *latest = part;
            return;
        }
        let name = name_of(aggregate);
        self.others.remove(&name);
        if let Some((name, part)) = self.latest.replace((name, part)) {
            self.others.insert(name, part);
        }
    }

    fn remove(&mut self, aggregate: (&str, &str)) {
        if self
            .latest
            .as_ref()
            .is_some_and(|(name, _)| is_name(name, aggregate))
        {
            self.latest = None;
        } else {
            self.others.remove(&name_of(aggregate));
        }
    }
}

impl Open {
    fn check(
        &self,
        place: Place,
        part: CommitPart,
        timestamp: Timestamp,
        earlier: Option<CommitPart>,
    ) -> Result<(), Verdict> {
        let is_next = self.last.whole_index.checked_add(1) == Some(part.whole_index)
            && self.last.whole_of == part.whole_of
            && self.timestamp == timestamp
            && earlier.is_none_or(|earlier| earlier.is_followed_by(&part));
        let owed = match earlier {
            Some(_) => self.owed - 1,
            None => self.owed + u64::from(part.of.saturating_sub(part.index)),
        };
        let is_room = owed <= u64::from(part.whole_of.saturating_sub(part.whole_index));
        if is_next && is_room {
            return Ok(());
        }
        Err(mismatch(place, Some(self.last), part))
    }
}

fn missing(place: Place, part: CommitPart) -> Verdict {
    let missing = Truncation::Commit {
        index: part.whole_index,
        count: part.whole_of,
    };
    Fault::Truncated { missing }.at(place)
}

fn mismatch(place: Place, last: Option<CommitPart>, found: CommitPart) -> Verdict {
    Fault::CommitMismatch { last, found }.at(place)
}
