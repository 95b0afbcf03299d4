//! Two people take notes without a network, each on a file, and bring them together on one server.
//!
//! Without more, a third file stands for the server. `--nats URL` names one; its stream `FIELD_NOTES` must be without
//! notes.

use std::error::Error;
use std::process::ExitCode;

use cim_es::SqliteEventStore;
use cim_es::hybrid::{NatsConnector, Reachable};
use cim_es::jetstream::{EventStoreConfig, NatsConfig};
use cim_es_examples::field_notes::{Road, tell};
use cim_es_examples::terminal;
use clap::Parser;

/// Two people take notes without a network, each on a file, and bring them together on one server.
#[derive(Parser)]
struct Arguments {
    /// The address of a NATS server with JetStream; a file stands for it by default.
    #[arg(long, value_name = "URL")]
    nats: Option<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => terminal::fail(&*error),
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let road = match arguments.nats {
        Some(url) => {
            let stream = EventStoreConfig::new("FIELD_NOTES", ["field.>"]);
            Road::to(NatsConnector::new(
                NatsConfig::new([url]).event_store(stream),
            ))
        }
        None => Road::to(Reachable(SqliteEventStore::open(
            folder.path().join("server.db"),
        )?)),
    };
    let mut text = String::new();
    let told = tell(folder.path(), road, &mut text).await;
    terminal::print(&text)?;
    Ok(told?)
}
