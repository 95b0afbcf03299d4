//! `show`: the history of one aggregate.

use cim_es::aggregate::IdText;
use cim_es::block::StoredEvent;
use cim_es::store::{AggregateKey, StreamExt, Versions};
use clap::Args;

use crate::event::{EventJson, payload_line};
use crate::failure::Failure;
use crate::meant;
use crate::moment::Moment;
use crate::output::{Output, Table};
use crate::store::Store;

/// Shows the history of an aggregate: its events with versions, times, types, actors and CIDs
#[derive(Args)]
#[command(after_help = "\
Examples:
  cim-es -s library.db show library.book 4711
  cim-es -s library.db show library.book 4711 --payload --last 5
  cim-es -s library.db show library.book 4711 --at 3
  cim-es -s library.db show library.book 4711 --at 2026-01-31T12:00:00Z

JSON, a line for each event:
  {\"position\",\"kind\",\"id\",\"version\",\"time\",\"type\",\"schema\",\"actor\",\"cid\",\"previous\",\"parents\",\"payload_cid\",
   \"commit\":[place,events],\"event_id\",\"correlation_id\",\"causation_id\",\"meta\",\"payload\"}
  `meta` and `payload` are DAG-JSON; `actor` and `previous` may be null.")]
pub struct Show {
    /// The kind of the aggregate, such as library.book
    kind: String,
    /// Its id
    id: String,
    /// The history as it was at a version or a time
    #[arg(long, value_name = "VERSION|TIME")]
    at: Option<Moment>,
    /// Only the last events
    #[arg(long, short = 'n', value_name = "COUNT")]
    last: Option<u64>,
    /// Shows the payloads, as DAG-JSON
    #[arg(long, short)]
    payload: bool,
}

impl Show {
    pub async fn run(&self, store: &Store, output: &mut Output, json: bool) -> Result<(), Failure> {
        let id = IdText::new(&self.id).map_err(|error| Failure::usage(error.to_string()))?;
        let key = AggregateKey::new(self.kind.clone(), id);
        let Some(head) = store.events().last(&key).await? else {
            return Err(meant::no_aggregate(store, &key).await?);
        };
        let version = self.version(store, &key, &head).await?;
        let first = self
            .last
            .map_or(1, |last| (version + 1).saturating_sub(last));
        if self.last == Some(0) {
            return Ok(());
        }
        let versions = Versions::starting_at(first).up_to(version);
        let mut events = store.events().history(&key, versions);
        let mut table = Table::new(&["#VERSION", "TIME", "TYPE", "ACTOR", "CID"]);
        while let Some(event) = events.next().await {
            let event = match event {
                Ok(event) => event,
                Err(error) => {
                    table.print(output)?;
                    return Err(error.into());
                }
            };
            match json {
                true => output.json(&EventJson::of(&event))?,
                false => {
                    let below = self.payload.then(|| payload_line(&event));
                    table.row(output, cells(&event), below)?;
                }
            }
        }
        table.print(output)
    }

    /// The last version to be shown.
    async fn version(
        &self,
        store: &Store,
        key: &AggregateKey,
        head: &StoredEvent,
    ) -> Result<u64, Failure> {
        let last = head.envelope.sequence;
        match self.at {
            None => Ok(last),
            Some(Moment::Version(version)) if (1..=last).contains(&version) => Ok(version),
            Some(Moment::Version(version)) => {
                Err(Failure::usage(format!("{key} has no version {version}"))
                    .help(format!("its versions are 1 to {last}")))
            }
            Some(Moment::Time(time)) if head.timestamp() <= time => Ok(last),
            Some(Moment::Time(time)) => {
                let mut events = store.events().history(key, Versions::ALL);
                let mut version = 0;
                while let Some(event) = events.next().await {
                    let event = event?;
                    if event.timestamp() > time && version == 0 {
                        return Err(Failure::usage(format!("{key} had no events at {time}"))
                            .help(format!("its first event is of {}", event.timestamp())));
                    }
                    if event.timestamp() > time {
                        break;
                    }
                    version = event.envelope.sequence;
                }
                Ok(version)
            }
        }
    }
}

fn cells(event: &StoredEvent) -> Vec<String> {
    vec![
        event.envelope.sequence.to_string(),
        event.timestamp().to_string(),
        event.event_type().to_owned(),
        event
            .envelope
            .source
            .clone()
            .unwrap_or_else(|| "-".to_owned()),
        event.cid.to_string(),
    ]
}
