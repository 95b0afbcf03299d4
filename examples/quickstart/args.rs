//! The command line.

use std::path::PathBuf;

use clap::Parser;

use super::values::Reason;

/// Registers the machine it runs on, and records at each further run what has changed since.
///
/// Kept are the name, the architecture, the operating system, the processor, the memory, the disks and the network
/// interfaces, as events in an SQLite file, or in a stream on a NATS server. Facts that come and go by themselves are left out: free memory and space,
/// addresses that a network hands out, removable media, and interfaces without a device behind them.
#[derive(Clone, Debug, Parser)]
#[command(name = "quickstart", version)]
pub struct Args {
    /// The SQLite file that keeps the history [default: quickstart.db in the user's data directory]
    #[arg(long, value_name = "FILE")]
    pub store: Option<PathBuf>,

    /// Keep the history in the stream INFRASTRUCTURE_EVENTS on a NATS server with JetStream instead, such as
    /// nats://127.0.0.1:4222
    #[arg(long, value_name = "URL", conflicts_with_all = ["store", "tamper"])]
    pub nats: Option<String>,

    /// Print one JSON document instead of text
    #[arg(long)]
    pub json: bool,

    /// End the life of this machine in the store, for a reason; records nothing else
    #[arg(long, value_name = "REASON")]
    pub decommission: Option<Reason>,

    /// Flip one byte in a copy of the store and show the verdict; records nothing
    #[arg(long, conflicts_with = "decommission")]
    pub tamper: bool,
}
