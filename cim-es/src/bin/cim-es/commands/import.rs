//! `import`: what a bundle or JSON Lines hold, into a store.

use std::io::Read;
use std::path::{Path, PathBuf};

use cim_es::age::{AgeReader, Identity as AgeIdentity};
use cim_es::bundle::{self, ImportEnd, Imported, OnDivergence, Verified};
use clap::Args;
use clap::parser::ValueSource;
use serde::Serialize;

use super::identity::identities;
use crate::contents::Contents;
use crate::failure::{Failure, Kind};
use crate::interrupt::Interrupt;
use crate::made::{Found, Free};
use crate::output::{Output, counted};
use crate::progress::Bar;
use crate::spool::Spool;
use crate::store::{Access, Place, Store};

/// Takes a bundle, or JSON Lines, into the store
///
/// Everything is proved before anything is stored. What is there already is passed over, so that it may be done again, and
/// goes on where it was interrupted; an interrupt ends it behind a whole commit. A store that was made stays only where
/// something was stored.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cim-es -s copy.db import library.car --create
  cim-es -s library.db import week-31.car --others
  cim-es -s library.db import library.car --trust keys.txt
  cim-es -s copy.db import library.car.age --create --identity ann.identity
  cim-es import library.car --check        # proves the file, and needs no store
  cim-es -s library.db export - | cim-es -s nats://127.0.0.1:4222/COPY import - --create

JSON, one object:
  {\"events\",\"stored\",\"there\",\"complete\",\"left_out\":[{\"kind\",\"id\",\"from\",\"reason\"}]}
JSON of --check, one object:
  {\"events\",\"aggregates\",\"source\",\"created\",\"signed_by\",\"prerequisites\":[{\"kind\",\"id\",\"version\",\"cid\"}]};
  of JSON Lines, `source` and `created` are null; `signed_by` is null without --trust")]
pub struct Import {
    /// The file; - is the standard input, which is kept in a file of its own until the import is done
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
    /// None where it opens the store by itself, once the file is proved, or needs none.
    pub fn access(&self) -> Option<Access> {
        match self.check || self.create {
            true => None,
            false => Some(Access::Write),
        }
    }

    /// Proves the file alone, or makes the store if it is not there.
    pub async fn run_alone(
        &self,
        place: &Place,
        source: Option<ValueSource>,
        output: &mut Output,
        json: bool,
        interrupt: &Interrupt,
    ) -> Result<(), Failure> {
        if self.check {
            return self.check(output, json, interrupt).await;
        }
        match interrupt.or(place.look(source)).await? {
            Found::There(store) => {
                let done = self.run(&store, output, json, interrupt).await;
                store.close().await;
                done
            }
            Found::Free(free) => self.make(free, output, json, interrupt).await,
        }
    }

    /// Makes the store once it is known that the file holds, and takes it away again if nothing gets into it.
    async fn make(
        &self,
        free: Free,
        output: &mut Output,
        json: bool,
        interrupt: &Interrupt,
    ) -> Result<(), Failure> {
        let (import, bar) = self.import("importing", interrupt).await?;
        let canceller = import.canceller();
        let work = async {
            let proved = import.prove().await?;
            let made = free.make().await?;
            let imported = proved.into_store(made.events()).await;
            made.close().await?;
            Ok::<_, Failure>(imported?)
        };
        let imported = bar.ending(interrupt, &canceller, work).await;
        self.report(imported, output, json)
    }

    async fn check(
        &self,
        output: &mut Output,
        json: bool,
        interrupt: &Interrupt,
    ) -> Result<(), Failure> {
        let (import, bar) = self.import("verifying", interrupt).await?;
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
        let (import, bar) = self.import("importing", interrupt).await?;
        let canceller = import.canceller();
        let events = store.shared();
        let work = import.into_store(&*events);
        let imported = bar.ending(interrupt, &canceller, work).await;
        self.report(imported.map_err(Failure::from), output, json)
    }

    /// Says what was done.
    fn report(
        &self,
        imported: Result<Imported, Failure>,
        output: &mut Output,
        json: bool,
    ) -> Result<(), Failure> {
        let imported = match imported {
            Ok(imported) => imported,
            Err(failure) => {
                if failure.kind == Kind::Interrupted {
                    output.note("interrupted before anything was stored")?;
                }
                return Err(failure);
            }
        };
        print_imported(output, &imported, json)?;
        if imported.end == ImportEnd::Cancelled {
            output.note("interrupted; the same command goes on from there")?;
            return Err(Failure::new(Kind::Interrupted, ""));
        }
        match imported.left_out.is_empty() {
            true => Ok(()),
            false => Err(Failure::findings()),
        }
    }

    async fn import(
        &self,
        what: &'static str,
        interrupt: &Interrupt,
    ) -> Result<(bundle::Import, Bar), Failure> {
        let identities = identities(&self.identity)?;
        let cannot = |error| Failure::file("cannot read", &self.file, &error);
        let import = match self.file == Path::new("-") {
            true => {
                let spool = interrupt.or(spooled()).await?;
                let contents = contents(spool.open(), identities.as_deref()).map_err(cannot)?;
                let open = move || Ok(spool.open());
                match contents {
                    Contents::JsonLines => bundle::Import::json_lines_from(STDIN, open),
                    _ => bundle::Import::bundle_from(STDIN, open),
                }
            }
            false => {
                let file = std::fs::File::open(&self.file).map_err(cannot)?;
                match contents(file, identities.as_deref()).map_err(cannot)? {
                    Contents::JsonLines => bundle::Import::json_lines(&self.file),
                    _ => bundle::Import::bundle(&self.file),
                }
            }
        };
        let import = match identities {
            Some(identities) => import.decrypted_with(identities),
            None => import,
        };
        let import = match &self.trust {
            Some(trust) => import.trusting(super::checkpoint::trust(trust)?),
            None => import,
        };
        let import = import.on_divergence(match self.others {
            true => OnDivergence::ImportOthers,
            false => OnDivergence::Refuse,
        });
        let bar = Bar::new(what);
        Ok((import.on_progress(bar.teller()), bar))
    }
}

async fn spooled() -> Result<Spool, Failure> {
    Spool::of_stdin().await.map_err(|error| {
        let message = format!("the standard input cannot be kept: {error}");
        Failure::new(Kind::Other, message)
            .help("it is kept where TMPDIR says; give a file in its place")
    })
}

/// What the standard input is called.
const STDIN: &str = "the standard input";

/// What a file holds, or what is inside of one that is encrypted.
fn contents(mut file: impl Read, identities: Option<&[AgeIdentity]>) -> std::io::Result<Contents> {
    let mut first = [0; 16];
    let read = match identities {
        None => file.read(&mut first)?,
        // The import says what is wrong with it.
        Some(identities) => match AgeReader::new(file, identities) {
            Ok(mut reader) => reader.read(&mut first).unwrap_or(0),
            Err(_) => 0,
        },
    };
    Ok(Contents::told_by(&first[..read]))
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
        "{} {} stored, {} {} there already",
        counted(report.stored, "event"),
        verb(report.stored),
        report.there,
        verb(report.there),
    ))?;
    for left in &report.left_out {
        output.line(&left.reason)?;
    }
    Ok(())
}

fn verb(number: u64) -> &'static str {
    match number {
        1 => "was",
        _ => "were",
    }
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
        "{} of {}, all proved",
        counted(report.events, "event"),
        counted(report.aggregates as u64, "aggregate"),
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
