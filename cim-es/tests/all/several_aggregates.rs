//! Several aggregates in one command: all of it takes effect or nothing, once, on every store.

use cim_es::prelude::*;
use cim_es::repository::{ExecuteError, Together, TogetherError};
use cim_es::store::{EventStore, EventStoreExt, Position, StreamExt};

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum CopyState {
    #[state(initial)]
    #[on(Lend / Lent => OnLoan)]
    #[on(Label / Labelled => _)]
    InStock,
    #[on(Return / Returned => InStock)]
    #[on(Label / Labelled => _)]
    OnLoan,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
enum CopyEvent {
    Lent {
        member: Id<Member>,
    },
    #[apply(member = None)]
    Returned,
    Labelled {
        label: Option<String>,
    },
}

#[derive(Command, Clone, Debug)]
enum CopyCommand {
    Lend { member: Id<Member> },
    Return,
    Label { label: Option<String> },
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "club", name = "copy", unique = Copy::names)]
struct Copy {
    state: CopyState,
    member: Option<Id<Member>>,
    label: Option<String>,
}

impl Copy {
    fn names(&self) -> Option<UniqueName> {
        let label = self.label.as_ref()?;
        Some(UniqueName::new("label", label))
    }
}

impl Decide for Copy {
    fn decide(&self, command: CopyCommand, _: &Context) -> Decision<Self> {
        match command {
            CopyCommand::Lend { member } => emit(CopyEvent::Lent { member }),
            CopyCommand::Return => emit(CopyEvent::Returned),
            CopyCommand::Label { label } => emit(CopyEvent::Labelled { label }),
        }
    }
}

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum MemberState {
    #[state(initial)]
    #[on(Borrow / Borrowed => _)]
    #[on(GiveBack / GaveBack => _)]
    Any,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
enum MemberEvent {
    #[apply(_ = copy, held += 1)]
    Borrowed { copy: Id<Copy> },
    #[apply(held -= 1)]
    GaveBack,
}

#[derive(Command, Clone, Debug)]
enum MemberCommand {
    Borrow { copy: Id<Copy> },
    GiveBack,
}

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("a member holds {held} copies at most")]
struct TooMany {
    held: u32,
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "club", name = "member", error = TooMany)]
struct Member {
    state: MemberState,
    held: u32,
}

impl Decide for Member {
    fn decide(&self, command: MemberCommand, _: &Context) -> Decision<Self> {
        match command {
            MemberCommand::Borrow { .. } if self.held >= 2 => Err(TooMany { held: 2 }),
            MemberCommand::Borrow { copy } => emit(MemberEvent::Borrowed { copy }),
            MemberCommand::GiveBack if self.held == 0 => nothing(),
            MemberCommand::GiveBack => emit(MemberEvent::GaveBack),
        }
    }
}

use CopyCommand::{Label, Lend, Return};
use MemberCommand::{Borrow, GiveBack};

fn desk() -> MessageIdentity {
    MessageIdentity::new_from_user("desk")
}

fn named(label: &str) -> CopyCommand {
    Label {
        label: Some(label.to_owned()),
    }
}

/// Two kinds of aggregates on one store.
struct Club<S> {
    store: S,
    copies: Repository<Copy>,
    members: Repository<Member>,
}

impl<S: EventStore + Clone> Club<S> {
    fn new(store: &S) -> Self {
        Self {
            store: store.clone(),
            copies: Repository::new(store.clone()),
            members: Repository::new(store.clone()),
        }
    }

    fn lend(&self, identity: &MessageIdentity, copy: &Id<Copy>, member: &Id<Member>) -> Together {
        Together::new(identity)
            .execute(&self.copies, copy, Lend { member: *member })
            .execute(&self.members, member, Borrow { copy: *copy })
    }

    async fn count(&self) -> usize {
        self.store.read_all(Position::START).count().await
    }
}

async fn all_of_it_is_one_commit_that_takes_effect_once(store: impl EventStore + Clone) {
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

async fn a_refusal_names_its_command_and_stores_nothing(store: impl EventStore + Clone) {
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
        refused.to_string(),
        format!(
            "command 2 of 2, `Borrow` on club.member {member}: a member holds 2 copies at most"
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

async fn a_conflict_on_any_aggregate_decides_all_again(store: impl EventStore + Clone) {
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

async fn commands_that_change_nothing_store_nothing(store: impl EventStore + Clone) {
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

async fn unique_names_hold_and_may_pass_on(store: impl EventStore + Clone) {
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
        taken.to_string(),
        format!(
            "command 2 of 2, `Label` on club.copy {other}: label `a` is held by club.copy {one}: \
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

async fn an_aggregate_that_is_to_stay_unchanged_guards_the_commit(store: impl EventStore + Clone) {
    let (club, elsewhere) = (Club::new(&store), Club::new(&store));
    let (copy, member, fresh) = (Id::new(), Id::new(), Id::new());
    club.lend(&desk(), &Id::new(), &member)
        .commit()
        .await
        .unwrap();
    let seen = club.members.load(&member).await.unwrap();
    let label = |label: &str| {
        Together::new(&desk())
            .execute(&club.copies, &copy, named(label))
            .execute(&club.copies, &copy, Lend { member })
            .execute(&club.copies, &copy, Return)
    };
    let commits = label("a").unchanged(&club.members, &member);
    let commits = commits
        .unchanged(&club.members, &fresh)
        .commit()
        .await
        .unwrap();
    let versions: Vec<_> = commits.iter().map(|commit| commit.version()).collect();
    assert_eq!(versions, [3, 1, 0]);
    assert!(commits[1].events().is_empty() && !commits[1].is_repeated());

    elsewhere
        .members
        .execute(&member, GiveBack, &desk())
        .await
        .unwrap();
    let before = club.count().await;
    let moved = |error: TogetherError| match error {
        TogetherError::Moved { seen, actual, .. } => (seen, actual),
        error => panic!("{error}"),
    };
    let guarded = label("b").unchanged(&club.members, &member).commit().await;
    assert_eq!(moved(guarded.unwrap_err()), (1, 2));
    let guarded = label("c")
        .unchanged_since(&club.members, &member, &seen)
        .commit()
        .await;
    assert_eq!(moved(guarded.unwrap_err()), (1, 2));
    let none = elsewhere.members.load(&fresh).await.unwrap();
    club.members
        .execute(&fresh, Borrow { copy }, &desk())
        .await
        .unwrap();
    let guarded = label("d")
        .unchanged_since(&club.members, &fresh, &none)
        .commit()
        .await;
    assert_eq!(moved(guarded.unwrap_err()), (0, 1));
    assert_eq!(club.count().await, before + 1);
    // Who looks again goes on.
    let seen = club.members.load(&member).await.unwrap();
    let guarded = label("e").unchanged_since(&club.members, &member, &seen);
    guarded.commit().await.unwrap();
}

/// Two who each go only while the other stays: however they race, one stays.
async fn of_two_that_look_at_each_other_one_gives_way(store: impl EventStore + Clone) {
    let pair = async |one: Id<Member>, other: Id<Member>| {
        let club = Club::new(&store);
        let seen = club.members.load(&other).await.unwrap();
        tokio::task::yield_now().await;
        if seen.held > 0 {
            return;
        }
        let borrow = || Borrow { copy: Id::new() };
        let left = Together::new(&desk())
            .execute(&club.members, &one, borrow())
            .execute(&club.members, &one, borrow())
            .unchanged_since(&club.members, &other, &seen);
        if let Err(error) = left.commit().await {
            assert!(error.is_conflict(), "{error}");
        }
    };
    for _ in 0..40 {
        let (one, other) = (Id::new(), Id::new());
        futures_util::future::join(pair(one, other), pair(other, one)).await;
        let club = Club::new(&store);
        let held = async |id| club.members.load(&id).await.unwrap().held;
        assert!(held(one).await == 0 || held(other).await == 0);
    }
}

#[tokio::test]
async fn two_stores_and_two_types_of_one_aggregate_are_refused() {
    let (club, elsewhere) = (
        Club::new(&MemoryEventStore::new()),
        Club::new(&MemoryEventStore::new()),
    );
    let member = Id::new();
    let mixed = Together::new(&desk())
        .execute(&club.members, &member, GiveBack)
        .execute(&elsewhere.copies, &Id::new(), Return);
    let refused = mixed.commit().await.unwrap_err();
    assert!(
        matches!(refused, TogetherError::AnotherStore { .. }),
        "{refused}"
    );
}

#[tokio::test]
async fn aggregates_named_in_any_order_never_wait_for_each_other() {
    let club = Club::new(&MemoryEventStore::new());
    let ids = [Id::new(), Id::new(), Id::new()];
    let work = async |turn: usize| {
        for _ in 0..50 {
            let [a, b, c] = [turn, turn + 1, turn + 2].map(|at| &ids[at % 3]);
            let together = Together::new(&desk())
                .execute(&club.members, a, GiveBack)
                .execute(&club.members, b, GiveBack)
                .execute(&club.members, c, GiveBack);
            together.commit().await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    futures_util::future::join3(work(0), work(1), work(2)).await;
}

macro_rules! on_each_store {
    ($($test:ident)*) => {
        mod memory {
            $(#[tokio::test]
            async fn $test() {
                super::$test(cim_es::MemoryEventStore::new()).await;
            })*
        }

        #[cfg(feature = "sqlite")]
        mod sqlite {
            $(#[tokio::test]
            async fn $test() {
                let directory = crate::sqlite_support::Directory::new();
                let store = cim_es::SqliteEventStore::open(directory.file("club.db"));
                super::$test(store.expect("the file opens")).await;
            })*
        }
    };
}

on_each_store! {
    all_of_it_is_one_commit_that_takes_effect_once
    a_refusal_names_its_command_and_stores_nothing
    a_conflict_on_any_aggregate_decides_all_again
    commands_that_change_nothing_store_nothing
    unique_names_hold_and_may_pass_on
    an_aggregate_that_is_to_stay_unchanged_guards_the_commit
    of_two_that_look_at_each_other_one_gives_way
}
