//! `identity`: who reads encrypted files.

use std::path::{Path, PathBuf};

use cim_es::age::{AgeFault, Identity as AgeIdentity, Recipient as AgeRecipient};
use cim_es::bundle::{BundleError, BundleFault};
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::failure::Failure;
use crate::output::Output;

/// Makes identities, which read encrypted files, and prints the recipients that others encrypt to
///
/// They are those of age: `age -d -i FILE` reads what `cim-es export --recipient` wrote, and the other way round.
#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  cim-es identity new ann.identity >> recipients.txt
  cim-es identity recipient ann.identity
  cim-es -s library.db export library.car.age --recipients-file recipients.txt
  cim-es -s copy.db import library.car.age --create --identity ann.identity")]
pub enum Identity {
    New(New),
    Recipient(Recipient),
}

/// Makes a file with a new identity, and prints the recipient that belongs to it
///
/// The file can be read by its owner alone. One that is there is never written over.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cim-es identity new ann.identity >> recipients.txt

JSON, one object: {\"recipient\"}")]
pub struct New {
    /// The file that is made
    file: PathBuf,
}

/// Prints the recipient of each identity in a file
#[derive(Args)]
#[command(after_help = "\
Examples:
  cim-es identity recipient ann.identity

JSON, one object a line: {\"recipient\"}")]
pub struct Recipient {
    /// The file with the identities
    file: PathBuf,
}

#[derive(Serialize)]
struct RecipientJson {
    recipient: String,
}

impl Identity {
    pub fn run(&self, output: &mut Output, json: bool) -> Result<(), Failure> {
        match self {
            Self::New(command) => print(output, &AgeIdentity::create(&command.file)?, json),
            Self::Recipient(command) => {
                let identities = AgeIdentity::read(&command.file)?;
                identities.iter().try_for_each(|it| print(output, it, json))
            }
        }
    }
}

fn print(output: &mut Output, identity: &AgeIdentity, json: bool) -> Result<(), Failure> {
    let recipient = identity.recipient().to_string();
    match json {
        true => output.json(&RecipientJson { recipient }),
        false => output.line(&recipient),
    }
}

/// The identities in some files; none where there are no files.
pub fn identities(files: &[PathBuf]) -> Result<Option<Vec<AgeIdentity>>, Failure> {
    let mut identities = Vec::new();
    for file in files {
        identities.extend(AgeIdentity::read(file)?);
    }
    Ok((!files.is_empty()).then_some(identities))
}

/// The recipients that are named, and those in a file; none where nobody is named.
pub fn recipients(
    named: &[String],
    file: Option<&Path>,
) -> Result<Option<Vec<AgeRecipient>>, Failure> {
    let mut recipients = Vec::new();
    for text in named {
        recipients.push(text.parse()?);
    }
    if let Some(file) = file {
        recipients.extend(AgeRecipient::read(file)?);
    }
    Ok((!recipients.is_empty()).then_some(recipients))
}

/// What to do about a file that is encrypted, or is not; none where it is something else.
pub fn help(error: &BundleError) -> Option<&'static str> {
    let BundleError::Refused { fault, .. } = error else {
        return None;
    };
    match **fault {
        BundleFault::Encrypted => Some("give `--identity FILE`, the file with your identity"),
        BundleFault::NotEncrypted => Some("leave `--identity` out if it is as it should be"),
        BundleFault::Age(AgeFault::NotForUs { .. }) => Some(
            "`cim-es identity recipient FILE` prints what the sender must encrypt to for that identity",
        ),
        _ => None,
    }
}
