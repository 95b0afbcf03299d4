//! The strict check that bytes are one canonical dag-cbor value, and the lenient one that finds where a value ends.
//!
//! Canonical is what the [dag-cbor specification](https://ipld.io/specs/codecs/dag-cbor/spec/) calls strict: every value
//! has exactly one encoding, so equal content has equal CIDs.

use std::borrow::Cow;

use super::reader::{FALSE, LINK_TAG, NULL, NotCanonical, Reader, Refusal, TRUE, major, refuse};

/// How deep lists and maps may nest in a body, the outer array included: `serde_ipld_dagcbor` takes 256 steps, two for
/// each list or map and one for the value in it when it decodes into `Ipld`.
pub(crate) const MAX_DEPTH: u32 = 127;
/// How deep a payload may nest: it stands in the array of the body.
pub(crate) const MAX_PAYLOAD_DEPTH: u32 = MAX_DEPTH - 1;

const FLOAT: u8 = 0xfb;

/// Checks that bytes are one canonical value, as a payload is: nothing behind it, and shallow enough to be read back
/// inside a body.
pub(crate) fn check(bytes: &[u8]) -> Result<(), Box<NotCanonical>> {
    let mut reader = Reader::new(bytes);
    value(&mut reader, MAX_PAYLOAD_DEPTH)?;
    if reader.at() != bytes.len() {
        return Err(reader.refuse("bytes behind the value"));
    }
    Ok(())
}

/// Reads one canonical value in which lists and maps nest at most so deep.
pub(crate) fn value(reader: &mut Reader<'_>, depth: u32) -> Result<(), Refusal> {
    let start = reader.at();
    let first = reader.peek()?;
    if first >= 0xe0 {
        return simple(reader, first);
    }
    let (major, argument) = reader.head()?;
    match major {
        major::UNSIGNED | major::NEGATIVE => {}
        major::BYTES => drop(reader.take(argument)?),
        major::TEXT => drop(reader.text_bytes_of(argument)?),
        major::ARRAY => {
            let depth = deeper(depth, start)?;
            for index in 0..argument {
                value(reader, depth).map_err(|refusal| refusal.at_index(index))?;
            }
        }
        major::MAP => entries(reader, argument, deeper(depth, start)?)?,
        _ if argument == LINK_TAG => drop(reader.link_of()?),
        _ => return Err(refuse(start, "a tag other than 42, the link")),
    }
    Ok(())
}

fn deeper(depth: u32, start: usize) -> Result<u32, Refusal> {
    match depth.checked_sub(1) {
        Some(depth) => Ok(depth),
        None => Err(refuse(
            start,
            format!(
                "lists and maps nest deeper than the {MAX_PAYLOAD_DEPTH} levels that can be read back"
            ),
        )),
    }
}

fn entries(reader: &mut Reader<'_>, count: u64, depth: u32) -> Result<(), Refusal> {
    let mut last: Option<&[u8]> = None;
    for _ in 0..count {
        let start = reader.at();
        let key = reader.text_bytes()?;
        if let Some(last) = last
            && (last.len(), last) >= (key.len(), key)
        {
            let reason = if last == key {
                "a key that stands twice in its map"
            } else {
                "keys that are not sorted by length and then by bytes"
            };
            return Err(refuse(start, reason).under(&shown(key)));
        }
        last = Some(key);
        value(reader, depth).map_err(|refusal| refusal.under(&shown(key)))?;
    }
    Ok(())
}

fn shown(key: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(key)
}

fn simple(reader: &mut Reader<'_>, first: u8) -> Result<(), Refusal> {
    let start = reader.at();
    match first {
        FALSE | TRUE | NULL => {
            reader.skip();
            Ok(())
        }
        FLOAT => {
            reader.skip();
            let mut bits = [0; 8];
            bits.copy_from_slice(reader.take(8)?);
            let float = f64::from_be_bytes(bits);
            if !float.is_finite() {
                return Err(refuse(start, "a float that is not finite"));
            }
            if float == 0.0 && float.is_sign_negative() {
                return Err(refuse(start, "the float -0.0, which is written as 0.0"));
            }
            Ok(())
        }
        0xf9 | 0xfa => Err(refuse(start, "a float of fewer than 64 bits")),
        _ => Err(refuse(
            start,
            "a simple value other than false, true and null",
        )),
    }
}

/// Where the first value of bytes ends, canonical or not; none when they are no CBOR.
pub(crate) fn delimit(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    skip(bytes, &mut at, MAX_DEPTH)?;
    Some(at)
}

fn skip(bytes: &[u8], at: &mut usize, depth: u32) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    let first = *bytes.get(*at)?;
    *at += 1;
    let width = match first & 0x1f {
        0..24 => 0,
        info @ 24..28 => 1 << (info - 24),
        31 => return skip_indefinite(bytes, at, depth, first >> 5),
        _ => return None,
    };
    let long = bytes.get(*at..*at + width)?;
    let argument = match width {
        0 => u64::from(first & 0x1f),
        _ => long.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
    };
    *at += width;
    match first >> 5 {
        major::BYTES | major::TEXT => {
            let end = at.checked_add(usize::try_from(argument).ok()?)?;
            bytes.get(*at..end)?;
            *at = end;
        }
        major::ARRAY => (0..argument).try_for_each(|_| skip(bytes, at, depth))?,
        major::MAP => {
            (0..argument).try_for_each(|_| {
                skip(bytes, at, depth)?;
                skip(bytes, at, depth)
            })?;
        }
        major::TAG => skip(bytes, at, depth)?,
        _ => {}
    }
    Some(())
}

fn skip_indefinite(bytes: &[u8], at: &mut usize, depth: u32, major: u8) -> Option<()> {
    const BREAK: u8 = 0xff;
    if !(major::BYTES..=major::MAP).contains(&major) {
        return None;
    }
    while *bytes.get(*at)? != BREAK {
        skip(bytes, at, depth)?;
    }
    *at += 1;
    Some(())
}
