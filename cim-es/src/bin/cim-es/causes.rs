//! What the failures of the library are to a person: which exit status each has, and what to do next.

use std::io::ErrorKind;

use cim_es::ErrorChain;
use cim_es::age::AgeKeyError;
use cim_es::bundle::{BundleError, BundleFault};
use cim_es::dag::DagError;
use cim_es::jetstream::{ConfigError, ConnectError};
use cim_es::proof::{CheckpointError, KeyError, ProofError};
use cim_es::replay::ReplayError;
use cim_es::store::StoreError;
use cim_es::subscription::SubscriptionError;

use crate::commands::identity;
use crate::contents::Contents;
use crate::failure::{Failure, Kind};

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
            BundleError::File { file, source, .. } => failure.help_with_file(&file, source.kind()),
            BundleError::Refused { file, .. } if Contents::of(&file) == Contents::Store => {
                let store = file.display();
                failure.help(format!("it is a store: `cim-es -s {store} export FILE` makes a file of it that another store imports"))
            }
            BundleError::Refused { fault, .. } => match *fault {
                BundleFault::Unsigned
                | BundleFault::Signature { .. }
                | BundleFault::Newer { .. } => failure,
                _ => failure.help("have it sent again, and compare its digest"),
            },
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
            KeyError::NotMade { .. } | KeyError::NotRandom { .. } | KeyError::File { .. } => {
                Kind::Other
            }
            _ => Kind::Usage,
        };
        let failure = Self::new(kind, ErrorChain(&error).to_string());
        match error {
            KeyError::NotMade { source, .. } if source.kind() == ErrorKind::AlreadyExists => {
                failure.help("give another name: a key is never written over")
            }
            KeyError::NotMade { .. } | KeyError::NotRandom { .. } => failure,
            KeyError::File { path, source } => failure.help_with_file(&path, source.kind()),
            KeyError::Name { .. } => failure,
            _ => failure.help(
                "a key file holds an nkeys seed, an Ed25519 key as PEM, or a signer of notes; `cim-es checkpoint new-key` makes one",
            ),
        }
    }
}

impl From<AgeKeyError> for Failure {
    fn from(error: AgeKeyError) -> Self {
        let kind = match &error {
            AgeKeyError::NotMade { .. }
            | AgeKeyError::NotRandom { .. }
            | AgeKeyError::File { .. } => Kind::Other,
            _ => Kind::Usage,
        };
        let failure = Self::new(kind, ErrorChain(&error).to_string());
        match error {
            AgeKeyError::NotMade { source, .. } if source.kind() == ErrorKind::AlreadyExists => {
                failure.help("give another name: an identity is never written over")
            }
            AgeKeyError::NotMade { .. } | AgeKeyError::NotRandom { .. } => failure,
            AgeKeyError::File { path, source } => failure.help_with_file(&path, source.kind()),
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
            CheckpointError::Kept {
                source: ProofError::OtherOrigin { .. },
                ..
            } => Kind::Usage,
            _ => Kind::Other,
        };
        let failure = Self::new(kind, ErrorChain(&error).to_string());
        match error {
            CheckpointError::Tiles { .. } => {
                failure.help("`cim-es checkpoint make --all` makes them again")
            }
            CheckpointError::TooShort { .. } => failure.help("`cim-es checkpoint make` does"),
            CheckpointError::Kept {
                source: ProofError::OtherOrigin { .. },
                ..
            } => failure.help(
                "give the origin of that log with `--origin`, or the hashes of this one a directory of their own with `--tiles`",
            ),
            _ => failure,
        }
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        let failure = Self::new(Kind::Store, ErrorChain(&error).to_string());
        match error {
            ConnectError::LoginRefused { .. } | ConnectError::NoJetStream { .. } => failure.help(
                "`--creds FILE`, `--config FILE` and the variables `CIM_ES_NATS_…` say how to log in",
            ),
            ConnectError::Unreachable { .. } => failure.help(
                "look at the address: `-s nats://HOST:PORT/STREAM`, port 4222 where none is given",
            ),
            _ => failure,
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::usage(ErrorChain(&error).to_string())
    }
}
