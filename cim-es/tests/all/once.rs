//! A command takes effect once for ever, or the answer is that this cannot be told.

use std::sync::{Arc, Mutex};

use crate::account::{Account, AccountCommand, AccountError};
use async_trait::async_trait;
use cim_es::aggregate::IdText;
use cim_es::block::StoredEvent;
use cim_es::prelude::*;
use cim_es::repository::{Commit, ExecuteError, Together};
use cim_es::store::{
    AggregateKey, AppendedCommit, Bookmark, CommitRequest, EngineSettings, EventStore, EventStream,
    Position, SealedCommit, Selection, StoreError, Versions,
};
use futures_util::stream;

use AccountCommand::{Deposit, Open};

fn someone() -> MessageIdentity {
    MessageIdentity::new_from_user("someone")
}

/// More commits than a repository remembers.
const MANY: usize = 1_050;

async fn grow(accounts: &Repository<Account>, id: &Id<Account>) {
    for _ in 0..MANY {
        accounts
            .execute(id, Deposit { amount: 1 }, &someone())
            .await
            .expect("a deposit is accepted");
    }
}

#[tokio::test]
async fn a_command_takes_effect_once_however_much_came_after_it() {
    let store = MemoryEventStore::new();
    let accounts = Repository::<Account>::new(store.clone());
    let id = Id::new();
    let event = accounts.execute(&id, Open, &someone()).await.unwrap();
    let cause = &event.events()[0];
    let identities = [
        someone(),
        MessageIdentity::root(Uuid::from_u128(7), Some("a browser")),
        MessageIdentity::caused_once_by(cause, "interest"),
        MessageIdentity::caused_once_by(
            &MessageIdentity::root(Uuid::from_u128(8), None),
            "interest",
        ),
    ];
    for identity in &identities {
        let first = accounts.execute(&id, Deposit { amount: 100 }, identity);
        assert!(!first.await.unwrap().is_repeated());
    }
    grow(&accounts, &id).await;
    let cold = Repository::<Account>::new(store);
    for accounts in [&accounts, &cold] {
        for (place, identity) in identities.iter().enumerate() {
            let again = accounts.execute(&id, Deposit { amount: 100 }, identity);
            let again = again.await.unwrap();
            assert!(again.is_repeated(), "{identity:?}");
            assert_eq!(again.version(), 2 + place as u64);
            assert_eq!(again.events().len(), 1);
        }
        let account = accounts.load(&id).await.unwrap();
        assert_eq!(account.balance, 400 + MANY as u64);
    }
}

#[tokio::test]
async fn a_new_identity_of_any_form_takes_effect_after_any_number_of_commits() {
    let accounts = Repository::<Account>::new(MemoryEventStore::new());
    let id = Id::new();
    accounts.execute(&id, Open, &someone()).await.unwrap();
    for number in 0..MANY as u128 {
        let identity = MessageIdentity::root(Uuid::from_u128(number << 1), None);
        let deposited = accounts.execute(&id, Deposit { amount: 1 }, &identity);
        assert!(!deposited.await.unwrap().is_repeated());
    }
    for identity in [
        someone(),
        MessageIdentity::root(Uuid::from_u128(1), None),
        MessageIdentity::root(Uuid::now_v7(), None),
    ] {
        let deposited = accounts.execute(&id, Deposit { amount: 1 }, &identity);
        assert!(!deposited.await.unwrap().is_repeated());
    }
}

#[tokio::test]
async fn with_nothing_remembered_the_history_tells() {
    let accounts = Repository::<Account>::builder(MemoryEventStore::new());
    let accounts = accounts.remembered_commits(0).build();
    let (id, first, second) = (Id::new(), someone(), someone());
    accounts.execute(&id, Open, &first).await.unwrap();
    let deposit = Deposit { amount: 5 };
    accounts
        .execute(&id, deposit.clone(), &second)
        .await
        .unwrap();
    assert!(
        accounts
            .execute(&id, deposit, &second)
            .await
            .unwrap()
            .is_repeated()
    );
    assert!(
        accounts
            .execute(&id, Open, &first)
            .await
            .unwrap()
            .is_repeated()
    );
}

#[tokio::test]
async fn what_changed_nothing_may_take_effect_when_it_is_sent_again() {
    let accounts = Repository::<Account>::new(MemoryEventStore::new());
    let (id, identity) = (Id::new(), someone());
    accounts.execute(&id, Open, &someone()).await.unwrap();
    let nothing = accounts
        .execute(&id, Deposit { amount: 0 }, &identity)
        .await;
    assert!(nothing.unwrap().events().is_empty());
    let later = accounts
        .execute(&id, Deposit { amount: 3 }, &identity)
        .await;
    assert!(!later.unwrap().is_repeated());
}

/// A store in which a history cannot be read before a version, as where that was dropped or a page of the file is damaged.
#[derive(Clone)]
struct Beheaded {
    inner: MemoryEventStore,
    lost: Arc<Mutex<Option<(AggregateKey, u64)>>>,
}

impl Beheaded {
    fn new() -> Self {
        Self {
            inner: MemoryEventStore::new(),
            lost: Arc::default(),
        }
    }

    fn lose_before(&self, id: &Id<Account>, version: u64) {
        let key = AggregateKey::of::<Account>(id).unwrap();
        *self.lost.lock().unwrap() = Some((key, version));
    }
}

#[async_trait]
impl EventStore for Beheaded {
    async fn append(&self, commit: CommitRequest) -> Result<Vec<StoredEvent>, StoreError> {
        self.inner.append(commit).await
    }

    async fn append_sealed(
        &self,
        commits: Vec<SealedCommit>,
    ) -> Result<Vec<AppendedCommit>, StoreError> {
        self.inner.append_sealed(commits).await
    }

    fn history(&self, aggregate: &AggregateKey, versions: Versions) -> EventStream {
        let lost = self.lost.lock().unwrap().clone();
        if lost.is_none_or(|(key, first)| key != *aggregate || versions.first() >= first) {
            return self.inner.history(aggregate, versions);
        }
        let reason = "its first events are gone".to_owned();
        Box::pin(stream::iter([Err(StoreError::Closed { reason })]))
    }

    async fn last(&self, aggregate: &AggregateKey) -> Result<Option<StoredEvent>, StoreError> {
        self.inner.last(aggregate).await
    }

    async fn kinds(&self, id: &IdText) -> Result<Vec<String>, StoreError> {
        self.inner.kinds(id).await
    }

    async fn find(&self, cid: &Cid) -> Result<Option<StoredEvent>, StoreError> {
        self.inner.find(cid).await
    }

    async fn last_position(&self) -> Result<Position, StoreError> {
        self.inner.last_position().await
    }

    fn read(&self, selection: Selection, after: Bookmark) -> EventStream {
        self.inner.read(selection, after)
    }

    fn follow(&self, selection: Selection, after: Bookmark) -> EventStream {
        self.inner.follow(selection, after)
    }

    fn settings(&self) -> EngineSettings {
        self.inner.settings()
    }
}

fn is_open_question<T>(
    outcome: &Result<T, ExecuteError<AccountError>>,
    of: &MessageIdentity,
) -> bool {
    matches!(
        outcome,
        Err(ExecuteError::MayHaveTakenEffect { message_id, source: StoreError::Closed { .. }, .. })
            if *message_id == of.message_id()
    )
}

/// An account with two old deposits, by an id with a time and one without, and `more` after them. Ten messages are
/// remembered.
async fn old_account(
    store: &Beheaded,
    more: usize,
) -> (Repository<Account>, Id<Account>, [MessageIdentity; 2]) {
    let accounts = Repository::<Account>::builder(store.clone());
    let accounts = accounts
        .remembered_commits(10)
        .snapshot_threshold(50)
        .build();
    let id = Id::new();
    let old = [someone(), MessageIdentity::root(Uuid::from_u128(7), None)];
    accounts.execute(&id, Open, &someone()).await.unwrap();
    for identity in &old {
        accounts
            .execute(&id, Deposit { amount: 100 }, identity)
            .await
            .unwrap();
    }
    for number in 0..more as u128 {
        let identity = match number % 2 {
            0 => someone(),
            _ => MessageIdentity::root(Uuid::from_u128(1_000 + number), None),
        };
        accounts
            .execute(&id, Deposit { amount: 1 }, &identity)
            .await
            .unwrap();
    }
    (accounts, id, old)
}

#[tokio::test]
async fn a_message_of_which_it_cannot_be_told_takes_no_effect_and_is_told_later() {
    let store = Beheaded::new();
    let (warm, id, old) = old_account(&store, 100).await;
    let cold = Repository::<Account>::builder(store.clone());
    let cold = cold.remembered_commits(10).build();
    store.lose_before(&id, 40);
    let before = warm.load(&id).await.unwrap().version();
    for accounts in [&warm, &cold] {
        for identity in &old {
            let again = accounts
                .execute(&id, Deposit { amount: 100 }, identity)
                .await;
            assert!(is_open_question(&again, identity), "{again:?}");
            let deposits = [Deposit { amount: 50 }, Deposit { amount: 50 }];
            let again = accounts.execute_all(&id, deposits, identity).await;
            assert!(is_open_question(&again, identity), "{again:?}");
            let other = Id::new();
            let again = Together::new(identity)
                .execute(accounts, &other, Open)
                .execute(accounts, &id, Deposit { amount: 100 })
                .commit()
                .await;
            let error = again.unwrap_err();
            let reason = error.reason::<AccountError>();
            assert!(
                matches!(reason, Some(ExecuteError::MayHaveTakenEffect { .. })),
                "{error}"
            );
            assert!(!error.is_refusal() && !error.is_conflict());
            assert_eq!(accounts.load(&other).await.unwrap().version(), 0);
        }
        let new = accounts
            .execute(&id, Deposit { amount: 0 }, &someone())
            .await;
        assert!(new.unwrap().events().is_empty());
    }
    // An id without a time that is new may be one of those that were forgotten, unless all of them were read before.
    let unknown = MessageIdentity::root(Uuid::from_u128(9), None);
    let outcome = cold.execute(&id, Deposit { amount: 1 }, &unknown).await;
    assert!(is_open_question(&outcome, &unknown), "{outcome:?}");
    assert_eq!(warm.load(&id).await.unwrap().version(), before);
    store.lose_before(&id, 0);
    for accounts in [&warm, &cold] {
        for (identity, version) in old.iter().zip(2..) {
            let again = accounts
                .execute(&id, Deposit { amount: 100 }, identity)
                .await;
            let again: Commit = again.unwrap();
            assert_eq!((again.is_repeated(), again.version()), (true, version));
        }
    }
}

#[tokio::test]
async fn a_message_is_found_from_the_end_of_a_history_back_without_reading_all_of_it() {
    let store = Beheaded::new();
    let (accounts, id, old) = old_account(&store, 400).await;
    let lately = MessageIdentity::root(Uuid::from_u128(1_361), None);
    store.lose_before(&id, 50);
    let again = accounts
        .execute(&id, Deposit { amount: 1 }, &lately)
        .await
        .unwrap();
    assert_eq!((again.is_repeated(), again.version()), (true, 365));
    // What stands further back than could be read remains an open question.
    let again = accounts
        .execute(&id, Deposit { amount: 100 }, &old[0])
        .await;
    assert!(is_open_question(&again, &old[0]), "{again:?}");
}

#[tokio::test]
async fn a_commit_that_two_slices_of_a_history_share_is_found_whole() {
    let store = MemoryEventStore::new();
    let accounts = Repository::<Account>::builder(store.clone());
    let accounts = accounts.remembered_commits(0).build();
    for before in 250..260 {
        let id = Id::new();
        accounts.execute(&id, Open, &someone()).await.unwrap();
        let three = someone();
        let deposits = || vec![Deposit { amount: 1 }; 3];
        let first = accounts.execute_all(&id, deposits(), &three).await.unwrap();
        let rest = vec![Deposit { amount: 1 }; before];
        accounts.execute_all(&id, rest, &someone()).await.unwrap();
        let again = accounts.execute_all(&id, deposits(), &three).await.unwrap();
        assert_eq!(
            (again.is_repeated(), again.version()),
            (true, 4),
            "{before}"
        );
        assert_eq!(again.events(), first.events(), "{before}");
    }
}
