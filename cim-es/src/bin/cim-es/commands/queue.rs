//! `queue`: what a file has that its stream has not, what was set aside, and what diverged.

use std::ffi::OsString;
use std::sync::Arc;

use cim_es::ErrorChain;
use cim_es::aggregate::IdText;
use cim_es::hybrid::{BranchEvent, Divergence, HybridOptions, Protocol, Way};
use cim_es::store::{AggregateKey, Bookmark, EventStore, Position};
use clap::Args;
use clap::parser::ValueSource;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{Output, Table, counted};
use crate::store::{Access, Place, Store};

/// Shows what a file has that its stream has not, what was set aside, and what diverged; and ends it
#[derive(Args)]
#[command(after_help = "\
Examples:
  cim-es -s field.db queue
  cim-es -s field.db queue --from nats://127.0.0.1:4222/LIBRARY
  cim-es -s field.db queue --keep-theirs library.book 7 --from nats://127.0.0.1:4222/LIBRARY
  cim-es -s field.db queue --resend 1042
  cim-es -s field.db queue --discard 1042 --reason \"too large for the stream\"

What was parked is sent again, or given up, by the next program that keeps the file level with the stream. While one does,
nothing is decided here: it has the queue in mind.

What a program does again on the stream's history it does itself (`HybridOptions::on_divergence`). What is taken out of the
file stays in it, under its CIDs.

JSON, one line:
  {\"queue_size\",\"acknowledged\",\"waiting\",\"parked\":[{\"way\",\"position\",\"aggregates\",\"cids\",\"attempts\",\"at\",\"reason\"}],
  \"divergences\":[{\"aggregate\":{\"kind\",\"id\"},\"common_version\",\"tied\",\"noticed\",\"ours\",\"theirs\"}]}; `ours` and `theirs`
  are lists of {\"version\",\"type\",\"cid\",\"time\",\"actor\",\"unique_name\":{\"name\",\"holder\"}}; the last is null but for a
  unique name")]
pub struct Queue {
    /// Ends the divergence of an aggregate by the history that the stream has of it
    #[arg(long, value_names = ["KIND", "ID"], num_args = 2, requires = "from")]
    keep_theirs: Option<Vec<String>>,
    /// The stream, as nats://HOST:4222/STREAM, or a file that stands for it; --stream, --creds and --config are of it
    #[arg(long, value_name = "FILE|URL")]
    from: Option<OsString>,
    /// Has a commit sent again that was parked, by its position
    #[arg(long, value_name = "POSITION", conflicts_with = "keep_theirs")]
    resend: Option<u64>,
    /// Gives up a commit that was parked on its way up, by its position
    #[arg(long, value_name = "POSITION", requires = "reason", conflicts_with_all = ["keep_theirs", "resend"])]
    discard: Option<u64>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Serialize)]
struct QueueJson {
    queue_size: u64,
    acknowledged: u64,
    waiting: usize,
    parked: Vec<ParkedJson>,
    divergences: Vec<DivergenceJson>,
}

#[derive(Serialize)]
struct ParkedJson {
    way: &'static str,
    position: u64,
    aggregates: Vec<String>,
    cids: Vec<String>,
    attempts: u32,
    at: String,
    reason: String,
}

#[derive(Serialize)]
struct AggregateJson {
    kind: String,
    id: String,
}

#[derive(Serialize)]
struct DivergenceJson {
    aggregate: AggregateJson,
    common_version: u64,
    tied: Vec<AggregateJson>,
    noticed: String,
    ours: Vec<EventJson>,
    theirs: Vec<EventJson>,
}

#[derive(Serialize)]
struct EventJson {
    version: u64,
    #[serde(rename = "type")]
    event_type: String,
    cid: String,
    time: String,
    actor: Option<String>,
    unique_name: Option<NameJson>,
}

#[derive(Serialize)]
struct NameJson {
    name: String,
    holder: String,
}

/// The reason that is recorded where none is given.
const KEPT: &str = "the stream's history was kept by `cim-es queue`";

impl Queue {
    pub fn access(&self) -> Access {
        match (&self.keep_theirs, self.resend, self.discard) {
            (None, None, None) => Access::Read,
            _ => Access::Write,
        }
    }

    /// Whether a second store is named.
    pub fn names_another(&self) -> bool {
        self.from.is_some()
    }

    pub async fn run(
        &self,
        store: &Store,
        place: &Place,
        output: &mut Output,
        json: bool,
    ) -> Result<(), Failure> {
        let Store::File(file) = store else {
            return Err(Failure::usage("a stream has no queue")
                .help("name the file that is kept level with it"));
        };
        let protocol = Protocol::open(Arc::new(file.clone()), HybridOptions::new()).await?;
        if self.access() == Access::Write {
            protocol.claim().await?;
        }
        let remote = match &self.from {
            Some(from) => Some(stream(from, place).await?),
            None => None,
        };
        if let (Some(named), Some(remote)) = (&self.keep_theirs, &remote) {
            let [kind, id] = &named[..] else {
                return Err(Failure::usage("an aggregate has a kind and an id"));
            };
            let id = IdText::new(id).map_err(|error| Failure::usage(error.to_string()))?;
            let key = AggregateKey::new(kind.clone(), id);
            let reason = self.reason.as_deref().unwrap_or(KEPT);
            let ended = protocol.keep_theirs(&**remote, &key, reason).await;
            let ended = ended.map_err(|error| {
                Failure::usage(error.to_string()).help("`cim-es queue` lists what diverged")
            })?;
            let count = ended.ours.events.len();
            return match json {
                true => output.json(&shown(&ended)),
                false => output.line(&format!(
                    "{key} has the history of the stream now; what was taken out, {}, stays readable by its CID",
                    counted(count as u64, "event")
                )),
            };
        }
        self.decide(&protocol).await?;
        let divergences = protocol.divergences(remote.as_deref()).await?;
        match json {
            true => self.print_json(&protocol, &divergences, output).await,
            false => self.print(&protocol, &divergences, output).await,
        }
    }

    /// Has what was parked sent again, or gives it up, where that was asked for.
    async fn decide(&self, protocol: &Protocol) -> Result<(), Failure> {
        let decided = match (self.resend, self.discard, &self.reason) {
            (Some(position), _, _) => {
                let mut parked = protocol.parked().into_iter();
                let parked = parked.find(|commit| commit.position.0 == position);
                let way = parked.map_or(Way::Up, |commit| commit.way);
                protocol.resend(way, Position(position)).await
            }
            (_, Some(position), Some(reason)) => protocol.discard(Position(position), reason).await,
            _ => Ok(()),
        };
        decided.map_err(|error| {
            Failure::usage(ErrorChain(&error).to_string())
                .help("`cim-es queue` lists what was parked, and which way it was going")
        })
    }

    async fn print_json(
        &self,
        protocol: &Protocol,
        divergences: &[Divergence],
        output: &mut Output,
    ) -> Result<(), Failure> {
        let parked = protocol.parked().into_iter().map(|commit| ParkedJson {
            way: way(commit.way),
            position: commit.position.0,
            aggregates: commit.aggregates.iter().map(ToString::to_string).collect(),
            cids: commit.cids.iter().map(ToString::to_string).collect(),
            attempts: commit.attempts,
            at: commit.at.to_string(),
            reason: commit.reason,
        });
        output.json(&QueueJson {
            queue_size: protocol.queue_size().await?,
            acknowledged: protocol.acknowledged().0,
            waiting: protocol.waiting(),
            parked: parked.collect(),
            divergences: divergences.iter().map(shown).collect(),
        })
    }

    async fn print(
        &self,
        protocol: &Protocol,
        divergences: &[Divergence],
        output: &mut Output,
    ) -> Result<(), Failure> {
        let size = protocol.queue_size().await?;
        let acknowledged = protocol.acknowledged();
        output.line(&format!(
            "{} {} queued; the stream has all up to position {acknowledged}",
            counted(size, "event"),
            match size {
                1 => "is",
                _ => "are",
            }
        ))?;
        if protocol.acknowledged() == Position::START && protocol.read_up_to() == Bookmark::START {
            output.line("no program has kept this file level with a stream: the first one that does sends all of them")?;
        }
        for commit in protocol.parked() {
            let names: Vec<_> = commit.aggregates.iter().map(ToString::to_string).collect();
            output.line(&format!(
                "parked on its way {}: position {}, {}: {}",
                way(commit.way),
                commit.position,
                names.join(", "),
                commit.reason
            ))?;
        }
        for divergence in divergences {
            let version = divergence.common_version();
            output.line("")?;
            let name = divergence.unique_name();
            let name = name.map_or_else(String::new, |name| format!(", the unique name {name:?},"));
            output.line(&format!(
                "{}{name} diverged behind version {version}, noticed {}",
                divergence.aggregate, divergence.noticed
            ))?;
            for tied in &divergence.tied {
                output.line(&format!("{tied} waits with it"))?;
            }
            let mut table = Table::new(&["SIDE", "#VERSION", "TYPE", "TIME", "ACTOR", "CID"]);
            let sides = [("here", &divergence.ours), ("stream", &divergence.theirs)];
            for (side, branch) in sides {
                for event in &branch.events {
                    let holder = event.unique_name.as_ref();
                    let holder = holder.map_or_else(String::new, |it| format!(" by {}", it.holder));
                    let cells = vec![
                        side.to_owned(),
                        event.version.to_string(),
                        format!("{}{holder}", event.event_type),
                        event.time.to_string(),
                        event.actor.clone().unwrap_or_default(),
                        event.cid.to_string(),
                    ];
                    table.row(output, cells, None)?;
                }
            }
            table.print(output)?;
        }
        Ok(())
    }
}

/// The store that a file is kept level with, as it is.
async fn stream(from: &OsString, place: &Place) -> Result<Arc<dyn EventStore>, Failure> {
    let place = Place {
        store: Some(from.clone()),
        is_of_two: false,
        ..place.clone()
    };
    let is_typed = Some(ValueSource::CommandLine);
    Ok(place.open(is_typed, Access::Read).await?.shared())
}

fn way(way: Way) -> &'static str {
    match way {
        Way::Up => "up",
        Way::Down => "down",
    }
}

fn shown(divergence: &Divergence) -> DivergenceJson {
    DivergenceJson {
        aggregate: named(&divergence.aggregate),
        common_version: divergence.common_version(),
        tied: divergence.tied.iter().map(named).collect(),
        noticed: divergence.noticed.to_string(),
        ours: divergence.ours.events.iter().map(event).collect(),
        theirs: divergence.theirs.events.iter().map(event).collect(),
    }
}

fn named(key: &AggregateKey) -> AggregateJson {
    AggregateJson {
        kind: key.kind().to_owned(),
        id: key.id().as_str().to_owned(),
    }
}

fn event(event: &BranchEvent) -> EventJson {
    EventJson {
        version: event.version,
        event_type: event.event_type.clone(),
        cid: event.cid.to_string(),
        time: event.time.to_string(),
        actor: event.actor.clone(),
        unique_name: event.unique_name.as_ref().map(|taken| NameJson {
            name: taken.name.clone(),
            holder: taken.holder.clone(),
        }),
    }
}
