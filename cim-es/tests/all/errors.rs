//! Each error says one thing, and leaves what led to it to its source: a chain of them says everything once.

use std::error::Error;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cim_es::ErrorChain;
use cim_es::aggregate::UniqueName;
use cim_es::block::{Cid, Fault, HashCode, Place};
use cim_es::document::DocumentError;
use cim_es::event::PayloadError;
use cim_es::hybrid::HybridError;
use cim_es::machine::UnexpectedEvent;
use cim_es::projection;
use cim_es::projection::correlation::ConversationError;
use cim_es::replay::{ReplayError, ReplayFailure};
use cim_es::repository::{ExecuteError, LoadError, ScopeError, TogetherError};
use cim_es::store::read_model::ReadModelError;
use cim_es::store::{
    AggregateKey, AnotherHistory, Bookmark, BranchError, Damage, Location, ObjectError,
    PartlyStored, Position, SealedOutcome, SelectionError, StoreError,
};
use cim_es::subject::{Token, TokenError};

/// An error of a domain that has a cause.
#[derive(Debug)]
struct TooFull(std::num::ParseIntError);

impl fmt::Display for TooFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the shelf is full")
    }
}

impl Error for TooFull {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

fn too_full() -> TooFull {
    TooFull("many".parse::<u8>().unwrap_err())
}

fn cid() -> Cid {
    HashCode::Sha2_256.cid(b"a block")
}

fn damaged() -> StoreError {
    let place = Place {
        cid: cid(),
        position: Position(7),
        sequence: Some(2),
    };
    let fault = Fault::Fork { other: cid() };
    fault
        .at(place)
        .into_damage(Location::File("library.db".into()))
}

fn unreadable() -> PayloadError {
    PayloadError::NotReadable {
        event_type: "library.book.lent".into(),
        schema: 1,
        reason: "no field `reader`".into(),
    }
}

fn key() -> AggregateKey {
    AggregateKey::new("library.book", Token::new("b1").unwrap())
}

fn token() -> TokenError {
    Token::new("a b").unwrap_err()
}

fn engine() -> StoreError {
    StoreError::Engine {
        location: Location::Stream("LIBRARY".into()),
        operation: "reading",
        source: Arc::new(std::io::Error::other("the disk is gone")),
    }
}

fn partly_stored() -> PartlyStored {
    PartlyStored {
        location: Location::Stream("EVENTS".to_owned()),
        outcomes: vec![SealedOutcome::NotSent, SealedOutcome::Failed(engine())],
        first: 1,
        source: Box::new(engine()),
    }
}

/// Every public error that has a source, by its type: each way in which it can have one.
fn errors() -> Vec<(&'static str, Box<dyn Error>)> {
    let aggregate = || Box::new(key());
    let store: Vec<StoreError> = vec![
        damaged(),
        engine(),
        StoreError::NothingSelected(SelectionError::NoPartition),
        StoreError::Payload(unreadable()),
        StoreError::PartlyStored(Box::new(partly_stored())),
        StoreError::AnotherHistory(Box::new(AnotherHistory {
            location: Location::Memory,
            known: Bookmark::START,
            last: Position::START,
            found: None,
        })),
        match damaged() {
            StoreError::Damaged(damage) => damage.verdict().unwrap().clone().into(),
            error => error,
        },
    ];
    let load = || {
        vec![
            LoadError::Store(damaged()),
            LoadError::Unreadable {
                aggregate: aggregate(),
                cid: cid(),
                version: 2,
                source: unreadable(),
            },
            LoadError::UnexpectedEvent {
                aggregate: aggregate(),
                cid: cid(),
                version: 2,
                source: UnexpectedEvent {
                    state: "Lent",
                    event: "Lent",
                },
            },
            LoadError::NameScope(ScopeError::Token(token())),
        ]
    };
    let execute = || {
        let mut all = vec![
            ExecuteError::Refused(too_full()),
            ExecuteError::NameScope {
                name: UniqueName::new("a b", 1),
                source: token().into(),
            },
            ExecuteError::Payload(unreadable()),
            ExecuteError::MayHaveTakenEffect {
                message_id: uuid::Uuid::nil(),
                aggregate: aggregate(),
                source: damaged(),
            },
            ExecuteError::Store(engine()),
        ];
        all.extend(load().into_iter().map(ExecuteError::Load));
        all.extend(load().into_iter().map(ExecuteError::StoredAndNotFolded));
        all
    };
    let one_of_several = execute()
        .into_iter()
        .map(|error| ExecuteError::OneOfSeveral {
            place: 1,
            of: 2,
            command: "Lend",
            reason: Box::new(error),
        });
    let one_of_several: Vec<_> = one_of_several.collect();
    let mut together = vec![
        TogetherError::Load(LoadError::Store(damaged())),
        TogetherError::Store(engine()),
    ];
    together.extend(one_of_several.iter().map(|error| TogetherError::Aggregate {
        aggregate: aggregate(),
        reason: error.to_string().into(),
    }));

    let mut errors: Vec<(&'static str, Box<dyn Error>)> = Vec::new();
    errors.extend(store.into_iter().map(|it| ("StoreError", it.into())));
    errors.push((
        "Damage",
        match damaged() {
            StoreError::Damaged(damage) => damage,
            error => error.into(),
        },
    ));
    errors.push(("PartlyStored", Box::new(partly_stored())));
    errors.push(("ScopeError", Box::new(ScopeError::Token(token()))));
    errors.push((
        "SelectionError",
        Box::new(StoreError::NothingSelected(SelectionError::NoSubject)),
    ));
    errors.extend(load().into_iter().map(|it| ("LoadError", it.into())));
    errors.extend(execute().into_iter().map(|it| ("ExecuteError", it.into())));
    errors.extend(
        one_of_several
            .into_iter()
            .map(|it| ("ExecuteError", it.into())),
    );
    errors.extend(together.into_iter().map(|it| ("TogetherError", it.into())));
    errors.extend(of_views());
    errors.push(("ObjectError", Box::new(ObjectError::Store(damaged()))));
    #[cfg(feature = "dag")]
    errors.extend(of_graphs());
    #[cfg(feature = "sqlite")]
    errors.extend(of_tables());
    #[cfg(feature = "car")]
    errors.extend(of_files());
    #[cfg(feature = "encrypt")]
    errors.extend(of_encryption());
    #[cfg(feature = "proof")]
    errors.extend(of_proofs());
    #[cfg(feature = "jetstream")]
    errors.extend(of_jetstream());
    errors
}

/// What can go wrong with views, documents and replays.
fn of_views() -> Vec<(&'static str, Box<dyn Error>)> {
    let storage = || ReadModelError::Storage(damaged());
    let failure = ReplayFailure {
        position: Position(7),
        cid: cid(),
        event_type: "library.book.lent".to_owned(),
        reason: "the shelf is full".to_owned(),
    };
    vec![
        ("ReadModelError", Box::new(storage()) as Box<dyn Error>),
        ("BranchError", Box::new(BranchError::Store(damaged()))),
        ("DocumentError", Box::new(DocumentError::Storage(storage()))),
        (
            "OpenError",
            Box::new(projection::OpenError::Storage(storage())),
        ),
        (
            "OpenError",
            Box::new(projection::OpenError::NothingSelected {
                name: "loans",
                source: SelectionError::NoSubject,
            }),
        ),
        (
            "RebuildError",
            Box::new(projection::RebuildError::NothingSelected {
                name: "loans",
                source: SelectionError::NoSubject,
            }),
        ),
        (
            "ConversationError",
            Box::new(ConversationError::View(DocumentError::Storage(storage()))),
        ),
        (
            "ConversationError",
            Box::new(ConversationError::Store(damaged())),
        ),
        ("HybridError", Box::new(HybridError::Store(damaged()))),
        (
            "HybridError",
            Box::new(HybridError::NotConnected {
                source: Some(Arc::new(engine())),
            }),
        ),
        ("ReplayError", Box::new(ReplayError::Store(damaged()))),
        (
            "ReplayError",
            Box::new(ReplayError::Failed {
                failure: Box::new(failure),
            }),
        ),
    ]
}

#[cfg(feature = "dag")]
fn of_graphs() -> Vec<(&'static str, Box<dyn Error>)> {
    use cim_es::block::parse_cid;
    use cim_es::dag::DagError;

    let no_cid = parse_cid(&[1]).unwrap_err();
    vec![
        (
            "DagError",
            Box::new(DagError::Store(damaged())) as Box<dyn Error>,
        ),
        ("DagError", Box::new(DagError::Cid(no_cid))),
    ]
}

#[cfg(feature = "sqlite")]
fn of_tables() -> Vec<(&'static str, Box<dyn Error>)> {
    use cim_es::store::read_model::TableError;

    let statement = TableError::Statement {
        view: projection::ViewId::new("heads", 1).expect("a name"),
        statement: "SELECT 1 FROM {units}".to_owned(),
        source: Arc::new(std::io::Error::other("there is no such column")),
    };
    let storage = TableError::Storage(ReadModelError::Storage(damaged()));
    vec![
        ("TableError", Box::new(statement) as Box<dyn Error>),
        ("TableError", Box::new(storage)),
    ]
}

#[cfg(feature = "car")]
fn of_files() -> Vec<(&'static str, Box<dyn Error>)> {
    use cim_es::block::{NotDagJson, parse_dag_json};
    use cim_es::bundle::{BundleError, BundleFault};
    use cim_es::car::{CarError, CarFault};

    let gone = || Arc::new(std::io::Error::other("the disk is gone"));
    let failed = CarError::Io {
        doing: "read",
        at: 7,
        source: gone(),
    };
    let bundles = [
        BundleError::File {
            doing: "read",
            file: "library.car".into(),
            source: gone(),
        },
        BundleError::NotJson {
            cid: Box::new(cid()),
            source: NotDagJson { path: "a".into() },
        },
        BundleError::Store(damaged()),
        BundleError::NotStored {
            events: 3,
            source: damaged(),
        },
    ];
    let bundles = bundles.map(|it| ("BundleError", Box::new(it) as Box<dyn Error>));
    let faults = [
        BundleFault::Car(CarFault::Cut { what: "a block" }),
        BundleFault::Json(parse_dag_json("[").unwrap_err()),
    ];
    let faults = faults.map(|it| ("BundleFault", Box::new(it) as Box<dyn Error>));
    let mut all = vec![("CarError", Box::new(failed) as Box<dyn Error>)];
    all.extend(bundles.into_iter().chain(faults));
    all
}

#[cfg(feature = "encrypt")]
fn of_encryption() -> Vec<(&'static str, Box<dyn Error>)> {
    use cim_es::age::{AgeError, AgeFault, AgeKeyError};
    use cim_es::bundle::{BundleError, BundleFault};

    let gone = || Arc::new(std::io::Error::other("the disk is gone"));
    let failed = || AgeError::Io {
        doing: "written",
        source: gone(),
    };
    let keys = [
        AgeKeyError::Line {
            path: "recipients.txt".into(),
            line: 2,
            source: Box::new("age1".parse::<cim_es::age::Recipient>().unwrap_err()),
        },
        AgeKeyError::File {
            path: "ann.identity".into(),
            source: gone(),
        },
        AgeKeyError::NotMade {
            path: "ann.identity".into(),
            source: gone(),
        },
    ];
    let mut errors: Vec<(&str, Box<dyn Error>)> = vec![
        ("AgeError", Box::new(failed())),
        ("BundleError", Box::new(BundleError::Encryption(failed()))),
        (
            "BundleFault",
            Box::new(BundleFault::Age(AgeFault::HeaderChanged)),
        ),
    ];
    errors.extend(keys.map(|it| ("AgeKeyError", Box::new(it) as Box<dyn Error>)));
    errors
}

#[cfg(feature = "proof")]
fn of_proofs() -> Vec<(&'static str, Box<dyn Error>)> {
    use cim_es::proof::{CheckpointError, KeyError, ProofError};

    let location = || Location::File("library.checkpoint".into());
    let gone = || Arc::new(std::io::Error::other("the disk is gone"));
    let untrusted = || ProofError::Untrusted {
        origin: "example.org/library".to_owned(),
    };
    let file = KeyError::File {
        path: "library.pem".into(),
        source: gone(),
    };
    let not_made = KeyError::NotMade {
        path: "library.pem".into(),
        source: gone(),
    };
    let making = [
        CheckpointError::Store(damaged()),
        CheckpointError::Proof(untrusted()),
        CheckpointError::Kept {
            location: location(),
            source: untrusted(),
        },
        CheckpointError::File {
            location: location(),
            doing: "read",
            source: gone(),
        },
    ];
    let making = making.map(|it| ("CheckpointError", Box::new(it) as Box<dyn Error>));
    let mut errors = Vec::from(making);
    errors.push(("KeyError", Box::new(file)));
    errors.push(("KeyError", Box::new(not_made)));
    errors
}

#[cfg(feature = "jetstream")]
fn of_jetstream() -> Vec<(&'static str, Box<dyn Error>)> {
    use cim_es::jetstream::{
        Action, ApiFailure, ConfigError, ConnectError, OpenError, PermissionDenied, PublishError,
        SubscriptionError,
    };

    let connect = || {
        ConnectError::Config(ConfigError::Contradiction {
            reason: "both `token` and `user` are set".into(),
        })
    };
    let denied = || PermissionDenied {
        action: Action::Publish,
        subject: "es.00.b1.library.book.lent".into(),
    };
    vec![
        (
            "ApiFailure",
            Box::new(ApiFailure::Denied(denied())) as Box<dyn Error>,
        ),
        (
            "SubscriptionError",
            Box::new(SubscriptionError::Denied(denied())),
        ),
        ("ConnectError", Box::new(connect())),
        ("OpenError", Box::new(OpenError::Connect(connect()))),
        ("OpenError", Box::new(OpenError::Store(damaged()))),
        ("PublishError", Box::new(PublishError::Store(damaged()))),
        (
            "PublishError",
            Box::new(PublishError::Payload(unreadable())),
        ),
        (
            "SubscriptionError",
            Box::new(SubscriptionError::Store(damaged())),
        ),
        (
            "SubscriptionError",
            Box::new(SubscriptionError::NotParked {
                position: Position(3),
                reason: "the mail server is away".into(),
                source: engine(),
            }),
        ),
        (
            "SubscriptionError",
            Box::new(SubscriptionError::Kept(ReadModelError::Storage(engine()))),
        ),
    ]
}

#[test]
fn no_error_repeats_what_its_source_says() {
    for (name, error) in errors() {
        let mut outer: &dyn Error = &*error;
        while let Some(source) = outer.source() {
            let (said, cause) = (outer.to_string(), source.to_string());
            assert!(!said.contains(&cause), "{name} repeats its source: {said}");
            outer = source;
        }
    }
}

#[test]
fn the_chain_of_an_error_says_what_is_wrong_and_where() {
    let error = ExecuteError::<TooFull>::OneOfSeveral {
        place: 1,
        of: 2,
        command: "Lend",
        reason: Box::new(ExecuteError::Load(LoadError::Store(damaged()))),
    };
    assert_eq!(
        ErrorChain(&error).to_string(),
        format!(
            "command 2 of 2, `Lend`, was not carried out: library.db is damaged: event {cid} at position 7 (sequence 2) \
             forks the history: {cid} has the same sequence",
            cid = cid()
        )
    );
}

#[test]
fn a_program_can_tell_a_fork_from_what_stands_beside_the_events() {
    let StoreError::Damaged(fork) = damaged() else {
        panic!("it is damaged")
    };
    let fault = fork.verdict().map(|verdict| &verdict.fault);
    assert_eq!(fault, Some(&Fault::Fork { other: cid() }));
    assert_eq!(
        (fork.position(), fork.cid()),
        (Some(Position(7)), Some(cid()))
    );
    assert_eq!(fork.location, Location::File("library.db".into()));

    let beside = Damage::new(Location::Bucket("links".into()), None, cid(), "no link");
    assert_eq!(beside.verdict(), None);
    assert_eq!(
        beside.in_history_of(&key()).to_string(),
        format!(
            "the history of library.book b1 in bucket `links` is damaged at {}: no link",
            cid()
        )
    );
}

/// A declaration of an error in the sources: its name, its attributes of messages, and what stands behind each.
struct Declared {
    name: String,
    messages: Vec<(String, String)>,
}

/// The public errors that are declared by the derive.
fn declared() -> Vec<Declared> {
    let mut found = Vec::new();
    for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let text = fs::read_to_string(file).expect("a source file is UTF-8");
        for (at, _) in text.match_indices("thiserror::Error)]") {
            let item = &text[at..];
            let Some(start) = item.find("pub ").filter(|start| *start < 600) else {
                continue;
            };
            let name = item[start..].split([' ', '<', '(']).nth(2);
            let end = item.find("\n}\n").unwrap_or(item.len());
            let messages = item[..end].split("#[error(").skip(1).map(|part| {
                let (message, rest) = part.split_once(")]").unwrap_or((part, ""));
                (message.to_owned(), rest.to_owned())
            });
            found.push(Declared {
                name: name.unwrap_or_default().to_owned(),
                messages: messages.collect(),
            });
        }
    }
    assert!(found.len() > 15, "only {} errors were found", found.len());
    found
}

fn has_source(fields: &str) -> bool {
    ["#[from]", "#[source]", " source:"]
        .iter()
        .any(|sign| fields.contains(sign))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder can be read");
    let paths = entries.map(|entry| entry.expect("an entry can be read").path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => sources(&path),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|it| it == "rs"))
        .collect()
}

#[test]
fn no_message_in_the_sources_is_written_around_a_source() {
    for error in declared() {
        for (message, fields) in &error.messages {
            let shows = message.contains("{source") || message.contains("{0");
            assert!(
                !(shows && has_source(fields)),
                "{} shows its source: {message}",
                error.name
            );
        }
    }
}

#[test]
#[cfg(feature = "jetstream")]
fn every_error_that_has_a_source_is_looked_at() {
    let looked_at: Vec<_> = errors().into_iter().map(|(name, _)| name).collect();
    for error in declared() {
        let is_source = |(_, fields): &(String, String)| has_source(fields);
        // What wraps one transparently for its own room alone is in no signature.
        if error.messages.iter().any(is_source) && error.name != "FoldError" {
            assert!(looked_at.contains(&&*error.name), "{}", error.name);
        }
    }
}
