//! Bringing a view that is behind up to the last event.

use super::keeping::Open;
use super::{InlineView, OpenView, Uncounted};
use crate::block::StoredEvent;
use crate::engine::sqlite::aggregates::NameDigest;
use crate::engine::sqlite::database::Database;
use crate::engine::sqlite::read_models::{changes, views};
use crate::engine::sqlite::{events, select};
use crate::store::read_model::{ReadModelError, ViewId, ViewRecord};
use crate::store::{Bookmark, Position, StoreError};

/// How many events are read at once.
const PAGE: u64 = 256;

/// How far to go.
#[derive(Clone, Copy)]
pub(super) struct Until {
    /// The last event of the file.
    pub(super) last: u64,
    /// Behind how many events to end, with the commit that is being counted.
    pub(super) events: u64,
}

/// Behind how many bytes of events to end, too.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// Counts what is missing in a view, and writes what it comes to with where the view is then.
pub(super) fn advance(
    database: &Database,
    digest: NameDigest,
    view: &mut dyn InlineView,
    open: &mut Open,
    until: Until,
) -> Result<(), ReadModelError> {
    let mut going = Going {
        settled: settled(database, open)?,
        commit: Vec::new(),
        left: until.events,
        bytes: 0,
        database,
        view,
        open,
    };
    going.open.end = Position(until.last);
    if going.count_all(digest, until)? {
        going.open.row.record.up_to = bookmark(database, until.last)?;
    }
    let documents = going.view.changes();
    changes::write(database, &mut open.row, &documents)?;
    Ok(())
}

/// Up to where what is done once was done before: by an earlier build, or by the version that still answers.
fn settled(database: &Database, open: &Open) -> Result<Position, StoreError> {
    let record = &open.row.record;
    if record.is_serving {
        return Ok(record.settled);
    }
    let serving = serving(database, &record.view)?;
    Ok(serving.map_or(record.settled, |(_, up_to)| record.settled.max(up_to)))
}

/// The version that answers, and up to where.
fn serving(database: &Database, view: &ViewId) -> Result<Option<(ViewId, Position)>, StoreError> {
    let versions = views::named(database, view.name())?;
    let serving = versions.into_iter().find(|record| record.is_serving);
    Ok(serving.map(|record| (record.view, record.up_to.position)))
}

fn bookmark(database: &Database, position: u64) -> Result<Bookmark, StoreError> {
    match position {
        0 => Ok(Bookmark::START),
        position => Ok(events::at(database, position)?.bookmark()),
    }
}

struct Going<'a> {
    database: &'a Database,
    view: &'a mut dyn InlineView,
    open: &'a mut Open,
    settled: Position,
    /// The events of a commit that may go on.
    commit: Vec<StoredEvent>,
    /// How many events may still be counted, and how many bytes were.
    left: u64,
    bytes: usize,
}

impl Going<'_> {
    /// Whether everything was counted.
    fn count_all(&mut self, digest: NameDigest, until: Until) -> Result<bool, ReadModelError> {
        let selection = self.view.selection().clone();
        let mut at = self.open.row.record.up_to.position.0;
        while at < until.last {
            let page = select::page(self.database, &selection, at, until.last, PAGE, digest)?;
            at = page.reached.max(at + 1).min(until.last);
            for event in page.events {
                let is_next = |last: &StoredEvent| event.continues(last);
                if !self.commit.last().is_none_or(is_next) && (!self.count()? || self.is_enough()) {
                    return Ok(false);
                }
                let is_last = event.envelope.commit.is_last_of_whole();
                self.commit.push(event);
                if is_last && (!self.count()? || self.is_enough()) {
                    return Ok(self.open.is_level(until.last));
                }
            }
        }
        self.count()
    }

    fn is_enough(&self) -> bool {
        self.left == 0 || self.bytes >= MOST_BYTES
    }

    /// Counts the commit that is complete. Whether it could be counted.
    fn count(&mut self) -> Result<bool, ReadModelError> {
        let commit = std::mem::take(&mut self.commit);
        let Some(last) = commit.last() else {
            return Ok(true);
        };
        let skipped = &self.open.row.record.skipped;
        let is_counted = |event: &&StoredEvent| {
            !skipped
                .iter()
                .any(|skipped| skipped.bookmark.position == event.position)
        };
        let counted: Vec<&StoredEvent> = commit.iter().filter(is_counted).collect();
        let on = OpenView {
            database: self.database,
            view: &self.open.row,
        };
        match self.view.count(&on, &counted, self.settled) {
            Ok(()) => {
                self.open.note(&counted);
                self.left = self.left.saturating_sub(commit.len() as u64);
                self.bytes += commit.iter().map(|event| event.body().len()).sum::<usize>();
                self.open.row.record.up_to = last.bookmark();
                Ok(true)
            }
            Err(Uncounted::Refused(parked)) => {
                self.open.row.record.parked = Some(*parked);
                Ok(false)
            }
            Err(Uncounted::Storage(error)) => Err(error),
        }
    }
}

/// The former version that answers until a view is level; none where it answers itself, or an earlier build of it.
pub(super) fn former(
    database: &Database,
    record: &ViewRecord,
) -> Result<Option<ViewId>, StoreError> {
    if record.is_serving {
        return Ok(None);
    }
    let serving = serving(database, &record.view)?.map(|(view, _)| view);
    Ok(serving.filter(|serving| serving.version() < record.view.version()))
}

/// What becomes of the versions of a view once one of them is level.
pub(super) enum TakenOver {
    /// It answers.
    Answers,
    /// A later version answers.
    Later(ViewId),
}

/// Has a view that is level answer in place of the version before it, which is removed unless it is to stay.
pub(super) fn take_over(
    database: &Database,
    open: &mut Open,
    keeps_former: bool,
) -> Result<TakenOver, ReadModelError> {
    let view = open.row.record.view.clone();
    let versions = views::named(database, view.name())?;
    let serving = versions.iter().find(|record| record.is_serving);
    if let Some(later) = serving.filter(|record| record.view.version() > view.version()) {
        return Ok(TakenOver::Later(later.view.clone()));
    }
    if !open.row.record.is_serving {
        views::serve(database, &view)?;
        open.row.record.is_serving = true;
        tracing::info!(%view, "the view answers from now on");
    }
    let is_former =
        |former: &&ViewId| **former < view && (former.version() == view.version() || !keeps_former);
    let versions = versions.iter().map(|record| &record.view);
    for former in versions.filter(is_former) {
        views::remove(database, former)?;
    }
    Ok(TakenOver::Answers)
}
