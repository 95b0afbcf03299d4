//! Kinds that share an id.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::Provider;
use super::ids::IDS;
use super::sample::*;
use crate::domain::aggregate::IdText;
use crate::store::{AggregateKey, EventStore, ExpectedVersion};

/// Each kind that has events under an id is told, and none of another id.
pub async fn the_kinds_under_an_id_are_told(provider: impl Provider) {
    let store = provider.open().await;
    let id = Uuid::now_v7().to_string();
    let key = |kind| key_of_kind(kind, &id);
    let kinds = async || -> BTreeSet<String> {
        let kinds = store.kinds(key("contract.sample").id()).await.unwrap();
        kinds.into_iter().collect()
    };
    append_each(&store, &self::key(), [1]).await;
    assert_eq!(kinds().await, BTreeSet::new());
    append_each(&store, &key("contract.sample"), [1, 2]).await;
    assert_eq!(
        kinds().await,
        BTreeSet::from(["contract.sample".to_owned()])
    );
    let marked = vec![event_of_type(OTHER_TYPE, 3)];
    let other = commit().aggregate(key("contract.other"), ExpectedVersion::NoStream, marked);
    store.append(other).await.unwrap();
    let both = ["contract.other", "contract.sample"].map(str::to_owned);
    assert_eq!(kinds().await, BTreeSet::from(both));
}

/// The kinds under an id are those of this very text, each told once, however many events stand in front of them, and by
/// every handle.
pub async fn the_kinds_under_ids_that_look_alike_do_not_mix(provider: impl Provider) {
    let (store, elsewhere) = (provider.open().await, provider.open().await);
    let id = |id: &str| IdText::new(id).expect("an id has a text");
    let kind = |number: u64| format!("contract.kind_{number}");
    for (text, number) in IDS.into_iter().zip(0..) {
        let key = AggregateKey::new(kind(number), id(text));
        append_each(&store, &key, [number]).await;
    }
    for (text, number) in IDS.into_iter().zip(0..) {
        let kinds = elsewhere.kinds(&id(text)).await.unwrap();
        assert_eq!(kinds, [kind(number)], "{text:?}");
    }
    let busy = key();
    append(&store, &busy, ExpectedVersion::NoStream, 0..600)
        .await
        .unwrap();
    let late = key_of_kind("contract.late", busy.id().as_str());
    let marked = vec![event_of_type(OTHER_TYPE, 1)];
    let marked = commit().aggregate(late, ExpectedVersion::NoStream, marked);
    store.append(marked).await.unwrap();
    append(&store, &busy, ExpectedVersion::Exactly(600), 0..300)
        .await
        .unwrap();
    let mut kinds = elsewhere.kinds(busy.id()).await.unwrap();
    kinds.sort_unstable();
    assert_eq!(kinds, ["contract.late", "contract.sample"]);
}
