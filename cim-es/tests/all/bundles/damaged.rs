//! A bundle that was changed in any way is refused where it was changed, and nothing of it is stored.

use cim_es::MemoryEventStore;
use cim_es::block::{Fault, HashCode};
use cim_es::bundle::{At, BundleError, BundleFault, Manifest};
use cim_es::car::{CarBlock, CarFault, CarReader, CarWriter};

use super::{bundle, cids, fault, import, sample};
use crate::sqlite_support::{Directory, run};

/// The bytes of a bundle, and its blocks.
struct Sample {
    directory: Directory,
    manifest: Manifest,
    bytes: Vec<u8>,
    blocks: Vec<CarBlock>,
}

async fn taken_apart() -> Sample {
    let (store, directory) = (sample().await, Directory::new());
    let (file, exported) = bundle(&store, &directory).await;
    let bytes = std::fs::read(&file).unwrap();
    let blocks = CarReader::new(&bytes[..]).unwrap();
    let blocks = blocks.collect::<Result<Vec<_>, _>>().unwrap();
    assert_eq!(blocks.len() as u64, 1 + exported.manifest.blocks);
    Sample {
        directory,
        manifest: exported.manifest,
        bytes,
        blocks,
    }
}

impl Sample {
    async fn fault_of(&self, bytes: &[u8]) -> BundleFault {
        let file = self.directory.file("given.car");
        std::fs::write(&file, bytes).unwrap();
        fault(&file).await
    }

    /// What blocks in another order or number are refused for.
    async fn fault_with(&self, change: impl FnOnce(&mut Vec<CarBlock>)) -> BundleFault {
        let mut blocks = self.blocks.clone();
        change(&mut blocks);
        let mut car = CarWriter::new(Vec::new(), &[self.blocks[0].cid]).unwrap();
        for block in blocks {
            car.write(&block.cid, &block.bytes).unwrap();
        }
        self.fault_of(&car.finish().unwrap()).await
    }
}

#[test]
fn a_bundle_that_is_cut_anywhere_is_refused() {
    run(async {
        let sample = taken_apart().await;
        for length in 0..sample.bytes.len() {
            let fault = sample.fault_of(&sample.bytes[..length]).await;
            let is_cut = match &fault {
                BundleFault::Car(CarFault::Cut { .. }) | BundleFault::Ends { .. } => true,
                // Behind the header, behind an event, or inside of a commit.
                BundleFault::NotABundle { reason } => reason == "its root is missing",
                BundleFault::Contradicted { .. } => true,
                BundleFault::Event(verdict) => matches!(verdict.fault, Fault::Truncated { .. }),
                _ => false,
            };
            assert!(is_cut, "cut at {length}: {fault:?}");
        }
    });
}

#[test]
fn a_bundle_with_any_byte_flipped_is_refused_at_that_place() {
    run(async {
        let sample = taken_apart().await;
        let store = MemoryEventStore::new();
        let file = sample.directory.file("given.car");
        for place in 0..sample.bytes.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut bytes = sample.bytes.clone();
                bytes[place] ^= flip;
                std::fs::write(&file, &bytes).unwrap();
                let refused = import(&file, &store).await;
                let Err(BundleError::Refused { at, .. }) = &refused else {
                    panic!("byte {place} by {flip:#x}: {refused:?}");
                };
                // A root that is changed shows at the block that is not the root.
                let place = place.max(sample.blocks[0].at as usize);
                if let At::Byte(at) = at {
                    assert!(*at <= place as u64, "byte {place}: refused at {at}");
                }
            }
        }
        assert!(cids(&store).await.is_empty(), "something was stored");
    });
}

#[test]
fn blocks_that_are_swapped_doubled_or_dropped_are_refused() {
    run(async {
        let sample = taken_apart().await;
        let count = sample.blocks.len();
        for at in 0..count {
            let fault = sample.fault_with(|blocks| drop(blocks.remove(at))).await;
            assert!(!fault.to_string().is_empty(), "dropped {at}");
            let double = |blocks: &mut Vec<CarBlock>| blocks.insert(at, blocks[at].clone());
            let fault = sample.fault_with(double).await;
            assert!(!fault.to_string().is_empty(), "doubled {at}");
            for other in at + 1..count {
                let is_same = sample.blocks[at].cid == sample.blocks[other].cid;
                if !is_same {
                    let fault = sample.fault_with(|blocks| blocks.swap(at, other)).await;
                    assert!(!fault.to_string().is_empty(), "swapped {at} and {other}");
                }
            }
        }
    });
}

#[test]
fn what_is_wrong_with_the_blocks_is_said() {
    run(async {
        let sample = taken_apart().await;
        let [root, first, payload] = [0, 1, 2].map(|at| sample.blocks[at].cid);
        let dropped = sample.fault_with(|blocks| drop(blocks.remove(2))).await;
        let BundleFault::OutOfPlace { found, expected } = dropped else {
            panic!("{dropped:?}");
        };
        assert_eq!(found, sample.blocks[3].cid);
        assert_eq!(
            expected,
            format!("the payload of event {first}, {payload},")
        );

        let last = sample.blocks.len() - 1;
        let cut = sample.fault_with(|blocks| drop(blocks.remove(last))).await;
        let expected = format!("the payload of event {}", sample.blocks[last - 1].cid);
        assert_eq!(cut, BundleFault::Ends { expected });

        let event = sample.fault_with(|blocks| drop(blocks.drain(1..3))).await;
        let BundleFault::Event(verdict) = event else {
            panic!("{event:?}");
        };
        assert!(
            matches!(
                verdict.fault,
                Fault::Gap {
                    expected: 1,
                    found: 2
                }
            ),
            "{verdict}"
        );

        let doubled = sample
            .fault_with(|blocks| {
                let event = blocks[1..3].to_vec();
                blocks.splice(1..1, event);
            })
            .await;
        let BundleFault::Event(verdict) = doubled else {
            panic!("{doubled:?}");
        };
        assert!(
            matches!(
                verdict.fault,
                Fault::Gap {
                    expected: 2,
                    found: 1
                }
            ),
            "{verdict}"
        );

        // A whole event behind the last one.
        let more = sample
            .fault_with(|blocks| {
                let event = blocks[1..3].to_vec();
                blocks.extend(event);
            })
            .await;
        assert!(matches!(more, BundleFault::Event(_)), "{more:?}");

        let without = sample.fault_with(|blocks| drop(blocks.remove(0))).await;
        let reason = "its first block is not its root".to_owned();
        assert_eq!(without, BundleFault::NotABundle { reason });
        assert_eq!(root, sample.manifest.cid());
    });
}

#[test]
fn whole_commits_in_another_order_are_refused() {
    run(async {
        let sample = taken_apart().await;
        // The first commits of `a` and `c` know nothing of each other.
        let fault = sample
            .fault_with(|blocks| {
                let first: Vec<_> = blocks.drain(1..3).collect();
                blocks.splice(5..5, first);
            })
            .await;
        let what = matches!(&fault, BundleFault::Contradicted { what, .. }
            if what == "the order of its events");
        assert!(what, "{fault:?}");
    });
}

#[test]
fn files_that_are_no_bundles_are_refused_for_what_they_are() {
    run(async {
        let sample = taken_apart().await;
        let of = |roots: &[cim_es::block::Cid], blocks: &[&[u8]]| {
            let mut car = CarWriter::new(Vec::new(), roots).unwrap();
            for block in blocks {
                car.write(&HashCode::Sha2_256.cid(block), block).unwrap();
            }
            car.finish().unwrap()
        };
        let cid = |block: &[u8]| HashCode::Sha2_256.cid(block);
        let root = sample.blocks[0].cid;
        for (bytes, says) in [
            (Vec::new(), "it ends inside the header: the rest is missing"),
            (b"not a CAR file".to_vec(), "the header"),
            (of(&[root], &[]), "its root is missing"),
            (
                of(&[cid(b"\xa0")], &[b"\xa0"]),
                "its root is not a manifest",
            ),
            (
                of(&[cid(b"\x80")], &[b"\x80"]),
                "its root is not a manifest",
            ),
            (of(&[root, root, root], &[]), "it has more than two roots"),
            (
                of(&[root, root], &[&sample.blocks[0].bytes]),
                "its signature is missing",
            ),
            (
                of(&[root, cid(b"\xa0")], &[&sample.blocks[0].bytes, b"\xa0"]),
                "the signature is refused: not a map",
            ),
        ] {
            let fault = sample.fault_of(&bytes).await;
            assert!(fault.to_string().contains(says), "{fault}");
        }
    });
}

#[test]
fn a_length_of_two_to_the_63_is_refused_before_anything_is_allocated() {
    run(async {
        let sample = taken_apart().await;
        let mut huge = vec![0x80; 9];
        huge.push(1);
        for block in &sample.blocks {
            let at = usize::try_from(block.at).unwrap();
            let bytes = [&sample.bytes[..at], &huge, &sample.bytes[at..]].concat();
            let fault = sample.fault_of(&bytes).await;
            let BundleFault::Car(CarFault::Size { length, .. }) = fault else {
                panic!("{fault:?}");
            };
            assert_eq!(length, 1 << 63);
        }
        let fault = sample.fault_of(&huge).await;
        assert!(
            matches!(fault, BundleFault::Car(CarFault::Size { .. })),
            "{fault:?}"
        );
    });
}
