//! One run of the program, from the command line to what it has to tell.

use std::io::{self, Write};
use std::path::Path;

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
use super::{Surroundings, place, survey, text};

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
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(perform(args, surroundings, out))
}

async fn perform(
    args: &Args,
    surroundings: &Surroundings,
    out: &mut dyn Write,
) -> Result<(), QuickstartError> {
    if args.tamper {
        let path = place::file(args, surroundings)?;
        let id = Id::from_uuid((surroundings.read_host)()?.machine);
        let report = tamper_with(&path, &id).await?;
        return match args.json {
            true => print_json(&report, out),
            false => Ok(text::print_tampering(&report, out)?),
        };
    }
    let (computes, store) = place::open(args, surroundings).await?;
    let host = (surroundings.read_host)()?;
    let session = Session {
        store,
        id: Id::from_uuid(host.machine),
        computes,
    };
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

/// One store, and one machine in it.
struct Session {
    /// The store by its name.
    store: String,
    id: Id<Compute>,
    computes: Repository<Compute>,
}

impl Session {
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
            store: self.store.clone(),
            machine: self.id.as_uuid(),
            outcome: Outcome::of(&events, &state),
            recorded: events.iter().filter(|event| event.is_new).count(),
            state: state.name(),
            availability: state.output(),
            compute: compute.clone().into_aggregate(),
            diagram: ComputeState::DIAGRAM,
            verification: verify(&stored, compute.head())?,
            events,
        })
    }
}

/// Damages a copy of the file and shows that it is noticed; the file itself is only read.
async fn tamper_with(path: &Path, id: &Id<Compute>) -> Result<TamperReport, QuickstartError> {
    let store = SqliteEventStore::options().read_only().open(path)?;
    let computes = Repository::<Compute>::new(store);
    let key = AggregateKey::of::<Compute>(id).map_err(StoreError::from)?;
    let head = computes.load(id).await?.head();
    let tampering = tamper(path, &key, &stored_events(&computes, id).await?).await?;
    Ok(TamperReport {
        store: path.display().to_string(),
        machine: id.as_uuid(),
        tampering,
        verification: verify(&stored_events(&computes, id).await?, head)?,
    })
}

async fn stored_events(
    computes: &Repository<Compute>,
    id: &Id<Compute>,
) -> Result<Vec<StoredEvent>, QuickstartError> {
    let history = computes.history(id).await?;
    Ok(history
        .into_iter()
        .map(|recorded| recorded.stored)
        .collect())
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
