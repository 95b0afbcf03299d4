//! The parked events of one name, of a durable and of a live subscription.

use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use super::asked::{self, Asked};
use super::names;
use super::record::{self, Entry, Record};
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
    async fn is_known(&self) -> Result<bool, SubscriptionError> {
        for view in [&self.durable, &self.live] {
            if !self.storage.views(view.name()).await?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn list(&self) -> Result<Vec<ParkedEvent>, SubscriptionError> {
        let durable = record::all_parked(&*self.storage, &self.durable).await?;
        let asked = asked::all(&*self.storage, &self.requests).await?;
        let with_request = |mut entry: Entry| {
            let asked = asked.get(&entry.event.position);
            let open = asked.filter(|asked| entry.answered != Some(asked.id));
            entry.event.request = open.map(|asked| asked.request);
            entry.event
        };
        let live = record::all_parked(&*self.storage, &self.live).await?;
        let mut events: Vec<_> = durable
            .into_values()
            .chain(live.into_values())
            .map(with_request)
            .collect();
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
        let durable = record::all_parked(&*self.storage, &self.durable).await?;
        let live = record::all_parked(&*self.storage, &self.live).await?;
        let is_parked = |at: &Position| durable.contains_key(at) || live.contains_key(at);
        if !is_parked(&position) {
            return Ok(false);
        }
        if live.contains_key(&position) && request == ParkedRequest::Discard {
            self.discard_live(position).await?;
            if !durable.contains_key(&position) {
                return Ok(true);
            }
        }
        let asked = Asked {
            id: Uuid::now_v7(),
            position,
            request,
        };
        let documents = asked::ask(&asked, &before, is_parked);
        let storage = Arc::clone(&self.storage);
        let requests = Record::open_as(storage, names::REQUESTS, &self.name).await?;
        asked::write(&requests, documents).await?;
        Ok(true)
    }
}
