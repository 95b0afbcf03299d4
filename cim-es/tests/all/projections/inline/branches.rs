//! A view in the file of the events, and branches of these that are replaced.

use std::collections::BTreeMap;

use cim_es::prelude::*;
use cim_es::store::read_model::Page;
use cim_es::store::{
    AggregateKey, Branch, BranchReplacement, BranchStore, EventStore, EventStoreExt, Position,
    SealedCommit,
};
use futures_util::TryStreamExt;

use super::{Kept, folded, held};
use crate::account::Account;
use crate::projections::{deposit, until_answered};

/// The view holds what the events come to, and never what was taken out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_that_counted_a_replaced_event_is_built_again() {
    let kept = Kept::new().await;
    let stream = MemoryEventStore::new();
    let (ann, ben) = (Id::<Account>::new(), Id::<Account>::new());
    deposit(&stream, ann, 1).await;
    deposit(&stream, ben, 2).await;
    let all: Vec<_> = stream
        .read_all(Position::START)
        .try_collect()
        .await
        .unwrap();
    let common = SealedCommit::split(&all).unwrap();
    kept.store.append_sealed(common).await.unwrap();
    deposit(&kept.store, ann, 10).await;
    deposit(&kept.store, ben, 20).await;
    deposit(&stream, ann, 100).await;
    assert_eq!(held(&kept.cards).await, folded(&kept.store).await);

    let key = AggregateKey::of::<Account>(&ann).unwrap();
    let ours = kept.store.last(&key).await.unwrap().unwrap();
    let theirs = stream.get_events(&key, ours.envelope.sequence).await;
    let branch = Branch {
        aggregate: key,
        from: ours.envelope.sequence,
        head: ours.cid,
    };
    let theirs = SealedCommit::split(&theirs.unwrap()).unwrap();
    let replacement = BranchReplacement::new([branch], theirs);
    kept.store.replace_branches(replacement).await.unwrap();
    let expected = folded(&kept.store).await;
    assert_eq!(expected[&ann.to_string()], 101);
    // It is built again beside the writer, and says meanwhile that nobody is to ask it.
    let is_built = async || {
        let page = kept.cards.list(&Page::first(10)).await;
        page.is_ok_and(|page| {
            let sums = page.value.documents.into_iter();
            let sums: BTreeMap<_, _> = sums.map(|it| (it.key, it.document.sum)).collect();
            sums == expected
        })
    };
    until_answered(is_built).await;
    // What is written then is counted at once, as ever.
    let last = deposit(&kept.store, ben, 7).await;
    until_answered(async || kept.cards.status().up_to.position >= last).await;
    assert_eq!(held(&kept.cards).await, folded(&kept.store).await);
    assert_eq!(kept.store.check().await.unwrap().views, 1);
}
