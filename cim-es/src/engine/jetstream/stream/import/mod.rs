//! Storing commits that were sealed elsewhere: proved, compared with what the stream has, then published under the guards
//! that every write has, many at once, and found out about in the same way.

mod flight;
mod present;
mod unit;

use tokio::task::yield_now;

use self::flight::Flight;
use super::{Stream, append};
use crate::block::StoredEvent;
use crate::store::{
    AppendedCommit, PartlyStored, Plan, ProvedCommit, SealedCommit, SealedOutcome, StoreError,
};

pub(super) async fn prove(
    store: &Stream,
    commits: Vec<SealedCommit>,
) -> Result<Vec<ProvedCommit>, StoreError> {
    let mut proved = Vec::with_capacity(commits.len());
    for commit in commits {
        proved.push(commit.prove(&store.options.stream.seal)?);
        // Hashing many events takes long, and others wait for this thread.
        yield_now().await;
    }
    Ok(proved)
}

pub(super) async fn append_proved(
    store: &Stream,
    proved: Vec<ProvedCommit>,
) -> Result<Vec<AppendedCommit>, StoreError> {
    let options = &store.options.stream.seal;
    proved.iter().try_for_each(|commit| commit.fits(options))?;
    let compared = present::compare(store, &proved, store.api.deadline()).await;
    let (present, plans) = compared.map_err(append::not_sent)?;
    let is_wanted = plans.iter().map(|plan| *plan == Plan::Store).collect();
    let fates = Flight::of(store, &proved, is_wanted, present).run().await;
    answer(store, proved, plans, fates)
}

/// What became of a commit.
#[derive(Clone, Debug)]
enum Fate {
    /// It was stored, its last event at this sequence.
    At(u64),
    /// Somebody else has brought it meanwhile.
    There(Vec<StoredEvent>),
    /// It is not, or not known to be, stored.
    Failed(StoreError),
    /// It was not sent, because it follows one that failed, by its place in the list.
    Behind(usize),
    NotSent,
}

/// What the caller is told.
fn answer(
    store: &Stream,
    proved: Vec<ProvedCommit>,
    plans: Vec<Plan>,
    fates: Vec<Fate>,
) -> Result<Vec<AppendedCommit>, StoreError> {
    let mut outcomes: Vec<SealedOutcome> = Vec::with_capacity(plans.len());
    let mut first: Option<(usize, StoreError)> = None;
    for (at, ((commit, plan), fate)) in proved.into_iter().zip(plans).zip(fates).enumerate() {
        outcomes.push(match (plan, fate) {
            (Plan::There(events), _) => there(events),
            (Plan::Repeats(earlier), _) => match &outcomes[earlier] {
                SealedOutcome::Stored(commit) => there(commit.events.clone()),
                SealedOutcome::NotSent => SealedOutcome::NotSent,
                _ => SealedOutcome::Behind(earlier),
            },
            (Plan::Store, Fate::At(last)) => SealedOutcome::Stored(AppendedCommit {
                events: append::place(commit.into_events(), last),
                was_there: false,
            }),
            (Plan::Store, Fate::There(events)) => there(events),
            (Plan::Store, Fate::Behind(earlier)) => SealedOutcome::Behind(earlier),
            (Plan::Store, Fate::NotSent) => SealedOutcome::NotSent,
            (Plan::Store, Fate::Failed(error)) => {
                let error = append::not_sent(error);
                first.get_or_insert_with(|| (at, error.clone()));
                SealedOutcome::Failed(error)
            }
        });
    }
    let Some((first, source)) = first else {
        let stored = outcomes.into_iter().map(|outcome| match outcome {
            SealedOutcome::Stored(commit) => Ok(commit),
            _ => Err(append::busy(store, "the connection takes nothing more")),
        });
        return stored.collect();
    };
    let is_stored = |outcome: &SealedOutcome| matches!(outcome, SealedOutcome::Stored(_));
    // Alone, or with others none of which is stored for the same reason, it needs no list.
    let is_plain = outcomes.len() == 1 || (is_general(&source) && !outcomes.iter().any(is_stored));
    Err(match is_plain {
        true => source,
        false => StoreError::PartlyStored(Box::new(PartlyStored {
            location: store.api.location(),
            outcomes,
            first,
            source: Box::new(source),
        })),
    })
}

fn there(events: Vec<StoredEvent>) -> SealedOutcome {
    SealedOutcome::Stored(AppendedCommit {
        events,
        was_there: true,
    })
}

/// Whether an error concerns the stream as a whole, and not the commit that met it.
fn is_general(error: &StoreError) -> bool {
    !matches!(
        error,
        StoreError::Diverged { .. }
            | StoreError::MissingPredecessor { .. }
            | StoreError::InvalidCommit { .. }
            | StoreError::Payload(_)
            | StoreError::Unproved(_)
            | StoreError::Damaged(_)
            | StoreError::ReadOnly { .. }
    )
}
