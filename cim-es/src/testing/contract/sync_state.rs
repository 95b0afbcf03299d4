//! What is known of a stream: values by name, beside the events.

use bytes::Bytes;

use super::Provider;
use crate::store::{StateChange, StoreError, SyncState};

/// A value comes back by its name, byte by byte, also by a handle that was opened apart; a later one takes its place.
pub async fn a_value_is_kept_by_name<P: Provider<Store: SyncState>>(provider: P) {
    let (store, elsewhere) = (provider.open().await, provider.open().await);
    assert_eq!(store.get_state("up").await.unwrap(), None);
    assert_eq!(store.list_state("").await.unwrap(), []);
    let values = [vec![], vec![0xf6], vec![7; 300_000], (0..=255).collect()];
    let names = ["up", "Up", "up ", "ü/p", "u", "u\0p", "up/1", ""];
    for value in values {
        for (number, name) in names.into_iter().enumerate() {
            let mut value = value.clone();
            value.push(u8::try_from(number).unwrap());
            let change = StateChange::put(name, value);
            store.change_state(vec![change]).await.unwrap();
        }
        for (number, name) in names.into_iter().enumerate() {
            let mut value = value.clone();
            value.push(u8::try_from(number).unwrap());
            for store in [&store, &elsewhere] {
                let kept = store.get_state(name).await.unwrap();
                assert!(kept.as_deref() == Some(&value[..]), "`{name}`");
            }
        }
    }
    let empty = StateChange::put("up", Bytes::new());
    store.change_state(vec![empty]).await.unwrap();
    assert_eq!(elsewhere.get_state("up").await.unwrap(), Some(Bytes::new()));
}

/// Of several changes all are made, in their order; a value that is taken away is gone.
pub async fn changes_are_made_together<P: Provider<Store: SyncState>>(provider: P) {
    let store = provider.open().await;
    let put = |name: &str, value: u8| StateChange::put(name, vec![value]);
    store.change_state(Vec::new()).await.unwrap();
    let first = vec![
        put("a", 1),
        put("b", 2),
        put("a", 3),
        StateChange::remove("c"),
    ];
    store.change_state(first).await.unwrap();
    let second = vec![
        StateChange::remove("a"),
        put("c", 4),
        StateChange::remove("d"),
    ];
    store.change_state(second).await.unwrap();
    let again = vec![StateChange::remove("b"), put("b", 5)];
    store.change_state(again).await.unwrap();
    let reopened = provider.open().await;
    for store in [&store, &reopened] {
        let kept = store.list_state("").await.unwrap();
        let kept: Vec<_> = kept
            .iter()
            .map(|(name, value)| (&**name, value[0]))
            .collect();
        assert_eq!(kept, [("b", 5), ("c", 4)]);
        assert_eq!(store.get_state("a").await.unwrap(), None);
    }
}

/// Values are listed by the beginning of their names, in the order of the bytes of these.
pub async fn values_are_listed_by_the_beginning_of_their_names<P: Provider<Store: SyncState>>(
    provider: P,
) {
    let store = provider.open().await;
    let names = [
        "block/a",
        "block/a b",
        "block",
        "block0",
        "Block/a",
        "block/é",
        "block/z",
        "a",
    ];
    let changes = names.map(|name| StateChange::put(name, name.as_bytes().to_vec()));
    store.change_state(changes.into()).await.unwrap();
    let listed = async |prefix: &str| {
        let listed = store.list_state(prefix).await.unwrap();
        assert!(listed.iter().all(|(name, value)| name.as_bytes() == value));
        let names = listed.into_iter().map(|(name, _)| name);
        names.collect::<Vec<_>>()
    };
    let of_blocks = ["block/a", "block/a b", "block/z", "block/é"];
    assert_eq!(listed("block/").await, of_blocks);
    assert_eq!(listed("block/a").await, ["block/a", "block/a b"]);
    assert_eq!(listed("c").await, Vec::<String>::new());
    let mut all = names.map(str::to_owned);
    all.sort_unstable();
    assert_eq!(listed("").await, all);
}

/// Who has claimed what is known keeps others out until the claim is dropped, also those that opened the store apart; a
/// claim keeps nobody from reading and writing.
pub async fn one_at_a_time_claims_what_is_known<P: Provider<Store: SyncState>>(provider: P) {
    let (store, elsewhere) = (provider.open().await, provider.open().await);
    for _ in 0..3 {
        let claim = store.claim_state().await.expect("nobody has claimed it");
        for store in [&store, &elsewhere] {
            let second = store.claim_state().await;
            let is_refused = matches!(second, Err(StoreError::KeptLevel { .. }));
            assert!(is_refused, "a second one has claimed it: {second:?}");
            let change = StateChange::put("up", vec![1]);
            store.change_state(vec![change]).await.unwrap();
            assert_eq!(store.get_state("up").await.unwrap(), Some(vec![1].into()));
        }
        drop(claim);
        let claim = elsewhere.claim_state().await;
        drop(claim.expect("the claim before has ended"));
    }
    let claim = store.claim_state().await.expect("nobody has claimed it");
    drop(store);
    let second = elsewhere.claim_state().await;
    assert!(
        second.is_err(),
        "a claim ends with itself, not with the handle"
    );
    drop(claim);
    elsewhere
        .claim_state()
        .await
        .expect("the claim before has ended");
}
