//! Keeps an inventory of the machine it runs on, current from run to run; `--help` says more.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use cim_es::jetstream::{EventStoreConfig, NatsConfig};
use cim_es::prelude::*;
use cim_es::projection::ProjectionManager;
use cim_es::store::EventStore;
use cim_es_examples::infrastructure::current::{CurrentTopology, GetTopology};
use cim_es_examples::infrastructure::survey::{Changes, Found, live, record};
use cim_es_examples::infrastructure::{Compute, Network, Software};
use cim_es_examples::place;
use cim_es_examples::terminal::{self, shown, table};
use clap::Parser;
use comfy_table::Table;
use indicatif::ProgressBar;

/// Finds the interfaces, networks, routes and packages of the machine it runs on, and records what is new, what has
/// changed and what is gone since the last run.
#[derive(Parser)]
#[command(name = "infrastructure", version)]
struct Args {
    /// The SQLite file that keeps the inventory [default: infrastructure.db in the user's data directory]
    #[arg(long, value_name = "FILE", conflicts_with = "nats")]
    store: Option<PathBuf>,

    /// Keep the inventory on a NATS server with JetStream instead, such as nats://127.0.0.1:4222
    #[arg(long, value_name = "URL")]
    nats: Option<String>,

    /// List every program too
    #[arg(long)]
    programs: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = run(&Args::parse()).await;
    match outcome.and_then(|text| Ok(terminal::print(&text)?)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => terminal::fail(&*error),
    }
}

/// The stream that keeps the events of the domain.
const STREAM: &str = "INFRASTRUCTURE_EVENTS";
/// How long the view of the topology may take to be level.
const LEVEL: Duration = Duration::from_secs(60);

/// Gives what there is to say.
async fn run(args: &Args) -> Result<String, Box<dyn std::error::Error>> {
    let Some(server) = &args.nats else {
        let path = place::file(args.store.as_deref(), "infrastructure.db", true)?;
        let store = SqliteEventStore::open(&path)?;
        return survey(store, &path.display().to_string(), args).await;
    };
    let stream = EventStoreConfig::new(STREAM, ["infrastructure.>"]);
    let stores = NatsConfig::new([server]).event_store(stream).open().await?;
    let name = format!("stream {STREAM} on {}", stores.connection.servers());
    survey(stores, &name, args).await
}

/// Surveys the machine, records what has changed in a store, and says what there is.
async fn survey(
    store: impl EventStore + Clone,
    name: &str,
    args: &Args,
) -> Result<String, Box<dyn std::error::Error>> {
    let found = Found::read()?;
    let bar = ProgressBar::new(0).with_message("programs");
    let changes = record(store.clone(), &found, |done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    });
    let changes = changes.await?;
    bar.finish_and_clear();
    let mut text = changes_as_text(&changes);
    if found.left_out > 0 {
        text += &format!(
            "{} packages were left out: their names or versions are not valid here.\n",
            found.left_out
        );
    }

    let (computes, networks) = (
        live::<Compute>(&store).await?,
        live::<Network>(&store).await?,
    );
    let programs = live::<Software>(&store).await?;
    text += &format!("\nIn {name}:\n\n");
    text += &format!("{}\n", machines(&computes).trim_fmt());
    text += &format!("{}\n", network_table(&networks).trim_fmt());
    text += &match args.programs {
        true => format!("{}\n", program_table(&programs).trim_fmt()),
        false => format!("{} programs (--programs lists them)\n", programs.len()),
    };
    text += &topology(store).await?;
    Ok(text)
}

/// Counts what is in use, out of the view over all kinds.
async fn topology(store: impl EventStore) -> Result<String, Box<dyn std::error::Error>> {
    let last = store.last_position().await?;
    let projections = ProjectionManager::new(store);
    let view = projections.in_memory::<CurrentTopology>().await?;
    view.wait_for(last, LEVEL).await?;
    let topology = view.get_topology().await?;
    projections.stop().await;
    let current = topology.value;
    Ok(format!(
        "In use, up to position {}: {} machines ({} more are there), {} networks, {} connections\n",
        topology.position,
        current.active_compute_resources().len(),
        current.inactive_compute_resources().len(),
        current.active_networks().len(),
        current.active_connections().len(),
    ))
}

fn changes_as_text(changes: &Changes) -> String {
    if changes.is_empty() {
        return "Nothing has changed: no event recorded.\n".to_owned();
    }
    let mut text = format!("Recorded {} events:\n", changes.values().sum::<usize>());
    for (event_type, count) in changes {
        text += &format!("  {count:>6} {event_type}\n");
    }
    text
}

type Live<A> = std::collections::BTreeMap<Id<A>, A>;

fn machines(computes: &Live<Compute>) -> Table {
    let mut rows = table(["machine", "state", "system", "cores", "MiB", "interfaces"]);
    for compute in computes.values() {
        let interfaces = compute.interfaces.iter();
        let interfaces: Vec<_> = interfaces
            .map(|it| format!("{} {}", it.name, it.mac))
            .collect();
        let cores = compute.capacity.map(|it| it.cores);
        rows.add_row([
            shown(&compute.hostname),
            compute.state().name().to_owned(),
            shown(&compute.system),
            shown(&cores),
            shown(&compute.capacity.map(|it| it.memory_mib)),
            interfaces.join("\n"),
        ]);
    }
    rows
}

fn network_table(networks: &Live<Network>) -> Table {
    let mut rows = table(["network", "interface", "address"]);
    for network in networks.values() {
        let attached = network.attached.iter();
        let (names, addresses): (Vec<_>, Vec<_>) = attached
            .map(|(interface, address)| (interface.name.to_string(), address.to_string()))
            .unzip();
        let reached = match names.is_empty() {
            true => "by a route".to_owned(),
            false => names.join("\n"),
        };
        rows.add_row([shown(&network.name), reached, addresses.join("\n")]);
    }
    rows
}

fn program_table(programs: &Live<Software>) -> Table {
    let mut rows = table(["program", "version", "state"]);
    let mut programs: Vec<_> = programs.values().collect();
    programs.sort_by(|one, other| one.name.cmp(&other.name));
    for program in programs {
        let state = program.state().name().to_owned();
        rows.add_row([shown(&program.name), shown(&program.version), state]);
    }
    rows
}
