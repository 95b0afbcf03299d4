//! The parked events of one name, of a durable and of a live subscription.

use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use super::asked::{self, Asked};
use super::names;
use super::record::{self, Record};
use crate::store::Position;
use crate::store::read_model::{ReadModelError, ReadModelStorage, ViewId};
use crate::store::subscription::{KeepsParked, ParkedEvent, ParkedRequest, SubscriptionError};

/// Reads what is parked, and writes what is asked for.
pub(super) struct ParkedHere {
    storage: Arc<dyn ReadModelStorage>,
    name: String,
    durable: ViewId,
    live: ViewId,
    requests: ViewId,
}

impl ParkedHere {
    pub(super) fn new(
        storage: Arc<dyn ReadModelStorage>,
        name: &str,
    ) -> Result<Self, ReadModelError> {
        Ok(Self {
            storage,
            durable: names::view(names::DURABLE, name)?,
            live: names::view(names::LIVE, name)?,
            requests: names::view(names::REQUESTS, name)?,
            name: name.to_owned(),
        })
    }

    async fn discard_live(&self, position: Position) -> Result<(), ReadModelError> {
        let storage = Arc::clone(&self.storage);
        let live = Record::open_as(storage, names::LIVE, &self.name).await?;
        asked::write(&live, vec![record::removed(position)]).await
    }
}

#[async_trait]
impl KeepsParked for ParkedHere {
    async fn list(&self) -> Result<Vec<ParkedEvent>, SubscriptionError> {
        let durable = record::all_parked(&*self.storage, &self.durable).await?;
        let asked = asked::all(&*self.storage, &self.requests).await?;
        let durable = durable.into_values().map(|mut entry| {
            let asked = asked.get(&entry.event.position);
            let open = asked.filter(|asked| entry.answered != Some(asked.id));
            entry.event.request = open.map(|asked| asked.request);
            entry.event
        });
        let live = record::all_parked(&*self.storage, &self.live).await?;
        let live = live.into_values().map(|entry| entry.event);
        let mut events: Vec<_> = durable.chain(live).collect();
        events.sort_by_key(|event| event.position);
        Ok(events)
    }

    async fn request(
        &self,
        position: Position,
        request: ParkedRequest,
    ) -> Result<bool, SubscriptionError> {
        // Read before what is parked, so that what is forgotten was about an event that is parked no longer.
        let before = asked::all(&*self.storage, &self.requests).await?;
        let parked = record::all_parked(&*self.storage, &self.durable).await?;
        if parked.contains_key(&position) {
            let asked = Asked {
                id: Uuid::now_v7(),
                position,
                request,
            };
            let documents = asked::ask(&asked, &before, |position| parked.contains_key(position));
            let storage = Arc::clone(&self.storage);
            let requests = Record::open_as(storage, names::REQUESTS, &self.name).await?;
            asked::write(&requests, documents).await?;
            return Ok(true);
        }
        let live = record::all_parked(&*self.storage, &self.live).await?;
        if !live.contains_key(&position) {
            return Ok(false);
        }
        if request != ParkedRequest::Discard {
            let reason = format!(
                "a live subscription hands over nothing again: do by hand what is to be done about the event at position \
                 {position}, and discard it"
            );
            return Err(SubscriptionError::Setting { reason });
        }
        self.discard_live(position).await?;
        Ok(true)
    }
}
