//! `dag`: what an event depends on, and what depends on it.

use std::collections::{HashSet, VecDeque};

use cim_es::block::Cid;
use cim_es::dag::{DagNode, EdgeKind, EventDag};
use clap::{Args, ValueEnum};

use super::prove::cid;
use crate::failure::Failure;
use crate::output::{Output, Table};
use crate::progress::spinner;
use crate::store::Store;

/// Draws what an event depends on, and what depends on it
///
/// An event follows the one before it in its history, and those that caused it. All events are read for it once, and held in
/// memory without their payloads.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cim-es -s library.db dag bafyreigh2akiscaildc…
  cim-es -s library.db dag bafyreigh2akiscaildc… --causes --within 10
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
    /// Only what the event depends on
    #[arg(long, conflicts_with = "effects")]
    causes: bool,
    /// Only what depends on the event
    #[arg(long)]
    effects: bool,
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

/// A node, how it is linked to, and how many links away it is.
struct Near<'a> {
    node: DagNode<'a>,
    link: EdgeKind,
    away: u32,
}

impl Dag {
    pub async fn run(&self, store: &Store, output: &mut Output, json: bool) -> Result<(), Failure> {
        let wanted = cid(&self.cid)?;
        if store.events().find(&wanted).await?.is_none() {
            return Err(
                Failure::usage(format!("the store has no event {wanted}")).help(
                    "`cim-es show` prints the CIDs of events; look whether it is of this store",
                ),
            );
        }
        let bar = spinner("reading the events");
        let dag = EventDag::of(store.events()).await;
        bar.finish_and_clear();
        let dag = dag?;
        let start = dag.get(&wanted)?;
        let causes = match self.effects {
            true => Vec::new(),
            false => self.walk(start, |node| node.causes().collect()),
        };
        let effects = match self.causes {
            true => Vec::new(),
            false => self.walk(start, |node| node.effects().collect()),
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
