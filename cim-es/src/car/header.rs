//! The header: the map `{ roots: [link], version: 1 }`.

use super::{CarError, CarFault};
use crate::block::reader::{Reader, Refusal, major};
use crate::block::{Cid, CidError, accept_cid, parse_cid, writer};

/// The header of a file with some roots.
pub(super) fn write(roots: &[Cid]) -> Result<Vec<u8>, CarError> {
    let refused = |reason: String| CarError::Roots { reason };
    if roots.is_empty() {
        return Err(refused("there is none".into()));
    }
    let mut header = vec![0xa2, 0x65];
    header.extend_from_slice(b"roots");
    writer::head(&mut header, major::ARRAY, roots.len() as u64);
    for root in roots {
        accept_cid(*root).map_err(|error| refused(error.to_string()))?;
        writer::link(&mut header, root);
    }
    header.push(0x67);
    header.extend_from_slice(b"version");
    header.push(0x01);
    Ok(header)
}

/// The roots of a header.
pub(super) fn read(header: &[u8]) -> Result<Vec<Cid>, CarFault> {
    let mut reader = Reader::new(header);
    let (roots, version) = fields(&mut reader).map_err(|refusal| CarFault::Header {
        reason: refusal.to_string(),
    })?;
    let wrong = |reason: &str| CarFault::Header {
        reason: reason.into(),
    };
    if version != 1 {
        return Err(CarFault::Header {
            reason: format!("its version is {version}"),
        });
    }
    if !reader.rest().is_empty() {
        return Err(wrong("bytes follow its map"));
    }
    if roots.is_empty() {
        return Err(wrong("it has no roots"));
    }
    let roots: Result<Vec<Cid>, CidError> = roots.into_iter().map(parse_cid).collect();
    roots.map_err(CarFault::Cid)
}

/// The bytes of the roots' CIDs, and the version.
fn fields<'a>(reader: &mut Reader<'a>) -> Result<(Vec<&'a [u8]>, u64), Refusal> {
    const MAP: &str = "not a map of `roots` and `version`";
    if reader.expect(major::MAP, MAP)? != 2 || reader.text()? != "roots" {
        return Err(reader.refuse(MAP));
    }
    let count = reader.expect(major::ARRAY, "`roots` is no list")?;
    let mut roots = Vec::new();
    for _ in 0..count {
        // The header is as long as it says, so that a false count ends at its end.
        roots.push(reader.link()?);
    }
    if reader.text()? != "version" {
        return Err(reader.refuse(MAP));
    }
    let version = reader.expect(major::UNSIGNED, "`version` is no number")?;
    Ok((roots, version))
}
