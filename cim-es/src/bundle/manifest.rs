//! The manifest: what a bundle holds, and what it goes on from.

use std::fmt;

use super::BundleFault;
use crate::block::reader::{NULL, Reader, Refusal, major, refuse};
use crate::block::{ChainHead, Cid, HashCode, parse_cid, writer};
use crate::domain::aggregate::IdText;
use crate::domain::message::Timestamp;
use crate::domain::subject::pattern::is_subject;
use crate::store::AggregateKey;

/// The format of bundle that this program writes and reads.
const FORMAT: u64 = 1;
/// What a manifest says that it is.
const KIND: &str = "cim-es/bundle";
/// The fields that every manifest has.
const REQUIRED: u64 = 9;
/// The dag-cbor value `true`.
const TRUE: u8 = 0xf5;

/// What a bundle holds, and what it goes on from: its first block and its root.
///
/// It is the dag-cbor map
///
/// ```text
/// { v: 1, kind: "cim-es/bundle", aggregates: [{ kind, id, from, previous, to, head, count }],
///   prerequisites: [link], blocks, bytes, order, whole?, checkpoint?, source, created }
/// ```
///
/// Its CID names the whole: each head is the CID of the last event of its aggregate, from which the chain leads to all
/// the others, and `order` fixes how those of different aggregates follow each other. What `source` and `created` say
/// cannot be seen from the blocks, and whether the events are those that `checkpoint` covers only of a bundle that is
/// [`whole`](Self::whole).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// What it holds of each aggregate, in the order of kinds and ids.
    pub aggregates: Vec<AggregateRange>,
    /// The number of blocks behind the manifest: two for each event.
    pub blocks: u64,
    /// The bytes of these blocks, without their CIDs and lengths.
    pub bytes: u64,
    /// The order of the events: the SHA-256 over their CIDs, each in its 36 bytes.
    pub order: [u8; 32],
    /// Whether it holds the store that it was made from as it was: every event from the first on, in the store's order. The
    /// map has the field, `true`, exactly then.
    pub whole: bool,
    /// A signed checkpoint of the store that it was made from, as its text.
    ///
    /// Of a bundle that is whole, an import with the feature `proof` refuses one that is not over its first events. Where the
    /// bundle has a part alone (some aggregates, or what is new since a checkpoint or a bundle), it does not have all that
    /// the checkpoint covers: the two cannot be compared, and the store that has the rest is audited.
    pub checkpoint: Option<String>,
    /// Where it comes from, for people.
    pub source: String,
    /// When it was made.
    pub created: Timestamp,
}

/// The events of one aggregate that a bundle holds: all from one version to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AggregateRange {
    /// The aggregate.
    pub aggregate: AggregateKey,
    /// The version of the first event.
    pub from: u64,
    /// What the first event goes on from: a prerequisite. None exactly where it is the first of all.
    pub previous: Option<Cid>,
    /// The version of the last event.
    pub to: u64,
    /// The last event.
    pub head: Cid,
}

impl AggregateRange {
    /// By what a manifest sorts them.
    pub(super) fn name(&self) -> (&str, &str) {
        (self.aggregate.kind(), self.aggregate.id().as_str())
    }

    /// The number of events.
    pub fn count(&self) -> u64 {
        self.to - self.from + 1
    }

    /// What the importing store must have; none where the bundle holds the aggregate from its first event.
    pub fn prerequisite(&self) -> Option<Prerequisite> {
        self.previous.map(|cid| Prerequisite {
            aggregate: self.aggregate.clone(),
            version: self.from - 1,
            cid,
        })
    }
}

/// An event that the importing store must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prerequisite {
    /// The aggregate.
    pub aggregate: AggregateKey,
    /// The version of the event.
    pub version: u64,
    /// The event.
    pub cid: Cid,
}

impl fmt::Display for Prerequisite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            aggregate,
            version,
            cid,
        } = self;
        write!(f, "{aggregate} at version {version}, event {cid}")
    }
}

impl Manifest {
    /// The number of events.
    pub fn events(&self) -> u64 {
        self.blocks / 2
    }

    /// What the importing store must have, by name.
    pub fn prerequisites(&self) -> Vec<Prerequisite> {
        let ranges = self.aggregates.iter();
        ranges.filter_map(AggregateRange::prerequisite).collect()
    }

    /// The last event of each aggregate: what a later bundle goes on from.
    pub fn heads(&self) -> impl Iterator<Item = (&AggregateKey, ChainHead)> {
        self.aggregates.iter().map(|range| {
            let head = ChainHead {
                sequence: range.to,
                cid: range.head,
            };
            (&range.aggregate, head)
        })
    }

    /// Its CID, by which the bundle is named.
    pub fn cid(&self) -> Cid {
        HashCode::Sha2_256.cid(&self.encode())
    }

    /// The block.
    pub fn encode(&self) -> Vec<u8> {
        let mut block = Vec::with_capacity(256 + 192 * self.aggregates.len());
        let out = &mut block;
        writer::head(
            out,
            major::MAP,
            REQUIRED + u64::from(self.whole) + u64::from(self.checkpoint.is_some()),
        );
        writer::key(out, "v");
        writer::head(out, major::UNSIGNED, FORMAT);
        writer::key(out, "kind");
        writer::text(out, KIND);
        writer::key(out, "bytes");
        writer::head(out, major::UNSIGNED, self.bytes);
        writer::key(out, "order");
        writer::bytes(out, &self.order);
        if self.whole {
            writer::key(out, "whole");
            out.push(TRUE);
        }
        writer::key(out, "blocks");
        writer::head(out, major::UNSIGNED, self.blocks);
        writer::key(out, "source");
        writer::text(out, &self.source);
        writer::key(out, "created");
        writer::integer(out, self.created.as_micros());
        writer::key(out, "aggregates");
        writer::head(out, major::ARRAY, self.aggregates.len() as u64);
        for range in &self.aggregates {
            range.write(out);
        }
        if let Some(checkpoint) = &self.checkpoint {
            writer::key(out, "checkpoint");
            writer::text(out, checkpoint);
        }
        writer::key(out, "prerequisites");
        let links = self.links();
        writer::head(out, major::ARRAY, links.len() as u64);
        for link in &links {
            writer::link(out, link);
        }
        block
    }

    /// The prerequisites as they stand in the block: by their bytes, each once.
    fn links(&self) -> Vec<Cid> {
        let mut links: Vec<Cid> = self
            .aggregates
            .iter()
            .filter_map(|it| it.previous)
            .collect();
        links.sort_by_key(Cid::to_bytes);
        links.dedup();
        links
    }

    /// The manifest that a block holds.
    pub(super) fn decode(block: &[u8]) -> Result<Self, BundleFault> {
        let mut reader = Reader::new(block);
        let manifest = read(&mut reader).map_err(|refused| match refused {
            Refused::Fault(fault) => *fault,
            Refused::Block(refusal) => malformed(refusal.to_string()),
        })?;
        if !reader.rest().is_empty() {
            return Err(malformed("bytes follow its map"));
        }
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), BundleFault> {
        if self.aggregates.is_empty() {
            return Err(BundleFault::Empty);
        }
        let mut events: u64 = 0;
        for range in &self.aggregates {
            let sum = events.checked_add(range.count());
            events = sum.ok_or_else(|| malformed("it counts more events than there can be"))?;
        }
        if events.checked_mul(2) != Some(self.blocks) {
            return Err(malformed(format!(
                "`blocks` is {}, its aggregates have {events} events of two blocks each",
                self.blocks
            )));
        }
        Ok(())
    }
}

impl AggregateRange {
    fn write(&self, out: &mut Vec<u8>) {
        writer::head(out, major::MAP, 7);
        writer::key(out, "id");
        writer::text(out, self.aggregate.id().as_str());
        writer::key(out, "to");
        writer::head(out, major::UNSIGNED, self.to);
        writer::key(out, "from");
        writer::head(out, major::UNSIGNED, self.from);
        writer::key(out, "head");
        writer::link(out, &self.head);
        writer::key(out, "kind");
        writer::text(out, self.aggregate.kind());
        writer::key(out, "count");
        writer::head(out, major::UNSIGNED, self.count());
        writer::key(out, "previous");
        match &self.previous {
            Some(previous) => writer::link(out, previous),
            None => out.push(NULL),
        }
    }
}

/// Why a block is no manifest.
enum Refused {
    Block(Refusal),
    Fault(Box<BundleFault>),
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::Block(refusal)
    }
}

fn malformed(reason: impl Into<String>) -> BundleFault {
    BundleFault::Manifest {
        reason: reason.into(),
    }
}

fn read(reader: &mut Reader<'_>) -> Result<Manifest, Refused> {
    let start = reader.at();
    let not_one = |reason: &str| {
        Refused::Fault(Box::new(BundleFault::NotABundle {
            reason: reason.into(),
        }))
    };
    let Ok(fields) = reader.expect(major::MAP, "no map") else {
        return Err(not_one("its root is not a manifest"));
    };
    if reader.text().ok() != Some("v") {
        return Err(not_one("its root is not a manifest"));
    }
    let version = unsigned(reader)?;
    if version != FORMAT {
        return Err(Refused::Fault(Box::new(BundleFault::Newer { version })));
    }
    named(reader, "kind")?;
    if reader.text()? != KIND {
        return Err(not_one("its root does not say that it is one"));
    }
    let bytes = number(reader, "bytes")?;
    named(reader, "order")?;
    let order = digest(reader)?;
    let mut wanted = REQUIRED;
    let before = reader.at();
    let mut key = reader.text()?;
    let whole = key == "whole";
    if whole {
        wanted += 1;
        if reader.peek()? != TRUE {
            return Err(refuse(reader.at(), "`whole` is true, or is not there").into());
        }
        reader.skip();
        key = reader.text()?;
    }
    if key != "blocks" {
        return Err(refuse(before, "its next field must be `blocks`").into());
    }
    let blocks = unsigned(reader)?;
    named(reader, "source")?;
    let source = reader.text()?.to_owned();
    named(reader, "created")?;
    let created = timestamp(reader)?;
    named(reader, "aggregates")?;
    let aggregates = aggregates(reader)?;
    let before = reader.at();
    let mut key = reader.text()?;
    let mut checkpoint = None;
    if key == "checkpoint" {
        wanted += 1;
        checkpoint = Some(reader.text()?.to_owned());
        key = reader.text()?;
    }
    if key != "prerequisites" {
        return Err(refuse(before, "its next field must be `prerequisites`").into());
    }
    let manifest = Manifest {
        aggregates,
        blocks,
        bytes,
        order,
        whole,
        checkpoint,
        source,
        created,
    };
    let links = manifest.links();
    prerequisites(reader, &links)?;
    if whole && !links.is_empty() {
        return Err(refuse(start, "it is `whole`, and goes on from other events").into());
    }
    if fields != wanted {
        return Err(refuse(start, "it does not have exactly the fields of its format").into());
    }
    Ok(manifest)
}

fn aggregates(reader: &mut Reader<'_>) -> Result<Vec<AggregateRange>, Refusal> {
    let count = reader.expect(major::ARRAY, "not a list where one is needed")?;
    let mut ranges: Vec<AggregateRange> = Vec::new();
    for index in 0..count {
        let start = reader.at();
        let under = |refusal: Refusal| refusal.at_index(index).under("aggregates");
        let next = range(reader).map_err(under)?;
        if ranges.last().is_some_and(|last| last.name() >= next.name()) {
            return Err(under(refuse(start, "it is not sorted, or stands twice")));
        }
        ranges.push(next);
    }
    Ok(ranges)
}

fn range(reader: &mut Reader<'_>) -> Result<AggregateRange, Refusal> {
    let start = reader.at();
    if reader.expect(major::MAP, "not a map where one is needed")? != 7 {
        return Err(refuse(start, "it does not have seven fields"));
    }
    named(reader, "id")?;
    let at = reader.at();
    let id = IdText::new(reader.text()?).map_err(|error| refuse(at, error.to_string()))?;
    let to = number(reader, "to")?;
    let from = number(reader, "from")?;
    named(reader, "head")?;
    let head = link(reader)?;
    named(reader, "kind")?;
    let at = reader.at();
    let kind = reader.text()?;
    if !is_subject(kind) {
        return Err(refuse(at, "not a kind of aggregates"));
    }
    let count = number(reader, "count")?;
    named(reader, "previous")?;
    let previous = match reader.peek()? {
        NULL => {
            reader.skip();
            None
        }
        _ => Some(link(reader)?),
    };
    if from == 0 || to < from {
        return Err(refuse(
            start,
            format!("there are no versions {from} to {to}"),
        ));
    }
    if count != to - from + 1 {
        let reason = format!("`count` is {count}, versions {from} to {to} are another number");
        return Err(refuse(start, reason));
    }
    if (from == 1) != previous.is_none() {
        return Err(refuse(
            start,
            "`previous` is null exactly where `from` is 1",
        ));
    }
    Ok(AggregateRange {
        aggregate: AggregateKey::new(kind.to_owned(), id),
        from,
        previous,
        to,
        head,
    })
}

fn prerequisites(reader: &mut Reader<'_>, expected: &[Cid]) -> Result<(), Refusal> {
    let start = reader.at();
    let count = reader.expect(major::ARRAY, "not a list where one is needed")?;
    let wrong = || {
        refuse(
            start,
            "`prerequisites` are not the `previous` of its aggregates",
        )
    };
    if count != expected.len() as u64 {
        return Err(wrong());
    }
    for cid in expected {
        if link(reader)? != *cid {
            return Err(wrong());
        }
    }
    Ok(())
}

fn named(reader: &mut Reader<'_>, name: &'static str) -> Result<(), Refusal> {
    let at = reader.at();
    match reader.text()? {
        key if key == name => Ok(()),
        _ => Err(refuse(at, format!("its next field must be `{name}`"))),
    }
}

fn number(reader: &mut Reader<'_>, name: &'static str) -> Result<u64, Refusal> {
    named(reader, name)?;
    unsigned(reader)
}

fn unsigned(reader: &mut Reader<'_>) -> Result<u64, Refusal> {
    reader.expect(major::UNSIGNED, "not a natural number where one is needed")
}

fn digest(reader: &mut Reader<'_>) -> Result<[u8; 32], Refusal> {
    let at = reader.at();
    let length = reader.expect(major::BYTES, "not a byte string where one is needed")?;
    let bytes = reader.take(length)?;
    let digest = bytes.try_into();
    digest.map_err(|_| refuse(at, "not the 32 bytes of a digest"))
}

fn timestamp(reader: &mut Reader<'_>) -> Result<Timestamp, Refusal> {
    let at = reader.at();
    let micros = match reader.head()? {
        (major::UNSIGNED, micros) => i64::try_from(micros).ok(),
        (major::NEGATIVE, complement) => i64::try_from(complement).ok().map(|micros| !micros),
        _ => None,
    };
    let micros = micros.ok_or_else(|| refuse(at, "not a count of microseconds in 64 bits"))?;
    Ok(Timestamp::from_micros(micros))
}

fn link(reader: &mut Reader<'_>) -> Result<Cid, Refusal> {
    let at = reader.at();
    parse_cid(reader.link()?).map_err(|error| refuse(at, error.to_string()))
}
