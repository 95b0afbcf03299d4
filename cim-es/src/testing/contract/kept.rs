//! What is kept beside the events: snapshots, objects and checkpoints.

use bytes::Bytes;

use super::Provider;
use super::sample::*;
use crate::block::verify_cid;
use crate::store::{CheckpointStore, ObjectStore, Position, Snapshot, SnapshotStore};

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
    for (tag, version) in [(1, 10), (1, 20), (2, 15), (1, 12), (u64::MAX, 3)] {
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
        assert_eq!(latest(3).await, None);
        assert_eq!(store.get_latest_snapshot(&unknown, 1).await.unwrap(), None);
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
}

/// A checkpoint is found by the reader's name, also by a handle that was opened apart.
pub async fn a_checkpoint_is_kept_by_name(provider: impl Provider) {
    let store = provider.open().await;
    assert_eq!(store.get_checkpoint("reader").await.unwrap(), None);
    store.save_checkpoint("reader", Position(7)).await.unwrap();
    store
        .save_checkpoint("another reader", Position(3))
        .await
        .unwrap();
    store.save_checkpoint("reader", Position(9)).await.unwrap();
    let reopened = provider.open().await;
    assert_eq!(
        reopened.get_checkpoint("reader").await.unwrap(),
        Some(Position(9))
    );
    assert_eq!(
        reopened.get_checkpoint("another reader").await.unwrap(),
        Some(Position(3))
    );
    store.save_checkpoint("reader", Position(2)).await.unwrap();
    assert_eq!(
        store.get_checkpoint("reader").await.unwrap(),
        Some(Position(2))
    );
}
