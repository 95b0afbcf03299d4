//! The kit for several aggregates in one commit: it accepts what holds, and says what does not.

use std::panic::{AssertUnwindSafe, catch_unwind};

use cim_es::MemoryEventStore;
use cim_es::prelude::*;
use cim_es::testing::{EventsOf, ScenarioTogether, events_of, together};
use futures_util::FutureExt;

use CopyCommand::{Label, Lend, Return};
use CopyEvent::{Labelled, Lent, Returned};
use MemberCommand::{Borrow, GiveBack};
use MemberEvent::{Borrowed, GaveBack};

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
        at: Timestamp,
    },
    #[apply(member = None, at = None)]
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
    at: Option<Timestamp>,
    label: Option<String>,
}

impl Copy {
    fn names(&self) -> Option<UniqueName> {
        self.label.as_deref().map(label)
    }
}

fn label(label: &str) -> UniqueName {
    UniqueName::new("label", label)
}

impl Decide for Copy {
    fn decide(&self, command: CopyCommand, context: &Context) -> Decision<Self> {
        match command {
            Lend { member } => emit(Lent {
                member,
                at: context.now(),
            }),
            Return => emit(Returned),
            Label { label } if label == self.label => nothing(),
            Label { label } => emit(Labelled { label }),
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
            Borrow { .. } if self.held >= 2 => Err(TooMany { held: 2 }),
            Borrow { copy } => emit(Borrowed { copy }),
            GiveBack if self.held == 0 => nothing(),
            GiveBack => emit(GaveBack),
        }
    }
}

const NOW: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

fn named(text: &str) -> CopyCommand {
    let label = Some(text.to_owned());
    Label { label }
}

fn labelled(text: &str) -> CopyEvent {
    let label = Some(text.to_owned());
    Labelled { label }
}

/// What a scenario says that does not hold.
#[track_caller]
fn said(scenario: impl FnOnce() -> ScenarioTogether) -> String {
    let Err(panic) = catch_unwind(AssertUnwindSafe(scenario)) else {
        panic!("the scenario was accepted");
    };
    panic.downcast_ref::<String>().expect("a text").clone()
}

#[tokio::test]
async fn events_of_several_aggregates_hold_in_memory_and_unchanged_on_a_store() {
    let (copy, member) = (Id::new(), Id::new());
    together()
        .given(&copy, [labelled("A")])
        .when(&copy, Lend { member })
        .when(&member, Borrow { copy })
        .when(&copy, Return)
        .then([
            events_of(&member, [Borrowed { copy }]),
            events_of(&copy, [Lent { member, at: NOW }, Returned]),
        ])
        .on(MemoryEventStore::new())
        .await;
    let later = Timestamp::from_micros(NOW.as_micros() + 1);
    together()
        .at(later)
        .when(&copy, Lend { member })
        .unchanged::<Member>(&member)
        .then([events_of(&copy, [Lent { member, at: later }])])
        .on(MemoryEventStore::new())
        .await;
    together().when(&member, GiveBack).then_nothing();
}

#[test]
fn a_refusal_names_its_command_and_stores_nothing() {
    let (copy, member, held) = (Id::new(), Id::new(), Id::new());
    let full = || together().given(&member, [Borrowed { copy: held }, Borrowed { copy: held }]);
    let lend = || {
        full()
            .when(&copy, Lend { member })
            .when(&member, Borrow { copy })
    };
    lend().then_error(2, TooMany { held: 2 });
    let wrong_place = said(|| lend().then_error(1, TooMany { held: 2 }));
    assert!(
        wrong_place.contains("expected: command 1: refused: TooMany { held: 2 }\n     found: command 2: refused: TooMany { held: 2 }"),
        "{wrong_place}"
    );
    said(|| lend().then_error(2, TooMany { held: 3 }));
    said(|| lend().then_not_accepted(2));
    said(|| lend().then_nothing());
    let no_place = said(|| lend().then_error(3, TooMany { held: 2 }));
    assert!(
        no_place.contains("there is no command 3: they are counted from 1, and there are 2"),
        "{no_place}"
    );
    together()
        .when(&member, Borrow { copy })
        .when(&copy, Return)
        .then_not_accepted(2);
}

#[test]
fn an_event_too_many_too_few_or_elsewhere_is_refused() {
    let (copy, member, other) = (Id::new(), Id::new(), Id::new());
    let lend = || {
        together()
            .when(&copy, Lend { member })
            .when(&member, Borrow { copy })
    };
    let of_copy = || events_of(&copy, [Lent { member, at: NOW }]);
    let of_member = || events_of(&member, [Borrowed { copy }]);
    lend().then([of_copy(), of_member()]);
    let wrong: Vec<Vec<EventsOf>> = vec![
        vec![of_copy()],
        vec![of_member()],
        vec![],
        vec![of_copy(), of_member(), events_of(&other, [Returned])],
        vec![
            events_of(&copy, [Lent { member, at: NOW }, Returned]),
            of_member(),
        ],
        vec![events_of(&other, [Lent { member, at: NOW }]), of_member()],
        vec![of_copy(), events_of(&member, [Borrowed { copy: other }])],
        vec![
            events_of(
                &copy,
                [Lent {
                    member,
                    at: Timestamp::from_micros(0),
                }],
            ),
            of_member(),
        ],
    ];
    for expected in wrong {
        said(|| lend().then(expected));
    }
    let found = said(|| lend().then([of_copy()]));
    let line = format!("found: club.copy {copy}: Lent {{ ");
    assert!(found.contains(&line), "{found}");
    assert!(
        found.contains(&format!("club.member {member}: Borrowed")),
        "{found}"
    );
    let after =
        format!("in memory, after Lend {{ member: {member:?} }} on club.copy {copy}, with ");
    assert!(found.contains(&after), "{found}");
    let twice = said(|| lend().then([of_copy(), of_copy()]));
    assert!(twice.contains("are expected twice"), "{twice}");
}

#[test]
fn unique_names_that_the_given_hold_are_held_and_pass_on() {
    let (one, two) = (Id::new(), Id::new());
    let claim = || {
        together()
            .given(&one, [labelled("A")])
            .when(&two, named("A"))
    };
    claim().then_name_taken(1, &label("A"));
    said(|| claim().then_name_taken(1, &label("B")));
    said(|| claim().then([events_of(&two, [labelled("A")])]));
    together()
        .given(&one, [labelled("A"), labelled("B")])
        .when(&two, named("A"))
        .then([events_of(&two, [labelled("A")])]);
    together()
        .given(&one, [labelled("A")])
        .when(&one, Label { label: None })
        .when(&two, named("A"))
        .then([
            events_of(&one, [Labelled { label: None }]),
            events_of(&two, [labelled("A")]),
        ]);
    let both = said(|| {
        together()
            .given(&one, [labelled("A")])
            .given(&two, [labelled("A")])
            .when(&one, Return)
            .then_nothing()
    });
    assert!(both.contains("what is given of club.copy"), "{both}");
}

#[test]
fn what_moves_meanwhile_refuses_the_unchanged_and_is_decided_on_by_the_others() {
    let (copy, member, other) = (Id::new(), Id::new(), Id::new());
    let looked_at = || {
        together()
            .given(&member, [Borrowed { copy: other }])
            .when(&copy, named("A"))
            .unchanged::<Member>(&member)
    };
    looked_at().then([events_of(&copy, [labelled("A")])]);
    let moved = || looked_at().meanwhile(&member, [GaveBack]);
    moved().then_moved::<Member>(&member);
    said(|| moved().then([events_of(&copy, [labelled("A")])]));
    said(|| looked_at().then_moved::<Member>(&member));
    said(|| moved().then_moved::<Copy>(&copy));
    together()
        .given(&member, [Borrowed { copy: other }])
        .when(&member, Borrow { copy })
        .meanwhile(&member, [Borrowed { copy: other }])
        .then_error(1, TooMany { held: 2 });
}

#[test]
fn a_history_that_cannot_be_is_refused_with_its_aggregate() {
    let copy = Id::new();
    let impossible = said(|| {
        together()
            .given(&copy, [labelled("A")])
            .given(&copy, [Returned])
            .when(&copy, Return)
            .then_nothing()
    });
    assert!(
        impossible.contains(&format!(
            "given event 2 of club.copy {copy} is not a possible history: state `InStock` has no edge for event `Returned`"
        )),
        "{impossible}"
    );
}

#[tokio::test]
async fn a_store_that_answers_otherwise_is_found() {
    let (copy, member) = (Id::<Copy>::new(), Id::new());
    let store = MemoryEventStore::new();
    let lend = || together().when(&copy, Lend { member });
    let events = || [events_of(&copy, [Lent { member, at: NOW }])];
    lend().then(events()).on(store.clone()).await;
    let again = lend().then(events()).on(store);
    let panic = AssertUnwindSafe(again).catch_unwind().await;
    let Err(panic) = panic else {
        panic!("it is lent");
    };
    let said = panic.downcast_ref::<String>().expect("a text");
    assert!(said.contains("on the store, after"), "{said}");
}
