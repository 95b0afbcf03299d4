//! Checking a whole store: every block is hashed, every history followed, every commit counted, and all that is wrong is
//! told, each at its place.
//!
//! What a store reads is verified anyway, and a reader stops at the first damage. A [`Verification`] goes under the readers
//! and on behind what is damaged. Where there is more than one core, blocks are decoded and hashed by several threads
//! while the next are read. It takes the same memory however many events there are: what it remembers is the last event
//! of each aggregate, about 120 bytes each.
//!
//! ```
//! # use cim_es::prelude::*;
//! use cim_es::verify::{Step, Verification};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let store = MemoryEventStore::new();
//! let mut verification = Verification::of(store);
//! while let Some(step) = verification.next().await? {
//!     match step {
//!         Step::Damaged(damages) => damages.iter().for_each(|damage| println!("{damage}")),
//!         Step::Progress(progress) => println!("{:.0} %", progress.fraction() * 100.0),
//!     }
//! }
//! assert!(verification.report().is_sound());
//! # Ok(())
//! # }
//! ```
//!
//! # Interrupted and resumed
//! [`Verification::state`] says where it stands, after any step, as a value that serde writes and reads. A new one goes on
//! from there ([`Verification::resume`]), and tells what an uninterrupted one would have told from there on.
//!
//! # What is checked
//! - each block hashes to the CID beside it, its payload to the link in its envelope, and both are canonical;
//! - each aggregate's events are numbered from 1 without a gap, and each links to the one before it;
//! - the events of a commit stand side by side, and none is missing;
//! - what the engine keeps beside the events leads to them: in a file of SQLite the columns, the ends of histories and
//!   types, every index, objects, snapshots, checkpoints and views; in a stream the subjects, and objects and snapshots in the
//!   buckets beside it.
//!
//! # What cannot be seen
//! A tail that was cut off, with all that names it, an aggregate that was removed without a trace, and a history that
//! was written and linked anew: a store that is whole in itself shows none of it. For that, compare with something that
//! was noted elsewhere.

mod chains;
mod commits;
mod heads;
mod judge;
mod noted;
mod progress;
mod ranges;
mod read;
mod run;
mod shown;
mod state;
mod tables;
mod verification;
mod workers;

pub use progress::{Stage, VerificationProgress, VerificationReport};
pub use state::VerificationState;
pub use verification::{Step, Verification};
