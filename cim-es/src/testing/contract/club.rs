//! Two kinds of aggregates that change in one commit: what a member borrows is lent.

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};

use crate::domain::aggregate::{
    Aggregate, Command, Decide, Decision, Id, UniqueName, emit, nothing,
};
use crate::domain::event::DomainEvent;
use crate::domain::machine::StateMachine;
use crate::domain::message::{Context, MessageIdentity};
use crate::repository::{Repository, Together};
use crate::store::{EventStore, EventStoreExt, Position};

#[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
pub(super) enum CopyState {
    #[state(initial)]
    #[on(Lend / Lent => OnLoan)]
    #[on(Label / Labelled => _)]
    InStock,
    #[on(Return / Returned => InStock)]
    #[on(Label / Labelled => _)]
    OnLoan,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum CopyEvent {
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
pub(super) enum CopyCommand {
    Lend { member: Id<Member> },
    Return,
    Label { label: Option<String> },
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "contract", name = "copy", unique = Copy::names)]
pub(super) struct Copy {
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

#[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
pub(super) enum MemberState {
    #[state(initial)]
    #[on(Borrow / Borrowed => _)]
    #[on(GiveBack / GaveBack => _)]
    Any,
}

#[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum MemberEvent {
    #[apply(_ = copy, held += 1)]
    Borrowed { copy: Id<Copy> },
    #[apply(held -= 1)]
    GaveBack,
}

#[derive(Command, Clone, Debug)]
pub(super) enum MemberCommand {
    Borrow { copy: Id<Copy> },
    GiveBack,
}

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("a member holds {held} copies at most")]
pub(super) struct TooMany {
    pub(super) held: u32,
}

#[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
#[aggregate(domain = "contract", name = "member", error = TooMany)]
pub(super) struct Member {
    state: MemberState,
    pub(super) held: u32,
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

pub(super) fn desk() -> MessageIdentity {
    MessageIdentity::new_from_user("desk")
}

pub(super) fn named(label: &str) -> CopyCommand {
    CopyCommand::Label {
        label: Some(label.to_owned()),
    }
}

/// Two kinds of aggregates on one store.
pub(super) struct Club<S> {
    store: S,
    pub(super) copies: Repository<Copy>,
    pub(super) members: Repository<Member>,
}

impl<S: EventStore + Clone> Club<S> {
    pub(super) fn new(store: &S) -> Self {
        Self {
            store: store.clone(),
            copies: Repository::new(store.clone()),
            members: Repository::new(store.clone()),
        }
    }

    pub(super) fn lend(
        &self,
        identity: &MessageIdentity,
        copy: &Id<Copy>,
        member: &Id<Member>,
    ) -> Together {
        Together::new(identity)
            .execute(&self.copies, copy, CopyCommand::Lend { member: *member })
            .execute(&self.members, member, MemberCommand::Borrow { copy: *copy })
    }

    pub(super) async fn count(&self) -> usize {
        self.store.read_all(Position::START).count().await
    }
}
