//! A divergence ends: by the stream's history, or as the author has said, with what was done here taken again on it.

use cim_es::MemoryEventStore;
use cim_es::hybrid::{Divergence, HybridError, HybridOptions, OnDivergence, UpStep};
use cim_es::prelude::*;
use cim_es::repository::Together;
use cim_es::store::{
    AggregateKey, Branch, BranchStore, EventStore, EventStoreExt, StoreError, taken_out,
};

use super::{Node, cids, commit, key, sorted, stream};
use crate::account::{Account, AccountCommand, AccountEvent};

pub fn here() -> MessageIdentity {
    MessageIdentity::new_from_user("here")
}

pub fn deposit(amount: u64) -> AccountCommand {
    AccountCommand::Deposit { amount }
}

pub fn reapplying() -> HybridOptions {
    HybridOptions::new().on_divergence(OnDivergence::<Account>::reapply(
        |account, event, source| {
            assert!(source.version() > 1 || account.balance == 0);
            // A small amount is not worth it.
            !matches!(event, AccountEvent::Deposited { amount: 1 })
        },
    ))
}

/// Two nodes and a stream, with an account that both have, and on which both went on.
pub struct Apart {
    pub shared: MemoryEventStore,
    pub other: Node,
    pub id: Id<Account>,
    pub accounts: [Repository<Account>; 2],
}

impl Apart {
    pub async fn new(options: HybridOptions) -> Self {
        let shared = MemoryEventStore::new();
        let (one, other) = (
            Node::new().await,
            Node::with(MemoryEventStore::new(), options).await,
        );
        let id = Id::new();
        let accounts = [&one, &other].map(|node| Repository::<Account>::new(node.kept.clone()));
        accounts[0]
            .execute(&id, AccountCommand::Open, &here())
            .await
            .unwrap();
        one.protocol.level(&stream(&shared)).await.unwrap();
        other.protocol.level(&stream(&shared)).await.unwrap();
        for amount in [10, 20] {
            accounts[0]
                .execute(&id, deposit(amount), &here())
                .await
                .unwrap();
        }
        for amount in [100, 1, 200] {
            accounts[1]
                .execute(&id, deposit(amount), &here())
                .await
                .unwrap();
        }
        one.protocol.level(&stream(&shared)).await.unwrap();
        Self {
            shared,
            other,
            id,
            accounts,
        }
    }

    pub fn key(&self) -> AggregateKey {
        AggregateKey::of::<Account>(&self.id).unwrap()
    }

    /// The last divergence that was recorded.
    pub fn recorded(&self) -> Divergence {
        let recorded = self.other.protocol.recorded_divergences();
        recorded.last().expect("one was recorded").clone()
    }

    pub async fn level(&self) {
        let remote = stream(&self.shared);
        self.other.protocol.level(&remote).await.unwrap();
    }
}

#[tokio::test]
async fn what_was_done_here_is_taken_again_and_both_sides_have_one_head() {
    let apart = Apart::new(reapplying()).await;
    let ours = apart.other.kept.get_events(&apart.key(), 2).await.unwrap();
    let remote = stream(&apart.shared);
    let up = apart.other.protocol.up(&remote).await.unwrap();
    assert_eq!(up, UpStep::Diverged(apart.key()));
    let up = apart.other.protocol.up(&remote).await.unwrap();
    assert_eq!(up, UpStep::Resolved(apart.key()));
    apart.level().await;
    let (ours_now, there) = (
        apart.other.kept.last(&apart.key()).await.unwrap().unwrap(),
        apart.shared.last(&apart.key()).await.unwrap().unwrap(),
    );
    assert_eq!((ours_now.cid, ours_now.envelope.sequence), (there.cid, 5));
    assert_eq!(apart.other.queue().await, 0);
    assert_eq!(sorted(&apart.other.kept).await, sorted(&apart.shared).await);
    let account = apart.accounts[1].load(&apart.id).await.unwrap();
    assert_eq!(account.balance, 10 + 20 + 100 + 200);
    // The merge has two pasts.
    let merged = apart.shared.get_events(&apart.key(), 4).await.unwrap();
    assert!(merged[0].envelope.parents.contains(&ours[2].cid));
    assert!(merged[0].envelope.parents.contains(&ours[0].cid));
    assert_eq!(merged[1].envelope.parents, [ours[2].cid]);
    // What was not taken again is told, and nothing of the branch is lost.
    let resolved = apart.recorded().resolved.unwrap();
    let left_out: Vec<_> = resolved.left_out.iter().map(|it| it.cid).collect();
    assert_eq!(left_out, [ours[1].cid]);
    let epochs = apart.other.kept.epochs().await.unwrap();
    let branch = &epochs[0].branches[0];
    assert_eq!(branch.head, ours[2].cid);
    let out = taken_out(&apart.other.kept, branch).await.unwrap().unwrap();
    let out: Vec<_> = out.iter().map(|event| event.cid).collect();
    assert_eq!(out, ours.iter().map(|it| it.cid).collect::<Vec<_>>());
    // And the aggregate takes commands again.
    apart.accounts[1]
        .execute(&apart.id, deposit(5), &here())
        .await
        .unwrap();
    apart.level().await;
    assert_eq!(sorted(&apart.other.kept).await, sorted(&apart.shared).await);
}

#[tokio::test]
async fn an_event_without_an_edge_is_not_taken_again() {
    let apart = Apart::new(reapplying()).await;
    let accounts = Repository::<Account>::new(apart.shared.clone());
    accounts
        .execute(&apart.id, AccountCommand::Close, &here())
        .await
        .unwrap();
    apart.level().await;
    let resolved = apart.recorded().resolved.unwrap();
    assert_eq!(resolved.left_out.len(), 3);
    assert!(
        resolved.left_out[0].reason.contains("Closed"),
        "{}",
        resolved.left_out[0].reason
    );
    assert_eq!(sorted(&apart.other.kept).await, sorted(&apart.shared).await);
}

#[tokio::test]
async fn a_commit_over_several_aggregates_is_taken_again_as_a_whole_or_not_at_all() {
    let apart = Apart::new(reapplying()).await;
    let accounts = &apart.accounts[1];
    let (rich, shut) = (Id::<Account>::new(), apart.id);
    accounts
        .execute(&rich, AccountCommand::Open, &here())
        .await
        .unwrap();
    Together::new(&here())
        .execute(accounts, &shut, AccountCommand::Withdraw { amount: 50 })
        .execute(accounts, &rich, deposit(50))
        .commit()
        .await
        .unwrap();
    accounts.execute(&rich, deposit(7), &here()).await.unwrap();
    let others = Repository::<Account>::new(apart.shared.clone());
    others
        .execute(&shut, AccountCommand::Close, &here())
        .await
        .unwrap();
    apart.level().await;
    let left_out = apart.recorded().resolved.unwrap().left_out;
    let of_rich = AggregateKey::of::<Account>(&rich).unwrap();
    let of_rich: Vec<_> = left_out
        .iter()
        .filter(|it| it.aggregate == of_rich)
        .collect();
    assert_eq!(of_rich.len(), 1, "the deposit without its withdrawal");
    assert_eq!(accounts.load(&rich).await.unwrap().balance, 7);
    assert_eq!(sorted(&apart.other.kept).await, sorted(&apart.shared).await);
}

#[tokio::test]
async fn a_function_of_the_author_says_what_follows() {
    let options =
        HybridOptions::new().on_divergence(OnDivergence::<Account>::with(|account, ours| {
            let sum = ours.iter().map(|event| match event {
                AccountEvent::Deposited { amount } => *amount,
                _ => 0,
            });
            assert_eq!(account.balance, 30);
            vec![AccountEvent::Deposited { amount: sum.sum() }]
        }));
    let apart = Apart::new(options).await;
    apart.level().await;
    let account = apart.accounts[1].load(&apart.id).await.unwrap();
    assert_eq!((account.version(), account.balance), (4, 331));
    assert_eq!(sorted(&apart.other.kept).await, sorted(&apart.shared).await);
}

#[tokio::test]
async fn without_a_word_of_the_author_a_person_decides_and_may_keep_the_streams_history() {
    let apart = Apart::new(HybridOptions::new()).await;
    let key = apart.key();
    apart.level().await;
    let remote = stream(&apart.shared);
    let protocol = &apart.other.protocol;
    let refused = protocol.reapply(&remote, &key).await;
    assert!(
        matches!(refused, Err(HybridError::NoPolicy { .. })),
        "{refused:?}"
    );
    let ours = apart.other.kept.last(&key).await.unwrap().unwrap();
    protocol
        .keep_theirs(&remote, &key, "by hand")
        .await
        .unwrap();
    assert_eq!(sorted(&apart.other.kept).await, sorted(&apart.shared).await);
    apart.level().await;
    assert_eq!(apart.other.queue().await, 0);
    assert_eq!(apart.recorded().resolved.unwrap().how, "by hand");
    let branch = Branch {
        aggregate: key.clone(),
        from: 2,
        head: ours.cid,
    };
    let out = taken_out(&apart.other.kept, &branch).await.unwrap();
    assert_eq!(out.unwrap().len(), 3);
    let again = protocol.keep_theirs(&remote, &key, "again").await;
    assert!(matches!(again, Err(HybridError::NotDiverged { .. })));
    // The next program finds the same, and nothing to say.
    let again = Node::on(apart.other.kept.clone()).await;
    again.protocol.greet(&remote).await.unwrap();
    again.protocol.level(&remote).await.unwrap();
    assert_eq!(again.queue().await, 0);
    assert_eq!(again.protocol.waiting(), 0);
}

#[tokio::test]
async fn aggregates_that_hang_together_end_together() {
    let shared = MemoryEventStore::new();
    let (one, other) = (Node::new().await, Node::new().await);
    one.write("a", "ann").await;
    one.protocol.level(&stream(&shared)).await.unwrap();
    other.protocol.level(&stream(&shared)).await.unwrap();
    one.write("a", "ann").await;
    one.write_several(&["a", "far"], "ann").await;
    other.write("a", "bob").await;
    other.write_several(&["a", "b"], "bob").await;
    other.write("b", "bob").await;
    other.write("free", "bob").await;
    one.protocol.level(&stream(&shared)).await.unwrap();
    let remote = stream(&shared);
    other.protocol.level(&remote).await.unwrap();
    let refused = other.protocol.append(commit(&["b"], "bob")).await;
    assert!(matches!(refused, Err(StoreError::Unresolved { .. })));
    other
        .protocol
        .keep_theirs(&remote, &key("a"), "theirs")
        .await
        .unwrap();
    other.protocol.level(&remote).await.unwrap();
    assert_eq!(other.kept.last(&key("b")).await.unwrap(), None);
    assert!(other.kept.last(&key("far")).await.unwrap().is_some());
    assert_eq!(sorted(&other.kept).await, sorted(&shared).await);
    other.write("b", "bob").await;
    other.protocol.level(&remote).await.unwrap();
    assert_eq!(cids(&shared).await.len(), 6);
    assert_eq!(other.queue().await, 0);
}
