//! `streams`: which aggregates there are.

use cim_es::aggregate::IdText;
use cim_es::store::{AggregateEntry, AggregateKey, AggregateQuery, StoredType};
use clap::Args;
use serde::Serialize;

use crate::failure::Failure;
use crate::meant;
use crate::output::{Output, Table};
use crate::store::Store;

/// Lists the aggregates: kind, id, version, and when the last event happened
///
/// The list has an order of its own, which stays the same as long as none is added: by id in a file, by partition and id on
/// servers.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cim-es -s library.db streams
  cim-es -s library.db streams library.book --limit 1000
  cim-es -s library.db streams --kinds
  cim-es -s library.db --json streams | jq -r .id

JSON, a line for each aggregate:
  {\"kind\",\"id\",\"version\",\"time\",\"position\",\"cid\",\"cursor\"}; `--after` takes the last `cursor`
JSON of --kinds, a line for each kind and type:
  {\"kind\",\"type\",\"last\"}; `last` is the position of its last event")]
pub struct Streams {
    /// Only aggregates of this kind, such as library.book
    kind: Option<String>,
    /// How many at most; 0 is all
    #[arg(long, short = 'n', default_value_t = 50, value_name = "COUNT")]
    limit: usize,
    /// Goes on behind an aggregate, as the list before said
    #[arg(long, value_name = "KIND/ID")]
    after: Option<String>,
    /// Lists the kinds with the types of their events instead
    #[arg(long, conflicts_with_all = ["after", "limit"])]
    kinds: bool,
}

#[derive(Serialize)]
struct StreamJson<'a> {
    kind: &'a str,
    id: &'a str,
    version: u64,
    time: String,
    position: u64,
    cid: String,
    cursor: String,
}

#[derive(Serialize)]
struct KindJson<'a> {
    kind: Option<&'a str>,
    #[serde(rename = "type")]
    event_type: &'a str,
    last: u64,
}

/// How many aggregates are asked for at once.
const PAGE: usize = 1_000;

impl Streams {
    pub async fn run(&self, store: &Store, output: &mut Output, json: bool) -> Result<(), Failure> {
        if self.kinds {
            return self.kinds(store, output, json).await;
        }
        let mut after = self.after.as_deref().map(cursor).transpose()?;
        let wanted = match self.limit {
            0 => usize::MAX,
            limit => limit,
        };
        let mut table = Table::new(&["KIND", "ID", "#VERSION", "LAST EVENT"]);
        let mut listed = 0;
        let mut is_checked = false;
        while listed < wanted {
            let mut query = AggregateQuery::new().limit(PAGE.min(wanted - listed));
            if let Some(kind) = &self.kind {
                query = query.kind(kind.clone());
            }
            if let Some(after) = after.take() {
                query = query.after(after);
            }
            let page = store.aggregates(query).await?;
            listed += page.aggregates.len();
            if let (0, Some(kind), false) = (listed, &self.kind, is_checked) {
                is_checked = true;
                self.check_kind(kind, &store.event_types().await?)?;
            }
            for entry in &page.aggregates {
                match json {
                    true => output.json(&entry_json(entry))?,
                    false => table.row(output, cells(entry), None)?,
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        table.print(output)?;
        if let Some(next) = after {
            let (kind, id) = (next.kind(), next.id());
            output.note(&format!(
                "there are more: go on with --after '{kind}/{id}', or ask for all with --limit 0"
            ))?;
        }
        match listed == 0 && self.after.is_none() && self.kind.is_none() {
            true => output.note("the store has no events yet"),
            false => Ok(()),
        }
    }

    /// A kind of which there is nothing is misspelled, unless its aggregates stand before what was asked for.
    fn check_kind(&self, kind: &str, types: &[StoredType]) -> Result<(), Failure> {
        let is_known = meant::kinds(types).contains(kind);
        match is_known || types.iter().any(|it| it.kind.is_none()) {
            true => Ok(()),
            false => Err(meant::no_kind(kind, types)),
        }
    }

    async fn kinds(&self, store: &Store, output: &mut Output, json: bool) -> Result<(), Failure> {
        let types = store.event_types().await?;
        if let Some(kind) = &self.kind {
            self.check_kind(kind, &types)?;
        }
        let mut table = Table::new(&["KIND", "TYPE", "#LAST POSITION"]);
        let is_wanted = |it: &&StoredType| self.kind.is_none() || it.kind == self.kind;
        for found in types.iter().filter(is_wanted) {
            if json {
                output.json(&KindJson {
                    kind: found.kind.as_deref(),
                    event_type: &found.event_type,
                    last: found.last.0,
                })?;
                continue;
            }
            let cells = vec![
                found.kind.clone().unwrap_or_else(|| "-".to_owned()),
                found.event_type.clone(),
                found.last.to_string(),
            ];
            table.row(output, cells, None)?;
        }
        table.print(output)?;
        match types.is_empty() {
            true => output.note("the store has no events yet"),
            false => Ok(()),
        }
    }
}

fn cells(entry: &AggregateEntry) -> Vec<String> {
    vec![
        entry.aggregate.kind().to_owned(),
        entry.aggregate.id().to_string(),
        entry.head.version.to_string(),
        entry.head.timestamp.to_string(),
    ]
}

fn entry_json(entry: &AggregateEntry) -> StreamJson<'_> {
    let (kind, id) = (entry.aggregate.kind(), entry.aggregate.id().as_str());
    StreamJson {
        kind,
        id,
        version: entry.head.version,
        time: entry.head.timestamp.to_string(),
        position: entry.head.position.0,
        cid: entry.head.cid.to_string(),
        cursor: format!("{kind}/{id}"),
    }
}

/// The aggregate that a text names: where a list goes on, or what is wanted.
pub fn cursor(text: &str) -> Result<AggregateKey, Failure> {
    let (kind, id) = text.split_once('/').ok_or_else(|| {
        Failure::usage(format!("`{text}` is not the name of an aggregate"))
            .help("write `KIND/ID`, such as library.book/4711")
    })?;
    let id = IdText::new(id).map_err(|error| Failure::usage(error.to_string()))?;
    Ok(AggregateKey::new(kind.to_owned(), id))
}
