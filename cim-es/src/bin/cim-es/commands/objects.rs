//! `objects`: blocks by their CID.

use bytes::Bytes;
use cim_es::block::{Cid, parse_cid_text};
use cim_es::jetstream::JetStreamObjectStore;
use cim_es::store::ObjectStore;
use clap::Args;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::event;
use crate::failure::Failure;
use crate::output::Output;
use crate::store::Store;

/// Shows an object by its CID: as DAG-JSON where it is dag-cbor, else its size
#[derive(Args)]
#[command(after_help = "\
Examples:
  cim-es -s library.db objects bafyreigh2akiscaildc…
  cim-es -s library.db objects bafkreigh2akiscaildc… --raw > picture.png

JSON, one object:
  {\"cid\",\"bytes\",\"value\"}; `value` is DAG-JSON, or null where the block is not dag-cbor")]
pub struct Objects {
    /// The CID
    cid: String,
    /// Prints the bytes as they are
    #[arg(long, conflicts_with = "json")]
    raw: bool,
}

#[derive(Serialize)]
struct ObjectJson {
    cid: String,
    bytes: usize,
    value: Option<Box<RawValue>>,
}

impl Objects {
    pub async fn run(&self, store: &Store, output: &mut Output, json: bool) -> Result<(), Failure> {
        let cid = parse_cid_text(&self.cid).map_err(|error| {
            Failure::usage(format!("`{}` is not the CID of a block: {error}", self.cid))
                .help("copy the whole CID; `cim-es show` prints those of events")
        })?;
        let Some(bytes) = object(store, &cid).await? else {
            return Err(missing(store, &cid).await?);
        };
        if self.raw {
            return output.bytes(&bytes);
        }
        let value = event::block(&bytes);
        if json {
            return output.json(&ObjectJson {
                cid: cid.to_string(),
                bytes: bytes.len(),
                value: value.and_then(|value| RawValue::from_string(value).ok()),
            });
        }
        match value {
            Some(value) => output.line(&value),
            None => output.line(&format!("{} bytes; --raw prints them", bytes.len())),
        }
    }
}

async fn object(store: &Store, cid: &Cid) -> Result<Option<Bytes>, Failure> {
    Ok(match store {
        Store::File(store) => store.get_object(cid).await?,
        Store::Stream(reached) => {
            let bucket = &reached.config.object_store_bucket;
            let connection = reached.connection.clone();
            let objects = JetStreamObjectStore::open_existing(connection, bucket).await?;
            objects.get_object(cid).await?
        }
    })
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
