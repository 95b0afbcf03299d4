//! Programs written with cim-es, as a library, so that their tests can run them in the same process.
//!
//! `cargo run --example` runs `quickstart`, `bank_account`, `field_notes`, `infrastructure`, `library`, `organization` and `person`.

#[path = "bank_account/domain.rs"]
pub mod bank_account;
pub mod bar;
pub mod field_notes;
pub mod infrastructure;
pub mod library;
pub mod organization;
pub mod person;
pub mod place;
pub mod quickstart;
pub mod terminal;

/// The README, whose code the tests of this crate compile and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
