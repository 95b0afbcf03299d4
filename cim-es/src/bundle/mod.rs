//! Bundles: what a store has, or a part of it, as one file that is carried to another store, over an air gap if need be.
//!
//! A bundle is a [CAR file](crate::car) whose root is a [`Manifest`]; behind it stand, for each event, its envelope block
//! and its payload block. Every IPLD tool reads it. An [`Export`] writes one from any store, an [`Import`] takes it into
//! any other: everything is proved before anything is stored, what is there already is passed over, and a commit is stored
//! whole or not at all. So an import may be repeated, or go on after it was interrupted.
//!
//! ```
//! use cim_es::bundle::{Export, Import};
//! # use cim_es::prelude::*;
//! # use cim_es::message::{Clock, SystemClock};
//! # use cim_es::store::{AggregateKey, CommitRequest, EventStore, ExpectedVersion, NewEvent};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let store = MemoryEventStore::new();
//! # let key = AggregateKey::new("home.lamp", cim_es::aggregate::IdText::new("hall")?);
//! # let event = NewEvent::from_payload("home.lamp.switched", 1, vec![0xa0]);
//! # let commit = CommitRequest::new(MessageIdentity::new_from_user("me"), SystemClock.now());
//! # store.append(commit.aggregate(key, ExpectedVersion::NoStream, vec![event])).await?;
//! # let file = std::env::temp_dir().join(format!("cim-es-doc-{}.car", std::process::id()));
//! let exported = Export::new(store).source("the house").bundle_to(&file).await?;
//! assert_eq!(exported.manifest.events(), 1);
//!
//! let other = MemoryEventStore::new();
//! let imported = Import::bundle(&file).into_store(&other).await?;
//! assert_eq!((imported.stored, imported.there), (1, 0));
//! let again = Import::bundle(&file).into_store(&other).await?;
//! assert_eq!((again.stored, again.there), (0, 1));
//! # std::fs::remove_file(&file)?;
//! # Ok(())
//! # }
//! ```
//!
//! With the feature `encrypt`, an export writes for [some recipients alone](Export::encrypted_to), and an import takes it with
//! the [identity](Import::decrypted_with) of one of them.
//!
//! [JSON Lines](Export::json_lines_to) are the other form, for people and for programs that know no CAR: one DAG-JSON object
//! for each event, without loss, and [imported](Import::json_lines) under the same proofs.

mod covered;
mod encryption;
mod error;
mod export;
mod import;
mod manifest;
mod numbering;
mod order;
mod progress;
mod signature;

pub use error::{At, BundleError, BundleFault};
pub use export::{Export, Exported, Since};
pub use import::{
    Divergence, Import, ImportEnd, Imported, LeftOut, OnDivergence, Proved, Verified, WhyLeftOut,
};
pub use manifest::{AggregateRange, Manifest, Prerequisite};
pub use progress::{Canceller, Progress, Step};
