//! The index from CIDs to positions.
//!
//! CIDs are random, so a plain index would touch one page for each event of a commit. This one is written in
//! segments: every 256 positions get one row with the sorted prefixes of their CIDs, and every 65,536 positions get
//! their rows merged into 64 parts by prefix. Which rows there are follows from the last position, and each has a
//! digest; so "no such event" is an answer that was checked. The latest events, fewer than 256, are looked through.

use sha2::{Digest, Sha256};

use super::database::{Database, count, stored};
use super::schema::{SEGMENT, indexed};
use super::{events, types};
use crate::block::{Cid, StoredEvent, accept_cid};
use crate::store::StoreError;

/// The positions of a small segment.
const SMALL: u64 = SEGMENT;
/// The positions of a large segment; an entry holds an offset of 16 bits.
pub(super) const LARGE: u64 = 65_536;
/// The parts of a large segment, by the first 6 bits of the prefix.
const PARTS: u64 = 64;
/// The bytes of a digest that a row keeps.
const DIGEST: usize = 16;

/// The bytes of a CID: version, codec, hash code and length of one byte each, then the digest. None for a CID that no
/// store of this library holds.
pub(super) fn bytes(cid: &Cid) -> Option<[u8; 36]> {
    let cid = accept_cid(*cid).ok()?;
    let mut bytes = [0; 36];
    let written = cid.write_bytes(bytes.as_mut_slice()).ok()?;
    (written == bytes.len()).then_some(bytes)
}

/// The bytes of the CID of an event that is to be stored.
pub(super) fn column(database: &Database, cid: &Cid) -> Result<[u8; 36], StoreError> {
    bytes(cid).ok_or_else(|| database.damaged(None, *cid, "no store keeps a CID of this kind"))
}

/// Writes the rows that are due when the last position moved from `before` to `after`.
pub(super) fn extend(database: &Database, before: u64, after: u64) -> Result<(), StoreError> {
    for small in before / SMALL..after / SMALL {
        let first = small * SMALL + 1;
        let mut entries = database.all(
            "indexing CIDs",
            "SELECT position, cid FROM events WHERE position BETWEEN ?1 AND ?2",
            (stored(first), stored(first + SMALL - 1)),
            |row| {
                let offset = count(row, 0)?.wrapping_sub(first);
                Ok(entry(row.get_ref(1)?.as_blob()?, offset))
            },
        )?;
        if entries.len() as u64 != SMALL {
            return Err(database.damaged(
                first,
                None,
                format!("{} of {SMALL} events from here on exist", entries.len()),
            ));
        }
        entries.sort_unstable();
        write(database, small_number(small), &entries)?;
        if (small + 1) % (LARGE / SMALL) == 0 {
            merge(database, small / (LARGE / SMALL))?;
        }
    }
    Ok(())
}

/// Removes the rows that do not belong to a file that ends at a position, of those of one that ends at `last`, and writes
/// those that were merged.
pub(super) fn cut(database: &Database, position: u64, last: u64) -> Result<(), StoreError> {
    let large = position / LARGE;
    for (first, behind) in [
        (small_number(position / SMALL), large_number(0, 0)),
        (large_number(large, 0), u64::MAX),
    ] {
        database.execute(
            "cutting the index of CIDs",
            "DELETE FROM cid_segments WHERE number >= ?1 AND number < ?2",
            (stored(first), stored(behind)),
        )?;
    }
    match last / LARGE > large {
        true => extend(database, large * LARGE, position),
        false => Ok(()),
    }
}

/// The event with a CID; none when the store does not have it.
pub(super) fn find(database: &Database, cid: &Cid) -> Result<Option<StoredEvent>, StoreError> {
    let Some(wanted) = bytes(cid) else {
        return Ok(None);
    };
    let last = types::last_position(database)?;
    let indexed = indexed(last);
    let recent = database.all(
        "looking for a CID",
        "SELECT position FROM events WHERE position > ?1 AND cid = ?2",
        (stored(indexed), wanted.as_slice()),
        |row| count(row, 0),
    )?;
    if let Some(position) = recent.first() {
        return events::at(database, *position).map(Some);
    }
    let large = last / LARGE;
    for small in (large * (LARGE / SMALL)..last / SMALL).rev() {
        let found = look_up(database, small_number(small), small * SMALL, &wanted)?;
        if found.is_some() {
            return Ok(found);
        }
    }
    let part = prefix(&wanted) >> (48 - PARTS.ilog2());
    for large in (0..large).rev() {
        let found = look_up(database, large_number(large, part), large * LARGE, &wanted)?;
        if found.is_some() {
            return Ok(found);
        }
    }
    // A damaged CID among the latest events would have hidden the one that is asked for.
    for position in indexed + 1..=last {
        events::at(database, position)?;
    }
    Ok(None)
}

/// Checks that the rows are those that the last position asks for, and that they lead to every event.
pub(super) fn check(database: &Database, last: u64) -> Result<(), StoreError> {
    let large = last / LARGE;
    let smalls = large * (LARGE / SMALL)..last / SMALL;
    let expected = expected_rows(last);
    let rows = database
        .first(
            "counting the index of CIDs",
            "SELECT count(*) FROM cid_segments",
            (),
            |row| count(row, 0),
        )?
        .unwrap_or(0);
    if rows != expected {
        return Err(database.damaged(
            None,
            None,
            format!("the index of CIDs has {rows} rows, {expected} belong there"),
        ));
    }
    for large in 0..large {
        let mut entries = Vec::new();
        for part in 0..PARTS {
            entries.extend(read(database, large_number(large, part))?);
        }
        compare(database, large * LARGE, LARGE, entries)?;
    }
    for small in smalls {
        let entries = read(database, small_number(small))?;
        compare(database, small * SMALL, SMALL, entries)?;
    }
    Ok(())
}

fn compare(
    database: &Database,
    base: u64,
    length: u64,
    entries: Vec<u64>,
) -> Result<(), StoreError> {
    let mut actual = database.all(
        "checking the index of CIDs",
        "SELECT position, cid FROM events WHERE position BETWEEN ?1 AND ?2",
        (stored(base + 1), stored(base + length)),
        |row| {
            let offset = count(row, 0)?.wrapping_sub(base + 1);
            Ok(entry(row.get_ref(1)?.as_blob()?, offset))
        },
    )?;
    actual.sort_unstable();
    if actual != entries {
        return Err(database.damaged(
            base + 1,
            None,
            "the index of CIDs does not lead to the events from here on",
        ));
    }
    Ok(())
}

fn look_up(
    database: &Database,
    number: u64,
    base: u64,
    wanted: &[u8; 36],
) -> Result<Option<StoredEvent>, StoreError> {
    let entries = read(database, number)?;
    let prefix = prefix(wanted);
    let start = entries.partition_point(|entry| entry >> 16 < prefix);
    for entry in entries[start..]
        .iter()
        .take_while(|entry| *entry >> 16 == prefix)
    {
        let event = events::at(database, base + 1 + (entry & 0xffff))?;
        if bytes(&event.cid).as_ref() == Some(wanted) {
            return Ok(Some(event));
        }
    }
    Ok(None)
}

fn merge(database: &Database, large: u64) -> Result<(), StoreError> {
    let mut parts = vec![Vec::new(); PARTS as usize];
    let smalls = large * (LARGE / SMALL)..(large + 1) * (LARGE / SMALL);
    for small in smalls.clone() {
        let shift = small * SMALL - large * LARGE;
        for entry in read(database, small_number(small))? {
            let part = entry >> (64 - PARTS.ilog2());
            parts[part as usize].push(entry + shift);
        }
    }
    for (part, entries) in parts.iter_mut().enumerate() {
        entries.sort_unstable();
        write(database, large_number(large, part as u64), entries)?;
    }
    let removed = database.execute(
        "merging the index of CIDs",
        "DELETE FROM cid_segments WHERE number >= ?1 AND number < ?2",
        (
            stored(small_number(smalls.start)),
            stored(small_number(smalls.end)),
        ),
    )?;
    match removed as u64 == LARGE / SMALL {
        true => Ok(()),
        false => Err(database.damaged(
            None,
            None,
            format!(
                "{removed} rows of the index of CIDs were merged in place of {}",
                LARGE / SMALL
            ),
        )),
    }
}

fn write(database: &Database, number: u64, entries: &[u64]) -> Result<(), StoreError> {
    let bytes: Vec<u8> = entries
        .iter()
        .flat_map(|entry| entry.to_be_bytes())
        .collect();
    database.write_row(
        "indexing CIDs",
        "INSERT INTO cid_segments (number, entries, digest) VALUES (?1, ?2, ?3)",
        (
            stored(number),
            bytes.as_slice(),
            digest(number, &bytes).as_slice(),
        ),
    )
}

pub(super) fn read(database: &Database, number: u64) -> Result<Vec<u64>, StoreError> {
    let row = database.first(
        "reading the index of CIDs",
        "SELECT entries, digest FROM cid_segments WHERE number = ?1",
        (stored(number),),
        |row| {
            let entries = row.get_ref(0)?.as_blob()?;
            let intact = row.get_ref(1)?.as_blob()? == digest(number, entries);
            let entries = entries
                .chunks_exact(8)
                .map(|entry| u64::from_be_bytes(entry.try_into().unwrap_or_default()))
                .collect();
            Ok((intact, entries))
        },
    )?;
    match row {
        Some((true, entries)) => Ok(entries),
        Some((false, _)) => Err(database.damaged(
            None,
            None,
            format!("row {number} of the index of CIDs does not hash to the digest beside it"),
        )),
        None => Err(database.damaged(
            None,
            None,
            format!("row {number} of the index of CIDs is missing"),
        )),
    }
}

/// The number of the row of a small segment.
pub(super) fn small_number(small: u64) -> u64 {
    small << 8
}

fn large_number(large: u64, part: u64) -> u64 {
    1 << 56 | large << 8 | part
}

/// The numbers of the rows of a large segment.
pub(super) fn large_rows(large: u64) -> impl Iterator<Item = u64> {
    (0..PARTS).map(move |part| large_number(large, part))
}

/// How many rows there are when `last` is the last position.
pub(super) fn expected_rows(last: u64) -> u64 {
    let large = last / LARGE;
    large * PARTS + last / SMALL - large * (LARGE / SMALL)
}

fn entry(cid: &[u8], offset: u64) -> u64 {
    prefix(cid) << 16 | (offset & 0xffff)
}

/// The first 6 bytes of the digest in a CID, as a number; of other bytes, zero.
pub(super) fn prefix(cid: &[u8]) -> u64 {
    let mut prefix = [0; 8];
    if let Some(first) = cid.get(4..10) {
        prefix[2..].copy_from_slice(first);
    }
    u64::from_be_bytes(prefix)
}

fn digest(number: u64, entries: &[u8]) -> [u8; DIGEST] {
    let whole = Sha256::new()
        .chain_update(number.to_be_bytes())
        .chain_update(entries)
        .finalize();
    let mut digest = [0; DIGEST];
    digest.copy_from_slice(&whole[..DIGEST]);
    digest
}
