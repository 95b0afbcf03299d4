//! What a live subscription parked, and having it handed over again.
//!
//! Any number of programs may have a live subscription of one name. Of those that see that an event is to be handed over
//! again, the first to write so does it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::record::{self, Entry, Record};
use super::{Kept, asked, names};
use crate::store::Position;
use crate::store::read_model::ReadModelError;
use crate::store::subscription::{ParkedEvent, ParkedRequest};

/// How often it is looked up, as long as something is parked, what persons ask for.
const LOOK: Duration = Duration::from_millis(250);

/// The parked events of the live subscriptions of one name.
pub(super) struct LiveParked {
    kept: Arc<Kept>,
    name: String,
    /// When to look again what persons ask for; none where nothing is parked.
    look_at: Option<Instant>,
}

/// A parked event that is to be handed over again.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    event: ParkedEvent,
    asked: Uuid,
}

impl Wanted {
    pub(super) fn event(&self) -> &ParkedEvent {
        &self.event
    }

    pub(super) fn position(&self) -> Position {
        self.event.position
    }
}

impl LiveParked {
    pub(super) fn new(kept: Arc<Kept>, name: &str) -> Self {
        // What a program before parked may be asked for already; where nothing is kept, nothing is made.
        let look_at = kept.is_there().then(Instant::now);
        Self {
            kept,
            name: name.to_owned(),
            look_at,
        }
    }

    /// When to [look](Self::look) again; none where that is not known to be of use.
    pub(super) fn look_at(&self) -> Option<Instant> {
        self.look_at
    }

    /// The parked events that are to be handed over again.
    pub(super) async fn look(&mut self) -> Result<Vec<Wanted>, ReadModelError> {
        self.look_at = Some(Instant::now() + LOOK);
        let storage = self.kept.open().await?;
        let live = names::view(names::LIVE, &self.name)?;
        let parked = record::all_parked(&*storage, &live).await?;
        if parked.is_empty() {
            self.look_at = None;
            return Ok(Vec::new());
        }
        let requests = names::view(names::REQUESTS, &self.name)?;
        let asked = asked::all(&*storage, &requests).await?;
        let wanted = parked.into_values().filter_map(|entry| {
            let asked = asked.get(&entry.event.position)?;
            let is_open = entry.answered != Some(asked.id);
            let is_wanted = asked.request == ParkedRequest::Resend && is_open;
            is_wanted.then_some(Wanted {
                event: entry.event,
                asked: asked.id,
            })
        });
        Ok(wanted.collect())
    }

    /// Parks an event.
    pub(super) async fn park(&mut self, event: ParkedEvent) -> Result<(), ReadModelError> {
        let live = self.record().await?;
        let entry = Entry {
            event,
            answered: None,
        };
        asked::write(&live, vec![record::parked(&entry)]).await?;
        self.look_at.get_or_insert_with(Instant::now);
        Ok(())
    }

    /// Takes it on to hand an event over; gives whether no other program was first.
    pub(super) async fn take(&self, wanted: &Wanted) -> Result<bool, ReadModelError> {
        self.change(wanted, |entry| {
            let is_open = entry.answered != Some(wanted.asked);
            is_open.then(|| Entry {
                event: entry.event.clone(),
                answered: Some(wanted.asked),
            })
        })
        .await
    }

    /// Leaves it to another program, or to the next.
    pub(super) async fn leave(&self, wanted: &Wanted) -> Result<(), ReadModelError> {
        let left = self.change(wanted, |entry| {
            Some(Entry {
                event: entry.event.clone(),
                answered: None,
            })
        });
        left.await.map(drop)
    }

    /// The event is parked no longer.
    pub(super) async fn remove(&self, wanted: &Wanted) -> Result<(), ReadModelError> {
        let live = self.record().await?;
        asked::write(&live, vec![record::removed(wanted.position())]).await
    }

    /// The event could not be handled again, unless it was discarded meanwhile.
    pub(super) async fn keep(
        &self,
        wanted: &Wanted,
        reason: String,
        attempts: u32,
    ) -> Result<(), ReadModelError> {
        let kept = self.change(wanted, |entry| {
            Some(Entry {
                event: ParkedEvent {
                    reason: reason.clone(),
                    attempts,
                    request: None,
                    ..entry.event.clone()
                },
                answered: Some(wanted.asked),
            })
        });
        kept.await.map(drop)
    }

    /// Changes the entry of an event, where it is there and is to be changed.
    async fn change(
        &self,
        wanted: &Wanted,
        change: impl Fn(&Entry) -> Option<Entry>,
    ) -> Result<bool, ReadModelError> {
        let live = self.record().await?;
        let (live, change) = (&live, &change);
        let position = wanted.position();
        asked::write_of(live, || async move {
            let parked: BTreeMap<Position, Entry> =
                record::all_parked(&*live.storage, &live.view).await?;
            let changed = parked.get(&position).and_then(change);
            Ok(changed.map(|entry| vec![record::written(&entry)]))
        })
        .await
    }

    async fn record(&self) -> Result<Record, ReadModelError> {
        Record::open_as(self.kept.open().await?, names::LIVE, &self.name).await
    }
}
