//! Keeps organizations and shows them at any moment; `--help` says more.

use std::process::ExitCode;

use cim_es_examples::organization::program::args::Args;
use cim_es_examples::organization::program::run;
use cim_es_examples::terminal::{complain, fail, print};
use clap::Parser;

/// The exit code when rows of a file were left out.
const LEFT_OUT: u8 = 3;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = match run(&Args::parse()).await {
        Ok(outcome) => outcome,
        Err(error) => return fail(&error),
    };
    for problem in &outcome.problems {
        complain(problem);
    }
    match print(&outcome.text) {
        Err(error) => {
            complain(format_args!("error: the output cannot be written: {error}"));
            ExitCode::FAILURE
        }
        Ok(()) if outcome.problems.is_empty() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::from(LEFT_OUT),
    }
}
