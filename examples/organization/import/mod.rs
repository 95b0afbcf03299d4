//! Importing organizations from a CSV file: [`mod@file`] reads its rows, [`mod@plan`] tells what is to be done so that an
//! organization becomes what its rows say, and [`mod@run`] does it, each organization in one commit.
//!
//! `examples/organization/README.md` describes the format.

mod carry_out;
pub mod file;
pub mod plan;
pub mod run;

pub use file::{File, FileError, Problem, Row, What};
pub use run::{ImportError, Options, Report, run};
