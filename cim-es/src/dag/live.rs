//! A graph that is kept current.

use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};

use cid::Cid;
use futures_core::Stream;
use futures_util::StreamExt;

use super::error::DagError;
use super::graph::EventDag;
use crate::block::{Position, StoredEvent};
use crate::store::{EventStore, Selection};

/// An event that the graph has taken in.
#[derive(Clone, Debug, PartialEq)]
pub struct EventUpdate {
    /// Its CID.
    pub cid: Cid,
    /// The event itself, with its payload.
    pub event: StoredEvent,
    /// Its place in the store.
    pub position: Position,
}

/// A graph that is kept current by following a store, and asked meanwhile. A clone is another handle to the same graph.
///
/// After a restart it is built again ([`EventDag::of`]) and followed from where it then ends: whoever has noted the position
/// of the last update that it worked with misses nothing and has nothing twice.
///
/// ```
/// # use cim_es::prelude::*;
/// # use cim_es::aggregate::IdText;
/// # use cim_es::message::{Clock, SystemClock};
/// # use cim_es::store::{AggregateKey, CommitRequest, EventStore, ExpectedVersion, NewEvent, StreamExt};
/// use cim_es::dag::{EventDag, LiveDag};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let store = MemoryEventStore::new();
/// let live = LiveDag::new(EventDag::of(&store).await?);
/// let mut updates = live.follow(&store);
/// # let key = AggregateKey::new("home.lamp", IdText::new("hall")?);
/// # let event = NewEvent::from_payload("home.lamp.switched", 1, vec![0xa0]);
/// # let commit = CommitRequest::new(MessageIdentity::new_from_user("me"), SystemClock.now())
/// #     .aggregate(key, ExpectedVersion::Any, vec![event]);
/// # store.append(commit).await?;
/// let update = updates.next().await.ok_or("a store goes on")??;
/// // It is in the graph when its update is given.
/// assert_eq!(live.ask(|dag| dag.get(&update.cid).map(|node| node.ancestors().count()))?, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct LiveDag {
    dag: Arc<RwLock<EventDag>>,
}

/// What a graph takes in, one event after the other; it does not end by itself. After an error it ends: follow again.
pub struct EventUpdates(Pin<Box<dyn Stream<Item = Result<EventUpdate, DagError>> + Send>>);

impl LiveDag {
    /// Of a graph, which is as current as it is.
    pub fn new(dag: EventDag) -> Self {
        Self {
            dag: Arc::new(RwLock::new(dag)),
        }
    }

    /// Asks the graph. Nothing is taken in meanwhile.
    pub fn ask<T>(&self, question: impl FnOnce(&EventDag) -> T) -> T {
        // An event is taken in whole or not at all, whoever failed meanwhile.
        question(&self.dag.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Follows a store from the last event that the graph has. It goes on as it is asked, and each event is in the graph when
    /// its update is given.
    pub fn follow<S: EventStore + ?Sized>(&self, store: &S) -> EventUpdates {
        let events = store.follow(Selection::everything(), self.ask(EventDag::bookmark));
        let dag = Arc::clone(&self.dag);
        let updates = events.map(move |event| {
            let event = event?;
            let mut dag = dag.write().unwrap_or_else(PoisonError::into_inner);
            dag.insert(&event)?;
            Ok(EventUpdate {
                cid: event.cid,
                position: event.position,
                event,
            })
        });
        let has_failed = false;
        EventUpdates(Box::pin(updates.scan(has_failed, |has_failed, update| {
            let given = (!*has_failed).then_some(update);
            *has_failed = matches!(given, Some(Err(_)));
            std::future::ready(given)
        })))
    }
}

impl Stream for EventUpdates {
    type Item = Result<EventUpdate, DagError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(context)
    }
}

impl std::fmt::Debug for EventUpdates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventUpdates").finish_non_exhaustive()
    }
}
