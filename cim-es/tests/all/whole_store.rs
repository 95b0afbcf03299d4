//! Reading a whole store, which holds the events of several kinds of aggregate and of unique names.

use crate::account::{Account, AccountCommand, AccountEvent};
use async_trait::async_trait;
use cim_es::aggregate::IdText;
use cim_es::block::StoredEvent;
use cim_es::event::PayloadError;
use cim_es::prelude::*;
use cim_es::repository::ExecuteError;
use cim_es::store::{
    AggregateKey, AppendedCommit, Bookmark, CommitRequest, EngineSettings, EventStore,
    EventStoreExt, EventStream, Position, SealedCommit, Selection, StoreError, StreamExt, Versions,
};

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum CustomerState {
    #[state(initial)]
    #[on(Register / Registered => Known)]
    New,
    #[state(terminal)]
    Known,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
enum CustomerEvent {
    Registered { email: String },
}

#[derive(Command, Clone, Debug)]
enum CustomerCommand {
    Register { email: String },
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "bank", name = "customer", unique = Customer::names)]
struct Customer {
    state: CustomerState,
    email: Option<String>,
}

impl Customer {
    fn names(&self) -> Option<UniqueName> {
        self.email
            .as_ref()
            .map(|email| UniqueName::new("email", email))
    }
}

impl Decide for Customer {
    fn decide(&self, command: CustomerCommand, _: &Context) -> Decision<Self> {
        let CustomerCommand::Register { email } = command;
        emit(CustomerEvent::Registered { email })
    }
}

fn user() -> MessageIdentity {
    MessageIdentity::new_from_user("test")
}

fn register() -> CustomerCommand {
    CustomerCommand::Register {
        email: "ann@example.org".to_owned(),
    }
}

/// An account, a customer and the name that the customer holds.
async fn store() -> MemoryEventStore {
    let store = MemoryEventStore::new();
    let accounts = Repository::<Account>::new(store.clone());
    let (id, identity) = (Id::new(), user());
    let opened = accounts.execute(&id, AccountCommand::Open, &identity);
    opened.await.unwrap();
    let customers = Repository::<Customer>::new(store.clone());
    let (id, identity) = (Id::new(), user());
    let registered = customers.execute(&id, register(), &identity);
    registered.await.unwrap();
    store
}

async fn all(store: &MemoryEventStore) -> Vec<StoredEvent> {
    let events: Vec<_> = store.read_all(Position::START).collect().await;
    events.into_iter().map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_reader_takes_the_events_of_one_kind_and_passes_over_the_others() {
    let events = all(&store().await).await;
    let opened: Vec<Option<AccountEvent>> =
        events.iter().map(|it| it.event_of().unwrap()).collect();
    assert_eq!(opened, [Some(AccountEvent::Opened), None, None]);
    let customers: Vec<_> = events
        .iter()
        .filter_map(|it| it.event_of::<CustomerEvent>().unwrap())
        .collect();
    assert_eq!(customers.len(), 1);
}

#[tokio::test]
async fn an_event_that_is_read_as_one_of_another_kind_is_said_to_be_that() {
    let events = all(&store().await).await;
    let wrong = events[2].decode::<CustomerEvent>().unwrap_err();
    assert!(matches!(wrong, PayloadError::OfAnotherAggregate { .. }));
    assert_eq!(
        wrong.to_string(),
        "event `bank.email.reserved` is one of `bank.email` and was read as one of `bank.customer`: read only the \
         events of `bank.customer`, such as with `StoredEvent::event_of` or by its subjects"
    );
}

#[tokio::test]
async fn what_the_domain_refuses_is_told_from_what_failed() {
    let store = store().await;
    let accounts = Repository::<Account>::new(store.clone());
    let id = Id::new();
    let refusal = |outcome: Result<_, ExecuteError<_>>| outcome.unwrap_err().is_refusal();
    let not_open = accounts.execute(&id, AccountCommand::Close, &user()).await;
    assert!(refusal(not_open), "by the state");
    let withdraw = AccountCommand::Withdraw { amount: 1 };
    let too_much = [AccountCommand::Open, withdraw];
    let too_much = accounts.execute_all(&id, too_much, &user()).await;
    assert!(refusal(too_much), "by a rule");
    let customers = Repository::<Customer>::new(store);
    let taken = customers.execute(&Id::new(), register(), &user()).await;
    assert!(taken.unwrap_err().is_refusal(), "the name is taken");
    // What is sent under the identity of another command is a mistake in the program.
    let identity = user();
    accounts
        .execute(&id, AccountCommand::Open, &identity)
        .await
        .unwrap();
    let reused = accounts
        .execute(&id, AccountCommand::Close, &identity)
        .await;
    assert!(!refusal(reused), "a used message id");
}

/// A store whose first event is gone, as on a server that drops old ones.
#[derive(Clone)]
struct Shortened(MemoryEventStore);

#[async_trait]
impl EventStore for Shortened {
    async fn append(&self, commit: CommitRequest) -> Result<Vec<StoredEvent>, StoreError> {
        self.0.append(commit).await
    }

    async fn append_sealed(
        &self,
        commits: Vec<SealedCommit>,
    ) -> Result<Vec<AppendedCommit>, StoreError> {
        self.0.append_sealed(commits).await
    }

    fn history(&self, aggregate: &AggregateKey, versions: Versions) -> EventStream {
        self.0.history(aggregate, versions)
    }

    async fn last(&self, aggregate: &AggregateKey) -> Result<Option<StoredEvent>, StoreError> {
        self.0.last(aggregate).await
    }

    async fn kinds(&self, id: &IdText) -> Result<Vec<String>, StoreError> {
        self.0.kinds(id).await
    }

    async fn find(&self, cid: &Cid) -> Result<Option<StoredEvent>, StoreError> {
        self.0.find(cid).await
    }

    async fn last_position(&self) -> Result<Position, StoreError> {
        self.0.last_position().await
    }

    fn read(&self, selection: Selection, after: Bookmark) -> EventStream {
        let after = after.position.max(Position(1));
        self.0.read(selection, after.into())
    }

    fn follow(&self, selection: Selection, after: Bookmark) -> EventStream {
        self.0.follow(selection, after)
    }

    fn settings(&self) -> EngineSettings {
        self.0.settings()
    }
}

#[tokio::test]
async fn an_aggregate_whose_first_events_are_gone_is_loaded_as_it_would_be_by_itself() {
    let accounts = Repository::<Account>::new(Shortened(MemoryEventStore::new()));
    let (id, commands) = (
        Id::new(),
        [AccountCommand::Open, AccountCommand::Deposit { amount: 3 }],
    );
    accounts.execute_all(&id, commands, &user()).await.unwrap();
    let all = accounts.load_all().await.unwrap();
    let balances: Vec<_> = all
        .iter()
        .map(|(_, account)| (account.version(), account.balance))
        .collect();
    assert_eq!(balances, [(2, 3)]);
}
