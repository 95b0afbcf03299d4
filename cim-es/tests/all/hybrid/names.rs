//! A unique name that was taken on both sides while they were apart.

use cim_es::MemoryEventStore;
use cim_es::hybrid::{Divergence, HybridOptions, OnDivergence};
use cim_es::prelude::*;
use cim_es::store::{AggregateKey, EventStore, StoreError};

use super::reapplied::here;
use super::{Node, sorted, stream};

#[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum MemberState {
    #[state(initial)]
    #[on(Join / Joined => Active)]
    New,
    #[on(Rename / Renamed => _)]
    #[on(Pay / Paid => _)]
    #[on(Leave / Left => Gone)]
    Active,
    #[state(terminal)]
    Gone,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
enum MemberEvent {
    Joined {
        name: String,
    },
    Renamed {
        name: String,
    },
    #[apply(paid += amount)]
    Paid {
        amount: u64,
    },
    #[apply(name = String::new())]
    Left,
}

#[derive(Command, Clone, Debug)]
enum MemberCommand {
    Join { name: String },
    Rename { name: String },
    Pay { amount: u64 },
    Leave,
}

#[derive(Aggregate, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[aggregate(domain = "club", name = "member", unique = Member::names)]
struct Member {
    state: MemberState,
    name: String,
    paid: u64,
}

impl Member {
    fn names(&self) -> Option<UniqueName> {
        (!self.name.is_empty()).then(|| UniqueName::new("member_name", &self.name))
    }
}

impl Decide for Member {
    fn decide(&self, command: MemberCommand, _: &Context) -> Decision<Self> {
        match command {
            MemberCommand::Join { name } => emit(MemberEvent::Joined { name }),
            MemberCommand::Rename { name } => emit(MemberEvent::Renamed { name }),
            MemberCommand::Pay { amount } => emit(MemberEvent::Paid { amount }),
            MemberCommand::Leave => emit(MemberEvent::Left),
        }
    }
}

fn join(name: &str) -> MemberCommand {
    MemberCommand::Join { name: name.into() }
}

fn rename(name: &str) -> MemberCommand {
    MemberCommand::Rename { name: name.into() }
}

fn reapplying() -> HybridOptions {
    HybridOptions::new().on_divergence(OnDivergence::<Member>::reapply(|_, _, _| true))
}

/// Two sides that have seen nothing of each other: Ann joined here and there, and here Bob did, too.
struct Apart {
    shared: MemoryEventStore,
    node: Node,
    here: Repository<Member>,
    there: Repository<Member>,
    ann_here: Id<Member>,
    ann_there: Id<Member>,
    bob: Id<Member>,
}

impl Apart {
    async fn new(options: HybridOptions) -> Self {
        let shared = MemoryEventStore::new();
        let node = Node::with(MemoryEventStore::new(), options).await;
        let apart = Self {
            here: Repository::new(node.kept.clone()),
            there: Repository::new(shared.clone()),
            shared,
            node,
            ann_here: Id::new(),
            ann_there: Id::new(),
            bob: Id::new(),
        };
        apart.do_here(&apart.ann_here, join("ann")).await;
        apart
            .do_here(&apart.ann_here, MemberCommand::Pay { amount: 10 })
            .await;
        apart.do_here(&apart.bob, join("bob")).await;
        apart.do_there(&apart.ann_there, join("ann")).await;
        apart
    }

    async fn do_here(&self, id: &Id<Member>, command: MemberCommand) {
        self.here.execute(id, command, &here()).await.unwrap();
    }

    async fn do_there(&self, id: &Id<Member>, command: MemberCommand) {
        self.there.execute(id, command, &here()).await.unwrap();
    }

    async fn level(&self) -> Vec<Divergence> {
        self.node
            .protocol
            .level(&stream(&self.shared))
            .await
            .unwrap();
        self.node.protocol.recorded_divergences()
    }

    async fn are_equal(&self) -> bool {
        sorted(&self.node.kept).await == sorted(&self.shared).await
    }

    fn left_out(divergences: &[Divergence]) -> Vec<(&str, &str)> {
        let resolved = divergences.iter().filter_map(|it| it.resolved.as_ref());
        let left_out = resolved.flat_map(|it| &it.left_out);
        left_out.map(|it| (&*it.event_type, &*it.reason)).collect()
    }
}

#[tokio::test]
async fn who_has_it_waits_until_a_person_keeps_the_streams_holder() {
    let apart = Apart::new(HybridOptions::new()).await;
    let divergences = apart.level().await;
    let [divergence] = &divergences[..] else {
        panic!("one name was taken twice: {divergences:?}");
    };
    assert_eq!(divergence.unique_name(), Some("ann"));
    let told = apart.node.protocol.notices().remove(0).what.to_string();
    assert!(told.contains("the unique name \"ann\""), "{told}");
    let holders = [&divergence.ours, &divergence.theirs].map(|side| {
        let taken = side.events[0].unique_name.as_ref();
        taken.map(|taken| taken.holder.clone())
    });
    let ids = [apart.ann_here, apart.ann_there].map(|id| Some(format!("club.member {id}")));
    assert_eq!(holders, ids);
    let waits = AggregateKey::of::<Member>(&apart.ann_here).unwrap();
    assert!(divergence.tied.contains(&waits), "{:?}", divergence.tied);
    let both = [&divergence.ours, &divergence.theirs].map(|side| side.events.len());
    assert_eq!(both, [1, 1]);
    // Ann takes no command, Bob does, and his name is in the stream.
    let key = divergence.aggregate.clone();
    let hybrid = &apart.node.protocol;
    let request = super::commit_on(&waits);
    let refused = hybrid.append(request).await.unwrap_err();
    assert!(
        matches!(&refused, StoreError::Unresolved { with: Some(with), .. } if **with == key),
        "{refused:?}"
    );
    let bob = apart.there.load(&apart.bob).await.unwrap();
    assert_eq!(bob.name, "bob");
    hybrid
        .keep_theirs(&stream(&apart.shared), &key, "the desk was first")
        .await
        .unwrap();
    apart.level().await;
    assert!(apart.are_equal().await);
    assert!(apart.here.find(&apart.ann_here).await.unwrap().is_none());
    let taken = apart
        .here
        .execute(&apart.bob, rename("ann"), &here())
        .await
        .unwrap_err();
    assert!(
        taken.to_string().contains("ann"),
        "the stream's Ann has it: {taken}"
    );
}

#[tokio::test]
async fn who_cannot_have_it_is_not_taken_again_and_whoever_does_not_need_it_is() {
    let apart = Apart::new(reapplying()).await;
    let divergences = apart.level().await;
    assert!(apart.are_equal().await);
    let left_out = Apart::left_out(&divergences);
    let [(joined, taken), (paid, without)] = left_out[..] else {
        panic!("Ann and what she paid: {left_out:?}");
    };
    assert_eq!((joined, paid), ("club.member.joined", "club.member.paid"));
    assert!(
        taken.contains("ann") && taken.contains("is held by"),
        "{taken}"
    );
    assert!(without.contains("no edge"), "{without}");
    assert_eq!(apart.here.load(&apart.bob).await.unwrap().name, "bob");
    assert!(apart.here.find(&apart.ann_here).await.unwrap().is_none());
}

#[tokio::test]
async fn a_name_that_is_free_again_in_the_stream_is_taken_again() {
    let apart = Apart::new(reapplying()).await;
    apart.do_there(&apart.ann_there, MemberCommand::Leave).await;
    let divergences = apart.level().await;
    assert!(apart.are_equal().await);
    assert_eq!(Apart::left_out(&divergences), []);
    let ann = apart.there.load(&apart.ann_here).await.unwrap();
    assert_eq!((&*ann.name, ann.paid), ("ann", 10));
    // And it is hers there: nobody else gets it.
    let taken = apart.there.execute(&Id::new(), join("ann"), &here()).await;
    assert!(taken.is_err());
}

#[tokio::test]
async fn a_name_that_was_given_up_here_holds_up_nobody() {
    let apart = Apart::new(reapplying()).await;
    apart.do_here(&apart.ann_here, rename("annie")).await;
    apart.do_here(&apart.bob, rename("ann")).await;
    apart.do_here(&apart.bob, rename("rob")).await;
    let divergences = apart.level().await;
    assert!(apart.are_equal().await);
    let left_out = Apart::left_out(&divergences);
    assert!(
        left_out
            .iter()
            .all(|(event_type, _)| *event_type != "club.member.left"),
        "{left_out:?}"
    );
    // Bob passed through a name that another holds in the stream: that one step is left out, and he has the last name.
    let bob = apart.here.load(&apart.bob).await.unwrap();
    assert_eq!(bob.name, "rob");
    let free = Id::new();
    apart.do_here(&free, join("bob")).await;
    apart.level().await;
    assert!(apart.are_equal().await);
}

#[tokio::test]
async fn a_function_of_the_author_gives_another_name() {
    let options = HybridOptions::new().on_divergence(OnDivergence::<Member>::with(|_, ours| {
        let mut again = ours.to_vec();
        if let Some(MemberEvent::Joined { name }) = again.first_mut() {
            name.push_str(" (2)");
        }
        again
    }));
    let apart = Apart::new(options).await;
    let divergences = apart.level().await;
    assert!(apart.are_equal().await);
    assert_eq!(Apart::left_out(&divergences), []);
    let ann = apart.there.load(&apart.ann_here).await.unwrap();
    assert_eq!((&*ann.name, ann.paid), ("ann (2)", 10));
}

#[tokio::test]
async fn an_author_who_gives_the_name_of_another_is_told_and_a_person_decides() {
    let options =
        HybridOptions::new().on_divergence(OnDivergence::<Member>::with(|_, ours| ours.to_vec()));
    let apart = Apart::new(options).await;
    let divergences = apart.level().await;
    let [divergence] = &divergences[..] else {
        panic!("one name was taken twice: {divergences:?}");
    };
    assert!(divergence.is_open());
    let remote = stream(&apart.shared);
    let refused = apart
        .node
        .protocol
        .reapply(&remote, &divergence.aggregate)
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("is held by"), "{refused}");
    assert!(apart.here.find(&apart.ann_here).await.unwrap().is_some());
    assert_eq!(apart.there.load(&apart.bob).await.unwrap().name, "bob");
    let last = apart.shared.last(&divergence.aggregate).await.unwrap();
    assert_eq!(last.unwrap().envelope.sequence, 1);
}
