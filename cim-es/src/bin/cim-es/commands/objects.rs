//! `objects`: blocks by their CID, and what there is.

use bytes::Bytes;
use cim_es::SqliteEventStore;
use cim_es::block::{Cid, parse_cid_text};
use cim_es::jetstream::JetStreamObjectStore;
use cim_es::store::{ObjectEntry, ObjectInfo, ObjectStore, StoreError};
use clap::Args;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::event;
use crate::failure::{Failure, Kind};
use crate::output::{Output, Table};
use crate::store::Store;

/// Lists the objects, or shows one by its CID: as DAG-JSON where it is dag-cbor, else its size
#[derive(Args)]
#[command(after_help = "\
Examples:
  cim-es -s library.db objects
  cim-es -s library.db objects bafyreigh2akiscaildc…
  cim-es -s library.db objects bafkreigh2akiscaildc… --raw > picture.png

JSON, a line for each object of the list: {\"cid\",\"bytes\",\"content_type\",\"stored_at\",\"cursor\"}, and for one:
  {\"cid\",\"bytes\",\"content_type\",\"stored_at\",\"value\"}; `value` is DAG-JSON, or null where the block is not
  dag-cbor; `content_type` and `stored_at` are null where an earlier release kept the object")]
pub struct Objects {
    /// The CID of one
    cid: Option<String>,
    /// Prints the bytes as they are
    #[arg(long, conflicts_with = "json", requires = "cid")]
    raw: bool,
    /// How many are listed; 0 for all
    #[arg(
        long,
        short = 'n',
        default_value_t = 50,
        value_name = "COUNT",
        conflicts_with = "cid"
    )]
    limit: usize,
    /// Lists those behind this place of the list
    #[arg(
        long,
        value_name = "CURSOR",
        default_value_t = 0,
        conflicts_with = "cid"
    )]
    after: u64,
}

/// How many are asked for at once.
const PAGE: usize = 1_000;

#[derive(Serialize)]
struct ListedJson {
    cid: String,
    bytes: u64,
    content_type: Option<String>,
    stored_at: Option<String>,
    cursor: u64,
}

#[derive(Serialize)]
struct ObjectJson {
    cid: String,
    bytes: usize,
    content_type: Option<String>,
    stored_at: Option<String>,
    value: Option<Box<RawValue>>,
}

impl Objects {
    pub async fn run(&self, store: &Store, output: &mut Output, json: bool) -> Result<(), Failure> {
        let Some(text) = &self.cid else {
            return self.list(store, output, json).await;
        };
        let cid = parse_cid_text(text).map_err(|error| {
            Failure::usage(format!("`{text}` is not the CID of a block: {error}"))
                .help("copy the whole CID; `cim-es objects` lists those of objects, `cim-es show` those of events")
        })?;
        let kept = Kept::of(store).await?;
        let Some(bytes) = kept.get(&cid).await? else {
            return Err(missing(store, &cid).await?);
        };
        if self.raw {
            return output.bytes(&bytes);
        }
        let value = event::block(&bytes);
        let info = kept.info(&cid).await?;
        let info = info.unwrap_or_else(|| ObjectInfo::new(cid, bytes.len() as u64));
        if json {
            return output.json(&ObjectJson {
                cid: cid.to_string(),
                bytes: bytes.len(),
                content_type: content_type(&info),
                stored_at: info.stored_at.map(|at| at.to_string()),
                value: value.and_then(|value| RawValue::from_string(value).ok()),
            });
        }
        match value {
            Some(value) => output.line(&value),
            None => {
                let what = content_type(&info).unwrap_or_else(|| "of no known type".to_owned());
                let bytes = bytes.len();
                output.line(&format!("{bytes} bytes, {what}; --raw prints them"))
            }
        }
    }
}

impl Objects {
    async fn list(&self, store: &Store, output: &mut Output, json: bool) -> Result<(), Failure> {
        let wanted = match self.limit {
            0 => usize::MAX,
            limit => limit,
        };
        let kept = Kept::of(store).await?;
        let mut table = Table::new(&["CID", "#BYTES", "CONTENT TYPE", "STORED"]);
        let (mut listed, mut after) = (0, self.after);
        let is_more = loop {
            // One more, which says whether there are more.
            let most = PAGE.min((wanted - listed).saturating_add(1));
            let page = kept.list(after, most).await?;
            let is_last = page.len() < most;
            for entry in &page {
                if listed == wanted {
                    break;
                }
                listed += 1;
                after = entry.cursor;
                match json {
                    true => output.json(&ListedJson {
                        cid: entry.info.cid.to_string(),
                        bytes: entry.info.size,
                        content_type: content_type(&entry.info),
                        stored_at: entry.info.stored_at.map(|at| at.to_string()),
                        cursor: entry.cursor,
                    })?,
                    false => {
                        let cells = cells(&entry.info);
                        table.row(output, cells, None)?;
                    }
                }
            }
            if is_last || listed == wanted {
                break page.last().is_some_and(|last| last.cursor > after);
            }
        };
        table.print(output)?;
        if is_more {
            output.note(&format!(
                "there are more: go on with --after {after}, or ask for all with --limit 0"
            ))?;
        }
        match listed == 0 && self.after == 0 {
            true => output.note("the store has no objects"),
            false => Ok(()),
        }
    }
}

/// What stands in the table for an object.
fn cells(info: &ObjectInfo) -> Vec<String> {
    let stored_at = info.stored_at.map(|at| at.to_string());
    vec![
        info.cid.to_string(),
        info.size.to_string(),
        content_type(info).unwrap_or_else(|| "-".to_owned()),
        stored_at.unwrap_or_else(|| "-".to_owned()),
    ]
}

fn content_type(info: &ObjectInfo) -> Option<String> {
    info.content_type.as_ref().map(ToString::to_string)
}

/// Where the objects of a store are.
enum Kept<'a> {
    File(&'a SqliteEventStore),
    Bucket(Box<JetStreamObjectStore>),
}

impl<'a> Kept<'a> {
    async fn of(store: &'a Store) -> Result<Self, Failure> {
        Ok(match store {
            Store::File(store) => Self::File(store),
            Store::Stream(reached) => {
                let bucket = &reached.config.object_store_bucket;
                let connection = reached.connection.clone();
                let objects = JetStreamObjectStore::open_existing(connection, bucket).await;
                Self::Bucket(Box::new(objects.map_err(|error| no_bucket(error, bucket))?))
            }
        })
    }

    async fn list(&self, after: u64, limit: usize) -> Result<Vec<ObjectEntry>, StoreError> {
        match self {
            Self::File(store) => store.objects(after, limit).await,
            Self::Bucket(objects) => objects.objects(after, limit).await,
        }
    }

    async fn info(&self, cid: &Cid) -> Result<Option<ObjectInfo>, StoreError> {
        match self {
            Self::File(store) => store.object_info(cid).await,
            Self::Bucket(objects) => objects.object_info(cid).await,
        }
    }

    async fn get(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        match self {
            Self::File(store) => store.get_object(cid).await,
            Self::Bucket(objects) => objects.get_object(cid).await,
        }
    }
}

/// What to do about a bucket that cannot be opened.
fn no_bucket(error: StoreError, bucket: &str) -> Failure {
    let failure = Failure::from(error);
    match failure.says("it does not exist") {
        true => Failure::new(
            Kind::Store,
            format!("there is no bucket `{bucket}`, in which objects would be"),
        )
        .help(
            "a program makes it when it opens all its stores; one of another name is `object_store_bucket` in the file of --config",
        ),
        false => failure,
    }
}

/// Says that no object has a CID; an event may.
async fn missing(store: &Store, cid: &Cid) -> Result<Failure, Failure> {
    let failure = Failure::usage(format!("the store has no object {cid}"));
    Ok(match store.events().find(cid).await? {
        Some(event) => {
            let envelope = &event.envelope;
            let (kind, id) = (&envelope.aggregate, &envelope.aggregate_id);
            failure.help(format!(
                "it is an event: `cim-es show {kind} {id} --at {} --last 1 --payload`",
                envelope.sequence
            ))
        }
        None => {
            failure.help("nor is there an event with this CID: look whether it is of this store")
        }
    })
}
