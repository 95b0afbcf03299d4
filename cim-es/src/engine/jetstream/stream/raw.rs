//! The way under the readers of the stream, for who checks all of it and goes on behind what is
//! damaged: messages as they are, proved to be nothing.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Subject;
use async_trait::async_trait;
use futures_util::stream;
use tokio::time::sleep;

use super::scan::rest;
use super::{JetStreamEventStore, Stream};
use crate::block::ShortCid;
use crate::domain::aggregate::IdText;
use crate::engine::jetstream::api::{Filters, Leader, Raw, Reader, Step};
use crate::store::raw::{PartPage, RawBlock, RawEvents, RawItem, RawPage, RawPages};
use crate::store::{Location, Position, StoreError};

/// How many messages a page has at most.
const PAGE: usize = 1_024;
/// The bytes of messages past which a page has no further one.
const PAGE_BYTES: usize = 1024 * 1024;
/// How long a commit with which the stream ends is given to become whole.
const SETTLING: Duration = Duration::from_secs(1);

/// What is checked beside the events.
const PARTS: [&str; 2] = [OBJECTS, "snapshots"];
const OBJECTS: &str = "objects";

#[async_trait]
impl RawEvents for JetStreamEventStore {
    fn location(&self) -> Location {
        self.stream().api.location()
    }

    async fn end(&self) -> Result<Position, StoreError> {
        let state = Leader::new(&self.stream().api).state().await?;
        Ok(Position(state.last_seq))
    }

    fn drops_events(&self) -> bool {
        self.stream().options.stream.can_lose_events()
    }

    async fn settle(&self) {
        sleep(SETTLING).await;
    }

    fn parts(&self) -> &'static [&'static str] {
        &PARTS
    }

    async fn check_part(&self, part: &'static str, from: u64) -> Result<PartPage, StoreError> {
        let buckets = self.buckets();
        match part {
            OBJECTS => buckets.check_objects(from).await,
            _ => buckets.check_snapshots(from).await,
        }
    }

    async fn count(&self) -> Result<Option<(u64, Position)>, StoreError> {
        let state = Leader::new(&self.stream().api).state().await?;
        Ok(Some((state.messages, Position(state.last_seq))))
    }

    fn pages(self: Arc<Self>, after: Position, until: Position) -> RawPages {
        let reading = Reading {
            store: Arc::clone(self.stream()),
            reader: None,
            has_begun: after > Position::START,
            at: after.0,
            until: until.0,
        };
        Box::pin(stream::try_unfold(reading, |mut reading| async move {
            let page = reading.page().await?;
            Ok(page.map(|page| (page, reading)))
        }))
    }
}

struct Reading {
    store: Arc<Stream>,
    reader: Option<Reader>,
    /// Whether what is missing behind the place was not dropped with all before it.
    has_begun: bool,
    at: u64,
    until: u64,
}

impl Reading {
    async fn page(&mut self) -> Result<Option<RawPage>, StoreError> {
        if self.at >= self.until {
            if let Some(reader) = self.reader.take() {
                reader.close().await;
            }
            return Ok(None);
        }
        let reader = self.reader.get_or_insert_with(|| {
            let filters = Filters {
                subjects: Vec::new(),
                headers_only: false,
            };
            self.store.reader(filters, self.at).pushed()
        });
        let (mut items, mut subjects, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut removed = 0;
        while self.at < self.until && items.len() < PAGE && bytes < PAGE_BYTES {
            match reader.step().await? {
                Step::Message(raw) if raw.sequence > self.until => {
                    removed += self.until - self.at;
                    self.at = self.until;
                }
                Step::Message(raw) => {
                    let before = match std::mem::replace(&mut self.has_begun, true) {
                        true => raw.sequence.saturating_sub(self.at + 1),
                        false => 0,
                    };
                    self.at = raw.sequence;
                    bytes += raw.body.len();
                    subjects.push(raw.subject.clone());
                    items.push(RawItem::Block(block(raw, before)));
                }
                Step::Idle => {
                    let state = Leader::new(&self.store.api).state().await?;
                    if rest(&state, self.at, self.until).is_none() {
                        removed += self.until - self.at;
                        self.at = self.until;
                    }
                }
            }
        }
        let layout = self.store.subjects().clone();
        Ok(Some(RawPage {
            items,
            reached: Position(self.at),
            removed,
            lists_have_kinds: false,
            sound: None,
            beside: Box::new(move |index, envelope, _| {
                let subject: &Subject = subjects.get(index)?;
                let id = IdText::trusted(envelope.aggregate_id);
                let event_type = envelope.event_type;
                let is_stored = layout.is_stored(subject, &id, event_type);
                (!is_stored).then(|| {
                    let expected = layout.stored(&id, event_type);
                    format!("it stands on `{subject}`, its envelope belongs on `{expected}`")
                })
            }),
        }))
    }
}

fn block(raw: Raw, removed: u64) -> RawBlock {
    let Raw {
        sequence,
        subject,
        cid,
        body,
    } = raw;
    RawBlock {
        position: Position(sequence),
        cid: cid
            .and_then(|cid| ShortCid::of(&cid))
            .ok_or_else(|| format!("the message on `{subject}` has no event CID in its header")),
        body,
        removed,
        links: None,
    }
}
