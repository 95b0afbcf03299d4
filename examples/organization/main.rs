//! Keeps organizations and shows them at any moment; `--help` says more.

use std::io::{self, Write};
use std::process::ExitCode;

use cim_es_examples::organization::program::args::Args;
use cim_es_examples::organization::program::run;
use clap::Parser;

/// The exit code when rows of a file were left out.
const LEFT_OUT: u8 = 3;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = match run(&Args::parse()).await {
        Ok(outcome) => outcome,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    for problem in &outcome.problems {
        eprintln!("{problem}");
    }
    match io::stdout().write_all(outcome.text.as_bytes()) {
        // Whoever read the output has seen enough, as in `organization show | head`.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
        _ if outcome.problems.is_empty() => ExitCode::SUCCESS,
        _ => ExitCode::from(LEFT_OUT),
    }
}
