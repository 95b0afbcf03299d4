//! The blocks of an engine that has no way under its readers: as it gives them, and on behind what it refuses.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};

use crate::block::{Position, ShortCid};
use crate::store::raw::{RawBlock, RawEvents, RawItem, RawPage, RawPages};
use crate::store::{Bookmark, Damage, EventStore, EventStream, Location, Selection, StoreError};

/// How many events a page has at most.
const PAGE: usize = 256;
/// The bytes of events past which a page has no further one.
const PAGE_BYTES: usize = 1024 * 1024;

/// What is said of a CID that this library does not make.
const NO_CID: &str = "the CID of the event is none that this library makes";

/// What the reader of a store gives.
pub(super) struct ReadEvents {
    store: Arc<dyn EventStore>,
}

impl ReadEvents {
    pub(super) fn of(store: Arc<dyn EventStore>) -> Self {
        Self { store }
    }
}

#[async_trait]
impl RawEvents for ReadEvents {
    fn location(&self) -> Location {
        "the store".into()
    }

    async fn end(&self) -> Result<Position, StoreError> {
        self.store.last_position().await
    }

    fn pages(self: Arc<Self>, after: Position, until: Position) -> RawPages {
        let reading = Reading {
            store: Arc::clone(&self.store),
            events: None,
            after,
            until,
        };
        Box::pin(stream::try_unfold(reading, |mut reading| async move {
            let page = reading.page().await?;
            Ok(page.map(|page| (page, reading)))
        }))
    }
}

struct Reading {
    store: Arc<dyn EventStore>,
    events: Option<EventStream>,
    after: Position,
    until: Position,
}

impl Reading {
    async fn page(&mut self) -> Result<Option<RawPage>, StoreError> {
        let (mut items, mut bytes) = (Vec::new(), 0);
        while self.after < self.until && items.len() < PAGE && bytes < PAGE_BYTES {
            let events = self.events.get_or_insert_with(|| {
                let after = Bookmark::from(self.after);
                self.store.read(Selection::everything(), after)
            });
            match events.next().await {
                Some(Ok(event)) if event.position > self.until => self.after = self.until,
                Some(Ok(event)) => {
                    self.after = event.position;
                    bytes += event.body().len();
                    items.push(RawItem::Block(RawBlock {
                        position: event.position,
                        cid: ShortCid::of(&event.cid).ok_or_else(|| NO_CID.to_owned()),
                        body: event.body().clone(),
                        removed: 0,
                        links: None,
                    }));
                }
                None => self.after = self.until,
                Some(Err(StoreError::Damaged(damage))) => {
                    self.events = None;
                    items.push(self.pass_over(*damage));
                }
                Some(Err(error)) => return Err(error),
            }
        }
        Ok((!items.is_empty()).then(|| RawPage {
            items,
            reached: self.after,
            removed: 0,
            lists_have_kinds: false,
            beside: Box::new(|_, _, _| None),
            sound: None,
        }))
    }

    /// Goes on behind what the reader refuses; where it does not say where that is, nothing more can
    /// be read.
    fn pass_over(&mut self, damage: Damage) -> RawItem {
        let behind = damage.position().filter(|position| *position > self.after);
        self.after = behind.unwrap_or(self.until);
        RawItem::Unreadable {
            damage: Box::new(damage),
            until: self.after,
        }
    }
}
