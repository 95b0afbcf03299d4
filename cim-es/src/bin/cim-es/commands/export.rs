//! `export`: what a store has, or a part of it, as one file.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use cim_es::age::Identity as AgeIdentity;
use cim_es::bundle::{self, BundleError, BundleFault, Exported, Manifest, Since};
use cim_es::message::Timestamp;
use cim_es::store::{Bookmark, Selection, StoreError};
use clap::Args;
use serde::Serialize;

use super::identity::{identities, recipients};
use super::streams::cursor;
use crate::failure::{Failure, Kind};
use crate::interrupt::Interrupt;
use crate::meant;
use crate::output::{Output, counted};
use crate::progress::Bar;
use crate::store::Store;

/// Writes what the store has to a file that another store imports
///
/// The file is a bundle (CARv1), or with --json-lines one DAG-JSON object for each event. Commits are exported whole: an
/// aggregate that has one in common with what is wanted comes along.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cim-es -s library.db export library.car
  cim-es -s library.db export ann.car --aggregate library.reader/ann
  cim-es -s library.db export week-31.car --since week-30.car
  cim-es -s library.db export library.car --sign-as example.org/library --key library.pem
  cim-es -s library.db export library.car.age --recipients-file recipients.txt
  cim-es -s library.db export - --json-lines | jq .payload

JSON, one object: {\"file\",\"events\",\"aggregates\",\"bytes\",\"manifest\",\"drawn_in\":[\"KIND/ID\"]};
  `manifest` is the CID of the bundle's manifest")]
pub struct Export {
    /// The file to write; - is the standard output
    file: PathBuf,
    /// One DAG-JSON object for each event in place of a bundle
    #[arg(long)]
    json_lines: bool,
    /// Only this aggregate; may be given several times
    #[arg(long, value_name = "KIND/ID", conflicts_with = "filter")]
    aggregate: Vec<String>,
    /// Only the aggregates that have events on these public subjects
    #[arg(long, value_name = "SUBJECT")]
    filter: Option<String>,
    /// Only what is new since an earlier bundle; give all of those that were made one since the other
    #[arg(long, value_name = "BUNDLE", conflicts_with = "after")]
    since: Vec<PathBuf>,
    /// Only what is new behind a position of this store
    #[arg(long, value_name = "POSITION")]
    after: Option<u64>,
    /// Puts a signed checkpoint of the store into the bundle
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Signs the bundle, with a key of this name
    #[arg(long, value_name = "NAME", conflicts_with = "json_lines")]
    sign_as: Option<String>,
    /// The file with the signing key
    #[arg(long, env = "CIM_ES_KEY_FILE", value_name = "FILE")]
    key: Option<PathBuf>,
    /// Encrypts the file to this recipient, such as `cim-es identity new` prints; may be given several times
    #[arg(long, value_name = "RECIPIENT")]
    recipient: Vec<String>,
    /// Encrypts the file to the recipients in this file, one on each line
    #[arg(long, value_name = "FILE")]
    recipients_file: Option<PathBuf>,
    /// Reads the bundles of --since with an identity in this file, where they are encrypted
    #[arg(long, value_name = "FILE", requires = "since")]
    identity: Vec<PathBuf>,
    /// Says in the bundle where it comes from
    #[arg(long, value_name = "TEXT")]
    source: Option<String>,
    /// Says in the bundle when it was made, so that equal contents are equal files
    #[arg(long, value_name = "TIME")]
    created: Option<Timestamp>,
    /// Writes in place of a file that is there
    #[arg(long)]
    force: bool,
}

#[derive(Serialize)]
struct ExportJson {
    file: String,
    events: u64,
    aggregates: usize,
    bytes: u64,
    manifest: String,
    drawn_in: Vec<String>,
}

impl Export {
    pub async fn run(
        &self,
        store: &Store,
        output: &mut Output,
        json: bool,
        interrupt: &Interrupt,
    ) -> Result<(), Failure> {
        let to_output = self.file == Path::new("-");
        if !to_output && !self.force && self.file.exists() {
            let message = format!("{} is there already", self.file.display());
            return Err(Failure::usage(message)
                .help("give another name, or `--force` to write in its place"));
        }
        if to_output && !self.json_lines && std::io::stdout().is_terminal() {
            return Err(Failure::usage("a bundle is nothing for a terminal")
                .help("name a file, or give the output to a program, as `… export - | …` does"));
        }
        let bar = Bar::new("exporting");
        let export = self.choice(store).await?.on_progress(bar.teller());
        let canceller = export.canceller();
        let work = async {
            match (to_output, self.json_lines) {
                (true, true) => export.write_json_lines(buffered()).await,
                (true, false) => export.write_bundle(buffered()).await,
                (false, true) => export.json_lines_to(&self.file).await,
                (false, false) => export.bundle_to(&self.file).await,
            }
        };
        let exported = bar.ending(interrupt, &canceller, work).await;
        let exported = exported.map_err(Failure::from);
        if matches!(&exported, Err(failure) if failure.kind == Kind::Interrupted) {
            output.note(match to_output {
                true => "interrupted",
                false => "interrupted; no file was written",
            })?;
        }
        let exported = exported?;
        match to_output {
            true => Ok(()),
            false => self.report(output, &exported, json),
        }
    }

    async fn choice(&self, store: &Store) -> Result<bundle::Export, Failure> {
        let mut export = bundle::Export::new(store.shared());
        if !self.aggregate.is_empty() {
            let mut keys = Vec::new();
            for text in &self.aggregate {
                let key = cursor(text)?;
                if store.events().last(&key).await?.is_none() {
                    return Err(meant::no_aggregate(store, &key).await?);
                }
                keys.push(key);
            }
            export = export.aggregates(keys);
        }
        if let Some(filter) = &self.filter {
            let selection = Selection::subjects(filter.clone());
            selection.check().map_err(StoreError::from)?;
            meant::check_subject(store, filter).await?;
            export = export.selection(selection);
        }
        if !self.since.is_empty() {
            let mut manifests = Vec::new();
            let identities = identities(&self.identity)?;
            for file in &self.since {
                manifests.extend(manifest(file, identities.as_deref()).await?);
            }
            export = export.since(Since::bundles(&manifests));
        }
        if let Some(after) = self.after {
            export = export.since(Bookmark::from(meant::position(store, after).await?));
        }
        if let Some(path) = &self.checkpoint {
            // What is no checkpoint is of no use to who gets it.
            super::checkpoint::read(path)?;
            export = export.checkpoint(super::checkpoint::read_text(path)?);
        }
        if let Some(name) = &self.sign_as {
            let Some(key) = &self.key else {
                return Err(Failure::usage("with which key?")
                    .help("give `--key FILE`, or set `CIM_ES_KEY_FILE` to the file"));
            };
            export = export.signed_by(super::checkpoint::signing_key(name, key)?);
        }
        if let Some(recipients) = recipients(&self.recipient, self.recipients_file.as_deref())? {
            export = export.encrypted_to(recipients);
        }
        if let Some(source) = &self.source {
            export = export.source(source.clone());
        }
        if let Some(created) = self.created {
            export = export.created(created);
        }
        Ok(export)
    }

    fn report(&self, output: &mut Output, exported: &Exported, json: bool) -> Result<(), Failure> {
        let drawn_in = exported.drawn_in.iter();
        let report = ExportJson {
            file: self.file.display().to_string(),
            events: exported.manifest.events(),
            aggregates: exported.manifest.aggregates.len(),
            bytes: exported.bytes,
            manifest: exported.manifest.cid().to_string(),
            drawn_in: drawn_in
                .map(|key| format!("{}/{}", key.kind(), key.id()))
                .collect(),
        };
        if json {
            return output.json(&report);
        }
        output.line(&format!(
            "{}: {} of {}, {} bytes",
            report.file,
            counted(report.events, "event"),
            counted(report.aggregates as u64, "aggregate"),
            report.bytes
        ))?;
        match report.drawn_in.is_empty() {
            true => Ok(()),
            false => output.note(&format!(
                "these came along, since they have a commit in common with what was asked for: {}",
                report.drawn_in.join(", ")
            )),
        }
    }
}

/// The manifest of an earlier bundle, which may be encrypted.
async fn manifest(
    file: &Path,
    identities: Option<&[AgeIdentity]>,
) -> Result<Option<Manifest>, BundleError> {
    let plain = bundle::Import::bundle(file).manifest().await;
    match (plain, identities) {
        (Err(BundleError::Refused { fault, .. }), Some(identities))
            if matches!(*fault, BundleFault::Encrypted) =>
        {
            let import = bundle::Import::bundle(file);
            let import = import.decrypted_with(identities.iter().cloned());
            import.manifest().await
        }
        (plain, _) => plain,
    }
}

fn buffered() -> std::io::BufWriter<std::io::Stdout> {
    std::io::BufWriter::with_capacity(64 * 1024, std::io::stdout())
}
