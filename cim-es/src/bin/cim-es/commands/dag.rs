//! `dag`: what an event depends on, and what depends on it.

use std::collections::{HashSet, VecDeque};

use cim_es::block::Cid;
use cim_es::dag::{DagError, DagNode, EdgeKind, EventDag};
use cim_es::store::{Bookmark, EventStore, Selection, StreamExt};
use clap::{Args, ValueEnum};

use super::prove::cid;
use crate::failure::Failure;
use crate::output::{Output, Table};
use crate::progress::{Bar, spinner};
use crate::store::Store;

/// Draws what an event depends on, or what depends on it
///
/// An event follows the one before it in its history, and those that caused it. In a file these are read alone, however many
/// events there are; in a stream, the event is looked for from the newest on. Nothing leads from an event to those that follow it: for --effects and --both all events are read once,
/// and held in memory without their payloads.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cim-es -s library.db dag bafyreigh2akiscaildc…
  cim-es -s library.db dag bafyreigh2akiscaildc… --within 10
  cim-es -s library.db dag bafyreigh2akiscaildc… --both
  cim-es -s library.db dag bafyreigh2akiscaildc… --as dot | dot -Tsvg > causes.svg

JSON, one object:
  {\"nodes\":[{\"cid\",\"what\",\"type\",\"subject\",\"aggregate\":{\"kind\",\"id\"},\"version\",\"time\",\"position\"}],
   \"edges\":[{\"from\",\"to\",\"kind\"}]}
  `what` is \"event\", or \"unknown\" for what is linked to and not here; `kind` of an edge is \"previous\" or \"parent\"")]
pub struct Dag {
    /// The CID of the event, as `cim-es show` prints it
    cid: String,
    /// How many links away it looks
    #[arg(long, default_value_t = 3, value_name = "LINKS")]
    within: u32,
    /// What depends on the event; reads all events
    #[arg(long, conflicts_with = "both")]
    effects: bool,
    /// What the event depends on, and what depends on it; reads all events
    #[arg(long)]
    both: bool,
    /// How many events are shown in each direction at most
    #[arg(long, default_value_t = 200, value_name = "COUNT")]
    limit: usize,
    /// How it is drawn
    #[arg(long = "as", value_enum, default_value_t = Form::Table, value_name = "FORM")]
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A line for each event, causes first
    Table,
    /// For Graphviz
    Dot,
    /// For Mermaid
    Mermaid,
}

/// After how many positions the bar moves.
const SHOWN_EVERY: u64 = 4_096;

/// A node, how it is linked to, and how many links away it is.
struct Near<'a> {
    node: DagNode<'a>,
    link: EdgeKind,
    away: u32,
}

impl Dag {
    pub async fn run(&self, store: &Store, output: &mut Output, json: bool) -> Result<(), Failure> {
        let wanted = cid(&self.cid)?;
        let dag = match self.effects || self.both {
            true => whole(store.events()).await?,
            false => {
                let bar = spinner("reading what it depends on");
                let near = EventDag::leading_to(store.events(), &wanted, self.within, self.limit);
                let near = near.await;
                bar.finish_and_clear();
                near.map_err(|error| missing(error, &wanted))?
            }
        };
        let start = dag.get(&wanted).map_err(|error| missing(error, &wanted))?;
        if start.event().is_none() {
            return Err(no_event(&wanted));
        }
        let causes = match self.effects {
            true => Vec::new(),
            false => self.walk(start, |node| node.causes().collect()),
        };
        let effects = match self.effects || self.both {
            true => self.walk(start, |node| node.effects().collect()),
            false => Vec::new(),
        };
        if json || self.form != Form::Table {
            let near = causes.iter().chain(&effects).map(|near| near.node.cid());
            let cids: Vec<Cid> = near.chain([wanted]).collect();
            let drawing = dag.drawing(&cids)?;
            let text = match (json, self.form) {
                (true, _) => drawing.json(),
                (false, Form::Mermaid) => drawing.mermaid(),
                (false, _) => drawing.dot(),
            };
            return output.line(text.trim_end_matches('\n'));
        }
        let mut table = Table::new(&["#AWAY", "LINK", "TYPE", "ID", "#VERSION", "TIME", "CID"]);
        for near in causes.iter().rev() {
            table.row(
                output,
                cells(near.node, &format!("-{}", near.away), name(near.link)),
                None,
            )?;
        }
        table.row(output, cells(start, "0", "-"), None)?;
        for near in &effects {
            table.row(
                output,
                cells(near.node, &format!("+{}", near.away), name(near.link)),
                None,
            )?;
        }
        table.print(output)
    }

    /// The nodes that are near, the nearest first.
    fn walk<'a>(
        &self,
        start: DagNode<'a>,
        next: impl Fn(DagNode<'a>) -> Vec<(EdgeKind, DagNode<'a>)>,
    ) -> Vec<Near<'a>> {
        let mut seen = HashSet::from([start.cid()]);
        let mut open = VecDeque::from([(start, 0)]);
        let mut found = Vec::new();
        while let Some((node, away)) = open.pop_front() {
            if away == self.within {
                break;
            }
            for (link, node) in next(node) {
                if found.len() == self.limit {
                    return found;
                }
                if seen.insert(node.cid()) {
                    let away = away + 1;
                    found.push(Near { node, link, away });
                    open.push_back((node, away));
                }
            }
        }
        found
    }
}

fn no_event(cid: &Cid) -> Failure {
    Failure::usage(format!("the store has no event {cid}"))
        .help("`cim-es show` prints the CIDs of events; look whether it is of this store")
}

/// Says of an event that is not there where its CID would be found.
fn missing(error: DagError, cid: &Cid) -> Failure {
    match error {
        DagError::NotThere { .. } => no_event(cid),
        error => error.into(),
    }
}

/// The graph of all events, with a bar for who waits.
async fn whole(events: &dyn EventStore) -> Result<EventDag, Failure> {
    let last = events.last_position().await?;
    let bar = Bar::new("reading all events");
    let mut dag = EventDag::default();
    let mut all = events.read(Selection::everything(), Bookmark::START);
    while let Some(event) = all.next().await {
        let event = event?;
        dag.insert(&event)?;
        if event.position.0.is_multiple_of(SHOWN_EVERY) {
            bar.show(event.position.0, Some(last.0));
        }
    }
    Ok(dag)
}

fn name(link: EdgeKind) -> &'static str {
    match link {
        EdgeKind::Previous => "previous",
        EdgeKind::Parent => "parent",
        _ => "link",
    }
}

fn cells(node: DagNode<'_>, away: &str, link: &str) -> Vec<String> {
    let mut cells = vec![away.to_owned(), link.to_owned()];
    match node.event() {
        Some(event) => cells.extend([
            event.event_type.to_owned(),
            event.id.to_owned(),
            event.version.to_string(),
            event.time.to_string(),
        ]),
        // Another store may have it.
        None => cells.extend(["(not here)", "-", "-", "-"].map(str::to_owned)),
    }
    cells.push(node.cid().to_string());
    cells
}
