//! Executing a command: decide, check, append, fold.

use futures_core::future::BoxFuture;

use super::decide::{Decided, decide};
use super::recent::RecentCommit;
use super::{Commit, ExecuteError, LoadError, Repository, Root};
use crate::aggregate::{Aggregate, Command, Decide};
use crate::block::StoredEvent;
use crate::event::DomainEvent;
use crate::machine::StateMachine;
use crate::message::{Context, MessageIdentity};
use crate::store::{AggregateKey, CommitRequest, ExpectedVersion, NewEvent, StoreError};

impl<A: Aggregate> Repository<A> {
    /// Executes a command: decides it on the present aggregate, checks the events against the machine, and stores
    /// them as one commit.
    ///
    /// A command takes effect once: one with the same message id gives the earlier commit again, whatever it says, and
    /// [`Commit::is_repeated`] tells so. Each command therefore needs an identity of its own. After a conflict it
    /// is decided again on the newer history, with the same [`Context`], up to the set number of times.
    ///
    /// # Errors
    /// [`ExecuteError`] says why nothing was stored; only [`StoreError::OutcomeUnknown`] leaves that open.
    // The future is boxed, so that its type does not repeat the bound: an aggregate without `Decide` is one error.
    pub fn execute<'a>(
        &'a self,
        id: &'a A::Id,
        command: A::Command,
        identity: &'a MessageIdentity,
    ) -> BoxFuture<'a, Result<Commit, ExecuteError<A::Error>>>
    where
        A: Decide,
        A::Command: Clone,
    {
        Box::pin(self.run(id, command, identity))
    }

    async fn run(
        &self,
        id: &A::Id,
        command: A::Command,
        identity: &MessageIdentity,
    ) -> Result<Commit, ExecuteError<A::Error>>
    where
        A: Decide,
        A::Command: Clone,
    {
        let key = AggregateKey::of::<A>(id).map_err(LoadError::from)?;
        let context = Context::new(identity.clone(), self.inner.clock.now());
        let context = context.with_aggregate(key.id().clone());
        let warm = self.warm(id);
        let mut slot = warm.lock().await;
        let (mut root, mut is_confirmed) = match slot.take() {
            Some(root) => (root, false),
            None => (self.read(&key).await?, true),
        };
        let mut conflicts = 0;
        loop {
            if let Some(earlier) = root.recent.find(identity.message_id()) {
                let commit = self.earlier_commit(&key, earlier).await?;
                *slot = Some(root);
                return answer_again::<A>(&command, commit, identity);
            }
            match decide::<A>(&root, command.clone(), &context) {
                Decided::Events(events) => {
                    let new = New::of(&root, &command, events)?;
                    match self.append(&key, &root, &new, &context).await {
                        Ok(stored) => {
                            let before = root.version();
                            new.fold_into(&mut root, &stored)?;
                            self.keep_snapshot(&key, &root, before).await;
                            let version = root.version();
                            *slot = Some(root);
                            return Ok(Commit {
                                events: stored,
                                version,
                                is_repeated: false,
                            });
                        }
                        Err(ExecuteError::Store(StoreError::Conflict { .. }))
                            if conflicts < self.inner.options.conflict_retries =>
                        {
                            conflicts += 1;
                            root = self.catch_up(&key, root).await?;
                            is_confirmed = true;
                        }
                        // The command was decided on an aggregate from memory: it may be another by now.
                        Err(error @ ExecuteError::NameTaken { .. }) => {
                            if is_confirmed || !self.has_moved(&key, &mut root).await? {
                                *slot = Some(root);
                                return Err(error);
                            }
                            is_confirmed = true;
                        }
                        Err(error) => return Err(error),
                    }
                }
                // What does not publish is not guarded: an answer from memory counts once the store agrees.
                answer if !is_confirmed => {
                    let version = root.version();
                    is_confirmed = true;
                    if !self.has_moved(&key, &mut root).await? {
                        *slot = Some(root);
                        return without_events(answer, version);
                    }
                }
                answer => {
                    let version = root.version();
                    *slot = Some(root);
                    return without_events(answer, version);
                }
            }
        }
    }

    /// Catches up with the store, and tells whether there was anything new.
    async fn has_moved(&self, key: &AggregateKey, root: &mut Root<A>) -> Result<bool, LoadError> {
        let before = root.head();
        let stale = std::mem::replace(root, Root::empty(0));
        *root = self.catch_up(key, stale).await?;
        Ok(root.head() != before)
    }

    /// Stores the events, and what becomes of the aggregate's unique names; gives the events of the aggregate alone.
    async fn append(
        &self,
        key: &AggregateKey,
        root: &Root<A>,
        new: &New<A>,
        context: &Context,
    ) -> Result<Vec<StoredEvent>, ExecuteError<A::Error>> {
        let request = CommitRequest::of(context);
        let events = new.encoded.clone();
        let mut request = match root.head {
            Some(head) => request.aggregate_at(key.clone(), head, events),
            None => request.aggregate(key.clone(), ExpectedVersion::NoStream, events),
        };
        if let Fold::Done(after) = &new.fold {
            let (before, after) = (root.unique_names(), after.unique_names());
            request = self.with_names(key, before, after, request).await?;
        }
        let mut stored = self
            .inner
            .store
            .append(request)
            .await
            .map_err(|error| match error {
                StoreError::Payload(error) => ExecuteError::Payload(error),
                error => ExecuteError::Store(error),
            })?;
        stored.truncate(new.encoded.len());
        Ok(stored)
    }

    async fn earlier_commit(
        &self,
        key: &AggregateKey,
        earlier: RecentCommit,
    ) -> Result<Commit, LoadError> {
        let mut events = self
            .inner
            .store
            .get_events(key, earlier.first_version)
            .await?;
        events.truncate(usize::try_from(earlier.events).unwrap_or(usize::MAX));
        let version = earlier.first_version + earlier.events - 1;
        Ok(Commit {
            events,
            version,
            is_repeated: true,
        })
    }
}

/// What a command decided, as it is stored and as it is folded.
struct New<A: Aggregate> {
    encoded: Vec<NewEvent>,
    fold: Fold<A>,
}

enum Fold<A: Aggregate> {
    /// The aggregate after the events: what names it then holds is to be known before they are stored.
    Done(A),
    /// The events, to be folded once they are stored.
    Waiting(Vec<A::Event>),
}

impl<A: Aggregate> New<A> {
    fn of(
        root: &Root<A>,
        command: &A::Command,
        events: Vec<A::Event>,
    ) -> Result<Self, ExecuteError<A::Error>> {
        let events: Result<Vec<_>, _> = events.iter().map(NewEvent::and_read_back).collect();
        let (encoded, events): (Vec<_>, Vec<_>) =
            events.map_err(ExecuteError::Payload)?.into_iter().unzip();
        if !A::HAS_UNIQUE_NAMES {
            let fold = Fold::Waiting(events);
            return Ok(Self { encoded, fold });
        }
        let mut after = root.aggregate.clone();
        for event in events {
            after
                .apply(event)
                .map_err(|unexpected| ExecuteError::UndeclaredEvent {
                    state: unexpected.state,
                    command: command.name(),
                    event: unexpected.event,
                })?;
        }
        let fold = Fold::Done(after);
        Ok(Self { encoded, fold })
    }

    fn fold_into(self, root: &mut Root<A>, stored: &[StoredEvent]) -> Result<(), LoadError> {
        match self.fold {
            Fold::Waiting(events) => {
                let mut events = events.into_iter().zip(stored);
                events.try_for_each(|(event, stored)| root.take(event, stored))
            }
            Fold::Done(after) => {
                root.aggregate = after;
                stored.iter().for_each(|stored| root.note(stored));
                Ok(())
            }
        }
    }
}

fn without_events<A: Decide>(
    answer: Decided<A>,
    version: u64,
) -> Result<Commit, ExecuteError<A::Error>> {
    match answer {
        Decided::Refused(error) => Err(error),
        Decided::Nothing | Decided::Events(_) => Ok(Commit {
            events: Vec::new(),
            version,
            is_repeated: false,
        }),
    }
}

/// The earlier commit as the answer to a command that came again; an error when another command made it.
///
/// The event of a commit does not name its command, so the machine is asked: a command that has no edge with the first
/// event, in any state, cannot have led to it.
fn answer_again<A: Aggregate>(
    command: &A::Command,
    commit: Commit,
    identity: &MessageIdentity,
) -> Result<Commit, ExecuteError<A::Error>> {
    let Some(first) = commit.events.first() else {
        return Ok(commit);
    };
    let known = A::Event::info_of(first.event_type());
    let is_possible = known.is_none_or(|event| {
        let mut edges = A::State::EDGES.iter();
        edges.any(|edge| edge.command == Some(command.name()) && edge.event == event.variant)
    });
    if is_possible {
        return Ok(commit);
    }
    Err(ExecuteError::MessageIdReused {
        message_id: identity.message_id(),
        command: command.name(),
        event_type: first.event_type().to_owned(),
        version: first.envelope.sequence,
    })
}
