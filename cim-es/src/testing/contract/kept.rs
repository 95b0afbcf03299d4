//! What is kept beside the events: snapshots, objects and checkpoints.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::Provider;
use super::sample::*;
use crate::block::{HashCode, verify_cid};
use crate::domain::message::Timestamp;
use crate::store::{
    Bookmark, CheckpointStore, ContentType, ObjectStore, Position, Snapshot, SnapshotStore,
};

/// Of the snapshots of an aggregate with one tag the newest is kept; another tag has its own.
pub async fn the_newest_snapshot_of_a_tag_is_kept(provider: impl Provider) {
    let store = provider.open().await;
    let (key, unknown) = (key(), key());
    let event = append_each(&store, &key, [1]).await.remove(0);
    let snapshot = |tag, version| Snapshot {
        tag,
        version,
        last_cid: event.cid,
        position: event.position,
        state: Bytes::from(format!("state {version}")),
    };
    assert_eq!(store.get_latest_snapshot(&key, 1).await.unwrap(), None);
    // Numbers beside which others would be taken for the same in fewer bits.
    const EDGE: u64 = 1 << 53;
    let others = [EDGE, EDGE + 1, 1 << 32, (1 << 32) + 1, u64::MAX - 1];
    let others = || {
        others
            .into_iter()
            .map(|tag| (tag, tag.wrapping_add(7) >> 1))
    };
    let first = [(1, 10), (1, 20), (2, 15), (1, 12), (u64::MAX, 3)];
    for (tag, version) in first.into_iter().chain(others()) {
        store
            .save_snapshot(&key, snapshot(tag, version))
            .await
            .unwrap();
    }
    let reopened = provider.open().await;
    for store in [store, reopened] {
        let latest = async |tag| store.get_latest_snapshot(&key, tag).await.unwrap();
        assert_eq!(latest(1).await, Some(snapshot(1, 20)));
        assert_eq!(latest(2).await, Some(snapshot(2, 15)));
        assert_eq!(latest(u64::MAX).await, Some(snapshot(u64::MAX, 3)));
        for (tag, version) in others() {
            assert_eq!(latest(tag).await, Some(snapshot(tag, version)));
        }
        assert_eq!(latest(3).await, None);
        assert_eq!(store.get_latest_snapshot(&unknown, 1).await.unwrap(), None);
    }
}

/// Two kinds of aggregate with one id have snapshots of their own, which come back as they were kept.
pub async fn a_snapshot_comes_back_as_it_was_kept(provider: impl Provider) {
    let (store, elsewhere) = (provider.open().await, provider.open().await);
    let cid = append_each(&store, &key(), [1]).await[0].cid;
    let kinds = [
        "contract.sample",
        "contract.Sample",
        "contract.example",
        "contract.sample.x",
    ];
    let states = [
        vec![],
        vec![0xa0],
        vec![7; 3_000_000],
        (0..=255).collect::<Vec<u8>>(),
    ];
    let cases = || {
        let kinds = kinds.into_iter().zip(states.iter().cloned()).zip(1_u64..);
        kinds.map(|((kind, state), number)| {
            let snapshot = Snapshot {
                tag: 1,
                version: (number << 53) + number,
                last_cid: cid,
                position: Position((number << 53) + 1),
                state: Bytes::from(state),
            };
            (key_of_kind(kind, "x"), snapshot)
        })
    };
    for (key, snapshot) in cases() {
        store.save_snapshot(&key, snapshot).await.unwrap();
    }
    for (key, snapshot) in cases() {
        let kept = elsewhere.get_latest_snapshot(&key, 1).await.unwrap();
        assert_eq!(kept, Some(snapshot), "{key}");
    }
}

/// An object is found by the CID of its bytes; keeping it again changes nothing.
pub async fn an_object_is_kept_under_its_cid(provider: impl Provider) {
    let store = provider.open().await;
    let objects = [
        Bytes::from_static(&[0xa0]),
        Bytes::from(vec![7; 3_000_000]),
        Bytes::new(),
    ];
    let mut cids = Vec::new();
    for object in &objects {
        let cid = store.put_object(object.clone()).await.unwrap();
        assert!(verify_cid(&cid, object));
        assert_eq!(store.put_object(object.clone()).await.unwrap(), cid);
        cids.push(cid);
    }
    let reopened = provider.open().await;
    for (cid, object) in cids.iter().zip(&objects) {
        assert_eq!(
            reopened.get_object(cid).await.unwrap().as_ref(),
            Some(object)
        );
    }
    let unknown = append_each(&store, &key(), [1]).await[0].cid;
    assert_eq!(store.get_object(&unknown).await.unwrap(), None);
    for (what, cid) in neighbours(&cids[0]) {
        assert_eq!(store.get_object(&cid).await.unwrap(), None, "{what}");
    }
}

/// Beside an object stand its size, what its bytes are and the time, as they were when it was kept first: also for a handle
/// that was opened apart, and for two objects each its own.
pub async fn an_object_keeps_what_it_was_first_said_to_be(provider: impl Provider) {
    let (store, elsewhere) = (provider.open().await, provider.open().await);
    let picture: ContentType = "image/png; q=\"a b\"".parse().unwrap();
    let before = Timestamp::from(SystemTime::now());
    // Nobody has kept them before, whoever else uses the store.
    let unique = uuid::Uuid::now_v7();
    let object = |length: usize| {
        let mut object = unique.as_bytes().to_vec();
        object.resize(length, 7);
        Bytes::from(object)
    };
    let said = [
        (object(16), ContentType::DAG_CBOR),
        (object(17), picture.clone()),
        (object(300_000), picture),
        (object(18), ContentType::BYTES),
    ];
    let mut kept = Vec::new();
    for (object, content_type) in &said {
        let cid = match *content_type == ContentType::BYTES {
            true => store.put_object(object.clone()).await,
            false => {
                let (object, content_type) = (object.clone(), content_type.clone());
                store.put_object_as(object, content_type).await
            }
        };
        let cid = cid.unwrap();
        let info = store.object_info(&cid).await.unwrap().expect("it is kept");
        let found = (info.cid, info.size, info.content_type.as_ref());
        assert_eq!(found, (cid, object.len() as u64, Some(content_type)));
        let at = info.stored_at.expect("it has a time");
        let after = Timestamp::from(SystemTime::now());
        assert!((before..=after).contains(&at), "{at}");
        kept.push(info);
    }
    // Said again otherwise, and later, it stays as it was.
    tokio::time::sleep(Duration::from_millis(2)).await;
    for (object, _) in &said {
        let other = "text/plain".parse().unwrap();
        store.put_object_as(object.clone(), other).await.unwrap();
    }
    for store in [store, elsewhere, provider.open().await] {
        for info in &kept {
            let found = store.object_info(&info.cid).await.unwrap();
            assert_eq!(found.as_ref(), Some(info));
        }
        for (what, cid) in neighbours(&kept[0].cid) {
            assert_eq!(store.object_info(&cid).await.unwrap(), None, "{what}");
        }
    }
}

/// Objects that look alike are apart: of one length, with one beginning, with one end.
pub async fn objects_that_look_alike_do_not_mix(provider: impl Provider) {
    let store = provider.open().await;
    // Sizes at which an object may be cut into pieces, and one byte beside them.
    let pieces = [1 << 16, 1 << 17, 1 << 20].into_iter();
    let pieces = pieces.flat_map(|size: usize| [size - 1, size, size + 1]);
    let mut objects: Vec<_> = pieces.map(|size| vec![1; size]).collect();
    objects.extend([
        vec![0; 64],
        vec![0; 65],
        vec![0xff, 0xfe, 0x00],
        b"{}".to_vec(),
    ]);
    for place in [0, 31, 63] {
        let mut object = vec![0; 64];
        object[place] = 1;
        objects.push(object);
    }
    let mut cids = Vec::new();
    for object in &objects {
        cids.push(store.put_object(Bytes::from(object.clone())).await.unwrap());
    }
    for (cid, object) in cids.iter().zip(&objects) {
        let kept = store.get_object(cid).await.unwrap();
        assert!(
            kept.as_deref() == Some(object.as_slice()),
            "an object of {} bytes",
            object.len()
        );
    }
}

/// A checkpoint is found by the reader's name, also by a handle that was opened apart; a later one takes its place,
/// wherever it is.
pub async fn a_checkpoint_is_kept_by_name(provider: impl Provider) {
    let store = provider.open().await;
    let at = |number| Bookmark::from(Position(number));
    assert_eq!(store.get_checkpoint("report").await.unwrap(), None);
    for (reader, number) in [("report", 7), ("another report", 3), ("report", 9)] {
        store.save_checkpoint(reader, at(number)).await.unwrap();
    }
    let reopened = provider.open().await;
    let kept = reopened.get_checkpoint("report").await.unwrap();
    assert_eq!(kept, Some(at(9)));
    let kept = reopened.get_checkpoint("another report").await.unwrap();
    assert_eq!(kept, Some(at(3)));
    store.save_checkpoint("report", at(2)).await.unwrap();
    assert_eq!(store.get_checkpoint("report").await.unwrap(), Some(at(2)));
}

/// A checkpoint has the event at its position, when the reader named it, and has it no longer when it did not.
pub async fn a_checkpoint_keeps_the_event_at_its_position(provider: impl Provider) {
    let (store, elsewhere) = (provider.open().await, provider.open().await);
    let events = [Bytes::from_static(&[0xa0]), Bytes::from_static(&[0x80])];
    let mut checkpoints = Vec::new();
    for hash in [HashCode::Sha2_256, HashCode::Blake3_256] {
        for event in &events {
            checkpoints.push(Bookmark {
                position: Position(checkpoints.len() as u64),
                cid: Some(hash.cid(event)),
            });
        }
    }
    checkpoints.push(Position(9).into());
    for at in checkpoints {
        store.save_checkpoint("reader of events", at).await.unwrap();
        for store in [&store, &elsewhere] {
            assert_eq!(
                store.get_checkpoint("reader of events").await.unwrap(),
                Some(at)
            );
        }
    }
}

/// Any text names a reader, and no two of them share a checkpoint; any position comes back as it was, or is refused.
pub async fn any_text_names_a_reader_and_any_position_is_kept(provider: impl Provider) {
    let (store, elsewhere) = (provider.open().await, provider.open().await);
    let long = [63, 64, 100, 200].map(|same| ["a", "b"].map(|end| "x".repeat(same) + end));
    let long = long.as_flattened();
    let at = |number| Bookmark::from(Position(number));
    let names = [
        "reader", "Reader", "reader ", " reader", "readers", "a.b", "a/b", "a_b", "a-b", "a%2Eb",
        "a=2Eb", "a b", "a+b", "*", ">", "%", "é", "e\u{301}", "1", "01", "1.0", "a\0b", "a\0c",
        "\u{212a}", "k", "K",
    ];
    let names = || {
        names
            .into_iter()
            .chain(long.iter().map(String::as_str))
            .zip(1..)
    };
    for (name, number) in names() {
        let saved = store.save_checkpoint(name, at(number)).await;
        saved.unwrap_or_else(|error| panic!("{name:?}: {error}"));
    }
    for (name, number) in names() {
        let kept = elsewhere.get_checkpoint(name).await.unwrap();
        assert_eq!(kept, Some(at(number)), "{name:?}");
    }
    let edge = 1 << 32;
    for number in [
        0,
        1,
        edge - 1,
        edge,
        1 << 53,
        (1 << 53) + 1,
        i64::MAX as u64,
        u64::MAX,
    ] {
        if store.save_checkpoint("reader", at(number)).await.is_ok() {
            let kept = elsewhere.get_checkpoint("reader").await.unwrap();
            assert_eq!(kept, Some(at(number)));
        }
    }
}
