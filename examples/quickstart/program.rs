//! One run of the program, from the command line to what it has to tell.

use std::io::{self, Write};
use std::path::PathBuf;

use cim_es::block::{ChainHead, EventBlock, StoredEvent, verify_event_chain};
use cim_es::prelude::*;
use cim_es::repository::ExecuteError;
use cim_es::store::{AggregateKey, Head, StoreError};
use cim_es::{Repository, SqliteEventStore};
use serde::Serialize;

use super::args::Args;
use super::domain::{Compute, ComputeCommand, ComputeError, ComputeState};
use super::error::QuickstartError;
use super::host::Host;
use super::report::{EventRow, Outcome, Report, TamperReport, Verification};
use super::tamper::tamper;
use super::{Surroundings, survey, text};

/// How often the machine is compared again when another run of this program was quicker.
const ATTEMPTS: usize = 5;

/// Does what the command line asks for, and writes what there is to tell.
///
/// # Errors
/// [`QuickstartError`] says what went wrong.
pub fn run(
    args: &Args,
    surroundings: &Surroundings,
    out: &mut dyn Write,
) -> Result<(), QuickstartError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(perform(args, surroundings, out))
}

async fn perform(
    args: &Args,
    surroundings: &Surroundings,
    out: &mut dyn Write,
) -> Result<(), QuickstartError> {
    let records_facts = args.decommission.is_none() && !args.tamper;
    let path = place(args, surroundings, records_facts)?;
    let host = (surroundings.read_host)()?;
    let session = Session::open(path, host.machine, args.tamper)?;
    if args.tamper {
        let report = session.tamper().await?;
        return match args.json {
            true => print_json(&report, out),
            false => Ok(text::print_tampering(&report, out)?),
        };
    }
    let identity = MessageIdentity::new_from_user("quickstart");
    match &args.decommission {
        Some(reason) => {
            let reason = reason.clone();
            let command = ComputeCommand::Decommission { reason };
            session
                .computes
                .execute(&session.id, command, &identity)
                .await?;
        }
        None => session.record(&host, &identity).await?,
    }
    let report = session.report(identity.message_id()).await?;
    match args.json {
        true => print_json(&report, out),
        false => Ok(text::print(&report, surroundings.columns, out)?),
    }
}

/// The file of the store; its directory exists when facts are to be recorded.
fn place(
    args: &Args,
    surroundings: &Surroundings,
    records_facts: bool,
) -> Result<PathBuf, QuickstartError> {
    let default = surroundings
        .data_directory
        .as_ref()
        .map(|data| data.join("quickstart.db"));
    let path = args
        .store
        .clone()
        .or(default)
        .ok_or(QuickstartError::NoDataDirectory)?;
    if path.is_dir() {
        return Err(QuickstartError::IsDirectory(path));
    }
    if !records_facts && !path.exists() {
        return Err(QuickstartError::NoStore(path));
    }
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(|source| QuickstartError::Directory {
            directory: directory.to_owned(),
            source,
        })?;
    }
    Ok(path)
}

/// One store, and one machine in it.
struct Session {
    path: PathBuf,
    id: Id<Compute>,
    computes: Repository<Compute>,
}

impl Session {
    fn open(path: PathBuf, machine: Uuid, is_only_read: bool) -> Result<Self, QuickstartError> {
        let options = SqliteEventStore::options();
        let store = match is_only_read {
            true => options.read_only().open(&path)?,
            false => options.open(&path)?,
        };
        Ok(Self {
            path,
            id: Id::from_uuid(machine),
            computes: Repository::new(store),
        })
    }

    /// Records what is different on the machine from what the store knows of it.
    async fn record(&self, host: &Host, identity: &MessageIdentity) -> Result<(), QuickstartError> {
        let mut attempts = 0;
        loop {
            let known = self.computes.load(&self.id).await?;
            let outcome = self
                .execute_all(survey::changes(&known, host), identity)
                .await;
            attempts += 1;
            let is_refused = matches!(
                outcome,
                Err(ExecuteError::Refused(_) | ExecuteError::NotAccepted { .. })
            );
            let is_stale = is_refused
                && attempts < ATTEMPTS
                && self.computes.load(&self.id).await?.version() > known.version();
            if !is_stale {
                return Ok(outcome?);
            }
        }
    }

    async fn execute_all(
        &self,
        commands: Vec<ComputeCommand>,
        cause: &MessageIdentity,
    ) -> Result<(), ExecuteError<ComputeError>> {
        for command in commands {
            let identity = MessageIdentity::caused_by(cause);
            self.computes.execute(&self.id, command, &identity).await?;
        }
        Ok(())
    }

    /// What the store knows of the machine; new are the events of one conversation.
    async fn report(&self, conversation: Uuid) -> Result<Report, QuickstartError> {
        let compute = self.computes.load(&self.id).await?;
        let history = self.computes.history(&self.id).await?;
        let events: Vec<_> = history
            .iter()
            .map(|recorded| EventRow::new(recorded, conversation))
            .collect();
        let stored: Vec<_> = history
            .into_iter()
            .map(|recorded| recorded.stored)
            .collect();
        let state = compute.state();
        Ok(Report {
            store: self.path.display().to_string(),
            machine: self.id.as_uuid(),
            outcome: Outcome::of(&events, state),
            recorded: events.iter().filter(|event| event.is_new).count(),
            state: state.name(),
            availability: state.output(),
            compute: compute.clone().into_aggregate(),
            diagram: ComputeState::DIAGRAM,
            verification: verify(&stored, compute.head())?,
            events,
        })
    }

    /// Damages a copy of the store and shows that it is noticed; the store itself is only read.
    async fn tamper(&self) -> Result<TamperReport, QuickstartError> {
        let key = AggregateKey::of::<Compute>(&self.id).map_err(StoreError::from)?;
        let head = self.computes.load(&self.id).await?.head();
        let tampering = tamper(&self.path, &key, &self.events().await?).await?;
        Ok(TamperReport {
            store: self.path.display().to_string(),
            machine: self.id.as_uuid(),
            tampering,
            verification: verify(&self.events().await?, head)?,
        })
    }

    async fn events(&self) -> Result<Vec<StoredEvent>, QuickstartError> {
        let history = self.computes.history(&self.id).await?;
        Ok(history
            .into_iter()
            .map(|recorded| recorded.stored)
            .collect())
    }
}

/// Checks the whole chain from the stored bytes, up to the head that the repository folded.
fn verify(events: &[StoredEvent], head: Option<Head>) -> Result<Verification, QuickstartError> {
    let blocks: Vec<_> = events.iter().map(EventBlock::from).collect();
    let verified = verify_event_chain(&blocks, head.map(ChainHead::from))?;
    Ok(Verification {
        verified: true,
        events: verified.len(),
        head: head.map(|head| head.cid.to_string()),
    })
}

fn print_json(report: &impl Serialize, out: &mut dyn Write) -> Result<(), QuickstartError> {
    serde_json::to_writer_pretty(&mut *out, report).map_err(io::Error::from)?;
    writeln!(out)?;
    Ok(out.flush()?)
}
