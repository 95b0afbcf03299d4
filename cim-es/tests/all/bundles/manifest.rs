//! A manifest that lies, in whichever field, is refused.

use cim_es::MemoryEventStore;
use cim_es::block::{Cid, HashCode};
use cim_es::bundle::{BundleFault, Import, Manifest};
use cim_es::car::{CarBlock, CarReader, CarWriter};
use cim_es::message::Timestamp;
use cim_es::prelude::Ipld;

use super::{bundle, commit, exporting, fault, sample};
use crate::sqlite_support::{Directory, key, run};

struct Sample {
    directory: Directory,
    value: Ipld,
    blocks: Vec<CarBlock>,
}

impl Sample {
    /// A bundle that goes on from an earlier one.
    async fn new() -> Self {
        let (store, directory) = (sample().await, Directory::new());
        let (_, earlier) = bundle(&store, &directory).await;
        commit(&store, &[("a", 1), ("z", 1)]).await;
        let file = directory.file("new.car");
        let export = exporting(&store).since(&earlier.manifest);
        export.bundle_to(&file).await.expect("it is exported");
        let bytes = std::fs::read(&file).unwrap();
        let blocks = CarReader::new(&bytes[..]).unwrap();
        let blocks = blocks.collect::<Result<Vec<_>, _>>().unwrap();
        let value = serde_ipld_dagcbor::from_slice(&blocks[0].bytes).unwrap();
        Self {
            directory,
            value,
            blocks,
        }
    }

    /// A bundle of the same blocks under another manifest.
    fn under(&self, manifest: &[u8]) -> std::path::PathBuf {
        let root = HashCode::Sha2_256.cid(manifest);
        let mut car = CarWriter::new(Vec::new(), &[root]).unwrap();
        car.write(&root, manifest).unwrap();
        for block in &self.blocks[1..] {
            car.write(&block.cid, &block.bytes).unwrap();
        }
        let file = self.directory.file("given.car");
        std::fs::write(&file, car.finish().unwrap()).unwrap();
        file
    }

    async fn fault_of(&self, change: impl FnOnce(&mut Ipld)) -> BundleFault {
        let mut value = self.value.clone();
        change(&mut value);
        let block = serde_ipld_dagcbor::to_vec(&value).unwrap();
        fault(&self.under(&block)).await
    }
}

/// The value at a path of keys and places.
fn at<'a>(value: &'a mut Ipld, path: &str) -> &'a mut Ipld {
    path.split('.').fold(value, |value, step| match value {
        Ipld::Map(map) => map.get_mut(step).expect("the key is there"),
        Ipld::List(list) => &mut list[step.parse::<usize>().expect("a place")],
        other => panic!("{other:?}"),
    })
}

fn remove(value: &mut Ipld, key: &str) {
    if let Ipld::Map(map) = value {
        map.remove(key).expect("the key is there");
    }
}

fn other_cid() -> Cid {
    HashCode::Sha2_256.cid(b"another block")
}

#[test]
fn the_manifest_is_the_map_of_its_format() {
    run(async {
        let sample = Sample::new().await;
        let Ipld::Map(map) = &sample.value else {
            panic!("{:?}", sample.value);
        };
        let keys: Vec<_> = map.keys().map(String::as_str).collect();
        let expected = [
            "aggregates",
            "blocks",
            "bytes",
            "created",
            "kind",
            "order",
            "prerequisites",
            "source",
            "v",
        ];
        assert_eq!(keys, expected);
        assert_eq!(map["kind"], Ipld::String("cim-es/bundle".into()));
        let Ipld::List(aggregates) = &map["aggregates"] else {
            panic!("{:?}", map["aggregates"]);
        };
        let Ipld::Map(first) = &aggregates[0] else {
            panic!("{:?}", aggregates[0]);
        };
        let keys: Vec<_> = first.keys().map(String::as_str).collect();
        let expected = ["count", "from", "head", "id", "kind", "previous", "to"];
        assert_eq!(keys, expected);
        // Written by another encoder, it is the same block.
        let block = serde_ipld_dagcbor::to_vec(&sample.value).unwrap();
        assert_eq!(block, sample.blocks[0].bytes);
        let read = Import::bundle(sample.under(&block))
            .manifest()
            .await
            .unwrap()
            .unwrap();
        assert_eq!(read.encode(), block);
    });
}

#[test]
fn a_manifest_that_lies_in_any_field_is_refused() {
    run(async {
        let sample = Sample::new().await;
        let numbers = [
            0,
            1,
            2,
            3,
            6,
            7,
            1 << 32,
            i128::from(i64::MAX),
            1 << 63,
            u64::MAX.into(),
        ];
        let paths = [
            "v",
            "blocks",
            "bytes",
            "aggregates.0.from",
            "aggregates.0.to",
            "aggregates.0.count",
            "aggregates.1.from",
            "aggregates.1.to",
            "aggregates.1.count",
        ];
        let mut refused = 0;
        for path in paths {
            for number in numbers {
                let is_true = *at(&mut sample.value.clone(), path) == Ipld::Integer(number);
                if is_true {
                    continue;
                }
                let set = |value: &mut Ipld| *at(value, path) = Ipld::Integer(number);
                let fault = sample.fault_of(set).await;
                assert!(!fault.to_string().is_empty());
                refused += 1;
            }
        }
        assert!(refused > 80, "only {refused} were tried");
        for path in [
            "aggregates.0.head",
            "aggregates.1.head",
            "aggregates.0.previous",
            "prerequisites.0",
        ] {
            for link in [Ipld::Link(other_cid()), Ipld::Null, Ipld::Integer(1)] {
                sample.fault_of(|value| *at(value, path) = link).await;
            }
        }
        for bytes in [vec![7; 32], vec![7; 31], vec![]] {
            let set = |value: &mut Ipld| *at(value, "order") = Ipld::Bytes(bytes);
            sample.fault_of(set).await;
        }
        for path in [
            "aggregates.0.id",
            "aggregates.0.kind",
            "aggregates.1.id",
            "kind",
        ] {
            for text in ["", "other", "a b", "test.>", &"x".repeat(300)] {
                sample
                    .fault_of(|value| *at(value, path) = Ipld::String(text.into()))
                    .await;
            }
        }
        for path in [
            "source",
            "created",
            "aggregates",
            "prerequisites",
            "aggregates.0",
        ] {
            sample.fault_of(|value| *at(value, path) = Ipld::Null).await;
        }
    });
}

#[test]
fn what_a_manifest_says_wrong_is_named() {
    run(async {
        let sample = Sample::new().await;
        let head = |value: &mut Ipld| *at(value, "aggregates.0.head") = Ipld::Link(other_cid());
        let fault = sample.fault_of(head).await;
        let BundleFault::Contradicted { what, says, .. } = &fault else {
            panic!("{fault:?}");
        };
        assert_eq!(what, "the last event of test.note a");
        assert_eq!(*says, format!("version 5, event {}", other_cid()));

        let bytes = sample
            .fault_of(|value| *at(value, "bytes") = Ipld::Integer(5))
            .await;
        let BundleFault::Contradicted { what, says, .. } = &bytes else {
            panic!("{bytes:?}");
        };
        assert_eq!(
            (&**what, &**says),
            ("the number of bytes of its blocks", "5")
        );

        let newer = sample
            .fault_of(|value| *at(value, "v") = Ipld::Integer(2))
            .await;
        assert_eq!(newer, BundleFault::Newer { version: 2 });

        let name = |value: &mut Ipld| *at(value, "aggregates.1.id") = Ipld::String("y".into());
        let fault = sample.fault_of(name).await;
        assert!(
            matches!(&fault, BundleFault::NotInTheManifest { aggregate, version: 1 }
                if aggregate.id().as_str() == "z"),
            "{fault:?}"
        );

        let previous = |value: &mut Ipld| {
            *at(value, "aggregates.0.previous") = Ipld::Link(other_cid());
            *at(value, "prerequisites.0") = Ipld::Link(other_cid());
        };
        let fault = sample.fault_of(previous).await;
        assert!(
            fault
                .to_string()
                .contains("does not follow from its predecessor"),
            "{fault}"
        );
    });
}

#[test]
fn a_manifest_with_another_form_is_refused() {
    run(async {
        let sample = Sample::new().await;
        let fields = [
            "aggregates",
            "blocks",
            "bytes",
            "created",
            "kind",
            "order",
            "prerequisites",
            "source",
            "v",
        ];
        for field in fields {
            sample.fault_of(|value| remove(value, field)).await;
        }
        for field in ["count", "from", "head", "id", "kind", "previous", "to"] {
            sample
                .fault_of(|value| remove(at(value, "aggregates.0"), field))
                .await;
        }
        let more = |path: &'static str| {
            move |value: &mut Ipld| {
                let value = if path.is_empty() {
                    value
                } else {
                    at(value, path)
                };
                if let Ipld::Map(map) = value {
                    map.insert("more".into(), Ipld::Integer(1));
                }
            }
        };
        sample.fault_of(more("")).await;
        // It goes on from an earlier one, and a whole one from nothing; and who is not whole does not say so.
        for whole in [true, false] {
            let fault = sample
                .fault_of(|value| {
                    if let Ipld::Map(map) = value {
                        map.insert("whole".into(), Ipld::Bool(whole));
                    }
                })
                .await;
            assert!(fault.to_string().contains("`whole`"), "{whole}: {fault}");
        }
        sample.fault_of(more("aggregates.0")).await;
        let with_list = |change: fn(&mut Vec<Ipld>)| {
            move |value: &mut Ipld| {
                if let Ipld::List(list) = at(value, "aggregates") {
                    change(list);
                }
            }
        };
        sample.fault_of(with_list(|list| list.reverse())).await;
        sample
            .fault_of(with_list(|list| list.push(list[1].clone())))
            .await;
        sample.fault_of(with_list(|list| drop(list.pop()))).await;
        let empty = sample
            .fault_of(|value| {
                with_list(Vec::clear)(value);
                *at(value, "blocks") = Ipld::Integer(0);
                *at(value, "prerequisites") = Ipld::List(Vec::new());
            })
            .await;
        assert_eq!(empty, BundleFault::Empty);
        // Bytes behind the map.
        let block = [&sample.blocks[0].bytes[..], &[0]].concat();
        fault(&sample.under(&block)).await;
    });
}

#[test]
fn where_it_comes_from_and_when_is_kept() {
    run(async {
        let (store, directory) = (sample().await, Directory::new());
        let file = directory.file("all.car");
        let (root, signature) = ("A".repeat(43), "A".repeat(91));
        let note = format!("a.b/c\n12\n{root}=\n\n\u{2014} a.b/c {signature}=\n");
        for micros in [i64::MIN, -1, 0, 1, i64::MAX] {
            let export = exporting(&store)
                .source("a ship, in the harbour of Leiden")
                .created(Timestamp::from_micros(micros))
                // Of a part nobody can say what the checkpoint covers.
                .aggregates(["a", "b", "c", "d"].map(key))
                .checkpoint(note.as_str());
            let written = export
                .bundle_to(&file)
                .await
                .expect("it is exported")
                .manifest;
            let read: Manifest = Import::bundle(&file).manifest().await.unwrap().unwrap();
            assert_eq!(read, written);
            assert_eq!(read.created.as_micros(), micros);
            assert_eq!(read.checkpoint.as_deref(), Some(note.as_str()));
            super::import(&file, &MemoryEventStore::new())
                .await
                .expect("it is imported");
        }
    });
}
