//! `man`: the pages of the manual.

use std::path::PathBuf;

use clap::Args;

use crate::failure::Failure;
use crate::output::Output;

/// Prints the page of the manual, or writes one for each command
#[derive(Args)]
#[command(after_help = "\
Examples:
  cim-es man | man -l -
  cim-es man --directory ~/.local/share/man/man1")]
pub struct Man {
    /// Writes a page for each command into this directory, which must exist
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
}

impl Man {
    pub fn run(&self, output: &mut Output, program: clap::Command) -> Result<(), Failure> {
        if let Some(directory) = &self.directory {
            return clap_mangen::generate_to(program, directory).map_err(|error| {
                Failure::file("the pages cannot be written to", directory, &error)
            });
        }
        let mut page = Vec::new();
        clap_mangen::Man::new(program).render(&mut page)?;
        output.bytes(&page)
    }
}
