//! Registers the machine it runs on, and records at each further run what has changed since; `--help` says more.

use std::process::ExitCode;

use cim_es_examples::quickstart::{Surroundings, run};

fn main() -> ExitCode {
    let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
    run(
        std::env::args_os(),
        &Surroundings::real(),
        &mut out,
        &mut err,
    )
}
