//! What was done here counts once, whatever of it the stream has by then: it is the same message's effect.

use cim_es::block::StoredEvent;
use cim_es::hybrid::UpStep;
use cim_es::prelude::*;
use cim_es::repository::Together;
use cim_es::store::{AggregateKey, EventStore, EventStoreExt, SealedCommit};

use super::reapplied::{Apart, deposit, here, reapplying};
use super::{sorted, stream};
use crate::account::{Account, AccountCommand};

async fn history(store: &impl EventStoreExt, id: &Id<Account>) -> Vec<StoredEvent> {
    let key = AggregateKey::of::<Account>(id).unwrap();
    store.get_events(&key, 1).await.unwrap()
}

#[tokio::test]
async fn what_arrives_after_it_was_taken_again_is_not_taken_again_once_more() {
    let apart = Apart::new(reapplying()).await;
    let accounts = &apart.accounts[1];
    let own = Id::<Account>::new();
    accounts
        .execute(&own, AccountCommand::Open, &here())
        .await
        .unwrap();
    accounts.execute(&own, deposit(7), &here()).await.unwrap();
    let on_its_way = history(&apart.other.kept, &own).await;
    Together::new(&here())
        .execute(accounts, &apart.id, deposit(50))
        .execute(accounts, &own, deposit(3))
        .commit()
        .await
        .unwrap();
    let remote = stream(&apart.shared);
    let up = apart.other.protocol.up(&remote).await.unwrap();
    assert_eq!(up, UpStep::Diverged(apart.key()));
    let up = apart.other.protocol.up(&remote).await.unwrap();
    assert_eq!(up, UpStep::Resolved(apart.key()));
    // A request that was given up long ago.
    let on_its_way = SealedCommit::split(&on_its_way).unwrap();
    apart.shared.append_sealed(on_its_way).await.unwrap();
    apart.level().await;
    assert_eq!(accounts.load(&own).await.unwrap().balance, 7 + 3);
    let shared = accounts.load(&apart.id).await.unwrap();
    assert_eq!(shared.balance, 10 + 20 + 100 + 200 + 50);
    assert_eq!(sorted(&apart.other.kept).await, sorted(&apart.shared).await);
    let recorded = apart.other.protocol.recorded_divergences();
    let left_out = recorded.iter().filter_map(|it| it.resolved.as_ref());
    let left_out: Vec<_> = left_out.flat_map(|it| &it.left_out).collect();
    assert_eq!(left_out.len(), 1, "the deposit of 1 alone: {left_out:?}");
}

#[tokio::test]
async fn a_command_that_is_sent_again_after_its_effect_was_taken_again_has_none() {
    let apart = Apart::new(reapplying()).await;
    let accounts = &apart.accounts[1];
    let asked = here().with_meta("tenant", "north");
    let sent = MessageIdentity::caused_by(&asked)
        .with_actor("till")
        .with_meta("tenant", "north");
    accounts
        .execute(&apart.id, deposit(9), &sent)
        .await
        .unwrap();
    let before = history(&apart.other.kept, &apart.id).await;
    let before = &before.last().unwrap().envelope;
    apart.level().await;
    let after = history(&apart.other.kept, &apart.id).await;
    let after = &after.last().unwrap().envelope;
    assert_ne!(after.sequence, before.sequence, "it stands elsewhere now");
    assert_eq!(after.id, before.id);
    assert_eq!(after.causation_id, sent.message_id());
    assert_eq!(after.correlation_id, asked.correlation_id());
    assert_eq!(after.source.as_deref(), Some("till"));
    assert_eq!(after.meta, before.meta);
    for store in [&apart.other.kept, &apart.shared] {
        let again = Repository::<Account>::new(store.clone());
        again.execute(&apart.id, deposit(9), &sent).await.unwrap();
        let account = again.load(&apart.id).await.unwrap();
        assert_eq!(account.balance, 10 + 20 + 100 + 200 + 9);
    }
}

#[tokio::test]
async fn each_commit_is_taken_again_as_a_commit() {
    let apart = Apart::new(reapplying()).await;
    apart.level().await;
    let taken_again = history(&apart.shared, &apart.id).await.split_off(3);
    assert_eq!(taken_again.len(), 2);
    for event in taken_again {
        assert_eq!(event.envelope.commit.whole_of, 1);
    }
}

#[tokio::test]
async fn a_command_that_both_sides_got_takes_effect_once() {
    let apart = Apart::new(reapplying()).await;
    let others = Repository::<Account>::new(apart.shared.clone());
    let (paid, decided) = (here(), here());
    for accounts in [&apart.accounts[1], &others] {
        accounts
            .execute(&apart.id, deposit(9), &paid)
            .await
            .unwrap();
    }
    others
        .execute(&apart.id, deposit(40), &decided)
        .await
        .unwrap();
    apart.accounts[1]
        .execute(&apart.id, deposit(41), &decided)
        .await
        .unwrap();
    apart.level().await;
    let account = apart.accounts[1].load(&apart.id).await.unwrap();
    assert_eq!(account.balance, 10 + 20 + 100 + 200 + 9 + 40);
    let left_out = apart.recorded().resolved.unwrap().left_out;
    let reasons: Vec<_> = left_out.iter().map(|it| &*it.reason).collect();
    assert_eq!(
        reasons,
        [
            "the program does not take it again",
            "the command that led to it has led to something else in the stream"
        ]
    );
}
