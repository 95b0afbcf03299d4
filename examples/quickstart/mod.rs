//! The first program: keeps the machine it runs on as an aggregate, in a file whose every block can be checked.
//!
//! The domain is in [`domain`] and [`values`]; everything else here reads the machine ([`host`]), compares it with the
//! history ([`survey`]) and shows the result.

mod args;
pub mod domain;
pub mod error;
pub mod host;
mod place;
mod program;
pub mod report;
pub mod survey;
mod tamper;
mod text;
pub mod values;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use cim_es::ErrorChain;
use clap::Parser;
use clap::error::ErrorKind;

use self::args::Args;
use self::error::QuickstartError;
use self::host::{Host, HostError};

/// Lines of this many columns at least and at most, whatever the terminal's width is.
const COLUMNS: std::ops::RangeInclusive<u16> = 80..=120;

/// What the program finds around it; a test gives other surroundings.
pub struct Surroundings {
    /// Reads the machine.
    pub read_host: Box<dyn Fn() -> Result<Host, HostError>>,
    /// Where the store is kept when the command line does not say.
    pub data_directory: Option<PathBuf>,
    /// The width of the terminal in columns.
    pub columns: u16,
}

impl Surroundings {
    /// The machine, the user and the terminal as they are.
    pub fn real() -> Self {
        let columns = comfy_table::Table::new().width().unwrap_or(100);
        Self {
            read_host: Box::new(Host::read),
            data_directory: crate::place::data_directory(),
            columns: columns.clamp(*COLUMNS.start(), *COLUMNS.end()),
        }
    }
}

/// Runs the program with its command line, the name of the program first.
///
/// The result goes to `out`, a message about what went wrong to `err`. The exit code is 0 for success, 1 when the
/// program could not do what it was asked for, and 2 for a command line that it does not understand.
pub fn run(
    args: impl IntoIterator<Item = OsString>,
    surroundings: &Surroundings,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> ExitCode {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(usage) => return show_usage(&usage, out, err),
    };
    match program::run(&args, surroundings, out) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the output has seen enough, as in `quickstart | head`.
        Err(QuickstartError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            // When even this cannot be written, the exit code is all that is left to say it with.
            let _ = writeln!(err, "error: {}", one_line(&ErrorChain(&error).to_string()));
            ExitCode::FAILURE
        }
    }
}

fn show_usage(usage: &clap::Error, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode {
    let is_asked_for = matches!(
        usage.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    let _ = if is_asked_for {
        write!(out, "{usage}")
    } else {
        write!(err, "{usage}")
    };
    ExitCode::from(if is_asked_for { 0 } else { 2 })
}

fn one_line(message: &str) -> String {
    message
        .lines()
        .map(str::trim)
        .collect::<Vec<_>>()
        .join("; ")
}
