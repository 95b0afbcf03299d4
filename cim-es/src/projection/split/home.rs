//! One part of a view, kept as any other view of documents, as long as it is this program's.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::StreamExt;
use uuid::Uuid;

use super::members::Assigned;
use crate::document::PartNames;
use crate::projection::commits::Batch;
use crate::projection::home::{Before, Fault, Holding, Home, More};
use crate::projection::settled::Settled;
use crate::projection::stored::{StoredHome, Work, fault};
use crate::projection::{Parked, Skipped, ViewId, forms};
use crate::store::read_model::{
    Hold, ReadModelError, ReadModelStorage, ReadModelStorageExt, ViewChanges,
};
use crate::store::{Bookmark, EventStore, Position, Selection};

/// For how long the view that says which version is asked is held to write it.
const WRITING: Duration = Duration::from_secs(5);

/// What all parts of a view that this program may keep have in common.
pub(super) struct Whole {
    pub(super) storage: Arc<dyn ReadModelStorage>,
    pub(super) names: PartNames,
    pub(super) name: &'static str,
    pub(super) keeps_former: bool,
    /// The events, to tell of which history former versions are.
    store: Arc<dyn EventStore>,
    /// How far those before it were when all parts of this version were level: there it takes over. They may go on
    /// meanwhile, and are not waited for without end.
    target: OnceLock<Position>,
    /// Whether readers are shown this version, and those before it are gone.
    is_shown: AtomicBool,
}

impl Whole {
    pub(super) fn new(
        store: Arc<dyn EventStore>,
        storage: Arc<dyn ReadModelStorage>,
        names: PartNames,
        name: &'static str,
        keeps_former: bool,
    ) -> Self {
        Self {
            storage,
            names,
            name,
            keeps_former,
            store,
            target: OnceLock::new(),
            is_shown: AtomicBool::new(false),
        }
    }

    fn is_shown(&self) -> bool {
        self.is_shown.load(Ordering::Relaxed)
    }

    /// Whether all parts were level, and former versions were further than one of them.
    fn waits_for_former(&self) -> bool {
        !self.is_shown() && self.target.get().is_some()
    }

    /// Has readers be shown this version, once all its parts are level and as far as former versions were then.
    async fn show(&self) -> Result<(), ReadModelError> {
        if self.is_shown() {
            return Ok(());
        }
        let (whole, id) = (self.names.whole()?, self.id()?);
        let Some(target) = self.target(&id).await? else {
            return Ok(());
        };
        let reached = self.reached().await?;
        if reached.is_none_or(|reached| reached < target) {
            return Ok(());
        }
        let versions = self.storage.views(whole.name()).await?;
        let serving = versions.iter().find(|record| record.is_serving);
        if serving.is_some_and(|record| record.view.version() > whole.version()) {
            return Ok(());
        }
        let as_whole = self.storage.serving(self.name).await?;
        if as_whole.is_some_and(|record| record.view.version() > whole.version()) {
            return Ok(());
        }
        if serving.is_none_or(|record| record.view != whole) {
            if !self.say_parts().await? {
                return Ok(());
            }
            self.storage.serve(&whole).await?;
            tracing::info!(view = %id, "the view answers from now on");
        }
        if !self.keeps_former {
            forms::remove_parts_before(&*self.storage, &id).await?;
            forms::remove_wholes_before(&*self.storage, &id).await?;
        }
        self.is_shown.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Up to where all parts have counted; none where one is not level yet.
    async fn reached(&self) -> Result<Option<Position>, ReadModelError> {
        let mut reached = None;
        for part in 0..self.names.parts() {
            let part = self.names.part(part)?;
            let Some(level) = self.storage.serving(part.name()).await? else {
                return Ok(None);
            };
            let up_to = level.up_to.position;
            reached = Some(reached.map_or(up_to, |reached: Position| reached.min(up_to)));
        }
        Ok(reached)
    }

    /// Up to where all parts have to count; none before all are level.
    async fn target(&self, id: &ViewId) -> Result<Option<Position>, ReadModelError> {
        if let Some(target) = self.target.get() {
            return Ok(Some(*target));
        }
        if self.reached().await?.is_none() {
            return Ok(None);
        }
        let target = forms::answered_up_to(&*self.storage, &*self.store, id).await?;
        Ok(Some(*self.target.get_or_init(|| target)))
    }

    fn id(&self) -> Result<ViewId, ReadModelError> {
        let version = self.names.whole()?.version();
        ViewId::new(self.name, version)
    }

    /// What was done of what is done once by former versions that answer.
    pub(super) async fn done(&self) -> Result<Settled, ReadModelError> {
        let id = self.id()?;
        let is_former = |serving: &ViewId| serving.version() < id.version();
        let as_whole = self.storage.serving(self.name).await?;
        let as_whole = as_whole.filter(|record| is_former(&record.view));
        let as_whole = as_whole.map(|record| record.up_to.position);
        let in_parts = forms::serving_in_parts(&*self.storage, self.name).await?;
        let parts = match in_parts.filter(is_former) {
            Some(former) => forms::parts(&*self.storage, &former).await?,
            None => Vec::new(),
        };
        Ok(Settled::in_parts(parts).and_up_to(as_whole.unwrap_or_default()))
    }

    /// Writes how many parts there are, where readers look it up; not while another program does so.
    async fn say_parts(&self) -> Result<bool, ReadModelError> {
        let (whole, me) = (self.names.whole()?, Uuid::now_v7());
        if !matches!(
            self.storage.hold(&whole, me, WRITING).await?,
            Hold::Held { .. }
        ) {
            return Ok(false);
        }
        let said = ViewChanges::new(me, Bookmark::START, Bookmark::START);
        let said = said.with_documents(vec![self.names.said()]);
        let written = self.storage.commit(&whole, said).await;
        self.storage.release(&whole, me).await?;
        written.map(|()| true)
    }
}

/// Keeps one part.
pub(super) struct PartHome<W> {
    pub(super) stored: StoredHome<W>,
    pub(super) whole: Arc<Whole>,
    pub(super) assigned: Arc<Assigned>,
    pub(super) part: u8,
    pub(super) store: Arc<dyn EventStore>,
    pub(super) selection: Selection,
    pub(super) lease: Duration,
}

impl<W: Work> PartHome<W> {
    /// Where nothing of the part came for a while: it is true up to the end of the store, and says so.
    async fn move_on(&mut self) -> Result<(), Fault> {
        // A store that does not answer says so when it is read.
        let Ok(end) = self.store.last_position().await else {
            return Ok(());
        };
        let counted = self.stored.up_to();
        if end <= counted.position {
            return Ok(());
        }
        let mut behind = self.store.read(self.selection.clone(), counted);
        if behind.next().await.is_some() {
            return Ok(());
        }
        let before = Position(end.0.saturating_sub(1));
        let mut last = self.store.read(Selection::everything(), before.into());
        match last.next().await {
            Some(Ok(event)) if event.position == end => self.stored.move_to(event.bookmark()).await,
            _ => Ok(()),
        }
    }
}

impl<W: Work> Home for PartHome<W> {
    fn shown(&self) -> Bookmark {
        self.stored.shown()
    }

    fn up_to(&self) -> Bookmark {
        self.stored.up_to()
    }

    fn skipped(&self) -> &[Skipped] {
        self.stored.skipped()
    }

    fn remark(&self) -> Option<String> {
        self.stored.remark()
    }

    async fn hold(&mut self) -> Result<Holding, Fault> {
        if !self.assigned.has(self.part) {
            self.stored.stand_by().await?;
            return Ok(Holding::Another {
                pause: self.lease / 3,
            });
        }
        let holding = self.stored.hold().await?;
        if holding == Holding::Mine {
            self.move_on().await?;
            self.whole.show().await.map_err(fault)?;
        }
        Ok(holding)
    }

    fn hold_again_in(&self) -> Option<Duration> {
        self.stored.hold_again_in()
    }

    fn wants_level(&self) -> bool {
        self.stored.wants_level()
    }

    async fn take(&mut self, batch: &Batch, more: More) -> Result<(), Fault> {
        if !self.whole.is_shown() {
            let done = self.whole.done().await.map_err(fault)?;
            self.stored.is_done_elsewhere(done);
        }
        self.stored.take(batch, more).await?;
        match self.whole.waits_for_former() {
            true => self.whole.show().await.map_err(fault),
            false => Ok(()),
        }
    }

    fn is_storing(&self) -> bool {
        self.stored.is_storing()
    }

    async fn stored(&mut self) -> Result<(), Fault> {
        self.stored.stored().await
    }

    async fn level(&mut self, through: Position) -> Result<(), Fault> {
        self.stored.level(through).await?;
        if !self.whole.is_shown() {
            self.move_on().await?;
        }
        self.whole.show().await.map_err(fault)
    }

    async fn rebuild(&mut self, before: Before) -> Result<(), Fault> {
        self.stored.rebuild(before).await
    }

    async fn park(&mut self, parked: &Parked) -> Result<(), Fault> {
        self.stored.park(parked).await
    }

    async fn skip(&mut self, skipped: &Skipped) -> Result<(), Fault> {
        self.stored.skip(skipped).await
    }

    async fn close(&mut self) {
        self.stored.close().await;
    }
}
