//! Keeps a view in a storage of read models: who counts, how far it is, which version answers. What is made of events there,
//! documents or tables, is the business of a [`Work`].

mod open;

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

pub(super) use open::{SHORTEST_LEASE, make, settled};

use super::commits::Batch;
use super::home::{Before, Fault, Holding, Home, More};
use super::settled::Settled;
use super::{Parked, Skipped, ViewId, forms, remark};
use crate::domain::ErrorChain;
use crate::domain::message::{Clock, SystemClock};
use crate::store::read_model::{
    Hold, ReadModelError, ReadModelStorage, ReadModelStorageExt, ViewChanges, ViewDeclaration,
    ViewRecord,
};
use crate::store::{Bookmark, EventStore, Position};

/// What a view makes of events in its storage.
pub(super) trait Work: Send + Sync + 'static {
    /// Where the view is kept.
    fn storage(&self) -> &dyn ReadModelStorage;

    /// Makes the view, or gives what is known of the one that is there.
    fn make(
        &self,
        declaration: &ViewDeclaration,
    ) -> impl Future<Output = Result<ViewRecord, ReadModelError>> + Send;

    /// Counts some commits of a batch: all of them, or those before the first that cannot be counted. Where more are to
    /// come, the last of them may be on their way to the storage when this is over.
    fn count(
        &mut self,
        place: Place,
        batch: &Batch,
        commits: Range<usize>,
        more: More,
    ) -> impl Future<Output = Counted> + Send;

    /// Up to where commits are on their way to the storage; none where none are.
    fn on_its_way(&self) -> Option<Bookmark> {
        None
    }

    /// Waits until what is on its way is stored, and gives up to where that is. Whoever stops waiting loses nothing.
    fn stored(&mut self) -> impl Future<Output = Result<Option<Bookmark>, Fault>> + Send {
        std::future::ready(Ok(None))
    }

    /// From now on it makes another build of the view.
    ///
    /// # Errors
    /// What is wrong with its declaration, which was right before.
    fn turn_to(&mut self, view: &ViewId) -> Result<(), ReadModelError>;

    /// Forgets what is known of the storage: it is to be looked up again.
    fn forget(&mut self);
}

/// Where a view stands that is to count.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Who counts.
    pub holder: Uuid,
    /// The last event that is counted, and stored.
    pub after: Bookmark,
    /// What others have done of what is done once.
    pub settled: Settled,
}

/// What became of commits that were to be counted.
pub(super) struct Counted {
    /// The last event that is counted, and stored.
    pub up_to: Bookmark,
    pub outcome: Result<(), Fault>,
}

#[derive(Clone, Copy)]
pub(super) struct Options {
    /// For how long others wait where nothing more is heard of this program.
    pub lease: Duration,
    /// Whether versions from which this one took over stay.
    pub keeps_former: bool,
    /// Whether a view that somebody changed is built again.
    pub rebuilds_changed: bool,
    /// Whether former versions may be kept in parts, and are taken over from all the same.
    pub succeeds_parts: bool,
}

/// Counts the events of a view in a storage.
pub(super) struct StoredHome<W> {
    work: W,
    declaration: ViewDeclaration,
    options: Options,
    me: Uuid,
    record: ViewRecord,
    /// Whether this program counts, and knows the record as it is.
    is_mine: bool,
    /// Whether other versions that this one took over from are gone.
    is_alone: bool,
    /// The version that serves until this one is level.
    former: Option<ViewId>,
    /// The version that serves though it is a later one.
    later: Option<ViewId>,
    /// Commits up to there are stored each for itself: one of them does not fit the storage.
    one_by_one: Option<Position>,
    /// What was done of what is done once by versions under other names.
    done_elsewhere: Settled,
    /// The events, to tell of which history former versions are.
    store: Arc<dyn EventStore>,
}

impl<W: Work> StoredHome<W> {
    fn view(&self) -> &ViewId {
        &self.declaration.view
    }

    fn storage(&self) -> &dyn ReadModelStorage {
        self.work.storage()
    }

    /// What is known of the view in the storage.
    async fn look(&mut self) -> Result<(), Fault> {
        let record = self.storage().view(self.view()).await;
        self.record = record.map_err(fault)?.ok_or_else(superseded)?;
        Ok(())
    }

    /// Goes on with another build of this version, of which nothing is known yet.
    fn turn_to(&mut self, view: ViewId) -> Result<(), Fault> {
        self.work.turn_to(&view).map_err(fault)?;
        self.declaration.view = view;
        (self.is_mine, self.is_alone) = (false, false);
        self.work.forget();
        Ok(())
    }

    /// Turns to the build that took the place of this one, where another program built the view again.
    async fn follow(&mut self) -> Result<(), Fault> {
        let views = self.storage().views(self.view().name()).await;
        let newest = ViewRecord::newest_build(&views.map_err(fault)?, self.view());
        match newest.filter(|newest| newest != self.view()) {
            Some(newest) => self.turn_to(newest),
            None => Err(superseded()),
        }
    }

    /// Leaves counting to another program, and looks how far it is.
    pub(super) async fn stand_by(&mut self) -> Result<(), Fault> {
        if std::mem::take(&mut self.is_mine) {
            self.close().await;
            self.work.forget();
        }
        let record = self.storage().view(self.view()).await.map_err(fault)?;
        match record {
            Some(record) => self.record = record,
            None => {
                self.follow().await?;
                self.look().await?;
            }
        }
        Ok(())
    }

    /// Notes that everything that is selected up to an event of the store is counted.
    pub(super) async fn move_to(&mut self, event: Bookmark) -> Result<(), Fault> {
        self.note_at(event, |changes| changes).await?;
        self.record.up_to = event;
        Ok(())
    }

    /// Asks the storage to be the one that counts.
    async fn ask_to_hold(&self) -> Result<Hold, ReadModelError> {
        let (me, lease) = (self.me, self.options.lease);
        self.storage().hold(self.view(), me, lease).await
    }

    /// What others have done of what is done once: an earlier build, or the version that still serves.
    async fn settled(&self) -> Result<Settled, Fault> {
        let done = self.done_elsewhere.clone().and_up_to(self.record.settled);
        if self.record.is_serving {
            return Ok(done);
        }
        let serving = self.storage().serving(self.view().name()).await;
        let former = serving.map_err(fault)?;
        let former = former.map_or(Position::START, |record| record.up_to.position);
        let parts = self.former_parts().await.map_err(fault)?;
        match parts.is_empty() {
            true => Ok(done.and_up_to(former)),
            false => Ok(Settled::in_parts(parts).and_up_to(former.max(done.least()))),
        }
    }

    /// How far the parts are of a former version that answers.
    async fn former_parts(&self) -> Result<Vec<Position>, ReadModelError> {
        if !self.options.succeeds_parts {
            return Ok(Vec::new());
        }
        let serving = forms::serving_in_parts(self.storage(), self.view().name()).await?;
        match serving.filter(|serving| serving.version() < self.view().version()) {
            Some(former) => forms::parts(self.storage(), &former).await,
            None => Ok(Vec::new()),
        }
    }

    /// Notes what was done of what is done once by versions under other names.
    pub(super) fn is_done_elsewhere(&mut self, done: Settled) {
        self.done_elsewhere = done;
    }

    /// Looks who answers until this version is level. Nobody is answered from a version that was made of another history
    /// than that of the store: it is removed.
    async fn look_at_former(&mut self) -> Result<(), Fault> {
        self.former = None;
        let serving = self.storage().serving(self.view().name()).await;
        let serving = serving.map_err(fault)?;
        let is_former =
            |record: &ViewRecord| record.view < *self.view() && record.up_to != Bookmark::START;
        let Some(former) = serving.filter(is_former) else {
            return Ok(());
        };
        if forms::is_of_another_history(&*self.store, former.up_to).await {
            tracing::warn!(
                view = %former.view, up_to = former.up_to.position.0,
                "the view was made of another history and is removed"
            );
            let removed = self.storage().remove_view(&former.view).await;
            removed.map_err(fault)?;
        } else if former.view.version() != self.view().version() {
            self.former = Some(former.view);
        }
        Ok(())
    }

    /// Takes commits together; those before the first that cannot be counted are stored.
    async fn take_together(
        &mut self,
        batch: &Batch,
        commits: Range<usize>,
        more: More,
    ) -> Result<(), Fault> {
        let place = Place {
            holder: self.me,
            after: self.record.up_to,
            settled: self.settled().await?,
        };
        let counted = self.work.count(place, batch, commits, more).await;
        self.record.up_to = counted.up_to;
        counted.outcome.map_err(|fault| self.failed(fault))
    }

    /// Takes commits each for itself, so that one that does not fit the storage stops the view before it and no other does.
    async fn take_one_by_one(&mut self, batch: &Batch) -> Result<(), Fault> {
        for at in 0..batch.len() {
            let taken = self.take_together(batch, at..at + 1, More::MayCome).await;
            taken.map_err(|fault| match batch.commit_at(at) {
                Some(commit) => fault.of_commit(&commit),
                None => fault,
            })?;
        }
        Ok(())
    }

    /// After a fault of the storage it is not known what is there.
    fn failed(&mut self, fault: Fault) -> Fault {
        if !matches!(fault, Fault::Event(_)) {
            self.lose_track();
        }
        fault
    }

    /// Has commits up to a position, of which one does not fit the storage, taken again one by one.
    fn part(&mut self, until: Position) -> Fault {
        self.one_by_one = Some(until);
        Fault::Lost
    }

    /// Where the view is has to be looked up before anything more is stored.
    fn lose_track(&mut self) {
        self.work.forget();
        self.is_mine = false;
    }

    /// Notes something about the view itself.
    async fn note(
        &mut self,
        changes: impl FnOnce(ViewChanges) -> ViewChanges,
    ) -> Result<(), Fault> {
        if !self.is_mine && self.hold().await? != Holding::Mine {
            return Err(Fault::Lost);
        }
        self.note_at(self.record.up_to, changes).await
    }

    async fn note_at(
        &mut self,
        up_to: Bookmark,
        changes: impl FnOnce(ViewChanges) -> ViewChanges,
    ) -> Result<(), Fault> {
        let changes = changes(ViewChanges::new(self.me, self.record.up_to, up_to));
        let noted = self.storage().commit(self.view(), changes).await;
        noted.map_err(|error| {
            self.lose_track();
            fault(error)
        })
    }

    /// Has this version answer in place of the one before, when it has counted as much; everything that is selected up to
    /// a position is counted.
    async fn take_over(&mut self, through: Position) -> Result<(), Fault> {
        let views = self.storage().views(self.view().name()).await;
        let views = views.map_err(fault)?;
        let serving = views.iter().find(|record| record.is_serving);
        let is_later = |view: &ViewId| view.version() > self.view().version();
        let mut later = serving.map(|record| record.view.clone()).filter(is_later);
        if later.is_none() && self.options.succeeds_parts {
            let in_parts = forms::serving_in_parts(self.storage(), self.view().name()).await;
            later = in_parts.map_err(fault)?.filter(is_later);
        }
        self.later = later;
        if self.later.is_some() {
            return Ok(());
        }
        let reached = through.max(self.record.up_to.position);
        let is_ahead =
            |record: &&ViewRecord| record.view < *self.view() && record.up_to.position > reached;
        if !self.record.is_serving {
            if serving.filter(is_ahead).is_some() {
                return Ok(());
            }
            let in_parts = self.former_parts().await.map_err(fault)?;
            if in_parts.iter().any(|part| *part > reached) {
                return Ok(());
            }
            let served = self.storage().serve(self.view()).await;
            served.map_err(fault)?;
            self.record.is_serving = true;
            tracing::info!(view = %self.view(), "the view answers from now on");
        }
        let mine = self.view();
        let is_former = |view: &&ViewId| {
            *view < mine && (view.version() == mine.version() || !self.options.keeps_former)
        };
        for former in views.iter().map(|record| &record.view).filter(is_former) {
            let removed = self.storage().remove_view(former).await;
            removed.map_err(fault)?;
        }
        if self.options.succeeds_parts && !self.options.keeps_former {
            let removed = forms::remove_parts_before(self.storage(), self.view()).await;
            removed.map_err(fault)?;
        }
        self.is_alone = true;
        Ok(())
    }
}

impl<W: Work> Home for StoredHome<W> {
    fn shown(&self) -> Bookmark {
        match self.record.is_serving {
            true => self.record.up_to,
            false => Bookmark::START,
        }
    }

    fn up_to(&self) -> Bookmark {
        self.record.up_to
    }

    fn skipped(&self) -> &[Skipped] {
        &self.record.skipped
    }

    fn remark(&self) -> Option<String> {
        if let Some(later) = &self.later {
            return Some(remark::later(later));
        }
        let former = self.former.as_ref().filter(|_| !self.record.is_serving)?;
        Some(remark::former(former))
    }

    async fn hold(&mut self) -> Result<Holding, Fault> {
        let held = match self.ask_to_hold().await {
            Err(ReadModelError::NoSuchView { .. }) => {
                self.follow().await?;
                self.ask_to_hold().await
            }
            held => held,
        };
        let held = held.map_err(|error| match error {
            ReadModelError::NoSuchView { .. } => superseded(),
            error => fault(error),
        });
        let holding = match held? {
            Hold::Held { .. } => Holding::Mine,
            Hold::HeldByAnother { until, .. } => {
                let left = until.as_micros() - SystemClock.now().as_micros();
                let pause = Duration::from_micros(u64::try_from(left).unwrap_or(0));
                Holding::Another { pause }
            }
        };
        let was_mine = std::mem::replace(&mut self.is_mine, holding == Holding::Mine);
        if holding != Holding::Mine || !was_mine {
            self.work.forget();
            self.look().await?;
            if holding == Holding::Mine && !self.record.is_serving {
                self.look_at_former().await?;
            }
        }
        Ok(holding)
    }

    fn hold_again_in(&self) -> Option<Duration> {
        Some(self.options.lease / 3)
    }

    fn wants_level(&self) -> bool {
        !self.is_alone && self.later.is_none()
    }

    async fn take(&mut self, batch: &Batch, more: More) -> Result<(), Fault> {
        let counted = self.record.up_to.position;
        if self.one_by_one.is_some_and(|until| counted < until) {
            return self.take_one_by_one(batch).await;
        }
        let is_one = batch.len() == 1 && !self.is_storing();
        match self.take_together(batch, 0..batch.len(), more).await {
            Err(Fault::Unfit(_)) if !is_one => Err(self.part(batch.up_to().position)),
            outcome if is_one => outcome.map_err(|fault| match batch.commit_at(0) {
                Some(commit) => fault.of_commit(&commit),
                None => fault,
            }),
            outcome => outcome,
        }
    }

    fn is_storing(&self) -> bool {
        self.work.on_its_way().is_some()
    }

    async fn stored(&mut self) -> Result<(), Fault> {
        let until = self.work.on_its_way();
        match self.work.stored().await {
            Ok(up_to) => {
                self.record.up_to = up_to.unwrap_or(self.record.up_to);
                Ok(())
            }
            Err(fault) => Err(match (self.failed(fault), until) {
                (Fault::Unfit(_), Some(until)) => self.part(until.position),
                (fault, _) => fault,
            }),
        }
    }

    async fn level(&mut self, through: Position) -> Result<(), Fault> {
        match self.is_alone {
            true => Ok(()),
            false => self.take_over(through).await,
        }
    }

    async fn rebuild(&mut self, before: Before) -> Result<(), Fault> {
        if self.hold().await? != Holding::Mine {
            return Err(Fault::Lost);
        }
        let skipped = std::mem::take(&mut self.record.skipped);
        let settled = self.record.settled.max(self.record.up_to.position);
        self.declaration = self.declaration.clone().settled_up_to(settled);
        if before == Before::Shown && self.record.is_serving {
            // Beside what answers; where the names of tables have no room for that, in its place.
            let beside = self.turn_to(self.view().rebuilt());
            if let Err(fault) = beside {
                tracing::warn!(view = %self.view(), %fault, "the view is not built beside its former build");
            }
        }
        let removed = self.storage().remove_view(self.view()).await;
        removed.map_err(fault)?;
        self.record = self.work.make(&self.declaration).await.map_err(fault)?;
        (self.is_mine, self.is_alone) = (false, false);
        self.work.forget();
        // Positions of another history are others.
        if before == Before::Shown && !skipped.is_empty() {
            let noted = skipped.clone();
            self.note(|changes| noted.into_iter().fold(changes, ViewChanges::skipping))
                .await?;
            self.record.skipped = skipped;
        }
        Ok(())
    }

    async fn park(&mut self, parked: &Parked) -> Result<(), Fault> {
        self.note(|changes| changes.parked(parked.clone())).await
    }

    async fn skip(&mut self, skipped: &Skipped) -> Result<(), Fault> {
        self.note(|changes| changes.skipping(skipped.clone()))
            .await?;
        self.record.skipped.push(skipped.clone());
        Ok(())
    }

    async fn close(&mut self) {
        let released = self.storage().release(self.view(), self.me).await;
        if let Err(error) = released {
            tracing::debug!(view = %self.view(), %error, "the view could not be released");
        }
    }
}

/// What a storage said.
pub(super) fn fault(error: ReadModelError) -> Fault {
    let reason = ErrorChain(&error).to_string();
    match error {
        // Whether it was built again, or is gone, shows when it is to be held.
        ReadModelError::NotHeld { .. }
        | ReadModelError::Moved { .. }
        | ReadModelError::NoSuchView { .. } => Fault::Lost,
        ReadModelError::InvalidChanges { .. } | ReadModelError::DocumentTooLarge { .. } => {
            Fault::Unfit(reason)
        }
        ReadModelError::InvalidView { .. }
        | ReadModelError::InvalidName { .. }
        | ReadModelError::InvalidTables { .. }
        | ReadModelError::DeclarationChanged { .. } => Fault::Storage {
            reason,
            is_transient: false,
        },
        // What somebody changed may be changed back, and until then the view can be told to begin again.
        _ => Fault::Storage {
            reason,
            is_transient: true,
        },
    }
}

fn superseded() -> Fault {
    Fault::Storage {
        reason: "what it kept was removed: a later version took over, or a person did so; open it again to build it anew"
            .to_owned(),
        is_transient: false,
    }
}
