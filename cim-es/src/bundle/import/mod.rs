//! Importing: the file is proved, then compared with the store, and then stored.

mod ahead;
mod branches;
mod compare;
mod input;
mod lines;
mod packs;
mod proved;
mod read;
mod store;
mod verify;

use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use self::proved::Proved;

use self::input::{Input, Source};
use self::verify::Contents;
use super::encryption::Identity;
use super::progress::{Canceller, Progress, Reporter};
use super::signature::Trust;
use super::{AggregateRange, BundleError, Manifest};
use crate::block::ChainHead;
use crate::store::{AggregateKey, EventStore};

/// An import of a bundle, or of JSON Lines, into a store.
///
/// The file is read at least twice, so it must be one, and not a pipe. Memory grows with the number of aggregates, and not
/// with that of events.
///
/// ```
/// # use cim_es::bundle::*;
/// # use cim_es::store::EventStore;
/// async fn take(store: &dyn EventStore) -> Result<(), BundleError> {
///     let import = Import::bundle("week-31.car").on_divergence(OnDivergence::ImportOthers);
///     let imported = import.into_store(store).await?;
///     println!("{} events are new, {} were there", imported.stored, imported.there);
///     for left_out in imported.left_out {
///         println!("{left_out}");
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug)]
#[must_use = "nothing is imported before `into_store`"]
pub struct Import {
    file: PathBuf,
    source: Source,
    form: Form,
    on_divergence: OnDivergence,
    reporter: Arc<Reporter>,
    canceller: Canceller,
    trust: Option<Arc<Trust>>,
    identities: Option<Arc<[Identity]>>,
}

/// What the file holds.
#[derive(Clone, Copy, Debug)]
enum Form {
    Bundle,
    JsonLines,
}

/// What becomes of an import where the store went on from the same events in another way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDivergence {
    /// Nothing is imported: [`BundleError::Diverged`] says which aggregates it is.
    #[default]
    Refuse,
    /// The other aggregates are imported; [`Imported::left_out`] says which are not.
    ImportOthers,
}

/// An aggregate of which the store and the file have different histories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The aggregate.
    pub aggregate: AggregateKey,
    /// The last event that both have; none where they have none in common, or where it lies before what the file holds.
    pub common: Option<ChainHead>,
    /// The first event that the store has and the file does not have there, as far as the file reaches.
    pub ours: ChainHead,
    /// What the file has, or goes on from, at that version.
    pub theirs: ChainHead,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            aggregate,
            common,
            ours,
            theirs,
        } = self;
        write!(f, "{aggregate} at version {}", theirs.sequence)?;
        if let Some(common) = common {
            write!(f, ", since event {}", common.cid)?;
        }
        write!(f, ": the store has {}, the file {}", ours.cid, theirs.cid)
    }
}

/// What was not imported of an aggregate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The aggregate.
    pub aggregate: AggregateKey,
    /// The first version that was left out, and all behind it.
    pub from: u64,
    /// Why.
    pub why: WhyLeftOut,
}

/// Why events were left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhyLeftOut {
    /// The store went another way.
    Diverged(Box<Divergence>),
    /// Their commit has events of an aggregate that is left out, and is stored whole or not at all.
    SharesACommit {
        /// The other aggregate.
        with: AggregateKey,
    },
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            WhyLeftOut::Diverged(divergence) => write!(f, "left out: {divergence}"),
            WhyLeftOut::SharesACommit { with } => write!(
                f,
                "left out: {} from version {} on, which has a commit in common with {with}",
                self.aggregate, self.from
            ),
        }
    }
}

/// What a file holds that was proved.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Verified {
    /// What it holds of each aggregate, in the order of kinds and ids.
    pub aggregates: Vec<AggregateRange>,
    /// The number of events.
    pub events: u64,
    /// The manifest; none of JSON Lines.
    pub manifest: Option<Manifest>,
    /// The name of the trusted key that signed it; none where no signature was asked for.
    pub signed_by: Option<String>,
}

/// What an import has done.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Imported {
    /// The number of events that were stored.
    pub stored: u64,
    /// The number of events that were there already.
    pub there: u64,
    /// What was left out, in the order in which the file has it.
    pub left_out: Vec<LeftOut>,
    /// How it ended.
    pub end: ImportEnd,
    /// What the file holds.
    pub verified: Verified,
}

/// How an import ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportEnd {
    /// At the end of the file.
    Complete,
    /// It was cancelled behind some commit; importing again goes on from there.
    Cancelled,
}

impl Import {
    /// Of a bundle.
    pub fn bundle(file: impl AsRef<Path>) -> Self {
        Self::of(file.as_ref(), Form::Bundle)
    }

    /// Of a bundle that a function opens from its start, once for each pass: one that comes from another place than a file. Errors call it by a name.
    ///
    /// ```
    /// # use cim_es::bundle::*;
    /// async fn look(bundle: std::sync::Arc<[u8]>) -> Result<Verified, BundleError> {
    ///     let open = move || Ok(std::io::Cursor::new(bundle.clone()));
    ///     Import::bundle_from("the bundle in memory", open).verify().await
    /// }
    /// ```
    pub fn bundle_from<R: Read + Send + 'static>(
        name: impl AsRef<Path>,
        open: impl Fn() -> io::Result<R> + Send + Sync + 'static,
    ) -> Self {
        let opener = move || -> io::Result<Box<dyn Read + Send>> { Ok(Box::new(open()?)) };
        Self {
            source: Source::Opener(Arc::new(opener)),
            ..Self::of(name.as_ref(), Form::Bundle)
        }
    }

    /// Of a file of JSON Lines. It has no manifest: what it holds, and what it goes on from, is what its lines show.
    pub fn json_lines(file: impl AsRef<Path>) -> Self {
        Self::of(file.as_ref(), Form::JsonLines)
    }

    /// Of JSON Lines that a function opens from their start, as [`bundle_from`](Self::bundle_from) does of a bundle.
    pub fn json_lines_from<R: Read + Send + 'static>(
        name: impl AsRef<Path>,
        open: impl Fn() -> io::Result<R> + Send + Sync + 'static,
    ) -> Self {
        Self {
            form: Form::JsonLines,
            ..Self::bundle_from(name, open)
        }
    }

    fn of(file: &Path, form: Form) -> Self {
        Self {
            file: file.to_owned(),
            source: Source::Path,
            form,
            on_divergence: OnDivergence::default(),
            reporter: Arc::default(),
            canceller: Canceller::default(),
            trust: None,
            identities: None,
        }
    }

    /// Asks for a signature of one of these keys: a bundle without one is refused.
    #[cfg(feature = "proof")]
    pub fn trusting(self, trust: crate::proof::Trust) -> Self {
        Self {
            trust: Some(Arc::new(trust)),
            ..self
        }
    }

    /// Decrypts the file while it is read, with the identity of one of those that it is encrypted to: a file that is not
    /// encrypted is refused.
    ///
    /// ```
    /// # use cim_es::bundle::*;
    /// use cim_es::age::Identity;
    ///
    /// async fn look() -> Result<Verified, Box<dyn std::error::Error>> {
    ///     let ours = Identity::read("/etc/library/archive.identity")?;
    ///     Ok(Import::bundle("week-31.car.age").decrypted_with(ours).verify().await?)
    /// }
    /// ```
    #[cfg(feature = "encrypt")]
    pub fn decrypted_with(
        self,
        identities: impl IntoIterator<Item = crate::age::Identity>,
    ) -> Self {
        Self {
            identities: Some(identities.into_iter().collect()),
            ..self
        }
    }

    /// Says what becomes of it where the store went another way.
    pub fn on_divergence(self, what: OnDivergence) -> Self {
        Self {
            on_divergence: what,
            ..self
        }
    }

    /// Calls a function with how far it has come, at most twenty times in a second, and at the end of each step.
    pub fn on_progress(self, tell: impl FnMut(Progress) + Send + 'static) -> Self {
        Self {
            reporter: Arc::new(Reporter::new(Box::new(tell))),
            ..self
        }
    }

    /// What ends it from elsewhere.
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// The manifest of a bundle, without looking at the events; none of JSON Lines. A signature that is asked for is
    /// checked.
    ///
    /// # Errors
    /// [`BundleError`]: the file cannot be read, or does not begin as a bundle does.
    pub async fn manifest(&self) -> Result<Option<Manifest>, BundleError> {
        let input = self.input().await?;
        let read = tokio::task::spawn_blocking(move || input.manifest());
        read.await.map_err(|_| BundleError::Ended)?
    }

    /// Proves all of the file, as an import does before it stores anything.
    ///
    /// # Errors
    /// [`BundleError::Refused`] with the first fault and its place; [`BundleError::File`], [`BundleError::Cancelled`].
    pub async fn verify(&self) -> Result<Verified, BundleError> {
        Ok(self.contents(&self.input().await?).await?.into_verified())
    }

    /// Proves all of the file, compares it with the store, and stores what is new: whole commits, in the order of the file.
    ///
    /// # Errors
    /// [`BundleError::Refused`], [`BundleError::MissingPrerequisites`] and [`BundleError::Diverged`] before anything is
    /// stored; [`BundleError::NotStored`] where the store refuses a commit, or cannot take it.
    pub async fn into_store(
        self,
        store: &(impl EventStore + ?Sized),
    ) -> Result<Imported, BundleError> {
        self.prove().await?.into_store(store).await
    }

    /// Proves all of the file, for a program that makes the store only once it knows that the file holds.
    ///
    /// ```
    /// # use cim_es::bundle::*;
    /// # use cim_es::SqliteEventStore;
    /// async fn copy() -> Result<Imported, Box<dyn std::error::Error>> {
    ///     let proved = Import::bundle("library.car").prove().await?;
    ///     let store = SqliteEventStore::open("copy.db")?;
    ///     Ok(proved.into_store(&store).await?)
    /// }
    /// ```
    ///
    /// # Errors
    /// Those of [`verify`](Self::verify).
    pub async fn prove(self) -> Result<Proved, BundleError> {
        let input = self.input().await?;
        let contents = self.contents(&input).await?;
        Ok(Proved::new(self, input, contents))
    }

    async fn input(&self) -> Result<Input, BundleError> {
        let (file, source) = (self.file.clone(), self.source.clone());
        let (form, trust) = (self.form, self.trust.clone());
        let identities = self.identities.clone();
        let open = move || Input::open(&file, source, form, trust, identities);
        let opened = tokio::task::spawn_blocking(open);
        opened.await.map_err(|_| BundleError::Ended)?
    }

    async fn contents(&self, input: &Input) -> Result<Contents, BundleError> {
        let (input, reporter) = (input.clone(), Arc::clone(&self.reporter));
        let canceller = self.canceller.clone();
        let verified =
            tokio::task::spawn_blocking(move || verify::verify(&input, &reporter, &canceller));
        verified.await.map_err(|_| BundleError::Ended)?
    }
}
