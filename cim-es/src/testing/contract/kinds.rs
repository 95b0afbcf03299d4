//! Kinds that share an id.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::Provider;
use super::sample::*;
use crate::store::{EventStore, ExpectedVersion};

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
