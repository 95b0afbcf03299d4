//! What a projection makes of events in documents: the same, however they are counted together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use super::{LIMIT, ProjectAll};
use crate::block::StoredEvent;
use crate::document::{DocumentBatch, DocumentReader, Keyed};
use crate::engine::memory::MemoryReadModels;
use crate::projection::{InDocuments, ProjectionManager, ViewId};
use crate::store::read_model::{Page, ReadModelStorage, ReadModelStorageExt, ViewDeclaration};
use crate::store::{Bookmark, EventStore};
use crate::testing::together::alone;

/// Documents by their keys.
type All<D> = BTreeMap<String, D>;
type Look<D> = Box<dyn Fn(&All<D>) + Send + Sync>;

/// The documents that a projection made of what happened; [`on`](Self::on) asks the same of a view on a store.
pub struct ProjectedDocuments<P: InDocuments> {
    given: ProjectAll,
    projection: P,
    check: Look<P::Document>,
}

impl ProjectAll {
    /// Looks at all documents, by their keys, that a projection makes of the events; the look says by a panic, such as
    /// that of `assert_eq!`, what is not as it should be.
    ///
    /// The documents are made several times: each commit alone, all of them together, in two parts with a cut behind any
    /// commit, and as they are built again. They must come out the same.
    ///
    /// ```
    /// # use cim_es::prelude::*;
    /// # use cim_es::projection::{ProjectDocuments, ProjectionError};
    /// # #[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
    /// # enum LampState { #[state(initial)] #[on(Switch / Switched => _)] Any }
    /// # #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
    /// # enum LampEvent { Switched { on: bool } }
    /// # #[derive(Command, Clone, Debug)]
    /// # enum LampCommand { Switch }
    /// # #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
    /// # #[aggregate(domain = "home", name = "lamp")]
    /// # struct Lamp { state: LampState, on: bool }
    /// # #[derive(Document, Debug, Default, PartialEq, Serialize, Deserialize)]
    /// # struct Card { on: bool, switched: u32 }
    /// # #[derive(Projection)]
    /// # #[projection(name = "lamps", version = 1, events = [LampEvent], documents = Card)]
    /// # struct Cards;
    /// # impl ProjectDocuments<LampEvent> for Cards {
    /// #     async fn project(
    /// #         &self,
    /// #         event: LampEvent,
    /// #         at: &Source<'_, Lamp>,
    /// #         cards: &mut Documents<'_, Card>,
    /// #     ) -> Result<(), ProjectionError> {
    /// #         let LampEvent::Switched { on } = event;
    /// #         let mut card = cards.get(&at.id()).await?.unwrap_or_default();
    /// #         (card.on, card.switched) = (on, card.switched + 1);
    /// #         Ok(cards.put(&at.id(), card)?)
    /// #     }
    /// # }
    /// use cim_es::testing::{events_of, project_all};
    /// use cim_es::{MemoryEventStore, MemoryReadModels};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let hall = Id::<Lamp>::new();
    /// let switched = |on| events_of(&hall, [LampEvent::Switched { on }]);
    /// project_all([switched(true), switched(false)])
    ///     .then_documents(Cards, move |cards| {
    ///         assert_eq!(cards[&hall.to_string()], Card { on: false, switched: 2 });
    ///     })
    ///     // The same on any store and in any storage.
    ///     .on(MemoryEventStore::new(), MemoryReadModels::new())
    ///     .await;
    /// # }
    /// ```
    ///
    /// # Panics
    /// When the projection refuses an event, when the documents do not come out the same, and when the look does.
    #[track_caller]
    pub fn then_documents<P: InDocuments>(
        self,
        projection: P,
        check: impl Fn(&All<P::Document>) + Send + Sync + 'static,
    ) -> ProjectedDocuments<P> {
        let selection = P::selection();
        let mut events = self.stored();
        events.retain(|event| selection.includes(event));
        let commits = commits(&events);
        let whole = made(&projection, &commits, &[], true);
        let alone: Vec<_> = (1..commits.len()).collect();
        let mut ways = vec![
            ("each commit alone".to_owned(), alone, true),
            ("when they are built again".to_owned(), Vec::new(), false),
        ];
        ways.extend((1..commits.len()).map(|cut| {
            let what = format!("with a cut behind commit {cut}");
            (what, vec![cut], true)
        }));
        for (what, cuts, is_new) in ways {
            let again = made(&projection, &commits, &cuts, is_new);
            assert!(
                again.bytes == whole.bytes,
                "the documents of view `{}` come out otherwise {what}: the projection depends on something beside the events and its documents",
                P::NAME,
            );
        }
        check(&whole.documents);
        ProjectedDocuments {
            given: self,
            projection,
            check: Box::new(check),
        }
    }
}

impl<P: InDocuments> ProjectedDocuments<P> {
    /// Has a view count the same events on a store, in which the ids must have no events yet, into a storage that has no
    /// such view yet, and looks at it in the same way.
    ///
    /// # Panics
    /// When the view cannot count them, and when the look does.
    pub async fn on(self, store: impl EventStore, storage: impl ReadModelStorage) {
        let store: Arc<dyn EventStore> = Arc::new(store);
        let last = self.given.append(&store).await;
        let last = last.unwrap_or_else(|error| panic!("{error}"));
        let manager = ProjectionManager::new(store);
        let view = manager.documents_by(self.projection, storage).await;
        let view = view.unwrap_or_else(|error| panic!("in the storage: {error}"));
        if let Err(error) = view.wait_for(last, LIMIT).await {
            panic!("in the storage: {error}");
        }
        let documents = all(view.reader()).await;
        (self.check)(&documents.unwrap_or_else(|error| panic!("in the storage: {error}")));
        manager.stop().await;
    }
}

/// The events of each commit.
fn commits(events: &[StoredEvent]) -> Vec<&[StoredEvent]> {
    let is_same = |one: &StoredEvent, other: &StoredEvent| {
        one.envelope.causation_id == other.envelope.causation_id
    };
    events.chunk_by(is_same).collect()
}

/// Documents as they are read, and as they are stored.
struct Made<D> {
    documents: All<D>,
    bytes: All<Option<Bytes>>,
}

/// What a projection makes of commits that are counted together up to each cut.
#[track_caller]
fn made<P: InDocuments>(
    projection: &P,
    commits: &[&[StoredEvent]],
    cuts: &[usize],
    is_new: bool,
) -> Made<P::Document> {
    let made = alone(make(projection, commits, cuts, is_new));
    made.unwrap_or_else(|error| panic!("view `{}`: {error}", P::NAME))
}

async fn make<P: InDocuments>(
    projection: &P,
    commits: &[&[StoredEvent]],
    cuts: &[usize],
    is_new: bool,
) -> Result<Made<P::Document>, String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let storage = MemoryReadModels::new();
    let view = ViewId::new(P::NAME, P::VERSION).map_err(|error| said(&error))?;
    let declaration = ViewDeclaration::new(view.clone(), P::FINGERPRINT);
    let me = Uuid::now_v7();
    storage
        .open_view(&declaration)
        .await
        .map_err(|error| said(&error))?;
    let held = storage.hold(&view, me, Duration::from_secs(3_600)).await;
    held.map_err(|error| said(&error))?;
    let mut batch = DocumentBatch::<P::Document>::new(Arc::new(storage.clone()), view.clone());
    let mut after = Bookmark::START;
    let ends = cuts.iter().copied().chain([commits.len()]);
    let mut from = 0;
    for end in ends {
        let mut up_to = after;
        for commit in &commits[from..end] {
            for event in *commit {
                let taken = projection.take(event, is_new, &mut batch.documents()).await;
                taken.map_err(|error| {
                    let (event_type, position) = (event.event_type(), event.position);
                    format!("cannot count `{event_type}` at position {position}: {error}")
                })?;
                up_to = event.bookmark();
            }
        }
        let changes = batch.changes(me, after, up_to);
        storage
            .commit(&view, changes)
            .await
            .map_err(|error| said(&error))?;
        batch.stored();
        (after, from) = (up_to, end);
    }
    storage.serve(&view).await.map_err(|error| said(&error))?;
    let documents = all(&DocumentReader::new(storage.clone(), P::NAME)).await?;
    let mut bytes = BTreeMap::new();
    for key in documents.keys() {
        let stored = storage
            .get(&view, key)
            .await
            .map_err(|error| said(&error))?;
        bytes.insert(key.clone(), stored.value);
    }
    Ok(Made { documents, bytes })
}

/// All documents of a view, page by page.
async fn all<D: crate::document::Document>(reader: &DocumentReader<D>) -> Result<All<D>, String> {
    let mut documents = BTreeMap::new();
    let mut page = Page::first(1_000);
    loop {
        let found = reader
            .list(&page)
            .await
            .map_err(|error| error.to_string())?
            .value;
        let keyed = found.documents.into_iter();
        documents.extend(keyed.map(|Keyed { key, document }| (key, document)));
        match found.next {
            Some(next) => page = page.after(next),
            None => return Ok(documents),
        }
    }
}
