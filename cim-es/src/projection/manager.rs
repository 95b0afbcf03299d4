//! The manager: it runs the views of a program on one store.

use std::collections::BTreeMap;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::panic::catch_unwind;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use super::home::Home;
use super::in_memory::{InMemoryHome, InMemoryView};
use super::runner::Runner;
use super::running::{Answer, Command, RunningView};
use super::saved::SavedState;
use super::{InMemory, OpenError, Projection, ViewId, ViewStatus};
use crate::store::read_model::ReadModelStorage;
use crate::store::{EventStore, Selection};

/// Runs the views of a program on a store: each in a task of its own, so that none holds up another.
///
/// ```
/// # use cim_es::prelude::*;
/// # #[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
/// # enum LampState { #[state(initial)] #[on(Switch / Switched => _)] Any }
/// # #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
/// # enum LampEvent { Switched { on: bool } }
/// # #[derive(Command, Clone, Debug)]
/// # enum LampCommand { Switch }
/// # #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
/// # #[aggregate(domain = "home", name = "lamp")]
/// # struct Lamp { state: LampState, on: bool }
/// # impl Decide for Lamp {
/// #     fn decide(&self, _: LampCommand, _: &Context) -> Decision<Self> {
/// #         emit(LampEvent::Switched { on: !self.on })
/// #     }
/// # }
/// use std::time::Duration;
///
/// use cim_es::projection::ProjectionManager;
///
/// /// How many times lamps were switched.
/// #[derive(Projection, Debug, Default)]
/// #[projection(name = "switches", version = 1, events = [LampEvent])]
/// struct Switches(u64);
///
/// impl Project<LampEvent> for Switches {
///     fn project(&mut self, _: LampEvent, _: &Source<Lamp>) {
///         self.0 += 1;
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryEventStore::new();
/// let lamps = Repository::<Lamp>::new(store.clone());
/// let projections = ProjectionManager::new(store);
/// let switches = projections.in_memory::<Switches>().await?;
///
/// let request = MessageIdentity::new_from_user("me");
/// let commit = lamps.execute(&Id::new(), LampCommand::Switch, &request).await?;
/// switches.wait_for(commit.position(), Duration::from_secs(5)).await?;
/// let seen = switches.read(|switches| switches.0).await?;
/// assert_eq!((seen.value, seen.position), (1, commit.position()));
/// projections.stop().await;
/// # Ok(())
/// # }
/// ```
///
/// # The end of a program
///
/// [`stop`](Self::stop) lets each view finish the commits that it is counting. With Tokio's feature `signal`:
///
/// ```no_run
/// # use cim_es::projection::ProjectionManager;
/// # async fn serve(projections: ProjectionManager) -> std::io::Result<()> {
/// tokio::signal::ctrl_c().await?;
/// projections.stop().await;
/// # Ok(())
/// # }
/// ```
///
/// A clone is another handle to the same manager.
#[derive(Clone)]
pub struct ProjectionManager {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn EventStore>,
    registry: Mutex<Registry>,
}

#[derive(Default)]
struct Registry {
    /// By their names, with the number of a part.
    views: BTreeMap<(&'static str, Option<u8>), Registered>,
    is_stopped: bool,
}

struct Registered {
    projection: &'static str,
    view: RunningView,
}

impl Registry {
    /// Whether a view of a name could be added, or another part of one.
    fn check_free(&self, name: &'static str, part: Option<u8>) -> Result<(), OpenError> {
        if self.is_stopped {
            return Err(OpenError::ManagerStopped { name });
        }
        let is_other = |key: &(&'static str, Option<u8>)| {
            key.0 == name && (part.is_none() || key.1.is_none() || key.1 == part)
        };
        let mut others = self.views.iter().filter(|(key, _)| is_other(key));
        match others.find(|(_, other)| !other.view.is_stopped()) {
            Some((_, other)) => Err(OpenError::NameTaken {
                name,
                projection: other.projection,
            }),
            None => Ok(()),
        }
    }
}

/// What a view is run as.
pub(super) struct Place {
    pub view: ViewId,
    pub selection: Selection,
    /// Which part of the projection's view it is; none for the whole of it.
    pub part: Option<u8>,
}

impl Place {
    fn of<P: Projection>() -> Result<Self, OpenError> {
        Ok(Self {
            view: ViewId::new(P::NAME, P::VERSION)?,
            selection: P::selection(),
            part: None,
        })
    }
}

impl ProjectionManager {
    /// A manager of views on a store.
    pub fn new(store: impl EventStore) -> Self {
        Self {
            inner: Arc::new(Inner {
                store: Arc::new(store),
                registry: Mutex::default(),
            }),
        }
    }

    /// The store whose events the views are made of.
    pub fn store(&self) -> &Arc<dyn EventStore> {
        &self.inner.store
    }

    /// Runs a projection whose view is the value itself; await it for the view. It begins with the value's default and
    /// counts all events from the first, then each that comes.
    #[must_use = "nothing is opened before it is awaited"]
    pub fn in_memory<V: InMemory + Default>(&self) -> OpenInMemory<StartsAnew<V>> {
        OpenInMemory {
            manager: self.clone(),
            state: StartsAnew(PhantomData),
        }
    }

    /// What each view is doing, by its name.
    pub fn status(&self) -> Vec<ViewStatus> {
        let registry = self.registry();
        let views = registry.views.values();
        views.map(|registered| registered.view.status()).collect()
    }

    /// Stops all views, each behind the commits that it is counting, and waits for that. No other is opened afterwards.
    pub async fn stop(&self) {
        let views: Vec<_> = {
            let mut registry = self.registry();
            registry.is_stopped = true;
            registry.views.values().map(|it| it.view.clone()).collect()
        };
        futures_util::future::join_all(views.iter().map(RunningView::stop)).await;
    }

    /// Runs a view in a task of its own.
    pub(super) fn run<P: Projection>(
        &self,
        home: impl Home,
        rebuilt: Option<String>,
    ) -> Result<RunningView, OpenError> {
        self.run_at::<P>(Place::of::<P>()?, home, rebuilt)
    }

    /// Runs a view, or a part of one, in a task of its own.
    pub(super) fn run_at<P: Projection>(
        &self,
        place: Place,
        home: impl Home,
        rebuilt: Option<String>,
    ) -> Result<RunningView, OpenError> {
        let mut begun = ViewStatus::new(place.view.clone());
        begun.say_where(home.shown(), home.up_to());
        begun.rebuilt = rebuilt;
        let (status, _) = watch::channel(begun);
        let (store, selection) = (Arc::clone(&self.inner.store), place.selection.clone());
        self.start_at::<P, _>(place, status.clone(), |commands| {
            Runner::new(store, selection, home, commands, status).run()
        })
    }

    /// Whether a view could be run now.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn check_startable<P: Projection>(&self) -> Result<Handle, OpenError> {
        let runtime = runtime_for::<P>()?;
        self.registry().check_free(P::NAME, None)?;
        Ok(runtime)
    }

    /// Runs the task that keeps a view current, and says in `status` how far it is.
    #[cfg(feature = "sqlite")]
    pub(super) fn start<P: Projection, F>(
        &self,
        status: watch::Sender<ViewStatus>,
        task: impl FnOnce(mpsc::Receiver<(Command, Answer)>) -> F,
    ) -> Result<RunningView, OpenError>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.start_at::<P, F>(Place::of::<P>()?, status, task)
    }

    fn start_at<P: Projection, F>(
        &self,
        place: Place,
        status: watch::Sender<ViewStatus>,
        task: impl FnOnce(mpsc::Receiver<(Command, Answer)>) -> F,
    ) -> Result<RunningView, OpenError>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let runtime = runtime_for::<P>()?;
        let mut registry = self.registry();
        registry.check_free(P::NAME, place.part)?;
        let store = Arc::clone(&self.inner.store);
        let (view, commands) = RunningView::new(place.view, store, place.selection, status);
        runtime.spawn(task(commands));
        let registered = Registered {
            projection: std::any::type_name::<P>(),
            view: view.clone(),
        };
        registry.views.insert((P::NAME, place.part), registered);
        Ok(view)
    }

    // Nothing that can panic is done under the lock.
    fn registry(&self) -> MutexGuard<'_, Registry> {
        let registry = self.inner.registry.lock();
        registry.unwrap_or_else(PoisonError::into_inner)
    }
}

/// The runtime in which a view of a projection is run, whose events can be selected.
fn runtime_for<P: Projection>() -> Result<Handle, OpenError> {
    let name = P::NAME;
    P::selection()
        .check()
        .map_err(|source| OpenError::NothingSelected { name, source })?;
    runtime().ok_or(OpenError::NoRuntime { name })
}

/// The runtime of the caller, with a timer: a runtime does not say whether it has one, other than by a panic.
fn runtime() -> Option<Handle> {
    let runtime = Handle::try_current().ok()?;
    let has_timer = catch_unwind(|| drop(tokio::time::sleep(Duration::ZERO))).is_ok();
    has_timer.then_some(runtime)
}

impl std::fmt::Debug for ProjectionManager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let status = self.status();
        f.debug_list()
            .entries(status.iter().map(ToString::to_string))
            .finish()
    }
}

/// A view in memory that is about to be opened; see [`ProjectionManager::in_memory`].
#[must_use = "nothing is opened before it is awaited"]
pub struct OpenInMemory<S> {
    manager: ProjectionManager,
    state: S,
}

/// The view begins before the first event.
pub struct StartsAnew<V>(PhantomData<fn() -> V>);

/// The view begins with what was saved in a storage.
pub struct Saved<V> {
    storage: Arc<dyn ReadModelStorage>,
    projection: PhantomData<fn() -> V>,
}

impl<V> OpenInMemory<StartsAnew<V>>
where
    V: InMemory + Default + Serialize + DeserializeOwned,
{
    /// Saves the state of the view in a storage now and then and when it is stopped, so that a restart reads only what is
    /// new. A state that cannot be used, because the declaration changed under the same version or because it is damaged,
    /// costs a reading from the first event on; [`ViewStatus::rebuilt`] says so.
    ///
    /// Any number of programs may save the same view in one storage: each keeps its own in memory.
    pub fn saved_in(self, storage: impl ReadModelStorage) -> OpenInMemory<Saved<V>> {
        OpenInMemory {
            manager: self.manager,
            state: Saved {
                storage: Arc::new(storage),
                projection: PhantomData,
            },
        }
    }
}

type Opening<V> = Pin<Box<dyn Future<Output = Result<InMemoryView<V>, OpenError>> + Send>>;

impl<V: InMemory + Default> IntoFuture for OpenInMemory<StartsAnew<V>> {
    type Output = Result<InMemoryView<V>, OpenError>;
    type IntoFuture = Opening<V>;

    /// Opens it.
    ///
    /// # Errors
    /// [`OpenError`].
    fn into_future(self) -> Opening<V> {
        Box::pin(async move {
            let (home, shown) = InMemoryHome::<V>::new();
            let running = self.manager.run::<V>(home, None)?;
            Ok(InMemoryView::new(running, shown))
        })
    }
}

impl<V> IntoFuture for OpenInMemory<Saved<V>>
where
    V: InMemory + Default + Serialize + DeserializeOwned,
{
    type Output = Result<InMemoryView<V>, OpenError>;
    type IntoFuture = Opening<V>;

    /// Opens it.
    ///
    /// # Errors
    /// [`OpenError`].
    fn into_future(self) -> Opening<V> {
        Box::pin(async move {
            let (saved, found) = SavedState::<V>::open(self.state.storage).await?;
            let (home, shown) = InMemoryHome::saved_in(saved, found.view, found.up_to);
            let running = self.manager.run::<V>(home, found.unused)?;
            Ok(InMemoryView::new(running, shown))
        })
    }
}
