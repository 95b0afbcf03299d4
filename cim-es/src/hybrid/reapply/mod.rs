//! Taking again, on the stream's history, what was done here: what the author says of each kind of aggregate.

mod done;
mod merge;
mod names;
mod typed;

use std::fmt;
use std::sync::Arc;

use self::typed::{Policy, Typed};
use super::divergence::LeftOut;
use crate::domain::aggregate::Aggregate;
use crate::projection::Source;
use crate::store::SealedCommit;

/// What becomes of an aggregate of a kind that went on differently here and in the stream.
///
/// ```
/// # use cim_es::prelude::*;
/// # #[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
/// # enum ShelfState { #[state(initial)] #[on(Count / Counted => _)] Any }
/// # #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
/// # enum ShelfEvent { Counted { copies: u32 } }
/// # #[derive(Command, Clone, Debug)]
/// # enum ShelfCommand { Count }
/// # #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
/// # #[aggregate(domain = "library", name = "shelf")]
/// # struct Shelf { state: ShelfState, copies: u32 }
/// use cim_es::hybrid::{HybridOptions, OnDivergence};
///
/// // A later count of the shelf counts, and an earlier one does not.
/// let options = HybridOptions::new().on_divergence(OnDivergence::<Shelf>::reapply(
///     |shelf, ShelfEvent::Counted { copies }, _| shelf.copies != *copies,
/// ));
/// ```
#[non_exhaustive]
pub enum OnDivergence<A: Aggregate> {
    /// It takes no command here until a person has decided; other aggregates go on.
    Refuse,
    /// The stream's history stands, and each event that was written here is taken again on it: where the machine has an
    /// edge for it, and the function agrees. See [`reapply`](Self::reapply).
    Reapply(Reapplies<A>),
    /// The stream's history stands, and a function says what follows it. See [`with`](Self::with).
    With(Writes<A>),
}

/// Whether an event that was written here is taken again: asked with the aggregate as it is on the stream's history with
/// what was taken again so far, the event, and where it stood.
pub type Reapplies<A> =
    Arc<dyn Fn(&A, &<A as Aggregate>::Event, &Source<'_, A>) -> bool + Send + Sync>;

/// What follows the stream's history: asked with the aggregate as it is there, and the events that were written here. The
/// machine has to have an edge for each that it gives.
pub type Writes<A> =
    Arc<dyn Fn(&A, &[<A as Aggregate>::Event]) -> Vec<<A as Aggregate>::Event> + Send + Sync>;

impl<A: Aggregate> OnDivergence<A> {
    /// Writes what a function makes of both sides.
    pub fn with(writes: impl Fn(&A, &[A::Event]) -> Vec<A::Event> + Send + Sync + 'static) -> Self {
        Self::With(Arc::new(writes))
    }

    /// Takes the events again to which a function agrees.
    pub fn reapply(
        agrees: impl Fn(&A, &A::Event, &Source<'_, A>) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self::Reapply(Arc::new(agrees))
    }
}

/// What the author has said, by kind.
#[derive(Clone, Default)]
pub(super) struct Policies(Vec<(&'static str, Arc<dyn Policy>)>);

impl Policies {
    /// Takes what is said of a kind in place of what was said before.
    pub(super) fn set<A: Aggregate>(&mut self, policy: OnDivergence<A>) {
        self.0.retain(|(kind, _)| *kind != A::KIND);
        if !matches!(policy, OnDivergence::Refuse) {
            self.0.push((A::KIND, Arc::new(Typed(policy))));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn of(&self, kind: &str) -> Option<&Arc<dyn Policy>> {
        let mut policies = self.0.iter().map(|(_, policy)| policy);
        policies.find(|policy| policy.is_for(kind))
    }
}

impl fmt::Debug for Policies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(kind, _)| kind))
            .finish()
    }
}

/// What follows the stream's history.
#[derive(Default)]
pub(super) struct Merged {
    /// New commits.
    pub(super) commits: Vec<SealedCommit>,
    /// What was not taken again.
    pub(super) left_out: Vec<LeftOut>,
}
