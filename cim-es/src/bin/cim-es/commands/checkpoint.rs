//! `checkpoint`: what a store has, fixed by a signature.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use cim_es::message::{Clock as _, SystemClock};
use cim_es::proof::{
    CheckpointLog, ConsistencyProof, KeyError, ProofError, Reading, SignedCheckpoint, SigningKey,
    Tiles, Trust, Witness,
};
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::failure::Failure;
use crate::kept::replace;
use crate::output::{Output, counted};
use crate::progress::Bar;
use crate::store::{Access, Store};

/// Signs what the store has, and compares the store with what was signed
#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  cim-es checkpoint new-key --origin example.org/library --key library.pem >> keys.txt
  cim-es -s library.db checkpoint make --origin example.org/library --key library.pem > library.checkpoint
  cim-es -s library.db checkpoint audit library.checkpoint --trust keys.txt
  cim-es checkpoint key --origin example.org/library --key library.pem >> keys.txt")]
pub enum Checkpoint {
    Make(Make),
    Audit(Audit),
    Check(Check),
    Cosign(Cosign),
    NewKey(NewKey),
    Key(Key),
}

/// Where the hashes of a store are kept.
#[derive(Args)]
pub struct TilesPlace {
    /// The directory with the hashes of the store; beside the file, or called after the stream, by default
    #[arg(long, value_name = "DIRECTORY")]
    tiles: Option<PathBuf>,
}

impl TilesPlace {
    pub fn of(&self, store: &Store) -> Result<Tiles, Failure> {
        let directory = self.tiles.clone().unwrap_or_else(|| {
            let mut name = store.name().into_os_string();
            name.push(".tiles");
            PathBuf::from(name)
        });
        match directory.is_dir() || !directory.exists() {
            true => Ok(Tiles::in_directory(directory)),
            false => Err(
                Failure::usage(format!("{} is not a directory", directory.display()))
                    .help("the hashes are kept in one: name another with `--tiles DIRECTORY`"),
            ),
        }
    }
}

/// Signs a checkpoint over all events, and prints it
///
/// Before it signs, it makes sure that what the last checkpoint covers is still there.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cim-es -s library.db checkpoint make --origin example.org/library --key library.pem
  cim-es -s library.db checkpoint make --origin example.org/library --key library.pem --all --copy /mnt/other/library.checkpoint

JSON, one object: {\"origin\",\"size\",\"root\",\"checkpoint\"}; `checkpoint` is the signed text")]
pub struct Make {
    /// What the checkpoints are of, such as example.org/library: the name of the key
    #[arg(long)]
    origin: String,
    /// The file with the signing key
    #[arg(long, env = "CIM_ES_KEY_FILE", value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    tiles: TilesPlace,
    /// Reads all events again, in place of those that are new
    #[arg(long)]
    all: bool,
    /// Keeps the last checkpoint in this file as well, best on another machine's disk; may be given several times
    #[arg(long, value_name = "FILE")]
    copy: Vec<PathBuf>,
}

/// Compares the store with an earlier checkpoint: every event that it covers is read
#[derive(Args)]
#[command(after_help = "\
Examples:
  cim-es -s library.db checkpoint audit library.checkpoint --trust keys.txt

JSON, one object: {\"origin\",\"size\",\"root\",\"checkpoint\"}. It ends with status 1 where the history was changed.")]
pub struct Audit {
    #[command(flatten)]
    checked: Check,
    #[command(flatten)]
    tiles: TilesPlace,
}

/// Checks the signatures of a checkpoint, without a store
#[derive(Args)]
#[command(after_help = "\
Examples:
  cim-es checkpoint check library.checkpoint --trust keys.txt
  cim-es checkpoint check library.checkpoint --trust keys.txt --quorum 2

JSON, one object: {\"origin\",\"size\",\"root\",\"checkpoint\"}")]
pub struct Check {
    /// The checkpoint
    checkpoint: PathBuf,
    #[command(flatten)]
    trust: Trusted,
}

/// Whose signatures count.
#[derive(Args)]
pub struct Trusted {
    /// A file with the public keys that are trusted, one on each line
    #[arg(long, value_name = "FILE")]
    trust: PathBuf,
    /// How many trusted witnesses must have cosigned
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    quorum: usize,
}

impl Trusted {
    pub fn read(&self) -> Result<Trust, Failure> {
        Ok(trust(&self.trust)?.quorum(self.quorum))
    }
}

/// Cosigns the checkpoint of a proof of growth as a witness, and prints it
#[derive(Args)]
#[command(after_help = "\
Examples:
  cim-es checkpoint cosign growth.proof --name example.net/witness --key witness.pem --trust keys.txt --last last.checkpoint

JSON, one object: {\"origin\",\"size\",\"root\",\"checkpoint\"}")]
pub struct Cosign {
    /// The proof, as `cim-es prove growth` makes it
    proof: PathBuf,
    /// The name of the witness
    #[arg(long)]
    name: String,
    /// The file with the witness's key
    #[arg(long, env = "CIM_ES_KEY_FILE", value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    trust: Trusted,
    /// The last checkpoint that this witness cosigned, which is replaced with the new one; made if it is not there
    #[arg(long, value_name = "FILE")]
    last: PathBuf,
}

/// Makes a file with a new signing key, and prints the public key, by which others trust it
///
/// The file can be read by its owner alone. One that is there is never written over.
#[derive(Args)]
#[command(after_help = "\
Examples:
  cim-es checkpoint new-key --origin example.org/library --key library.pem >> keys.txt

JSON, one object: {\"key\"}")]
pub struct NewKey {
    /// The name of the key: what its checkpoints are of, or that of the witness
    #[arg(long)]
    origin: String,
    /// The file that is made
    #[arg(long, env = "CIM_ES_KEY_FILE", value_name = "FILE")]
    key: PathBuf,
    /// The key is that of a witness
    #[arg(long)]
    witness: bool,
}

/// Prints the public key, by which others trust the checkpoints
#[derive(Args)]
#[command(after_help = "\
Examples:
  cim-es checkpoint key --origin example.org/library --key library.pem

JSON, one object: {\"key\"}")]
pub struct Key {
    /// The name of the key: what its checkpoints are of, or that of the witness
    #[arg(long)]
    origin: String,
    /// The file with the signing key
    #[arg(long, env = "CIM_ES_KEY_FILE", value_name = "FILE")]
    key: PathBuf,
    /// The key is that of a witness
    #[arg(long)]
    witness: bool,
}

#[derive(Serialize)]
struct CheckpointJson {
    origin: String,
    size: u64,
    root: String,
    checkpoint: String,
}

#[derive(Serialize)]
struct KeyJson {
    key: String,
}

impl Checkpoint {
    pub fn access(&self) -> Option<Access> {
        match self {
            Self::Make(_) | Self::Audit(_) => Some(Access::Read),
            Self::Check(_) | Self::Cosign(_) | Self::NewKey(_) | Self::Key(_) => None,
        }
    }

    pub async fn run(&self, store: &Store, output: &mut Output, json: bool) -> Result<(), Failure> {
        match self {
            Self::Make(command) => command.run(store, output, json).await,
            Self::Audit(command) => command.run(store, output, json).await,
            _ => Ok(()),
        }
    }

    pub fn run_alone(&self, output: &mut Output, json: bool) -> Result<(), Failure> {
        match self {
            Self::Check(command) => {
                let signed = command.verified()?;
                print(output, &signed, json)
            }
            Self::Cosign(command) => command.run(output, json),
            Self::NewKey(command) => command.run(output, json),
            Self::Key(command) => command.run(output, json),
            _ => Ok(()),
        }
    }
}

impl Make {
    async fn run(&self, store: &Store, output: &mut Output, json: bool) -> Result<(), Failure> {
        let key = signing_key(&self.origin, &self.key)?;
        let mut log = CheckpointLog::new(store.shared(), &self.origin, self.tiles.of(store)?);
        for copy in &self.copy {
            log = log.with_copy(copy);
        }
        let reading = match self.all {
            true => Reading::All,
            false => Reading::New,
        };
        let last = store.events().last_position().await?;
        let bar = Bar::new("reading the events");
        let shown = bar.clone();
        let log = log.on_progress(move |events| shown.show(events, Some(last.0)));
        let signed = log.checkpoint(&key, reading).await;
        drop(bar);
        print(output, &signed?, json)
    }
}

impl Audit {
    async fn run(&self, store: &Store, output: &mut Output, json: bool) -> Result<(), Failure> {
        let signed = self.checked.verified()?;
        let checkpoint = signed.unverified();
        let log = CheckpointLog::new(store.shared(), checkpoint.origin(), self.tiles.of(store)?);
        let bar = Bar::new("comparing the events");
        let (shown, size) = (bar.clone(), checkpoint.size());
        let log = log.on_progress(move |events| shown.show(events, Some(size)));
        let audited = log.audit(checkpoint).await;
        drop(bar);
        audited?;
        if json {
            return print(output, &signed, json);
        }
        output.line(&format!(
            "the first {} of {} are those that were signed",
            counted(checkpoint.size(), "event"),
            checkpoint.origin()
        ))
    }
}

impl Check {
    fn verified(&self) -> Result<SignedCheckpoint, Failure> {
        let signed = read(&self.checkpoint)?;
        signed.verify(&self.trust.read()?)?;
        Ok(signed)
    }
}

impl Cosign {
    fn run(&self, output: &mut Output, json: bool) -> Result<(), Failure> {
        let key = signing_key(&self.name, &self.key)?.for_witness();
        let trust = self.trust.read()?;
        let proof: ConsistencyProof = parsed(&self.proof)?;
        let last = match self.last.exists() {
            true => Some(read(&self.last)?.verify(&trust)?),
            false => None,
        };
        let witness = Witness::new(key, trust)?;
        let seen = last.as_ref().map_or(0, |last| last.size());
        let signed = witness.cosign(last.as_ref(), &proof, SystemClock.now());
        let signed = signed.map_err(|error| {
            let failure = Failure::from(error);
            match (proof.old_size() == seen, &last) {
                (true, _) => failure,
                (false, None) => failure.help("this witness has cosigned nothing yet, and needs a proof that begins with nothing: `cim-es prove growth` without a checkpoint makes one"),
                (false, Some(_)) => failure.help(format!(
                    "this witness has cosigned {seen} events, and needs a proof that begins there: `cim-es prove growth {}` makes one",
                    self.last.display()
                )),
            }
        })?;
        replace(&self.last, signed.to_string().as_bytes())
            .map_err(|error| Failure::file("cannot write", &self.last, &error))?;
        print(output, &signed, json)
    }
}

impl NewKey {
    fn run(&self, output: &mut Output, json: bool) -> Result<(), Failure> {
        let key = SigningKey::create(&self.origin, &self.key)?;
        print_key(output, key, self.witness, json)
    }
}

impl Key {
    fn run(&self, output: &mut Output, json: bool) -> Result<(), Failure> {
        let key = signing_key(&self.origin, &self.key)?;
        print_key(output, key, self.witness, json)
    }
}

fn print_key(
    output: &mut Output,
    key: SigningKey,
    is_witness: bool,
    json: bool,
) -> Result<(), Failure> {
    let key = match is_witness {
        true => key.for_witness(),
        false => key,
    };
    let key = key.verifying_key().to_string();
    match json {
        true => output.json(&KeyJson { key }),
        false => output.line(&key),
    }
}

fn print(output: &mut Output, signed: &SignedCheckpoint, json: bool) -> Result<(), Failure> {
    let checkpoint = signed.unverified();
    let text = signed.to_string();
    if !json {
        return output.line(text.trim_end_matches('\n'));
    }
    output.json(&CheckpointJson {
        origin: checkpoint.origin().to_owned(),
        size: checkpoint.size(),
        root: checkpoint.root().to_string(),
        checkpoint: text,
    })
}

/// The checkpoint in a file.
pub fn read(path: &Path) -> Result<SignedCheckpoint, Failure> {
    parsed(path)
}

/// What a file says.
pub fn parsed<T: FromStr<Err = ProofError>>(path: &Path) -> Result<T, Failure> {
    let parsed = read_text(path)?.parse();
    parsed.map_err(|error| Failure::from(error).about(path.display()))
}

/// The text in a file.
pub fn read_text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::file("cannot read", path, &error))
}

/// The key in a file, with the name that it must have.
pub fn signing_key(name: &str, path: &Path) -> Result<SigningKey, Failure> {
    SigningKey::read(name, path).map_err(|error| of_file(error, path))
}

/// The keys that are trusted.
pub fn trust(path: &Path) -> Result<Trust, Failure> {
    Trust::read(path).map_err(|error| match error {
        KeyError::Malformed { .. } => of_file(error, path).help(
            "a file of trusted keys has one on each line, as `cim-es checkpoint key` prints them",
        ),
        error => of_file(error, path),
    })
}

/// Names the file where the error does not.
fn of_file(error: KeyError, path: &Path) -> Failure {
    match error {
        KeyError::Malformed { .. } | KeyError::OtherName { .. } => {
            Failure::from(error).about(path.display())
        }
        error => error.into(),
    }
}
