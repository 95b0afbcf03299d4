//! `prove`: small files that are checked without the store.

use std::path::PathBuf;

use cim_es::block::{Cid, parse_cid_text};
use cim_es::proof::{
    Checkpoint, CheckpointLog, ConsistencyProof, InclusionProof, SignedCheckpoint,
};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::checkpoint::{TilesPlace, Trusted, parsed, read};
use crate::failure::Failure;
use crate::output::Output;
use crate::store::{Access, Store};

/// Makes proofs that need no store to be checked, and checks them
#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  cim-es -s library.db prove event bafyreigh2akiscaildc… > event.proof
  cim-es -s library.db prove growth january.checkpoint > growth.proof
  cim-es prove check event.proof --event bafyreigh2akiscaildc… --trust keys.txt")]
pub enum Prove {
    Event(Event),
    Growth(Growth),
    Check(Check),
}

/// Which checkpoint a proof leads to.
#[derive(Args)]
struct To {
    /// The checkpoint that the proof leads to; the last one by default
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    #[command(flatten)]
    tiles: TilesPlace,
}

/// Shows that an event is among those that a checkpoint covers
#[derive(Args)]
#[command(after_help = "\
Examples:
  cim-es -s library.db prove event bafyreigh2akiscaildc… > event.proof

JSON, one object: {\"index\",\"size\",\"proof\"}; `proof` is the text of the file")]
pub struct Event {
    /// The CID of the event, as `cim-es show` prints it
    cid: String,
    #[command(flatten)]
    to: To,
}

/// Shows that the events of an older checkpoint are the first of a newer one
#[derive(Args)]
#[command(after_help = "\
Examples:
  cim-es -s library.db prove growth january.checkpoint > growth.proof
  cim-es -s library.db prove growth > first.proof    # for a witness that has cosigned nothing yet

JSON, one object: {\"old_size\",\"size\",\"proof\"}; `proof` is the text of the file")]
pub struct Growth {
    /// The older checkpoint; without one, the proof begins with nothing
    old: Option<PathBuf>,
    #[command(flatten)]
    to: To,
}

/// Checks a proof, without a store
#[derive(Args)]
#[command(after_help = "\
Examples:
  cim-es prove check event.proof --event bafyreigh2akiscaildc… --trust keys.txt
  cim-es prove check growth.proof --old january.checkpoint --trust keys.txt

JSON, one object: {\"origin\",\"size\",\"root\"} of the checkpoint that it leads to")]
#[group(id = "of", required = true, multiple = false, args = ["event", "old"])]
pub struct Check {
    /// The proof
    proof: PathBuf,
    /// The event that it is about
    #[arg(long, value_name = "CID")]
    event: Option<String>,
    /// The older checkpoint that it goes on from
    #[arg(long, value_name = "FILE")]
    old: Option<PathBuf>,
    #[command(flatten)]
    trust: Trusted,
}

#[derive(Serialize)]
struct EventJson {
    index: u64,
    size: u64,
    proof: String,
}

#[derive(Serialize)]
struct GrowthJson {
    old_size: u64,
    size: u64,
    proof: String,
}

#[derive(Serialize)]
struct CheckJson {
    origin: String,
    size: u64,
    root: String,
}

impl Prove {
    pub fn access(&self) -> Option<Access> {
        match self {
            Self::Event(_) | Self::Growth(_) => Some(Access::Read),
            Self::Check(_) => None,
        }
    }

    pub async fn run(&self, store: &Store, output: &mut Output, json: bool) -> Result<(), Failure> {
        match self {
            Self::Event(command) => {
                let event = cid(&command.cid)?;
                let (log, signed) = command.to.log(store).await?;
                let proof = log.prove(&event, &signed).await?;
                let text = proof.to_string();
                match json {
                    false => output.line(text.trim_end_matches('\n')),
                    true => output.json(&EventJson {
                        index: proof.index(),
                        size: signed.unverified().size(),
                        proof: text,
                    }),
                }
            }
            Self::Growth(command) => {
                let old = command.old.as_deref().map(read).transpose()?;
                let (log, signed) = command.to.log(store).await?;
                let old = match &old {
                    Some(old) => old.unverified().clone(),
                    None => Checkpoint::empty(log.origin()),
                };
                let proof = log.prove_consistency(&old, &signed).await?;
                let text = proof.to_string();
                match json {
                    false => output.line(text.trim_end_matches('\n')),
                    true => output.json(&GrowthJson {
                        old_size: proof.old_size(),
                        size: signed.unverified().size(),
                        proof: text,
                    }),
                }
            }
            Self::Check(_) => Ok(()),
        }
    }

    pub fn run_alone(&self, output: &mut Output, json: bool) -> Result<(), Failure> {
        let Self::Check(command) = self else {
            return Ok(());
        };
        let trust = command.trust.read()?;
        let (checkpoint, shown) = match (&command.event, &command.old) {
            (Some(event), _) => {
                let event = cid(event)?;
                let proof: InclusionProof = parsed(&command.proof)?;
                let shown = format!("event {event} is at index {}", proof.index());
                (proof.verify(&event, &trust)?, shown)
            }
            (None, Some(old)) => {
                let old = read(old)?.verify(&trust)?;
                let proof: ConsistencyProof = parsed(&command.proof)?;
                let shown = format!(
                    "the {} events of the older checkpoint are the first",
                    old.size()
                );
                (proof.verify(&old, &trust)?, shown)
            }
            (None, None) => {
                return Err(
                    Failure::usage("a proof of what?").help("give `--event CID` or `--old FILE`")
                );
            }
        };
        match json {
            false => output.line(&format!(
                "{shown} of {} in {}",
                checkpoint.size(),
                checkpoint.origin()
            )),
            true => output.json(&CheckJson {
                origin: checkpoint.origin().to_owned(),
                size: checkpoint.size(),
                root: checkpoint.root().to_string(),
            }),
        }
    }
}

impl To {
    /// The log of the store, and the checkpoint that is led to.
    async fn log(&self, store: &Store) -> Result<(CheckpointLog, SignedCheckpoint), Failure> {
        let tiles = self.tiles.of(store)?;
        let signed = match &self.checkpoint {
            Some(path) => read(path)?,
            // Whatever the log is called, its last checkpoint says so.
            None => {
                let last = CheckpointLog::new(store.shared(), "", tiles.clone())
                    .last()
                    .await?;
                last.ok_or_else(|| {
                    Failure::usage("no checkpoint was made of this store with these hashes").help(
                        "`cim-es checkpoint make` makes one; `--tiles` says where the hashes are",
                    )
                })?
            }
        };
        let log = CheckpointLog::new(store.shared(), signed.unverified().origin(), tiles);
        Ok((log, signed))
    }
}

/// The CID of an event that a text gives.
pub fn cid(text: &str) -> Result<Cid, Failure> {
    parse_cid_text(text).map_err(|error| {
        Failure::usage(format!("`{text}` is not the CID of an event: {error}"))
            .help("copy the whole CID; `cim-es show` prints them")
    })
}
