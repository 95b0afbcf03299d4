//! The part of the graph that one event depends on, read event by event.

use std::collections::{HashMap, HashSet, VecDeque};

use cid::Cid;
use futures_util::StreamExt;

use super::error::DagError;
use super::graph::EventDag;
use crate::block::StoredEvent;
use crate::store::{AggregateKey, Bookmark, EventStore, Versions, key_of};

/// How much of a history is read at once.
const CHUNK: u64 = 64;

impl EventDag {
    /// The graph of an event and of what it depends on: so many links far, and so many events at most beside it. No other
    /// event is read, where the store finds events by their CID
    /// ([`has_cid_index`](crate::store::EngineSettings::has_cid_index)); where it does not, and a cause is not in the history
    /// of the event that names it, all are.
    ///
    /// What is further away is a node that is known by its CID alone. So is what depends on the event: nothing leads there
    /// but all events, see [`of`](Self::of).
    ///
    /// # Errors
    /// [`DagError::NotThere`] for an event that the store does not have, [`DagError::Full`] and [`DagError::Store`].
    pub async fn leading_to<S: EventStore + ?Sized>(
        store: &S,
        event: &Cid,
        within: u32,
        most: usize,
    ) -> Result<Self, DagError> {
        let Some(first) = store.find(event).await? else {
            return Err(DagError::NotThere {
                cid: Box::new(*event),
            });
        };
        let mut reader = Reader {
            store,
            near: HashMap::new(),
            finds: store.settings().has_cid_index,
        };
        let mut dag = Self::default();
        let mut seen = HashSet::from([first.cid]);
        let mut open = VecDeque::from([(first, 0)]);
        let mut left = most;
        while let Some((event, away)) = open.pop_front() {
            dag.insert(&event)?;
            if away == within {
                continue;
            }
            let envelope = &event.envelope;
            for cause in envelope.previous.iter().chain(&envelope.parents) {
                if left == 0 || !seen.insert(*cause) {
                    continue;
                }
                let is_previous = envelope.previous.as_ref() == Some(cause);
                let found = match is_previous {
                    true => reader.previous(&event, cause, within - away).await?,
                    false => reader.parent(cause).await?,
                };
                match found {
                    Found::Event(cause) => {
                        left -= 1;
                        open.push_back((*cause, away + 1));
                    }
                    Found::Nothing => {}
                    Found::NoWay => return Self::of(store).await,
                }
            }
        }
        // It has parts of what the store has up to here: who brings it up reads from the beginning.
        dag.at = Bookmark::START;
        Ok(dag)
    }
}

enum Found {
    Event(Box<StoredEvent>),
    /// The store does not have it.
    Nothing,
    /// The store has no way to it but all events.
    NoWay,
}

struct Reader<'a, S: ?Sized> {
    store: &'a S,
    /// What was read of histories and was not asked for yet.
    near: HashMap<Cid, StoredEvent>,
    finds: bool,
}

impl<S: EventStore + ?Sized> Reader<'_, S> {
    async fn parent(&mut self, cid: &Cid) -> Result<Found, DagError> {
        if let Some(event) = self.near.remove(cid) {
            return Ok(Found::Event(Box::new(event)));
        }
        if !self.finds {
            return Ok(Found::NoWay);
        }
        let found = self.store.find(cid).await?;
        Ok(found.map_or(Found::Nothing, |event| Found::Event(Box::new(event))))
    }

    /// The event before one in its history, and with it those before that, as far as they may be asked for.
    async fn previous(
        &mut self,
        event: &StoredEvent,
        cid: &Cid,
        links: u32,
    ) -> Result<Found, DagError> {
        if !self.near.contains_key(cid) {
            let aggregate: AggregateKey = key_of(event);
            let last = event.envelope.sequence - 1;
            let first = event
                .envelope
                .sequence
                .saturating_sub(CHUNK.min(links.into()));
            let versions = Versions::starting_at(first).up_to(last);
            let mut history = self.store.history(&aggregate, versions);
            while let Some(event) = history.next().await {
                let event = event?;
                self.near.insert(event.cid, event);
            }
        }
        self.parent(cid).await
    }
}
