//! Executing commands: decide, check, append, fold.

use futures_core::future::BoxFuture;

use super::new::{Fold, New};
use super::recent::RecentCommit;
use super::{Commit, ExecuteError, LoadError, Repository, Root};
use crate::block::StoredEvent;
use crate::domain::aggregate::{Aggregate, Command, Decide};
use crate::domain::event::DomainEvent;
use crate::domain::machine::StateMachine;
use crate::domain::message::{Context, MessageIdentity};
use crate::store::{AggregateKey, CommitRequest, ExpectedVersion, StoreError};

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
        Box::pin(self.run(id, vec![command], identity))
    }

    /// Executes several commands as one commit: all of them take effect, or none does.
    ///
    /// Each is decided on what the ones before it led to, by the rules of [`execute`](Self::execute), and has ids of
    /// its own ([`Context::id`]). Together they are one message, with one identity: when it comes again, it gives the
    /// earlier commit. No command at all, and commands that change nothing, give a commit without events. How many
    /// events one commit may have is for the store to say: 1,000 on NATS servers.
    ///
    /// ```
    /// use cim_es::prelude::*;
    /// # #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    /// # enum LampState { #[state(initial)] #[on(Mount / Mounted => Ready)] Boxed, #[on(Switch / Switched => _)] Ready }
    /// # #[derive(DomainEvent, Clone, Debug, PartialEq, Serialize, Deserialize)]
    /// # enum LampEvent { Mounted, Switched { on: bool } }
    /// # #[derive(Command, Clone, Debug)]
    /// # enum LampCommand { Mount, Switch }
    /// # #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
    /// # #[aggregate(domain = "home", name = "lamp")]
    /// # struct Lamp { state: LampState, on: bool }
    /// # impl Decide for Lamp {
    /// #     fn decide(&self, command: LampCommand, _: &Context) -> Decision<Self> {
    /// #         match command {
    /// #             LampCommand::Mount => emit(LampEvent::Mounted),
    /// #             LampCommand::Switch => emit(LampEvent::Switched { on: !self.on }),
    /// #         }
    /// #     }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let lamps = Repository::<Lamp>::new(MemoryEventStore::new());
    /// let (id, identity) = (Id::new(), MessageIdentity::new_from_user("me"));
    /// let commands = [LampCommand::Mount, LampCommand::Switch];
    /// let commit = lamps.execute_all(&id, commands, &identity).await?;
    /// assert_eq!(commit.events().len(), 2);
    /// assert!(lamps.load(&id).await?.on);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ExecuteError::OneOfSeveral`] names the command that is refused, and why; else as [`execute`](Self::execute).
    pub fn execute_all<'a>(
        &'a self,
        id: &'a A::Id,
        commands: impl IntoIterator<Item = A::Command>,
        identity: &'a MessageIdentity,
    ) -> BoxFuture<'a, Result<Commit, ExecuteError<A::Error>>>
    where
        A: Decide,
        A::Command: Clone,
    {
        Box::pin(self.run(id, commands.into_iter().collect(), identity))
    }

    async fn run(
        &self,
        id: &A::Id,
        commands: Vec<A::Command>,
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
                return answer_again::<A>(&commands, commit, identity);
            }
            match New::decided(&root, &commands, &context) {
                Ok(Some(new)) => {
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
                        return answer.map(|_| without_events(version));
                    }
                }
                answer => {
                    let version = root.version();
                    *slot = Some(root);
                    return answer.map(|_| without_events(version));
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

/// The commit of commands that change nothing.
fn without_events(version: u64) -> Commit {
    Commit {
        events: Vec::new(),
        version,
        is_repeated: false,
    }
}

/// The earlier commit as the answer to commands that came again; an error when others made it.
///
/// The event of a commit does not name its command, so the machine is asked: a command that has no edge with the first
/// event, in any state, cannot have led to it.
fn answer_again<A: Aggregate>(
    commands: &[A::Command],
    commit: Commit,
    identity: &MessageIdentity,
) -> Result<Commit, ExecuteError<A::Error>> {
    let (Some(first), Some(command)) = (commit.events.first(), commands.first()) else {
        return Ok(commit);
    };
    let known = A::Event::info_of(first.event_type());
    let is_possible = known.is_none_or(|event| {
        let mut edges = A::State::EDGES.iter();
        edges.any(|edge| {
            let mut names = commands.iter().map(|command| Some(command.name()));
            edge.event == event.variant && names.any(|name| name == edge.command)
        })
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
