//! Executing commands: decide, check, append, fold.

use futures_core::future::BoxFuture;

use super::backoff::Backoff;
use super::work::Work;
use super::{Commit, ExecuteError, Repository};
use crate::domain::aggregate::{Aggregate, Command, Decide};
use crate::domain::event::DomainEvent;
use crate::domain::machine::StateMachine;
use crate::domain::message::MessageIdentity;

impl<A: Aggregate> Repository<A> {
    /// Executes a command: decides it on the present aggregate, checks the events against the machine, and stores
    /// them as one commit.
    ///
    /// A command takes effect once, for ever: one with the same message id gives the earlier commit again, whatever it
    /// says, and [`Commit::is_repeated`] tells so. Each command therefore needs an identity of its own. What was
    /// refused, or changed nothing ([`nothing()`](crate::aggregate::nothing)), took no effect, and leaves nothing behind:
    /// sent again later, it is decided anew, and may take effect then.
    ///
    /// After a conflict it is decided again on the newer history, up to the set number of times, with the same ids; the
    /// time in the [`Context`](crate::message::Context) is the one that the events get.
    ///
    /// # Errors
    /// [`ExecuteError`] says why nothing was stored; only
    /// [`StoreError::OutcomeUnknown`](crate::store::StoreError::OutcomeUnknown) leaves that open.
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
    /// its own ([`Context::id`](crate::message::Context::id)). Together they are one message, with one identity: when it
    /// comes again, it gives the earlier commit. No command at all, and commands that change nothing, give a commit without events. How many
    /// events one commit may have is for the store to say: 1,000 on NATS servers.
    ///
    /// ```
    /// use cim_es::prelude::*;
    /// # #[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
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
        let reading = self.inner.clock.now();
        let mut work = Work::begin(self, id).await?;
        let mut attempts = Backoff::new(self.inner.options.conflict_retries);
        loop {
            if let Some(earlier) = work.earlier(identity).await? {
                return answer_again::<A>(&commands, earlier, identity);
            }
            let context = work.context(identity, reading);
            let refusal = match work.decide(&commands, &context) {
                Ok(pending) if pending.is_empty() => None,
                Ok(pending) => match work.append(pending, &context).await {
                    Err(error) if error.is_conflict() && attempts.next().await => {
                        work.catch_up_with_others().await?;
                        continue;
                    }
                    // It was decided on an aggregate from memory, which may claim another name by now.
                    Err(error @ ExecuteError::NameTaken { .. }) => Some(error),
                    answer => return answer,
                },
                Err(refusal) => Some(refusal),
            };
            if work.confirm().await? {
                return refusal.map_or_else(|| Ok(work.unchanged()), Err);
            }
        }
    }
}

/// The earlier commit as the answer to commands that came again; an error when others made it.
///
/// The event of a commit does not name its command, so the machine is asked: a command that has no edge with the first
/// event, in any state, cannot have led to it. Where that is read as several, one of them is enough.
pub(super) fn answer_again<A: Aggregate>(
    commands: &[A::Command],
    commit: Commit,
    identity: &MessageIdentity,
) -> Result<Commit, ExecuteError<A::Error>> {
    let (Some(first), Some(command)) = (commit.events.first(), commands.first()) else {
        return Ok(commit);
    };
    let leads_to = |event: &str| {
        let mut edges = A::State::EDGES.iter();
        edges.any(|edge| {
            let mut names = commands.iter().map(|command| Some(command.name()));
            edge.event == event && names.any(|name| name == edge.command)
        })
    };
    let is_possible = match A::Event::info_of(first.event_type()) {
        None => true,
        Some(event) if leads_to(event.variant) => true,
        Some(event) if event.schema == first.envelope.schema => false,
        Some(event) => match first.decode_all::<A::Event>() {
            Ok(events) if !events.is_empty() => {
                let mut events = events.iter().map(|event| event.info().variant);
                events.any(leads_to)
            }
            _ => event.is_read_as_others(),
        },
    };
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
