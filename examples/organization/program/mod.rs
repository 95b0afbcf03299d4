//! The program: imports organizations, and shows them as they are, as they were, and what became of them.

pub mod args;
pub mod chart;
pub mod difference;
pub mod known;
pub mod moment;

use std::fs::File as OpenFile;
use std::io;
use std::path::{Path, PathBuf};

use cim_es::jetstream::{EventStoreConfig, NatsConfig, OpenError};
use cim_es::prelude::*;
use cim_es::repository::{ExecuteError, LoadError};
use cim_es::store::StoreError;
use cim_es::store::read_model::ReadModelError;
use cim_es::{PostgresReadModels, SqliteReadModels};
use indicatif::{ProgressBar, ProgressStyle};

use self::args::{Args, Task};
use self::known::Known;
use super::dissolution::dissolve;
use super::heads::{self, Head, HeadsError};
use super::import::{self, File, FileError, ImportError, Options, Report};
use super::merger::{MergerError, merge};
use super::{Organization, OrganizationError, OrganizationEvent};
use crate::place::{self, PlaceError};
use crate::terminal::{shown, table};

/// The stream that keeps the events of the domain on NATS servers.
const STREAM: &str = "ORGANIZATION_EVENTS";

/// Who stands in the history as the one who asked.
const ACTOR: &str = "organization program";

/// Why the program could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error("{path} cannot be read")]
    Path { path: PathBuf, source: io::Error },
    #[error("{path} cannot be imported")]
    File { path: PathBuf, source: FileError },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Servers(#[from] OpenError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Import(#[from] ImportError),
    #[error(transparent)]
    Refused(#[from] ExecuteError<OrganizationError>),
    #[error(transparent)]
    Merger(#[from] MergerError),
    #[error(transparent)]
    Heads(#[from] HeadsError),
    #[error(transparent)]
    ReadModels(#[from] ReadModelError),
    #[error("no organization has the id or the code {0}: show lists those that there are")]
    Unknown(String),
    #[error("{0} is no id and no code of an organization")]
    NoName(String),
    #[error("the second moment is before the first: give the earlier one first")]
    WrongOrder,
}

/// What a run has to say.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The result.
    pub text: String,
    /// The rows of a file that were left out, for the standard error.
    pub problems: Vec<String>,
}

/// Does what the command line says.
///
/// # Errors
/// [`ProgramError`] says why it could not.
pub async fn run(args: &Args) -> Result<Outcome, ProgramError> {
    let known = async || open(args).await.map(Known::new);
    let text = match &args.task {
        Task::Import {
            file,
            all_or_nothing,
        } => {
            let options = Options {
                all_or_nothing: *all_or_nothing,
            };
            let rows = read(file)?;
            return import(&open(args).await?, file, &rows, options).await;
        }
        Task::Show { organization } => {
            let known = known().await?;
            let top = known.find_if(organization.as_deref()).await?;
            chart::charts(&known.chosen(top, None).await?, top)
        }
        Task::At { time, organization } => {
            let known = known().await?;
            let top = known.find_if(organization.as_deref()).await?;
            let all = known.chosen(top, Some(time.0)).await?;
            match all.is_empty() {
                true => format!("There was no organization at {time}.\n"),
                false => chart::charts(&all, top),
            }
        }
        Task::Diff {
            from,
            to,
            organization,
        } => {
            if to.0 < from.0 {
                return Err(ProgramError::WrongOrder);
            }
            let known = known().await?;
            let top = known.find_if(organization.as_deref()).await?;
            let (before, after) = known.chosen_at_both(top, from.0, to.0).await?;
            match difference::differences(&before, &after) {
                text if text.is_empty() => format!("Nothing changed between {from} and {to}.\n"),
                text => text,
            }
        }
        Task::Merge {
            ending,
            survivor,
            merger,
            effective,
        } => {
            let organizations = open(args).await?;
            let known = Known::new(organizations.clone());
            let (ending, survivor) = (known.find(ending).await?, known.find(survivor).await?);
            let how = (*merger, *effective);
            let identity = MessageIdentity::new_from_user(ACTOR);
            let events = merge(&organizations, ending, survivor, how, &identity).await?;
            format!("Events recorded: {events}\n")
        }
        Task::Dissolve {
            organization,
            reason,
            effective,
        } => {
            let organizations = open(args).await?;
            let id = Known::new(organizations.clone()).find(organization).await?;
            let how = (reason.clone(), *effective);
            let identity = MessageIdentity::new_from_user(ACTOR);
            let events = dissolve(&organizations, id, how, &identity).await?;
            format!("Events recorded: {events}\n")
        }
        Task::Heads { postgres, views } => {
            let store = open(args).await?.store().clone();
            let found = match postgres {
                Some(address) => {
                    let models = PostgresReadModels::open(address).await?;
                    heads::in_postgres(store, models).await?
                }
                None => {
                    let path = place::file(views.as_deref(), "heads.db", true)?;
                    heads::in_sqlite(store, SqliteReadModels::open(path)?).await?
                }
            };
            heads_of(&found.value)
        }
        Task::History { organization } => {
            let organizations = open(args).await?;
            let id = Known::new(organizations.clone()).find(organization).await?;
            history(&organizations, id).await?
        }
    };
    let problems = Vec::new();
    Ok(Outcome { text, problems })
}

/// Opens the store that the command line names.
async fn open(args: &Args) -> Result<Repository<Organization>, ProgramError> {
    if let Some(servers) = &args.nats {
        let stream = EventStoreConfig::new(STREAM, ["organization.>"]);
        let stores = NatsConfig::new([servers]).event_store(stream);
        return Ok(Repository::new(stores.open().await?));
    }
    let may_begin = matches!(args.task, Task::Import { .. });
    let path = place::file(args.store.as_deref(), "organization.db", may_begin)?;
    Ok(Repository::new(SqliteEventStore::open(path)?))
}

fn read(path: &Path) -> Result<File, ProgramError> {
    let input = OpenFile::open(path).map_err(|source| ProgramError::Path {
        path: path.to_owned(),
        source,
    })?;
    File::read(input).map_err(|source| ProgramError::File {
        path: path.to_owned(),
        source,
    })
}

async fn import(
    organizations: &Repository<Organization>,
    path: &Path,
    file: &File,
    options: Options,
) -> Result<Outcome, ProgramError> {
    let bar = ProgressBar::new(file.rows.len() as u64).with_message("rows");
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg} {eta}") {
        bar.set_style(style);
    }
    let report = import::run(organizations, file, options, |done, _| {
        bar.set_position(done as u64);
    });
    let report = report.await;
    bar.finish_and_clear();
    let report = report?;
    let problems = report.problems.iter();
    let problems = problems.map(|it| format!("{}: {it}", path.display()));
    Ok(Outcome {
        text: summary(&report),
        problems: problems.collect(),
    })
}

fn summary(report: &Report) -> String {
    let Report {
        created,
        changed,
        unchanged,
        left_out,
        ..
    } = report;
    let recorded: usize = report.events.values().sum();
    let mut text = format!(
        "Organizations: {created} new, {changed} changed, {unchanged} as they were, {left_out} left out.\n"
    );
    match recorded {
        0 => text += "No event recorded.\n",
        _ => text += &format!("Events recorded: {recorded}\n"),
    }
    for (event_type, count) in &report.events {
        text += &format!("  {count:>6} {event_type}\n");
    }
    text
}

/// Every event of an organization as a table.
async fn history(
    organizations: &Repository<Organization>,
    id: Id<Organization>,
) -> Result<String, ProgramError> {
    let mut table = table(["#", "time (UTC)", "event", "what", "by"]);
    for recorded in organizations.history(&id).await? {
        let envelope = &recorded.stored.envelope;
        let time = recorded.stored.timestamp().to_datetime();
        table.add_row([
            envelope.sequence.to_string(),
            time.map_or_else(String::new, |it| it.format("%Y-%m-%d %H:%M:%S").to_string()),
            recorded.event.event_type().replacen("organization.", "", 1),
            fields(&recorded.event),
            envelope.source.clone().unwrap_or_default(),
        ]);
    }
    Ok(format!("Organization {id}\n{}\n", table.trim_fmt()))
}

/// The heads of units as a table.
fn heads_of(heads: &[Head]) -> String {
    let mut table = table(["organization", "unit", "head", "", "reports to"]);
    for head in heads {
        table.add_row([
            head.organization.clone(),
            head.unit.clone(),
            shown(&head.title),
            head.state.clone().unwrap_or_default(),
            shown(&head.superior),
        ]);
    }
    format!("{}\n", table.trim_fmt())
}

/// The fields of an event that are filled, as `name value`, in the order in which they are declared.
fn fields(event: &OrganizationEvent) -> String {
    let value = serde_json::to_value(event).unwrap_or_default();
    let variant = value.as_object().and_then(|it| it.values().next());
    let names = event.info().fields.iter().filter(|name| **name != "id");
    let filled = names.filter_map(|name| {
        let value = variant?.get(name)?.as_str()?;
        Some(format!("{} {value}", name.replace('_', " ")))
    });
    filled.collect::<Vec<_>>().join(", ")
}
