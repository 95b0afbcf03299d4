//! What a projection makes of events: stated on the pure value, and the same on any store.

mod documents;
mod generated;

pub use documents::ProjectedDocuments;
pub use generated::project_generated;

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::block::StoredEvent;
use crate::block::payload::written;
use crate::domain::message::MessageIdentity;
use crate::engine::memory::MemoryEventStore;
use crate::projection::{InMemory, ProjectionManager};
use crate::store::{
    AggregateKey, Bookmark, CommitRequest, EventStore, ExpectedVersion, Position, StreamExt,
};
use crate::testing::scenario::DEFAULT_NOW;
use crate::testing::together::{EventsOf, alone};

/// How long a view on a store may take to count what is given.
const LIMIT: Duration = Duration::from_secs(60);

/// Starts with what happened: the events of aggregates, each [`events_of`](super::events_of) one commit, a second apart
/// from 2026 on.
///
/// ```
/// # use std::collections::BTreeMap;
/// # use cim_es::prelude::*;
/// # #[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
/// # enum BookState { #[state(initial)] #[on(Lend / Lent => _, / Returned => _)] Any }
/// # #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
/// # enum BookEvent { Lent { reader: String }, #[apply(reader = None)] Returned }
/// # #[derive(Command, Clone, Debug)]
/// # enum BookCommand { Lend { reader: String } }
/// # #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
/// # #[aggregate(domain = "library", name = "book")]
/// # struct Book { state: BookState, reader: Option<String> }
/// # use BookEvent::{Lent, Returned};
/// use cim_es::testing::{events_of, project_all};
///
/// /// Who has which books.
/// #[derive(Projection, Debug, Default, PartialEq, Serialize, Deserialize)]
/// #[projection(name = "loans", version = 1, events = [BookEvent])]
/// struct Loans(BTreeMap<Id<Book>, String>);
///
/// impl Project<BookEvent> for Loans {
///     fn project(&mut self, event: BookEvent, at: &Source<Book>) {
///         match event {
///             Lent { reader } => self.0.insert(at.id(), reader),
///             Returned => self.0.remove(&at.id()),
///         };
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let (emma, dune) = (Id::new(), Id::new());
/// let ann = || Lent { reader: "Ann".into() };
/// project_all([
///     events_of(&emma, [ann()]),
///     events_of(&dune, [ann()]),
///     events_of(&emma, [Returned]),
/// ])
/// .survives_saving::<Loans>()
/// .then(move |loans: &Loans| assert_eq!(loans.0, BTreeMap::from([(dune, "Ann".to_owned())])))
/// // The same on any store.
/// .on(MemoryEventStore::new())
/// .await;
/// # }
/// ```
pub fn project_all(commits: impl IntoIterator<Item = EventsOf>) -> ProjectAll {
    ProjectAll {
        commits: commits.into_iter().collect(),
    }
}

/// What happened, for a projection.
#[must_use = "it says nothing before `then`"]
pub struct ProjectAll {
    commits: Vec<EventsOf>,
}

/// What a projection made of it held in memory; [`on`](Self::on) asks the same of a view on a store.
pub struct ProjectedAll<V> {
    given: ProjectAll,
    check: Box<dyn Fn(&V) + Send + Sync>,
}

impl ProjectAll {
    /// What happened to other aggregates at the same time: the commits of both take turns.
    pub fn and(self, other: Self) -> Self {
        let (mut one, mut other) = (self.commits.into_iter(), other.commits.into_iter());
        let mut commits = Vec::new();
        loop {
            let turn = (one.next(), other.next());
            if let (None, None) = turn {
                return Self { commits };
            }
            commits.extend(turn.0);
            commits.extend(turn.1);
        }
    }

    /// Looks at what the projection makes of all events; the look says by a panic, such as that of `assert_eq!`, what is
    /// not as it should be.
    ///
    /// # Panics
    /// When the projection cannot read an event, and when the look does.
    #[track_caller]
    pub fn then<V>(self, check: impl Fn(&V) + Send + Sync + 'static) -> ProjectedAll<V>
    where
        V: InMemory + Default,
    {
        check(&self.project(true));
        ProjectedAll {
            given: self,
            check: Box::new(check),
        }
    }

    /// Checks that the projection makes the same of the events each time, also where they were counted before: that it
    /// is made of nothing but them.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn counts_the_same<V>(self) -> Self
    where
        V: InMemory + Default + PartialEq + Debug,
    {
        let first: V = self.project(true);
        for (what, is_new) in [("counted again", true), ("built again", false)] {
            let again: V = self.project(is_new);
            assert!(
                first == again,
                "view `{}` comes out otherwise when it is {what}: it depends on something beside the events\n first: {first:?}\n then: {again:?}",
                V::NAME,
            );
        }
        self
    }

    /// Checks that the view comes out the same where its state is saved and read back behind any of the commits, as
    /// [`saved_in`](crate::projection::OpenInMemory::saved_in) does.
    ///
    /// # Panics
    /// When it does not, and when a state cannot be saved.
    #[track_caller]
    pub fn survives_saving<V>(self) -> Self
    where
        V: InMemory + Default + PartialEq + Debug + Serialize + DeserializeOwned,
    {
        let this = self.counts_the_same::<V>();
        let events = this.stored();
        let whole: V = this.project(true);
        let is_cut = |event: &StoredEvent| event.envelope.commit.is_last_of_whole();
        for (at, event) in events.iter().enumerate().filter(|(_, event)| is_cut(event)) {
            let mut view = V::default();
            take_all(&mut view, &events[..=at], true);
            let state = written::<V, V>(&view).unwrap_or_else(|error| {
                panic!("the state of view `{}` cannot be saved: {error}", V::NAME)
            });
            let mut view: V = serde_ipld_dagcbor::from_slice(&state).unwrap_or_else(|error| {
                panic!(
                    "the state of view `{}` cannot be read back: {error}",
                    V::NAME
                )
            });
            take_all(&mut view, &events[at + 1..], true);
            assert!(
                view == whole,
                "view `{}` comes out otherwise when its state is saved behind `{}` at position {}: a field is skipped or rounded by serde\n whole: {whole:?}\n saved: {view:?}",
                V::NAME,
                event.event_type(),
                event.position,
            );
        }
        this
    }

    #[track_caller]
    fn project<V: InMemory + Default>(&self, is_new: bool) -> V {
        let mut view = V::default();
        take_all(&mut view, &self.stored(), is_new);
        view
    }

    /// The events as they are stored, whatever the projection takes.
    #[track_caller]
    fn stored(&self) -> Vec<StoredEvent> {
        let store = MemoryEventStore::new();
        let stored = alone(async {
            self.append(&store).await?;
            let mut stored = Vec::new();
            let all = crate::store::Selection::everything();
            let mut events = EventStore::read(&store, all, Bookmark::START);
            while let Some(event) = events.next().await {
                stored.push(event.map_err(|error| error.to_string())?);
            }
            Ok::<_, String>(stored)
        });
        stored.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Appends the commits in order; gives the position of the last event.
    async fn append(&self, store: &dyn EventStore) -> Result<Position, String> {
        let mut versions: HashMap<AggregateKey, u64> = HashMap::new();
        let mut last = Position::START;
        let mut now = DEFAULT_NOW;
        for commit in &self.commits {
            let (key, events) = commit.as_stored();
            if events.is_empty() {
                continue;
            }
            let version = versions.entry(key.clone()).or_default();
            let expected = ExpectedVersion::Exactly(*version);
            *version += events.len() as u64;
            let identity = MessageIdentity::root(Uuid::now_v7(), Some("given"));
            let request =
                CommitRequest::new(identity, now).aggregate(key.clone(), expected, events);
            let stored = store.append(request).await.map_err(|error| {
                format!("what is given of {key} could not be stored, under an id that must have no events yet: {error}")
            })?;
            last = stored.last().map_or(last, |event| event.position);
            now = now.after(Duration::from_secs(1));
        }
        Ok(last)
    }
}

#[track_caller]
fn take_all<V: InMemory>(view: &mut V, events: &[StoredEvent], is_new: bool) {
    let selection = V::selection();
    for event in events.iter().filter(|event| selection.includes(event)) {
        if let Err(error) = view.take(event, is_new) {
            panic!(
                "view `{}` cannot count `{}` at position {}: {error}",
                V::NAME,
                event.event_type(),
                event.position
            );
        }
    }
}

impl<V: InMemory + Default> ProjectedAll<V> {
    /// Has a view count the same events on a store, in which the ids must have no events yet, and looks at it in the same
    /// way.
    ///
    /// # Panics
    /// When the view cannot count them, and when the look does.
    pub async fn on(self, store: impl EventStore) -> Self {
        let store: Arc<dyn EventStore> = Arc::new(store);
        let last = self.given.append(&store).await;
        let last = last.unwrap_or_else(|error| panic!("{error}"));
        let manager = ProjectionManager::new(store);
        let view = manager.in_memory::<V>().await;
        let view = view.unwrap_or_else(|error| panic!("on the store: {error}"));
        if let Err(error) = view.wait_for(last, LIMIT).await {
            panic!("on the store: {error}");
        }
        if let Err(error) = view.read(|view| (self.check)(view)).await {
            panic!("on the store: {error}");
        }
        manager.stop().await;
        self
    }
}
