//! Keeps an inventory of the machine it runs on, current from run to run; `--help` says more.

use std::path::PathBuf;
use std::process::ExitCode;

use cim_es::prelude::*;
use cim_es_examples::infrastructure::survey::{Changes, Found, live, record};
use cim_es_examples::infrastructure::{Compute, Network, Software};
use clap::Parser;
use comfy_table::{Table, presets};
use indicatif::ProgressBar;

/// Finds the interfaces, networks, routes and packages of the machine it runs on, and records what is new, what has
/// changed and what is gone since the last run.
#[derive(Parser)]
#[command(name = "infrastructure", version)]
struct Args {
    /// The SQLite file that keeps the inventory [default: infrastructure.db in the user's data directory]
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,

    /// List every program too
    #[arg(long)]
    programs: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(&Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> Result<(), Box<dyn std::error::Error>> {
    let path = match &args.store {
        Some(path) => path.clone(),
        None => {
            let project = directories::ProjectDirs::from("", "", "cim-es");
            let project = project.ok_or("no data directory: name the file with --store FILE")?;
            std::fs::create_dir_all(project.data_dir())?;
            project.data_dir().join("infrastructure.db")
        }
    };
    let store = SqliteEventStore::open(&path)?;
    let found = Found::read()?;
    let bar = ProgressBar::new(0).with_message("programs");
    let changes = record(store.clone(), &found, |done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    });
    let changes = changes.await?;
    bar.finish_and_clear();
    print_changes(&changes);
    if found.left_out > 0 {
        println!(
            "{} packages were left out: their names or versions are not valid here.",
            found.left_out
        );
    }

    let (computes, networks) = (
        live::<Compute>(&store).await?,
        live::<Network>(&store).await?,
    );
    let programs = live::<Software>(&store).await?;
    println!("\nIn {}:\n", path.display());
    println!("{}", machines(&computes).trim_fmt());
    println!("{}", network_table(&networks).trim_fmt());
    match args.programs {
        true => println!("{}", program_table(&programs).trim_fmt()),
        false => println!("{} programs (--programs lists them)", programs.len()),
    }
    Ok(())
}

fn print_changes(changes: &Changes) {
    if changes.is_empty() {
        println!("Nothing has changed: no event recorded.");
        return;
    }
    println!("Recorded {} events:", changes.values().sum::<usize>());
    for (event_type, count) in changes {
        println!("  {count:>6} {event_type}");
    }
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_header(header);
    table
}

type Live<A> = std::collections::BTreeMap<Id<A>, A>;

fn shown<T: ToString>(value: &Option<T>) -> String {
    value.as_ref().map_or_else(|| "-".to_owned(), T::to_string)
}

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
