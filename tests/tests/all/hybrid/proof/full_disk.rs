//! A disk that is full in the middle, on the way down and on the way up.

use std::fs;
use std::path::{Path, PathBuf};

use cim_es::SqliteEventStore;
use cim_es::hybrid::HybridEventStore;
use cim_es::store::{EventStore, StoreError};
use cim_es_tests::directory::Directory;
use cim_es_tests::disk::Disk;
use cim_es_tests::nats::Server;

use super::super::{cids, commit, filled, key, servers, until};
use super::program::Orders;

/// A file of a node on a small disk.
fn orders(disk: &Disk, url: String) -> Orders {
    Orders {
        file: disk.path().join("events.db"),
        urls: vec![url],
        replicas: 1,
        minutes_ahead: 0,
    }
}

/// A payload of some bytes.
fn payload(bytes: u16) -> Vec<u8> {
    let mut payload = vec![0xa1, 0x61, b'b', 0x59];
    payload.extend(bytes.to_be_bytes());
    payload.resize(payload.len() + usize::from(bytes), 7);
    payload
}

/// What takes the room of a disk until it is removed.
struct Ballast(PathBuf);

impl Ballast {
    /// Takes all room.
    fn fill(disk: &Disk) -> Self {
        let path = disk.path().join("ballast");
        let mut block = vec![1_u8; 1 << 20];
        let mut file = fs::File::create(&path).unwrap();
        while !block.is_empty() {
            let is_full = std::io::Write::write_all(&mut file, &block).is_err();
            if is_full {
                block.truncate(block.len() / 2);
            }
        }
        Self(path)
    }

    fn remove(self) {
        fs::remove_file(&self.0).unwrap();
    }
}

/// Commits until the disk takes no more; gives how many it took.
async fn fill_up(store: &HybridEventStore) -> usize {
    for number in 0.. {
        match store
            .append(filled(&[&format!("here-{}", number % 5)], payload(9_000)))
            .await
        {
            Ok(_) => {}
            Err(StoreError::Full { .. }) => return number,
            Err(other) => panic!("{other}"),
        }
    }
    unreachable!("a disk is full at last")
}

fn is_there(path: &Path) {
    assert!(path.exists(), "{}", path.display());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_on_the_way_down_keeps_nobody_from_sending_and_loses_nothing() {
    let (server, directory) = (Server::start(), Directory::new());
    let Some(disk) = Disk::mount(&directory, "3m") else {
        return;
    };
    let direct = servers(server.url()).open().await.unwrap();
    for number in 0..100 {
        let ids = [&*format!("there-{}", number % 7), "there"];
        direct.append(filled(&ids, payload(9_000))).await.unwrap();
    }
    let nowhere = orders(&disk, "nats://127.0.0.1:9".to_owned()).open().await;
    let written = fill_up(&nowhere).await;
    nowhere.close().await;
    drop(nowhere);

    let orders = orders(&disk, server.url());
    is_there(&orders.file);
    let store = orders.open().await;
    // All that was written here goes up, although nothing comes down.
    until(async || cids(&direct).await.len() == 200 + written).await;
    until(async || {
        let status = store.status().await.unwrap();
        status.is_connected
            && status
                .failure
                .is_some_and(|failure| failure.contains("no room"))
    })
    .await;
    let refused = store.append(filled(&["more"], payload(30_000))).await;
    assert!(
        matches!(refused, Err(StoreError::Full { .. })),
        "{refused:?}"
    );
    store.close().await;
    drop(store);

    // With a larger disk all comes down.
    let larger = Directory::new();
    for name in ["events.db", "events.db-wal"] {
        let from = disk.path().join(name);
        if from.exists() {
            fs::copy(from, larger.file(name)).unwrap();
        }
    }
    let orders = Orders {
        file: larger.file("events.db"),
        ..orders
    };
    let store = orders.open().await;
    until(async || cids(&store).await == cids(&direct).await).await;
    until(async || store.queue_size().await.unwrap() == 0).await;
    let status = store.status().await.unwrap();
    assert_eq!(status.failure, None);
    assert!(store.notices().is_empty(), "{:?}", store.notices());
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_when_it_is_noted_what_was_sent_doubles_nothing() {
    let (server, directory) = (Server::start(), Directory::new());
    let Some(disk) = Disk::mount(&directory, "3m") else {
        return;
    };
    let nowhere = orders(&disk, "nats://127.0.0.1:9".to_owned()).open().await;
    for number in 0..60 {
        nowhere
            .append(commit(&[&format!("a{}", number % 7), "a"]))
            .await
            .unwrap();
    }
    nowhere.close().await;
    drop(nowhere);

    let orders = orders(&disk, server.url());
    let direct = servers(server.url()).open().await.unwrap();
    // Held open, so that the disk has the files that SQLite needs.
    let file = SqliteEventStore::open(&orders.file).unwrap();
    let ballast = Ballast::fill(&disk);
    let store = orders.open().await;
    until(async || cids(&direct).await.len() == 120).await;
    until(async || store.queue_size().await.unwrap() == 0).await;
    let refused = store.protocol().save().await;
    assert!(
        matches!(refused, Err(StoreError::Full { .. })),
        "{refused:?}"
    );
    store.close().await;
    drop(store);

    // The next program knows nothing of what was sent.
    let store = orders.open().await;
    assert_eq!(store.load_queue().await.unwrap(), 120);
    ballast.remove();
    until(async || store.queue_size().await.unwrap() == 0).await;
    store.append(commit(&["a"])).await.unwrap();
    until(async || cids(&direct).await.len() == 121).await;
    assert_eq!(cids(&direct).await, cids(&file).await);
    let last = direct.last(&key("a")).await.unwrap().unwrap();
    assert_eq!(last.envelope.sequence, 61);
    store.close().await;
    file.close().await;
}
