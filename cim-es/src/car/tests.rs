//! What is written is read, and nothing else is.

use std::io::{self, Read};

use proptest::collection::vec;
use proptest::prelude::*;

use super::{CarBlock, CarError, CarFault, CarLimits, CarReader, CarWriter};
use crate::block::{Cid, CidError, HashCode};

type Blocks = Vec<(Cid, Vec<u8>)>;

fn blocks(lengths: &[usize]) -> Blocks {
    let block = |(number, length): (usize, &usize)| {
        let bytes = vec![number as u8; *length];
        let hash = [HashCode::Sha2_256, HashCode::Blake3_256][number % 2];
        (hash.cid(&bytes), bytes)
    };
    lengths.iter().enumerate().map(block).collect()
}

fn written(roots: &[Cid], blocks: &Blocks) -> Vec<u8> {
    let mut car = CarWriter::new(Vec::new(), roots).expect("it begins");
    for (cid, bytes) in blocks {
        car.write(cid, bytes).expect("it is written");
    }
    let length = car.written();
    let file = car.finish().expect("it ends");
    assert_eq!(file.len() as u64, length);
    file
}

fn read(file: &[u8]) -> Result<(Vec<Cid>, Vec<CarBlock>), CarError> {
    let mut car = CarReader::new(file)?;
    let mut blocks = Vec::new();
    while let Some(block) = car.read()? {
        blocks.push(block);
    }
    assert_eq!(car.position(), file.len() as u64);
    Ok((car.roots().to_vec(), blocks))
}

fn fault(file: &[u8]) -> (u64, CarFault) {
    match read(file) {
        Err(CarError::Damaged { at, fault }) => (at, fault),
        other => panic!("{other:?}"),
    }
}

/// A file of three blocks, and where its header and each block ends.
fn sample() -> (Vec<u8>, Blocks, Vec<usize>) {
    let blocks = blocks(&[1, 200, 0]);
    let roots = [blocks[1].0];
    let mut ends = vec![written(&roots, &Vec::new()).len()];
    for count in 1..=blocks.len() {
        ends.push(written(&roots, &blocks[..count].to_vec()).len());
    }
    (written(&roots, &blocks), blocks, ends)
}

#[test]
fn the_bytes_are_those_of_the_specification() {
    let (cid, block) = (HashCode::Sha2_256.cid(&[0xa0]), vec![0xa0]);
    let file = written(&[cid], &vec![(cid, block)]);
    let mut expected = vec![58, 0xa2, 0x65];
    expected.extend_from_slice(b"roots");
    expected.extend_from_slice(&[0x81, 0xd8, 0x2a, 0x58, 37, 0]);
    expected.extend_from_slice(&cid.to_bytes());
    expected.push(0x67);
    expected.extend_from_slice(b"version");
    expected.extend_from_slice(&[1, 37]);
    expected.extend_from_slice(&cid.to_bytes());
    expected.push(0xa0);
    assert_eq!(file, expected);
}

proptest! {
    #[test]
    fn what_is_written_is_read(lengths in vec(0_usize..70_000, 0..6), roots in 1_usize..300) {
        let blocks = blocks(&lengths);
        let roots: Vec<Cid> = (0..roots)
            .map(|number| HashCode::Blake3_256.cid(&number.to_be_bytes()))
            .collect();
        let (found, read) = read(&written(&roots, &blocks)).expect("it reads");
        prop_assert_eq!(found, roots);
        let read: Blocks = read.into_iter().map(|block| (block.cid, block.bytes.to_vec())).collect();
        prop_assert_eq!(read, blocks);
    }

    #[test]
    fn no_bytes_at_all_make_it_panic(bytes in vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes);
        // Behind a header that is right.
        let (file, _, ends) = sample();
        let _ = read(&[&file[..ends[0]], &bytes].concat());
    }
}

#[test]
fn a_file_that_is_cut_anywhere_but_behind_a_block_is_refused_there() {
    let (file, _, ends) = sample();
    for length in 0..file.len() {
        let cut = read(&file[..length]);
        let begins = ends
            .iter()
            .rfind(|end| **end <= length)
            .copied()
            .unwrap_or(0);
        match cut {
            Ok((_, blocks)) => assert_eq!(ends[blocks.len()], length),
            Err(CarError::Damaged {
                at,
                fault: CarFault::Cut { .. },
            }) => {
                assert_eq!(at, begins as u64, "cut at {length}");
                assert!(!ends.contains(&length));
            }
            Err(error) => panic!("cut at {length}: {error:?}"),
        }
    }
}

#[test]
fn a_file_with_any_bit_flipped_is_refused_or_has_another_root() {
    let (file, blocks, _) = sample();
    for place in 0..file.len() {
        for bit in 0..8 {
            let mut flipped = file.clone();
            flipped[place] ^= 1 << bit;
            let Ok((roots, read)) = read(&flipped) else {
                continue;
            };
            // A root is checked once its block is looked for.
            assert_ne!(roots, [blocks[1].0], "byte {place}, bit {bit}");
            assert_eq!(read.len(), blocks.len());
        }
    }
}

#[test]
fn a_length_that_lies_is_refused_before_memory_is_taken_for_it() {
    let (file, _, ends) = sample();
    let behind_the_header = |length: &[u8]| [&file[..ends[0]], length].concat();
    let at = ends[0] as u64;
    let mut two_to_63 = vec![0x80; 9];
    two_to_63.push(0x01);
    let (found, fault_of_it) = fault(&behind_the_header(&two_to_63));
    assert_eq!(found, at);
    assert!(
        matches!(fault_of_it, CarFault::Size { length, .. } if length == 1 << 63),
        "{fault_of_it:?}"
    );
    for (length, is_of_length) in [
        (&[0xff; 10][..], true),
        (
            &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02],
            true,
        ),
        (&[0xa5, 0x00], true),
        (&[0x00], false),
        (&[0x23], false),
    ] {
        let (found, fault) = fault(&behind_the_header(length));
        assert_eq!(found, at);
        assert_eq!(
            matches!(fault, CarFault::Length { .. }),
            is_of_length,
            "{fault:?}"
        );
    }
    // It is within the limit, and the file ends long before.
    let mut long = Vec::new();
    super::varint::push(16 * 1024 * 1024, &mut long);
    assert_eq!(
        fault(&behind_the_header(&long)),
        (at, CarFault::Cut { what: "a block" })
    );
}

#[test]
fn what_is_longer_than_the_limits_is_refused() {
    let blocks = blocks(&[100]);
    let file = written(&[blocks[0].0], &blocks);
    let read = |header, block| {
        let limits = CarLimits { header, block };
        CarReader::with_limits(&file[..], limits)?
            .read()
            .map(|block| block.is_some())
    };
    assert!(read(58, 136).expect("it reads"));
    for (header, block) in [(57, 136), (58, 135)] {
        let refused = read(header, block).expect_err("it is too long");
        assert!(
            matches!(
                refused,
                CarError::Damaged {
                    fault: CarFault::Size { .. },
                    ..
                }
            ),
            "{refused}"
        );
    }
}

#[test]
fn a_header_of_another_kind_is_refused() {
    let cid = HashCode::Sha2_256.cid(&[0xa0]);
    let header = written(&[cid], &Vec::new())[1..].to_vec();
    let with = |header: Vec<u8>| {
        let mut file = Vec::new();
        super::varint::push(header.len() as u64, &mut file);
        [file, header].concat()
    };
    let changed = |place: usize, byte: u8| {
        let mut header = header.clone();
        header[place] = byte;
        with(header)
    };
    assert!(read(&with(header.clone())).is_ok());
    let version = header.len() - 1;
    for (file, says) in [
        (changed(version, 2), "its version is 2"),
        (changed(0, 0xa1), "not a map of `roots` and `version`"),
        (changed(7, 0x80), "not a text"),
        (changed(2, b'R'), "not a map of `roots` and `version`"),
        (with([&header[..], &[0]].concat()), "bytes follow its map"),
    ] {
        let (at, fault) = fault(&file);
        assert_eq!(at, 0);
        assert!(matches!(fault, CarFault::Header { .. }), "{fault:?}");
        assert!(fault.to_string().contains(says), "{fault}");
    }
    let mut without = vec![0xa2, 0x65];
    without.extend_from_slice(b"roots");
    without.push(0x80);
    without.push(0x67);
    without.extend_from_slice(b"version");
    without.push(1);
    // No header of one root is shorter.
    let (_, too_short) = fault(&with(without.clone()));
    assert!(matches!(too_short, CarFault::Size { .. }), "{too_short:?}");
    let without_roots = super::header::read(&without).expect_err("there are none");
    assert!(
        without_roots.to_string().contains("it has no roots"),
        "{without_roots}"
    );
    let raw = changed(7 + 1 + 5 + 1, 0x55);
    assert!(matches!(
        fault(&raw).1,
        CarFault::Cid(CidError::Kind { .. })
    ));
}

#[test]
fn blocks_with_cids_of_others_are_refused() {
    let (file, _, ends) = sample();
    for (place, byte) in [(0, 0), (1, 0x55), (2, 0x13), (3, 31)] {
        let mut other = file.clone();
        other[ends[0] + 1 + place] = byte;
        let (at, fault) = fault(&other);
        assert_eq!(at, ends[0] as u64);
        assert!(matches!(fault, CarFault::Cid(_)), "{fault:?}");
    }
}

#[test]
fn nothing_is_read_after_an_error() {
    let (mut file, _, ends) = sample();
    file[ends[1] + 60] ^= 1;
    let mut car = CarReader::new(&file[..]).expect("the header is right");
    assert!(car.read().is_ok());
    for _ in 0..3 {
        let refused = car.read().expect_err("the block was changed");
        assert!(
            matches!(refused, CarError::Damaged { at, fault: CarFault::Tampered { .. } } if at == ends[1] as u64)
        );
    }
    assert!(car.next().is_none());
    assert_eq!(CarReader::new(&file[..]).expect("it begins").count(), 2);
}

#[test]
fn what_cannot_be_written_writes_nothing() {
    let (cid, other) = (
        HashCode::Sha2_256.cid(&[0xa0]),
        HashCode::Sha2_256.cid(&[0xa1]),
    );
    let no_roots = CarWriter::new(Vec::new(), &[]).expect_err("it has none");
    assert!(matches!(no_roots, CarError::Roots { .. }));
    let mut car = CarWriter::new(Vec::new(), &[cid]).expect("it begins");
    let written = car.written();
    let refused = car.write(&other, &[0xa0]).expect_err("it is another block");
    assert!(matches!(refused, CarError::NotItsBlock { cid } if cid == other));
    assert_eq!(car.written(), written);
}

/// An input that gives one byte at a time, is interrupted now and then, and fails in the end.
struct Slow<'a>(&'a [u8], u64);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 += 1;
        if self.1.is_multiple_of(3) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let Some((first, rest)) = self.0.split_first() else {
            return Err(io::Error::other("the disk is gone"));
        };
        buffer[0] = *first;
        self.0 = rest;
        Ok(1)
    }
}

#[test]
fn an_input_that_is_slow_is_read_and_one_that_fails_is_not_taken_for_a_damaged_file() {
    let (file, blocks, _) = sample();
    let mut car = CarReader::new(Slow(&file, 0)).expect("it begins");
    for (cid, _) in &blocks {
        assert_eq!(
            car.read().expect("it reads").map(|block| block.cid),
            Some(*cid)
        );
    }
    let failed = car.read().expect_err("the input fails");
    assert!(
        matches!(failed, CarError::Io { at, .. } if at == file.len() as u64),
        "{failed}"
    );
}
