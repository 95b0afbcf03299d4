//! `import`: what a bundle or JSON Lines hold, into a store.

use std::io::Read;
use std::path::PathBuf;

use anstream::eprintln;
use cim_es::age::{AgeReader, Identity as AgeIdentity};
use cim_es::bundle::{self, ImportEnd, Imported, OnDivergence, Verified};
use cim_es::proof::Trust;
use clap::Args;
use serde::Serialize;

use super::identity::identities;
use crate::failure::{Failure, Kind};
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::progress::Bar;
use crate::store::{Access, Store};

/// Takes a bundle, or JSON Lines, into the store
///
/// Everything is proved before anything is stored. What is there already is passed over, so that it may be done again, and
/// goes on where it was interrupted; an interrupt ends it behind a whole commit.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cim-es -s copy.db import library.car --create
  cim-es -s library.db import week-31.car --others
  cim-es -s library.db import library.car --trust keys.txt
  cim-es -s copy.db import library.car.age --create --identity ann.identity
  cim-es import library.car --check        # proves the file, and needs no store

JSON, one object:
  {\"events\",\"stored\",\"there\",\"complete\",\"left_out\":[{\"kind\",\"id\",\"from\",\"reason\"}]}
JSON of --check, one object:
  {\"events\",\"aggregates\",\"source\",\"created\",\"signed_by\",\"prerequisites\":[{\"kind\",\"id\",\"version\",\"cid\"}]};
  of JSON Lines, `source` and `created` are null; `signed_by` is null without --trust")]
pub struct Import {
    /// The file
    file: PathBuf,
    /// Makes the store if it is not there
    #[arg(long)]
    create: bool,
    /// Imports the other aggregates where the store went another way with some; ends with status 1 then
    #[arg(long)]
    others: bool,
    /// Asks for a signature of one of the keys in this file, one on each line
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// Decrypts the file with an identity in this file; one that is not encrypted is refused; may be given several times
    #[arg(long, value_name = "FILE")]
    identity: Vec<PathBuf>,
    /// Proves the file and says what it holds
    #[arg(long, conflicts_with_all = ["create", "others"])]
    check: bool,
}

#[derive(Serialize)]
struct ImportJson {
    events: u64,
    stored: u64,
    there: u64,
    complete: bool,
    left_out: Vec<LeftOutJson>,
}

#[derive(Serialize)]
struct LeftOutJson {
    kind: String,
    id: String,
    from: u64,
    reason: String,
}

#[derive(Serialize)]
struct CheckJson {
    events: u64,
    aggregates: usize,
    source: Option<String>,
    created: Option<String>,
    signed_by: Option<String>,
    prerequisites: Vec<PrerequisiteJson>,
}

#[derive(Serialize)]
struct PrerequisiteJson {
    kind: String,
    id: String,
    version: u64,
    cid: String,
}

impl Import {
    pub fn access(&self) -> Option<Access> {
        match (self.check, self.create) {
            (true, _) => None,
            (false, true) => Some(Access::Create),
            (false, false) => Some(Access::Write),
        }
    }

    /// Proves the file alone.
    pub async fn check(
        &self,
        output: &mut Output,
        json: bool,
        interrupt: &Interrupt,
    ) -> Result<(), Failure> {
        let (import, bar) = self.import("verifying")?;
        let canceller = import.canceller();
        let verified = bar.ending(interrupt, &canceller, import.verify()).await?;
        print_checked(output, &verified, json)
    }

    pub async fn run(
        &self,
        store: &Store,
        output: &mut Output,
        json: bool,
        interrupt: &Interrupt,
    ) -> Result<(), Failure> {
        let (import, bar) = self.import("importing")?;
        let import = import.on_divergence(match self.others {
            true => OnDivergence::ImportOthers,
            false => OnDivergence::Refuse,
        });
        let canceller = import.canceller();
        let events = store.shared();
        let work = import.into_store(&*events);
        let imported = bar.ending(interrupt, &canceller, work).await?;
        print_imported(output, &imported, json)?;
        if imported.end == ImportEnd::Cancelled {
            eprintln!("interrupted; the same command goes on from there");
            return Err(Failure::new(Kind::Interrupted, ""));
        }
        match imported.left_out.is_empty() {
            true => Ok(()),
            false => Err(Failure::findings()),
        }
    }

    fn import(&self, what: &'static str) -> Result<(bundle::Import, Bar), Failure> {
        let identities = identities(&self.identity)?;
        let import = match self.first(identities.as_deref())? {
            // No bundle begins so: its first byte is the length of a header.
            Some(b'{') => bundle::Import::json_lines(&self.file),
            _ => bundle::Import::bundle(&self.file),
        };
        let import = match identities {
            Some(identities) => import.decrypted_with(identities),
            None => import,
        };
        let import = match &self.trust {
            Some(trust) => import.trusting(Trust::read(trust)?),
            None => import,
        };
        let bar = Bar::new(what);
        Ok((import.on_progress(bar.teller()), bar))
    }
}

impl Import {
    /// The first byte of the file, or of what is inside; none where there is none, or nobody can decrypt it.
    fn first(&self, identities: Option<&[AgeIdentity]>) -> Result<Option<u8>, Failure> {
        let mut first = [0];
        let cannot = |error| Failure::file("cannot read", &self.file, &error);
        let mut file = std::fs::File::open(&self.file).map_err(cannot)?;
        let read = match identities {
            None => file.read(&mut first).map_err(cannot)?,
            // The import says what is wrong with it.
            Some(identities) => match AgeReader::new(file, identities) {
                Ok(mut reader) => reader.read(&mut first).unwrap_or(0),
                Err(_) => 0,
            },
        };
        Ok((read == 1).then_some(first[0]))
    }
}

fn print_imported(output: &mut Output, imported: &Imported, json: bool) -> Result<(), Failure> {
    let left_out = imported.left_out.iter().map(|left| LeftOutJson {
        kind: left.aggregate.kind().to_owned(),
        id: left.aggregate.id().to_string(),
        from: left.from,
        reason: left.to_string(),
    });
    let report = ImportJson {
        events: imported.verified.events,
        stored: imported.stored,
        there: imported.there,
        complete: imported.end == ImportEnd::Complete,
        left_out: left_out.collect(),
    };
    if json {
        return output.json(&report);
    }
    output.line(&format!(
        "{} events were stored, {} were there already",
        report.stored, report.there
    ))?;
    for left in &report.left_out {
        output.line(&left.reason)?;
    }
    Ok(())
}

fn print_checked(output: &mut Output, verified: &Verified, json: bool) -> Result<(), Failure> {
    let needed = verified
        .aggregates
        .iter()
        .filter_map(|range| range.prerequisite());
    let needed = needed.map(|it| PrerequisiteJson {
        kind: it.aggregate.kind().to_owned(),
        id: it.aggregate.id().to_string(),
        version: it.version,
        cid: it.cid.to_string(),
    });
    let manifest = verified.manifest.as_ref();
    let report = CheckJson {
        events: verified.events,
        aggregates: verified.aggregates.len(),
        source: manifest.map(|it| it.source.clone()),
        created: manifest.map(|it| it.created.to_string()),
        signed_by: verified.signed_by.clone(),
        prerequisites: needed.collect(),
    };
    if json {
        return output.json(&report);
    }
    output.line(&format!(
        "{} events of {} aggregates, all proved",
        report.events, report.aggregates
    ))?;
    if let (Some(source), Some(created)) = (&report.source, &report.created) {
        output.line(&format!("made of {source} at {created}"))?;
    }
    if let Some(name) = &report.signed_by {
        output.line(&format!("signed by {name}"))?;
    }
    for it in &report.prerequisites {
        output.line(&format!(
            "goes on from {} {} at version {}, event {}",
            it.kind, it.id, it.version, it.cid
        ))?;
    }
    Ok(())
}
