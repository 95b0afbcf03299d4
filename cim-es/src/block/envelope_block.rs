//! The envelope as a block: its one canonical form, written and read without a detour.
//!
//! The keys stand in the order of dag-cbor: by length, then by bytes. The bytes are those that `serde_ipld_dagcbor` makes
//! of the same [`Envelope`]; a test holds the two together.

use std::collections::BTreeMap;

use ::cid::Cid;
use ipld_core::ipld::Ipld;
use uuid::Uuid;

use super::canonical;
use super::cid::ShortCid;
use super::reader::{FALSE, NULL, Reader, Refusal, TRUE, major, refuse};
use super::writer::{bytes, head, integer, key, link, text};
use super::{AggregateKey, CommitPart, Envelope, FORMAT};
use crate::domain::aggregate::IdText;
use crate::domain::message::{Meta, MetaValue, Timestamp};

/// The fields that every envelope has.
const REQUIRED: u64 = 14;
/// How deep a value under `encryption` or `meta` may nest: it stands in the envelope, which stands in the body.
const ENCRYPTION_DEPTH: u32 = canonical::MAX_DEPTH - 2;

/// Writes an envelope behind what stands in `out`.
///
/// # Errors
/// What the encoder says of `encryption`, the one field that can hold any value, and of a `meta` that is too large.
pub(crate) fn write(envelope: &Envelope, out: &mut Vec<u8>) -> Result<(), String> {
    let optional = u64::from(envelope.source.is_some())
        + u64::from(!envelope.meta.is_empty())
        + u64::from(envelope.encryption.is_some());
    head(out, major::MAP, REQUIRED + optional);
    key(out, "v");
    head(out, major::UNSIGNED, u64::from(envelope.format));
    key(out, "id");
    bytes(out, envelope.id.as_bytes());
    if !envelope.meta.is_empty() {
        key(out, "meta");
        write_meta(&envelope.meta, out)?;
    }
    key(out, "type");
    text(out, &envelope.event_type);
    key(out, "commit");
    head(out, major::ARRAY, 4);
    for number in <[u32; 4]>::from(envelope.commit) {
        head(out, major::UNSIGNED, u64::from(number));
    }
    key(out, "schema");
    head(out, major::UNSIGNED, u64::from(envelope.schema));
    if let Some(source) = &envelope.source {
        key(out, "source");
        text(out, source);
    }
    key(out, "parents");
    head(out, major::ARRAY, envelope.parents.len() as u64);
    for parent in &envelope.parents {
        link(out, parent);
    }
    key(out, "payload");
    link(out, &envelope.payload);
    key(out, "previous");
    match &envelope.previous {
        Some(previous) => link(out, previous),
        None => out.push(NULL),
    }
    key(out, "sequence");
    head(out, major::UNSIGNED, envelope.sequence);
    key(out, "aggregate");
    text(out, &envelope.aggregate);
    key(out, "timestamp");
    integer(out, envelope.timestamp.as_micros());
    if let Some(encryption) = &envelope.encryption {
        key(out, "encryption");
        let encoded = serde_ipld_dagcbor::to_vec(encryption).map_err(|error| error.to_string())?;
        let mut reader = Reader::new(&encoded);
        canonical::value(&mut reader, ENCRYPTION_DEPTH).map_err(|error| error.to_string())?;
        out.extend_from_slice(&encoded);
    }
    key(out, "aggregate_id");
    text(out, &envelope.aggregate_id);
    key(out, "causation_id");
    bytes(out, envelope.causation_id.as_bytes());
    key(out, "correlation_id");
    bytes(out, envelope.correlation_id.as_bytes());
    Ok(())
}

fn write_meta(meta: &Meta, out: &mut Vec<u8>) -> Result<(), String> {
    let start = out.len();
    head(out, major::MAP, meta.len() as u64);
    let mut names: Vec<_> = meta.iter().collect();
    names.sort_by_key(|(name, _)| (name.len(), *name));
    for (name, value) in names {
        text(out, name);
        match value {
            MetaValue::Text(value) => text(out, value),
            MetaValue::Bool(true) => out.push(TRUE),
            MetaValue::Bool(false) => out.push(FALSE),
            MetaValue::Integer(value) => match (u64::try_from(*value), u64::try_from(!*value)) {
                (Ok(positive), _) => head(out, major::UNSIGNED, positive),
                (_, Ok(complement)) => head(out, major::NEGATIVE, complement),
                _ => {
                    return Err(format!(
                        "`{name}` of `meta` is {value}, which is past the 64 bits of an integer in dag-cbor: use a text for it"
                    ));
                }
            },
            MetaValue::Link(value) => link(out, value),
        }
    }
    let (length, limit) = (out.len() - start, Meta::LIMIT);
    if length > limit {
        return Err(format!(
            "`meta` has {length} bytes, the limit is {limit}: put what is longer into the event"
        ));
    }
    Ok(())
}

/// An envelope whose texts are those of the block that it was read from.
pub(crate) struct EnvelopeRef<'a> {
    pub(crate) id: Uuid,
    pub(crate) aggregate: &'a str,
    pub(crate) event_type: &'a str,
    pub(crate) schema: u32,
    pub(crate) aggregate_id: &'a str,
    pub(crate) sequence: u64,
    pub(crate) commit: CommitPart,
    pub(crate) previous: Option<ShortCid>,
    pub(crate) parents: Vec<ShortCid>,
    pub(crate) payload: ShortCid,
    pub(crate) correlation_id: Uuid,
    pub(crate) causation_id: Uuid,
    pub(crate) timestamp: Timestamp,
    pub(crate) source: Option<&'a str>,
    pub(crate) meta: Meta,
    pub(crate) encryption: Option<BTreeMap<String, Ipld>>,
}

impl EnvelopeRef<'_> {
    /// Whether it says the same as another in everything.
    pub(crate) fn is(&self, other: &Envelope) -> bool {
        let Envelope {
            format,
            id,
            aggregate,
            event_type,
            schema,
            aggregate_id,
            sequence,
            commit,
            previous,
            parents,
            payload,
            correlation_id,
            causation_id,
            timestamp,
            source,
            meta,
            encryption,
        } = other;
        *format == FORMAT
            && self.id == *id
            && self.aggregate == aggregate
            && self.event_type == event_type
            && self.schema == *schema
            && self.aggregate_id == aggregate_id
            && self.sequence == *sequence
            && self.commit == *commit
            && self.previous.map(|previous| previous.cid()) == *previous
            && self.parents().eq(parents.iter().copied())
            && self.payload.cid() == *payload
            && self.correlation_id == *correlation_id
            && self.causation_id == *causation_id
            && self.timestamp == *timestamp
            && self.source == source.as_deref()
            && self.meta == *meta
            && self.encryption == *encryption
    }

    fn parents(&self) -> impl Iterator<Item = Cid> {
        self.parents.iter().map(ShortCid::cid)
    }

    /// The same with texts of its own.
    pub(crate) fn into_envelope(self) -> Envelope {
        Envelope {
            format: FORMAT,
            id: self.id,
            aggregate: self.aggregate.to_owned(),
            event_type: self.event_type.to_owned(),
            schema: self.schema,
            aggregate_id: self.aggregate_id.to_owned(),
            sequence: self.sequence,
            commit: self.commit,
            previous: self.previous.map(|previous| previous.cid()),
            parents: self.parents().collect(),
            payload: self.payload.cid(),
            correlation_id: self.correlation_id,
            causation_id: self.causation_id,
            timestamp: self.timestamp,
            source: self.source.map(str::to_owned),
            meta: self.meta,
            encryption: self.encryption,
        }
    }

    /// The aggregate that it names; its id stood in a key before.
    pub(crate) fn aggregate_key(&self) -> AggregateKey {
        AggregateKey::new(
            self.aggregate.to_owned(),
            IdText::trusted(self.aggregate_id),
        )
    }
}

/// Reads an envelope in its canonical form.
pub(crate) fn read<'a>(reader: &mut Reader<'a>) -> Result<EnvelopeRef<'a>, Refusal> {
    let start = reader.at();
    let count = reader.expect(major::MAP, "the envelope is no map")?;
    let format = small(reader, "v")?;
    if format != FORMAT {
        return Err(refuse(
            start,
            format!(
                "the envelope has format {format}, this program knows {FORMAT}: read it with a newer program"
            ),
        )
        .under("v"));
    }
    let id = uuid(reader, "id")?;
    let mut fields = REQUIRED;
    let meta = match next_is(reader, "meta") {
        true => {
            fields += 1;
            field(reader, "meta", meta)?
        }
        false => Meta::new(),
    };
    let event_type = string(reader, "type")?;
    let commit = field(reader, "commit", commit)?;
    let schema = small(reader, "schema")?;
    let source = match next_is(reader, "source") {
        true => {
            fields += 1;
            Some(string(reader, "source")?)
        }
        false => None,
    };
    let parents = field(reader, "parents", parents)?;
    let payload = field(reader, "payload", strict_link)?;
    let previous = field(reader, "previous", |reader| match reader.peek()? {
        NULL => {
            reader.skip();
            Ok(None)
        }
        _ => strict_link(reader).map(Some),
    })?;
    let sequence = field(reader, "sequence", |reader| match unsigned(reader)? {
        0 => Err(reader.refuse("a sequence counts from 1")),
        sequence => Ok(sequence),
    })?;
    let aggregate = string(reader, "aggregate")?;
    let timestamp = field(reader, "timestamp", timestamp)?;
    let encryption = match next_is(reader, "encryption") {
        true => {
            fields += 1;
            Some(field(reader, "encryption", encryption)?)
        }
        false => None,
    };
    let aggregate_id = string(reader, "aggregate_id")?;
    let causation_id = uuid(reader, "causation_id")?;
    let correlation_id = uuid(reader, "correlation_id")?;
    if count != fields {
        return Err(refuse(
            start,
            "the envelope does not have exactly the fields of its format",
        ));
    }
    Ok(EnvelopeRef {
        id,
        aggregate,
        event_type,
        schema,
        aggregate_id,
        sequence,
        commit,
        previous,
        parents,
        payload,
        correlation_id,
        causation_id,
        timestamp,
        source,
        meta,
        encryption,
    })
}

/// The kind and the id of the aggregate that a body names, without proving any of it; none where it does not read as a body.
#[cfg(feature = "sqlite")]
pub(crate) fn aggregate_of(body: &[u8]) -> Option<(&str, &str)> {
    let (&super::BODY_HEAD, blocks) = body.split_first()? else {
        return None;
    };
    let mut reader = Reader::new(blocks);
    let (major::MAP, fields) = reader.head().ok()? else {
        return None;
    };
    let mut kind = None;
    for _ in 0..fields {
        let (major::TEXT, length) = reader.head().ok()? else {
            return None;
        };
        match reader.take(length).ok()? {
            b"aggregate" => kind = Some(reader.text().ok()?),
            b"aggregate_id" => return Some((kind?, reader.text().ok()?)),
            _ => pass_over(&mut reader, ENCRYPTION_DEPTH)?,
        }
    }
    None
}

/// Passes over a value, without looking whether it is canonical.
#[cfg(feature = "sqlite")]
fn pass_over(reader: &mut Reader<'_>, depth: u32) -> Option<()> {
    let (major, argument) = reader.head().ok()?;
    let items = match major {
        major::BYTES | major::TEXT => return reader.take(argument).ok().map(drop),
        major::ARRAY => argument,
        major::MAP => argument.checked_mul(2)?,
        major::TAG => 1,
        _ => return Some(()),
    };
    let depth = depth.checked_sub(1)?;
    for _ in 0..items {
        pass_over(reader, depth)?;
    }
    Some(())
}

#[inline]
fn field<'a, T>(
    reader: &mut Reader<'a>,
    name: &'static str,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    if !next_is(reader, name) {
        return Err(reader
            .refuse("the envelope's next field must be this one")
            .under(name));
    }
    // Names have at most 23 bytes, so their heads have one.
    reader.take(1 + name.len() as u64)?;
    read(reader).map_err(|refusal| refusal.under(name))
}

#[inline]
fn next_is(reader: &Reader<'_>, name: &'static str) -> bool {
    match reader.rest() {
        [head, rest @ ..] => {
            *head == major::TEXT << 5 | name.len() as u8 && rest.starts_with(name.as_bytes())
        }
        [] => false,
    }
}

fn unsigned(reader: &mut Reader<'_>) -> Result<u64, Refusal> {
    reader.expect(major::UNSIGNED, "not a natural number where one is needed")
}

fn natural(reader: &mut Reader<'_>) -> Result<u32, Refusal> {
    let number = unsigned(reader)?;
    u32::try_from(number).map_err(|_| reader.refuse("a number of more than 32 bits"))
}

fn small(reader: &mut Reader<'_>, name: &'static str) -> Result<u32, Refusal> {
    field(reader, name, natural)
}

fn string<'a>(reader: &mut Reader<'a>, name: &'static str) -> Result<&'a str, Refusal> {
    field(reader, name, Reader::text)
}

fn uuid(reader: &mut Reader<'_>, name: &'static str) -> Result<Uuid, Refusal> {
    field(reader, name, |reader| {
        let length = reader.expect(major::BYTES, "not a byte string where an id is needed")?;
        let bytes = reader.take(length)?;
        Uuid::from_slice(bytes).map_err(|_| reader.refuse("an id does not have 16 bytes"))
    })
}

fn commit(reader: &mut Reader<'_>) -> Result<CommitPart, Refusal> {
    let start = reader.at();
    let length = reader.expect(major::ARRAY, "not a list where one is needed")?;
    if length != 4 {
        let reason = "not index and count among the aggregate's events and among all";
        return Err(refuse(start, reason));
    }
    let mut numbers = [0; 4];
    for number in &mut numbers {
        *number = natural(reader)?;
    }
    let part = CommitPart::from(numbers);
    if !part.is_possible() {
        return Err(refuse(start, format!("no event can be {part}")));
    }
    Ok(part)
}

fn meta(reader: &mut Reader<'_>) -> Result<Meta, Refusal> {
    let start = reader.at();
    canonical::value(reader, ENCRYPTION_DEPTH)?;
    let bytes = reader.since(start);
    if bytes.len() > Meta::LIMIT {
        return Err(refuse(start, format!("more than {} bytes", Meta::LIMIT)));
    }
    let mut reader = Reader::new(bytes);
    let count = reader.expect(major::MAP, "not a map where one is needed")?;
    if count == 0 {
        return Err(refuse(start, "a map without a value, which is left out"));
    }
    let mut meta = Meta::new();
    for _ in 0..count {
        let name = reader.text()?;
        let value = meta_value(&mut reader).map_err(|mut refusal| {
            refusal.at += start;
            refusal.under(name)
        })?;
        meta.insert(name, value);
    }
    Ok(meta)
}

fn meta_value(reader: &mut Reader<'_>) -> Result<MetaValue, Refusal> {
    let start = reader.at();
    match reader.peek()? {
        byte @ (FALSE | TRUE) => {
            reader.skip();
            return Ok(MetaValue::Bool(byte == TRUE));
        }
        byte if byte >> 5 == major::TAG => {
            let cid = Cid::try_from(reader.link()?);
            return cid
                .map(MetaValue::Link)
                .map_err(|error| refuse(start, error.to_string()));
        }
        _ => {}
    }
    match reader.head()? {
        (major::TEXT, length) => {
            let bytes = reader.text_bytes_of(length)?;
            Ok(MetaValue::Text(String::from_utf8_lossy(bytes).into_owned()))
        }
        (major::UNSIGNED, argument) => Ok(MetaValue::Integer(argument.into())),
        (major::NEGATIVE, argument) => Ok(MetaValue::Integer(!i128::from(argument))),
        _ => Err(refuse(start, "not a text, a bool, an integer or a link")),
    }
}

fn timestamp(reader: &mut Reader<'_>) -> Result<Timestamp, Refusal> {
    let start = reader.at();
    let micros = match reader.head()? {
        (major::UNSIGNED, micros) => i64::try_from(micros).ok(),
        (major::NEGATIVE, complement) => i64::try_from(complement).ok().map(|micros| !micros),
        _ => None,
    };
    match micros {
        Some(micros) => Ok(Timestamp::from_micros(micros)),
        None => Err(refuse(start, "not a count of microseconds in 64 bits")),
    }
}

fn strict_link(reader: &mut Reader<'_>) -> Result<ShortCid, Refusal> {
    let start = reader.at();
    let bytes = reader.link()?;
    ShortCid::parse(bytes).map_err(|error| refuse(start, error.to_string()))
}

fn parents(reader: &mut Reader<'_>) -> Result<Vec<ShortCid>, Refusal> {
    let count = reader.expect(major::ARRAY, "not a list where one is needed")?;
    let mut parents = Vec::new();
    let mut last: Option<&[u8]> = None;
    for index in 0..count {
        let start = reader.at();
        let parent = strict_link(reader).map_err(|refusal| refusal.at_index(index))?;
        let encoded = reader.since(start);
        if last.is_some_and(|last| last >= encoded) {
            let reason = "parents that are not sorted, or stand twice";
            return Err(refuse(start, reason).at_index(index));
        }
        last = Some(encoded);
        parents.push(parent);
    }
    Ok(parents)
}

fn encryption(reader: &mut Reader<'_>) -> Result<BTreeMap<String, Ipld>, Refusal> {
    let start = reader.at();
    canonical::value(reader, ENCRYPTION_DEPTH)?;
    serde_ipld_dagcbor::from_slice(reader.since(start))
        .map_err(|error| refuse(start, error.to_string()))
}
