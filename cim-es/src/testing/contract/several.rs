//! Commands on several aggregates: all of it takes effect or nothing, once.

use futures_util::StreamExt;

use super::Provider;
use super::club::*;
use super::sample::{append_each, key};
use crate::domain::ErrorChain;
use crate::domain::aggregate::{Id, UniqueName};
use crate::engine::memory::MemoryEventStore;
use crate::repository::{ExecuteError, Together, TogetherError};
use crate::store::{EventStore, EventStoreExt, Position, Snapshot, SnapshotStore};

use CopyCommand::Lend;
use MemberCommand::{Borrow, GiveBack};

/// What a store says of itself tells clones of a handle as one store, each time it is asked, and no other store as the
/// same; the snapshots that it offers are those that it keeps.
pub async fn clones_of_a_handle_are_one_store(provider: impl Provider) {
    let store = provider.open().await;
    let id = |store: &dyn EventStore| store.settings().store_id;
    let own = id(&store);
    assert!(
        own.is_some(),
        "no commit could be over two of its repositories"
    );
    assert_eq!([id(&store), id(&store.clone())], [own, own]);
    let another = MemoryEventStore::new();
    assert_ne!(id(&another), own);
    let (here, there) = (Club::new(&store), Club::new(&another));
    let (copy, member) = (Id::new(), Id::new());
    let apart = Together::new(&desk())
        .execute(&here.copies, &copy, Lend { member })
        .execute(&there.members, &member, Borrow { copy });
    let apart = apart.commit().await;
    assert!(
        matches!(apart, Err(TogetherError::AnotherStore { .. })),
        "{apart:?}"
    );
    let Some(snapshots) = store.settings().snapshots else {
        return;
    };
    let stored = append_each(&store, &key(), [1]).await.remove(0);
    let snapshot = Snapshot {
        tag: 7,
        version: 1,
        last_cid: stored.cid,
        position: stored.position,
        state: vec![0xa0].into(),
    };
    let its = key();
    snapshots
        .save_snapshot(&its, snapshot.clone())
        .await
        .unwrap();
    assert_eq!(
        store.get_latest_snapshot(&its, 7).await.unwrap(),
        Some(snapshot)
    );
}

/// Commands on several aggregates are one commit, whose message takes effect once.
pub async fn several_aggregates_are_one_commit_that_takes_effect_once(provider: impl Provider) {
    let store = provider.open().await;
    let club = Club::new(&store);
    let (copy, member, identity) = (Id::new(), Id::new(), desk());
    let commits = club.lend(&identity, &copy, &member).commit().await.unwrap();
    let [lent, borrowed] = &commits[..] else {
        panic!("two aggregates");
    };
    assert_eq!(
        lent.typed::<CopyEvent>().unwrap(),
        [CopyEvent::Lent { member }]
    );
    assert_eq!(
        borrowed.typed::<MemberEvent>().unwrap(),
        [MemberEvent::Borrowed { copy }]
    );
    for (place, event) in [&lent.events()[0], &borrowed.events()[0]]
        .into_iter()
        .enumerate()
    {
        let part = event.envelope.commit;
        assert_eq!((part.whole_index, part.whole_of), (place as u32 + 1, 2));
        assert_eq!(event.envelope.causation_id, identity.message_id());
    }
    for club in [club, Club::new(&store)] {
        let again = club.lend(&identity, &copy, &member).commit().await.unwrap();
        assert!(again.iter().all(|commit| commit.is_repeated()));
        assert_eq!(again[1].events(), borrowed.events());
        assert_eq!(club.members.load(&member).await.unwrap().held, 1);
    }
    assert_eq!(store.read_all(Position::START).count().await, 2);
}

/// A refusal says which command of which aggregate it is about, and nothing is stored.
pub async fn a_refusal_on_one_of_several_aggregates_stores_nothing(provider: impl Provider) {
    let store = provider.open().await;
    let club = Club::new(&store);
    let member = Id::new();
    for _ in 0..2 {
        club.lend(&desk(), &Id::new(), &member)
            .commit()
            .await
            .unwrap();
    }
    let before = club.count().await;
    let copy = Id::new();
    let refused = club
        .lend(&desk(), &copy, &member)
        .commit()
        .await
        .unwrap_err();
    assert_eq!(
        ErrorChain(&refused).to_string(),
        format!(
            "command 2 of 2, `Borrow` on contract.member {member}, was not carried out: a member holds 2 copies at most"
        ),
    );
    assert!(refused.is_refusal() && !refused.is_conflict());
    let rule = refused.reason::<TooMany>();
    assert!(matches!(
        rule,
        Some(ExecuteError::Refused(TooMany { held: 2 }))
    ));
    let twice = Together::new(&desk())
        .execute(&club.copies, &copy, Lend { member })
        .execute(&club.copies, &copy, Lend { member });
    let TogetherError::Command {
        place: 1,
        command: "Lend",
        ..
    } = twice.commit().await.unwrap_err()
    else {
        panic!("a copy is lent once");
    };
    assert_eq!(club.count().await, before);
    assert!(club.copies.find(&copy).await.unwrap().is_none());
}

/// Where one of the aggregates moved, all are decided again.
pub async fn a_conflict_on_one_of_several_aggregates_decides_all_again(provider: impl Provider) {
    let store = provider.open().await;
    let (stale, other) = (Club::new(&store), Club::new(&store));
    let (copy, member) = (Id::new(), Id::new());
    stale
        .lend(&desk(), &Id::new(), &member)
        .commit()
        .await
        .unwrap();
    // What `stale` has in memory of the member is behind now.
    other
        .members
        .execute(&member, GiveBack, &desk())
        .await
        .unwrap();
    let commits = stale.lend(&desk(), &copy, &member).commit().await.unwrap();
    assert_eq!(commits[1].version(), 3);
    // And a refusal from memory is confirmed first.
    stale
        .lend(&desk(), &Id::new(), &member)
        .commit()
        .await
        .unwrap();
    other
        .members
        .execute(&member, GiveBack, &desk())
        .await
        .unwrap();
    stale
        .lend(&desk(), &Id::new(), &member)
        .commit()
        .await
        .unwrap();
    assert_eq!(other.members.load(&member).await.unwrap().held, 2);
}

/// Commands that change nothing store nothing, beside others that do.
pub async fn several_aggregates_that_do_not_change_store_nothing(provider: impl Provider) {
    let store = provider.open().await;
    let club = Club::new(&store);
    let (copy, member) = (Id::new(), Id::new());
    assert!(Together::new(&desk()).commit().await.unwrap().is_empty());
    let nothing = Together::new(&desk()).execute(&club.members, &member, GiveBack);
    let nothing = nothing.commit().await.unwrap();
    assert_eq!((nothing[0].version(), nothing[0].events().len()), (0, 0));
    let half = Together::new(&desk())
        .execute(&club.members, &member, GiveBack)
        .execute(&club.copies, &copy, named("a"));
    let half = half.commit().await.unwrap();
    assert_eq!((half[0].version(), half[1].version()), (0, 1));
}

/// A unique name has one holder over the aggregates of a commit, and may pass from one to another.
pub async fn unique_names_hold_over_several_aggregates_and_pass_on(provider: impl Provider) {
    let store = provider.open().await;
    let club = Club::new(&store);
    let (one, other) = (Id::new(), Id::new());
    club.copies
        .execute(&one, named("a"), &desk())
        .await
        .unwrap();
    let holder = async |label: &str| {
        let holder = club.copies.holder(&UniqueName::new("label", label)).await;
        holder.unwrap().map(|holder| holder.id)
    };
    let taken = Together::new(&desk())
        .execute(&club.members, &Id::new(), Borrow { copy: one })
        .execute(&club.copies, &other, named("a"));
    let taken = taken.commit().await.unwrap_err();
    assert_eq!(
        ErrorChain(&taken).to_string(),
        format!(
            "command 2 of 2, `Label` on contract.copy {other}, was not carried out: label `a` is held by contract.copy {one}: \
             choose another, or have it released first"
        ),
    );
    let both = Together::new(&desk())
        .execute(&club.copies, &one, named("b"))
        .execute(&club.copies, &other, named("b"));
    assert!(both.commit().await.unwrap_err().is_refusal());
    // Whichever comes first, the name is released before it is claimed.
    let passed = Together::new(&desk())
        .execute(&club.copies, &other, named("a"))
        .execute(&club.copies, &one, named("b"));
    passed.commit().await.unwrap();
    assert_eq!(holder("a").await, Some(other.to_string()));
    assert_eq!(holder("b").await, Some(one.to_string()));
    let swapped = Together::new(&desk())
        .execute(&club.copies, &other, named("b"))
        .execute(&club.copies, &one, named("a"));
    swapped.commit().await.unwrap();
    assert_eq!(holder("a").await, Some(one.to_string()));
    assert_eq!(holder("b").await, Some(other.to_string()));
}
