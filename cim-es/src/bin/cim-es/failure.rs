//! What ends the program before it is done, and what a script is told.

use std::io::ErrorKind;

use anstream::eprintln;
use cim_es::ErrorChain;
use cim_es::age::AgeKeyError;
use cim_es::bundle::BundleError;
use cim_es::dag::DagError;
use cim_es::jetstream::{ConfigError, ConnectError};
use cim_es::proof::{CheckpointError, KeyError, ProofError};
use cim_es::replay::ReplayError;
use cim_es::store::StoreError;
use cim_es::subscription::SubscriptionError;
use clap::builder::styling::{AnsiColor, Style};

use crate::commands::identity;
use crate::output::shown;

/// Which exit status a failure has; `cim-es --help` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something was found that should not be.
    Findings,
    /// What was asked cannot be asked of this store.
    Usage,
    /// The store cannot be opened, reached or used.
    Store,
    /// What was to be brought in does not hold, or does not fit the store.
    Refused,
    /// Anything else, such as a file that cannot be written.
    Other,
    /// `doctor` found nothing damaged, but what should be changed.
    Advice,
    /// Somebody interrupted the program.
    Interrupted,
    /// Nobody reads the output any more, as behind `| head`: no failure at all.
    ClosedPipe,
}

/// Why the program ends before it is done.
#[derive(Debug)]
pub struct Failure {
    pub kind: Kind,
    /// One sentence; empty where everything was said already.
    message: String,
    /// What to do next.
    help: Option<String>,
}

impl Kind {
    /// The exit status.
    pub fn code(self) -> u8 {
        match self {
            Self::ClosedPipe => 0,
            Self::Findings => 1,
            Self::Usage => 2,
            Self::Store => 3,
            Self::Refused => 4,
            Self::Other => 5,
            Self::Advice => 6,
            Self::Interrupted => 130,
        }
    }
}

impl Failure {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            help: None,
        }
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// Where what is wrong was printed as the answer.
    pub fn findings() -> Self {
        Self::new(Kind::Findings, "")
    }

    /// A file beside the store that cannot be read or written.
    pub fn file(what: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::new(Kind::Other, format!("{what} {}: {error}", path.display()))
    }

    /// Says what to do next.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Tells the person, on stderr.
    pub fn print(&self) {
        if self.message.is_empty() {
            return;
        }
        let bold = |color: AnsiColor| Style::new().bold().fg_color(Some(color.into()));
        let (error, help) = (bold(AnsiColor::Red), bold(AnsiColor::Cyan));
        eprintln!("{error}error:{error:#} {}", shown(&self.message));
        if let Some(text) = &self.help {
            eprintln!("{help} help:{help:#} {}", shown(text));
        }
    }
}

impl Failure {
    /// Tells the person without ending the program.
    pub fn print_as_note(&self) {
        let help = self.help.as_deref().unwrap_or_default();
        eprintln!("note: {}; {}", shown(&self.message), shown(help));
    }
}

impl From<std::io::Error> for Failure {
    /// Of the output.
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::new(Kind::ClosedPipe, ""),
            _ => Self::new(
                Kind::Other,
                format!("the output cannot be written: {error}"),
            )
            .help("look whether the disk is full"),
        }
    }
}

fn kind_of(error: &StoreError) -> Kind {
    match error {
        StoreError::PartlyStored(partly) => kind_of(&partly.source),
        StoreError::Damaged(_) => Kind::Findings,
        StoreError::NothingSelected(_) | StoreError::Id(_) => Kind::Usage,
        StoreError::Unproved(_)
        | StoreError::InvalidCommit { .. }
        | StoreError::Diverged { .. }
        | StoreError::MissingPredecessor { .. }
        | StoreError::Payload(_) => Kind::Refused,
        _ => Kind::Store,
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let failure = Self::new(kind_of(&error), ErrorChain(&error).to_string());
        match error {
            StoreError::Damaged(_) => failure.help("`cim-es verify` tells all that is damaged"),
            StoreError::Engine { .. } => {
                failure.help("`cim-es doctor` looks at the store as a whole")
            }
            StoreError::KeptLevel { .. } => failure.help(
                "end that program, or have it do so itself (`HybridEventStore::resend`, `discard` and `keep_theirs`)",
            ),
            _ => failure,
        }
    }
}

impl From<BundleError> for Failure {
    fn from(error: BundleError) -> Self {
        let kind = match &error {
            BundleError::File { source, .. } if source.kind() == ErrorKind::BrokenPipe => {
                return Self::new(Kind::ClosedPipe, "");
            }
            BundleError::Refused { .. }
            | BundleError::MissingPrerequisites(_)
            | BundleError::Diverged(_) => Kind::Refused,
            BundleError::Nothing { .. }
            | BundleError::HeadsCutACommit { .. }
            | BundleError::InsideACommit { .. }
            | BundleError::OtherHeads { .. }
            | BundleError::OtherCheckpoint { .. }
            | BundleError::WrongKey { .. } => Kind::Usage,
            BundleError::Store(error) | BundleError::NotStored { source: error, .. } => {
                kind_of(error)
            }
            BundleError::Cancelled => return Self::new(Kind::Interrupted, ""),
            BundleError::Changed { .. } => Kind::Store,
            _ => Kind::Other,
        };
        let failure = Self::new(kind, ErrorChain(&error).to_string());
        if let Some(help) = identity::help(&error) {
            return failure.help(help);
        }
        match error {
            BundleError::Diverged(_) => {
                failure.help("`--others` imports the other aggregates alone")
            }
            BundleError::Refused { .. } => {
                failure.help("nothing was stored; have it sent again, and compare its digest")
            }
            BundleError::NotJson { .. } => failure.help("leave `--json-lines` out"),
            _ => failure,
        }
    }
}

impl From<DagError> for Failure {
    fn from(error: DagError) -> Self {
        let kind = match &error {
            DagError::Store(error) => kind_of(error),
            DagError::NotThere { .. } | DagError::Cid(_) => Kind::Usage,
            _ => Kind::Other,
        };
        Self::new(kind, ErrorChain(&error).to_string())
    }
}

impl From<ReplayError> for Failure {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Store(error) => error.into(),
            error => Self::new(Kind::Other, ErrorChain(&error).to_string()),
        }
    }
}

impl From<SubscriptionError> for Failure {
    fn from(error: SubscriptionError) -> Self {
        let kind = match &error {
            SubscriptionError::NotThere { .. } | SubscriptionError::Setting { .. } => Kind::Usage,
            _ => Kind::Store,
        };
        Self::new(kind, ErrorChain(&error).to_string())
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        let kind = match &error {
            KeyError::NotMade { .. } | KeyError::NotRandom { .. } => Kind::Other,
            _ => Kind::Usage,
        };
        let failure = Self::new(kind, ErrorChain(&error).to_string());
        match error {
            KeyError::NotMade { source, .. } if source.kind() == ErrorKind::AlreadyExists => {
                failure.help("give another name: a key is never written over")
            }
            KeyError::NotMade { .. } | KeyError::NotRandom { .. } => failure,
            _ => failure.help(
                "a key file holds an nkeys seed, an Ed25519 key as PEM, or a signer of notes; `cim-es checkpoint new-key` makes one",
            ),
        }
    }
}

impl From<AgeKeyError> for Failure {
    fn from(error: AgeKeyError) -> Self {
        let kind = match &error {
            AgeKeyError::NotMade { .. } | AgeKeyError::NotRandom { .. } => Kind::Other,
            _ => Kind::Usage,
        };
        let failure = Self::new(kind, ErrorChain(&error).to_string());
        match error {
            AgeKeyError::NotMade { source, .. } if source.kind() == ErrorKind::AlreadyExists => {
                failure.help("give another name: an identity is never written over")
            }
            AgeKeyError::NotMade { .. } | AgeKeyError::NotRandom { .. } => failure,
            _ => failure
                .help("`cim-es identity new FILE` makes an identity, and prints its recipient"),
        }
    }
}

impl From<ProofError> for Failure {
    fn from(error: ProofError) -> Self {
        Self::new(Kind::Refused, ErrorChain(&error).to_string())
    }
}

impl From<CheckpointError> for Failure {
    fn from(error: CheckpointError) -> Self {
        let kind = match &error {
            CheckpointError::HistoryChanged(_) => Kind::Findings,
            CheckpointError::Store(error) => kind_of(error),
            CheckpointError::Proof(_) => Kind::Refused,
            CheckpointError::NoSuchEvent { .. }
            | CheckpointError::NotCovered { .. }
            | CheckpointError::TooShort { .. } => Kind::Usage,
            _ => Kind::Other,
        };
        let failure = Self::new(kind, ErrorChain(&error).to_string());
        match error {
            CheckpointError::Tiles { .. } => {
                failure.help("`cim-es checkpoint make --all` makes them again")
            }
            CheckpointError::TooShort { .. } => failure.help("`cim-es checkpoint make` does"),
            _ => failure,
        }
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        Self::new(Kind::Store, ErrorChain(&error).to_string()).help(
            "`--creds FILE`, `--config FILE` and the variables `CIM_ES_NATS_…` say how to log in",
        )
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::usage(ErrorChain(&error).to_string())
    }
}
