//! The way under the readers of an engine: what it has stored, as it is stored and without a judgement.

use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;
use futures_core::Stream;
use serde::{Deserialize, Serialize};

use sha2::{Digest, Sha256};

use super::{Damage, Location, Position, StoreError};
use crate::block::{EnvelopeRef, ShortCid};

/// Pages of what is stored, in order; only a failure of the engine ends them early.
pub(crate) type RawPages = Pin<Box<dyn Stream<Item = Result<RawPage, StoreError>> + Send>>;

/// What is wrong with what stands beside the block at an index of a page, given the envelope that
/// the block was proved to have, and the name in it.
pub(crate) type Beside =
    Box<dyn Fn(usize, &EnvelopeRef<'_>, &Name) -> Option<String> + Send + Sync>;

/// An aggregate by a digest of its kind and id: the first 16 bytes of the SHA-256 of the kind, a zero byte and the id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name(pub(crate) [u8; 16]);

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

impl Name {
    pub(crate) fn of(kind: &str, id: &str) -> Self {
        let digest = Sha256::new()
            .chain_update(kind)
            .chain_update([0])
            .chain_update(id)
            .finalize();
        let mut name = [0; 16];
        name.copy_from_slice(&digest[..16]);
        Self(name)
    }

    /// The first 8 bytes, as a number.
    #[cfg(feature = "sqlite")]
    pub(crate) fn first_bytes(&self) -> i64 {
        (i128::from_be_bytes(self.0) >> 64) as i64
    }
}

/// What an engine has stored, for who checks all of it and goes on behind what is damaged.
///
/// What a reader refuses is an item of its own here; an error is what keeps the engine from reading.
#[async_trait]
pub(crate) trait RawEvents: Send + Sync + 'static {
    /// The file or stream.
    fn location(&self) -> Location;

    /// The last position that anything in the store names.
    async fn end(&self) -> Result<Position, StoreError>;

    /// What stands behind a position, up to another.
    fn pages(self: Arc<Self>, after: Position, until: Position) -> RawPages;

    /// The same by ranges, where the engine reads from any position on as cheaply as from the first.
    fn ranges(&self) -> Option<Arc<dyn RawRanges>> {
        None
    }

    /// The same, where what stands beside the events need not be compared with them by who reads.
    #[cfg_attr(not(feature = "car"), allow(dead_code, reason = "exports alone ask"))]
    fn ranges_of_events(&self) -> Option<Arc<dyn RawRanges>> {
        None
    }

    /// How many events there are and the last position among them, where the engine knows both without reading; those of a
    /// commit that is not whole count as well.
    #[cfg_attr(
        not(feature = "proof"),
        allow(dead_code, reason = "checkpoints alone ask")
    )]
    async fn count(&self) -> Result<Option<(u64, Position)>, StoreError> {
        Ok(None)
    }

    /// Whether the store may have dropped the beginnings of histories because it was set up so.
    fn drops_events(&self) -> bool {
        false
    }

    /// Waits until a commit that was being stored is stored, where the engine stores its events one
    /// by one.
    async fn settle(&self) {}

    /// What is kept of the ends of histories, in pages: those behind a key. An engine that keeps
    /// none gives none.
    async fn heads(&self, _after: Option<i64>) -> Result<HeadPage, StoreError> {
        Ok(HeadPage::default())
    }

    /// What is kept of the ends of lists of events; an engine that keeps none gives none.
    async fn lists(&self) -> Result<Vec<ListRow>, StoreError> {
        Ok(Vec::new())
    }

    /// What else is stored and can be checked on its own, by name, in order.
    fn parts(&self) -> &'static [&'static str] {
        &[]
    }

    /// Checks a part from a place on: 0, then where the page before it ended.
    async fn check_part(&self, _part: &'static str, _from: u64) -> Result<PartPage, StoreError> {
        Ok(PartPage::default())
    }
}

/// What stands at some positions, in order.
pub(crate) struct RawPage {
    pub(crate) items: Vec<RawItem>,
    /// Up to which position there is nothing else.
    pub(crate) reached: Position,
    /// At how many positions behind its last item something was taken away, in a way in which the engine lets an operator.
    pub(crate) removed: u64,
    /// Whether a list of events has those of one kind of aggregates alone.
    pub(crate) lists_have_kinds: bool,
    pub(crate) beside: Beside,
    /// A page of a part beside the events in which nothing was wrong: reading has come by it.
    pub(crate) sound: Option<SoundPart>,
}

/// A page of a part that [`RawEvents::check_part`] need not look at, because nothing is wrong in it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct SoundPart {
    /// The place of the part among all.
    pub(crate) part: usize,
    /// Where the page begins.
    pub(crate) from: u64,
    /// Where the next one begins.
    pub(crate) next: u64,
    /// How many things were checked.
    pub(crate) checked: u64,
}

/// How many positions are read as one range. What an engine compares with the events at a time is a multiple of it.
pub(crate) const RANGE: u64 = 1_024;

/// What is done with a page by the thread that has read it.
pub(crate) type Take = Box<dyn FnOnce(RawPage) + Send>;

/// An engine of which several threads read, each between positions of its own.
#[async_trait]
pub(crate) trait RawRanges: Send + Sync + 'static {
    /// Reads what stands behind a position and up to another, as far as a page reaches. Gives how far that is, which is behind
    /// where it began.
    async fn read(
        &self,
        after: Position,
        until: Position,
        take: Take,
    ) -> Result<Position, StoreError>;
}

/// Reads what stands behind a position and up to another, as far as a page reaches, and has the thread that has read it make
/// something of it. Gives that, and how far the page reaches.
pub(crate) async fn read_page<T: Send + 'static>(
    ranges: &dyn RawRanges,
    after: Position,
    until: Position,
    make: impl FnOnce(RawPage) -> T + Send + 'static,
) -> Result<(Option<T>, Position), StoreError> {
    let made = Arc::new(Mutex::new(None));
    let into = Arc::clone(&made);
    let take = Box::new(move |page| {
        let made = make(page);
        *into.lock().unwrap_or_else(PoisonError::into_inner) = Some(made);
    });
    let reached = ranges.read(after, until, take).await?;
    let made = made.lock().unwrap_or_else(PoisonError::into_inner).take();
    Ok((made, reached))
}

/// What stands at a position, or at several.
pub(crate) enum RawItem {
    Block(RawBlock),
    /// Nothing that could be read, up to a position.
    Unreadable {
        damage: Box<Damage>,
        until: Position,
    },
}

/// A block that nobody has proved.
pub(crate) struct RawBlock {
    pub(crate) position: Position,
    /// The CID that stands beside it, or why that is none.
    pub(crate) cid: Result<ShortCid, String>,
    pub(crate) body: Bytes,
    /// At how many positions directly before it something was taken away.
    pub(crate) removed: u64,
    pub(crate) links: Option<RawLinks>,
}

/// Where the lists lead that an engine keeps its events in; 0 is the end of one.
#[derive(Clone, Copy)]
pub(crate) struct RawLinks {
    pub(crate) previous_of_aggregate: u64,
    /// The number of a list of events of one type.
    pub(crate) list: u64,
    pub(crate) previous_of_list: u64,
}

/// Ends of histories, as they are kept beside the events.
#[derive(Default)]
pub(crate) struct HeadPage {
    pub(crate) rows: Vec<HeadRow>,
    /// The key of the last row; none where nothing is left.
    pub(crate) last_key: Option<i64>,
    /// What keeps the rest from being read.
    pub(crate) damage: Option<Damage>,
}

/// The end of one history, as it is kept beside the events.
pub(crate) struct HeadRow {
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) version: u64,
    pub(crate) position: u64,
    pub(crate) timestamp: i64,
    pub(crate) cid: Option<Cid>,
    /// What is wrong with the row itself.
    pub(crate) wrong: Option<String>,
}

/// The end of one list of events, as it is kept beside them.
pub(crate) struct ListRow {
    pub(crate) list: u64,
    pub(crate) kind: Option<String>,
    pub(crate) event_type: String,
    pub(crate) last: u64,
    /// What is wrong with the row itself.
    pub(crate) wrong: Option<String>,
}

/// What the check of a part came to.
#[derive(Default)]
pub(crate) struct PartPage {
    pub(crate) damages: Vec<Damage>,
    /// How many things were checked.
    pub(crate) checked: u64,
    /// Where the next page begins; none where nothing is left.
    pub(crate) next: Option<u64>,
}
