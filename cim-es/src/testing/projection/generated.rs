//! What happened, as generated commands have it.

use std::collections::VecDeque;
use std::fmt::Debug;

use proptest::strategy::Strategy;

use super::ProjectAll;
use crate::domain::aggregate::Decide;
use crate::domain::event::AggregateEvent;
use crate::testing::model::{TERMS, Walk};
use crate::testing::together::{EventsOf, events_of};

/// How many courses of events there are.
const COURSES: usize = 16;
/// How many aggregates each has.
const AGGREGATES: usize = 3;
/// How many commits an aggregate has at most.
const COMMITS: usize = 12;

/// Courses of events that generated commands lead to, each of three aggregates whose commits are mixed; they are the same
/// each time, but for the ids.
///
/// `commands` gives the generator of commands for an aggregate as it is, as for
/// [`check_machine`](crate::testing::check_machine); `ids` gives a new id at each call. What a view makes of each course is
/// then checked event by event, in batches of any cut, saved and built again: by
/// [`then_documents`](ProjectAll::then_documents), [`survives_saving`](ProjectAll::survives_saving) or
/// [`counts_the_same`](ProjectAll::counts_the_same).
///
/// ```
/// # use std::collections::BTreeMap;
/// # use cim_es::prelude::*;
/// # #[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
/// # enum TapState { #[state(initial)] #[on(Fill / Filled => _)] #[on(Drain / Drained => _)] Any }
/// # #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
/// # enum TapEvent {
/// #     #[apply(level += amount)] Filled { amount: u32 },
/// #     #[apply(level -= amount)] Drained { amount: u32 },
/// # }
/// # #[derive(Command, Clone, Debug)]
/// # enum TapCommand { Fill { amount: u32 }, Drain { amount: u32 } }
/// # #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
/// # #[aggregate(domain = "home", name = "tap")]
/// # struct Tap { state: TapState, level: u32 }
/// # impl Decide for Tap {
/// #     fn decide(&self, command: TapCommand, _: &Context) -> Decision<Self> {
/// #         match command {
/// #             TapCommand::Drain { amount } if amount > self.level => nothing(),
/// #             TapCommand::Drain { amount } => emit(TapEvent::Drained { amount }),
/// #             TapCommand::Fill { amount } => emit(TapEvent::Filled { amount }),
/// #         }
/// #     }
/// # }
/// use cim_es::testing::project_generated;
/// use cim_es::testing::proptest::prelude::*;
///
/// /// How much there is behind each tap.
/// #[derive(Projection, Debug, Default, PartialEq, Serialize, Deserialize)]
/// #[projection(name = "levels", version = 1, events = [TapEvent])]
/// struct Levels(BTreeMap<Id<Tap>, u32>);
///
/// impl Project<TapEvent> for Levels {
///     fn project(&mut self, event: TapEvent, at: &Source<Tap>) {
///         let level = self.0.entry(at.id()).or_default();
///         match event {
///             TapEvent::Filled { amount } => *level += amount,
///             TapEvent::Drained { amount } => *level -= amount,
///         }
///     }
/// }
///
/// let courses = project_generated::<Tap, _>(Id::new, |tap| {
///     prop_oneof![
///         (1..=9_u32).prop_map(|amount| TapCommand::Fill { amount }),
///         (0..=tap.level).prop_map(|amount| TapCommand::Drain { amount }),
///     ]
/// });
/// for course in courses {
///     course.survives_saving::<Levels>().then(|levels: &Levels| assert!(levels.0.len() <= 3));
/// }
/// ```
///
/// # Panics
/// Where [`check_machine`](crate::testing::check_machine) does for what a command leads to, and when no command can be
/// generated.
#[track_caller]
pub fn project_generated<A, S>(
    ids: impl Fn() -> A::Id,
    commands: impl Fn(&A) -> S,
) -> Vec<ProjectAll>
where
    A: Decide,
    A::Command: Clone + Debug,
    A::Event: AggregateEvent<Aggregate = A> + Debug,
    S: Strategy<Value = A::Command>,
{
    let mut walk = Walk::<A>::new(TERMS.into());
    let mut courses = Vec::with_capacity(COURSES);
    for _ in 0..COURSES {
        let mut histories: Vec<_> = (0..AGGREGATES)
            .map(|_| history(&mut walk, &ids(), &commands))
            .collect();
        let mut mixed = Vec::new();
        while !histories.is_empty() {
            let next = walk.draw(histories.len());
            match histories[next].pop_front() {
                Some(commit) => mixed.push(commit),
                None => drop(histories.swap_remove(next)),
            }
        }
        courses.push(ProjectAll { commits: mixed });
    }
    courses
}

#[track_caller]
fn history<A, S>(walk: &mut Walk<A>, id: &A::Id, commands: &impl Fn(&A) -> S) -> VecDeque<EventsOf>
where
    A: Decide,
    A::Command: Clone + Debug,
    A::Event: AggregateEvent<Aggregate = A> + Debug,
    S: Strategy<Value = A::Command>,
{
    let commits = walk.history(COMMITS, commands).into_iter();
    commits.map(|events| events_of(id, events)).collect()
}
