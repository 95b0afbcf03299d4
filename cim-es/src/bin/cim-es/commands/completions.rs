//! `completions`: what a shell completes.

use clap::Args;
use clap_complete::{Shell, generate};

use crate::failure::Failure;
use crate::output::Output;

/// Prints what a shell needs to complete commands and options
#[derive(Args)]
#[command(after_help = "\
Examples:
  cim-es completions bash > ~/.local/share/bash-completion/completions/cim-es
  cim-es completions zsh > ~/.zfunc/_cim-es
  cim-es completions fish > ~/.config/fish/completions/cim-es.fish")]
pub struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub fn run(&self, output: &mut Output, mut program: clap::Command) -> Result<(), Failure> {
        // Into memory, since it does not expect that writing fails.
        let mut text = Vec::new();
        generate(self.shell, &mut program, "cim-es", &mut text);
        output.bytes(&text)
    }
}
