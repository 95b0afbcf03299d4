//! `parked`: what a subscription gave up on.

use std::path::{Path, PathBuf};

use cim_es::store::{Position, StoreError};
use cim_es::subscription::{ParkedEvents, ParkedRequest, SubscriptionError};
use clap::Args;
use serde::Serialize;

use crate::failure::{Failure, Kind};
use crate::output::{Output, Table};
use crate::store::{Access, Store};

/// Lists the events that a subscription has parked, and has them handled again or given up
#[derive(Args)]
#[command(after_help = "\
Examples:
  cim-es -s library.db parked reminders
  cim-es -s library.db parked reminders --resend 4711
  cim-es -s nats://127.0.0.1:4222/LIBRARY parked reminders --discard 4711

JSON, a line for each event that is parked, after a request too:
  {\"position\",\"type\",\"id\",\"version\",\"cid\",\"attempts\",\"parked_at\",\"request\",\"reason\"}; `request` is null, \"resend\",
  \"discard\" or \"taken\"")]
pub struct Parked {
    /// The name of the subscription
    name: String,
    /// Has the subscription handle the event at this position again
    #[arg(long, value_name = "POSITION", conflicts_with = "discard")]
    resend: Option<u64>,
    /// Has the subscription go on without the event at this position
    #[arg(long, value_name = "POSITION")]
    discard: Option<u64>,
}

#[derive(Serialize)]
struct ParkedJson<'a> {
    position: u64,
    #[serde(rename = "type")]
    event_type: &'a str,
    id: &'a str,
    version: u64,
    cid: String,
    attempts: u32,
    parked_at: String,
    request: Option<ParkedRequest>,
    reason: &'a str,
}

impl Parked {
    pub fn access(&self) -> Access {
        match self.resend.or(self.discard) {
            Some(_) => Access::Write,
            None => Access::Read,
        }
    }

    pub async fn run(&self, store: &Store, output: &mut Output, json: bool) -> Result<(), Failure> {
        let parked = match store {
            Store::File(store) => {
                // Opening it for writing would make it.
                if !subscriptions(store.path()).exists() {
                    return Err(Failure::usage(
                        "no durable subscription was ever started on the store",
                    )
                    .help(WHERE));
                }
                ParkedEvents::of(store, &self.name).await?
            }
            Store::Stream(reached) => {
                let found = ParkedEvents::of(&reached.events, &self.name).await;
                found.map_err(|error| match error {
                    SubscriptionError::Store(StoreError::Incompatible { .. }) => {
                        let message = "no subscription was ever started in the account";
                        Failure::usage(message).help(WHERE)
                    }
                    error => error.into(),
                })?
            }
        };
        if !parked.is_known().await? {
            let message = format!("no subscription `{}` has kept anything here", self.name);
            return Err(Failure::usage(message).help(WHERE));
        }
        let asked = match (self.resend, self.discard) {
            (Some(position), _) => Some((position, parked.resend(Position(position)).await)),
            (None, Some(position)) => Some((position, parked.discard(Position(position)).await)),
            (None, None) => None,
        };
        if let Some((position, done)) = asked {
            done.map_err(|error| {
                let failure = Failure::from(error);
                let name = &self.name;
                match failure.kind {
                    Kind::Usage => failure.help(format!("`cim-es parked {name}` lists what is")),
                    _ => failure,
                }
            })?;
            output.note(&format!(
                "the subscription does so with the event at position {position} when it runs"
            ))?;
        }
        let mut table = Table::new(&[
            "#POSITION",
            "TYPE",
            "ID",
            "#VERSION",
            "#ATTEMPTS",
            "PARKED",
            "REQUEST",
        ]);
        for event in parked.list().await? {
            if json {
                output.json(&ParkedJson {
                    position: event.position.0,
                    event_type: &event.event_type,
                    id: &event.aggregate_id,
                    version: event.sequence,
                    cid: event.cid.to_string(),
                    attempts: event.attempts,
                    parked_at: event.parked_at.to_string(),
                    request: event.request,
                    reason: &event.reason,
                })?;
                continue;
            }
            let request = match event.request {
                None => "-",
                Some(ParkedRequest::Resend) => "resend",
                Some(ParkedRequest::Discard) => "discard",
                Some(ParkedRequest::Taken) => "taken",
            };
            let cells = vec![
                event.position.to_string(),
                event.event_type,
                event.aggregate_id,
                event.sequence.to_string(),
                event.attempts.to_string(),
                event.parked_at.to_string(),
                request.to_owned(),
            ];
            table.row(output, cells, Some(event.reason))?;
        }
        table.print(output)
    }
}

/// What to look at where nothing is kept of a subscription.
const WHERE: &str = "look whether this is the store of the program that has the subscription, which keeps it beside the events, and whether its name is right";

/// Where a file keeps how far its subscriptions came.
fn subscriptions(store: &Path) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push("-subscriptions");
    PathBuf::from(name)
}
