//! What the programs share to speak with whoever started them.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use cim_es::ErrorChain;
use comfy_table::{ContentArrangement, Table, presets};

/// Writes what a program has found out.
///
/// Whoever reads it may have seen enough before its end, as in `person list | head`: that is no error.
///
/// # Errors
/// What keeps the output from being written.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Writes a line about what went wrong. Where nobody takes it, the exit code is all that is left to say it with.
pub fn complain(line: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Says why a program ends early: the error and what led to it.
pub fn fail(error: &(dyn Error + 'static)) -> ExitCode {
    complain(format_args!("error: {}", ErrorChain(error)));
    ExitCode::FAILURE
}

/// An empty table with a header, as wide as the terminal, or as its content where there is none.
pub fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header);
    table
}

/// A value, or a sign for none.
pub fn shown<T: ToString>(value: &Option<T>) -> String {
    value.as_ref().map_or_else(|| "-".to_owned(), T::to_string)
}
