//! The subcommands, each in a file of its own.

mod checkpoint;
mod completions;
mod dag;
mod doctor;
mod export;
pub mod identity;
mod import;
mod man;
mod objects;
mod parked;
mod prove;
mod queue;
mod replay;
mod show;
mod streams;
mod tail;
mod verify;

use clap::parser::ValueSource;
use clap::{CommandFactory, Subcommand};

use crate::failure::{Failure, Kind};
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::store::{Access, Place, Store};

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    Streams(streams::Streams),
    Show(show::Show),
    Tail(tail::Tail),
    Dag(dag::Dag),
    Replay(replay::Replay),
    Objects(objects::Objects),
    Parked(parked::Parked),
    Queue(queue::Queue),
    Doctor(doctor::Doctor),
    Verify(verify::Verify),
    Export(export::Export),
    Import(import::Import),
    #[command(subcommand)]
    Checkpoint(checkpoint::Checkpoint),
    #[command(subcommand)]
    Prove(prove::Prove),
    #[command(subcommand)]
    Identity(identity::Identity),
    Completions(completions::Completions),
    Man(man::Man),
}

impl Command {
    /// How the store is opened; none where no store is needed, or where the command opens it by itself.
    pub fn access(&self) -> Option<Access> {
        match self {
            Self::Completions(_) | Self::Man(_) | Self::Identity(_) => None,
            Self::Import(command) => command.access(),
            Self::Parked(command) => Some(command.access()),
            Self::Queue(command) => Some(command.access()),
            Self::Checkpoint(command) => command.access(),
            Self::Prove(command) => command.access(),
            _ => Some(Access::Read),
        }
    }

    /// Does what needs no store that is there.
    pub async fn run_alone<P: CommandFactory>(
        &self,
        place: &Place,
        source: Option<ValueSource>,
        output: &mut Output,
        json: bool,
        interrupt: &Interrupt,
    ) -> Result<(), Failure> {
        match self {
            Self::Completions(command) => command.run(output, P::command()),
            Self::Man(command) => command.run(output, P::command()),
            Self::Import(command) => {
                command
                    .run_alone(place, source, output, json, interrupt)
                    .await
            }
            Self::Checkpoint(command) => command.run_alone(output, json),
            Self::Prove(command) => command.run_alone(output, json),
            Self::Identity(command) => command.run(output, json),
            _ => Ok(()),
        }
    }

    /// Whether it is about a second store, which the options for servers are of.
    pub fn names_another(&self) -> bool {
        matches!(self, Self::Queue(command) if command.names_another())
    }

    /// Does the rest.
    pub async fn run(
        &self,
        store: &Store,
        place: &Place,
        output: &mut Output,
        json: bool,
        interrupt: &Interrupt,
    ) -> Result<(), Failure> {
        match self {
            // These end in an orderly way when they are interrupted.
            Self::Verify(command) => return command.run(store, output, json, interrupt).await,
            Self::Export(command) => return command.run(store, output, json, interrupt).await,
            Self::Replay(command) => return command.run(store, output, json, interrupt).await,
            Self::Import(command) => return command.run(store, output, json, interrupt).await,
            _ => {}
        }
        let work = async {
            match self {
                Self::Streams(command) => command.run(store, output, json).await,
                Self::Show(command) => command.run(store, output, json).await,
                Self::Tail(command) => command.run(store, output, json).await,
                Self::Dag(command) => command.run(store, output, json).await,
                Self::Objects(command) => command.run(store, output, json).await,
                Self::Parked(command) => command.run(store, output, json).await,
                Self::Queue(command) => command.run(store, place, output, json).await,
                Self::Doctor(command) => command.run(store, output, json).await,
                Self::Checkpoint(command) => command.run(store, output, json).await,
                Self::Prove(command) => command.run(store, output, json).await,
                _ => Ok(()),
            }
        };
        let done = interrupt.or(work).await;
        let is_interrupted = matches!(&done, Err(failure) if failure.kind == Kind::Interrupted);
        // Who follows ends it so.
        if is_interrupted && !matches!(self, Self::Tail(_)) {
            output.note("interrupted")?;
        }
        done
    }
}
