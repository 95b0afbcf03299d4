//! Exporting: what belongs to it is found in a first pass, and written in a second one; a bundle that comes to a file is written
//! in the last pass that finds out what belongs to it.

mod expected;
mod groups;
mod looked;
mod packing;
mod read;
mod since;
mod spool;
mod survey;
mod syncing;
mod write;

use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

pub use since::Since;

use self::packing::{Blocks, Handing};
use self::spool::Spool;
use self::survey::{Scope, Survey};
use self::write::{Form, Writing};
use super::encryption::Recipient;
use super::progress::{Canceller, Progress, Reporter, Step};
#[cfg(feature = "proof")]
use super::signature;
use super::{BundleError, Manifest};
use crate::domain::message::{Clock, SystemClock, Timestamp};
use crate::store::new_file::NewFile;
use crate::store::{AggregateKey, EventStore, Selection};

/// The bytes that are gathered before they are written.
const BUFFER: usize = 256 * 1024;

/// An export of what a store has, as a bundle or as JSON Lines.
///
/// Without more it is everything. Commits are exported whole or not at all: an aggregate that has a commit in common with
/// one that is wanted comes with it.
///
/// ```
/// # use cim_es::bundle::*;
/// # use cim_es::store::{EventStore, Selection};
/// /// What is new since the bundle that was made last week.
/// async fn weekly(store: std::sync::Arc<dyn EventStore>, last: &Manifest) -> Result<Exported, BundleError> {
///     Export::new(store)
///         .selection(Selection::subjects("library.>"))
///         .since(last)
///         .source("the library in Leiden")
///         .bundle_to("week-31.car")
///         .await
/// }
/// ```
#[derive(Debug)]
#[must_use = "nothing is exported before `bundle_to` or another method says where to"]
pub struct Export {
    store: Store,
    scope: Scope,
    since: Since,
    source: String,
    created: Option<Timestamp>,
    checkpoint: Option<String>,
    #[cfg(feature = "proof")]
    key: Option<crate::proof::SigningKey>,
    recipients: Option<Vec<Recipient>>,
    reporter: Reporter,
    canceller: Canceller,
}

struct Store(Arc<dyn EventStore>);

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

/// What was exported.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Exported {
    /// What it holds. Keep it, or the bundle: what is new is exported [since](Export::since) then.
    pub manifest: Manifest,
    /// The aggregates that were not asked for, and came along because they have a commit in common with one that was.
    pub drawn_in: Vec<AggregateKey>,
    /// The length of the file in bytes, before it was encrypted.
    pub bytes: u64,
}

impl Export {
    /// An export of a store of whichever engine.
    pub fn new(store: impl EventStore) -> Self {
        Self {
            store: Store(Arc::new(store)),
            scope: Scope::Everything,
            since: Since::START,
            source: format!("cim-es {}", env!("CARGO_PKG_VERSION")),
            created: None,
            checkpoint: None,
            #[cfg(feature = "proof")]
            key: None,
            recipients: None,
            reporter: Reporter::default(),
            canceller: Canceller::default(),
        }
    }

    /// Some aggregates alone.
    pub fn aggregates(self, aggregates: impl IntoIterator<Item = AggregateKey>) -> Self {
        Self {
            scope: Scope::Aggregates(aggregates.into_iter().collect()),
            ..self
        }
    }

    /// The aggregates alone of which a selection has events: each from its first event, or from what is
    /// [known](Self::since), since a history with holes could be proved by nobody.
    pub fn selection(self, selection: impl Into<Selection>) -> Self {
        let selection = selection.into();
        let scope = match selection.is_everything() {
            true => Scope::Everything,
            false => Scope::Selection(selection),
        };
        Self { scope, ..self }
    }

    /// What is new since an earlier bundle, some heads, or a position of this store.
    pub fn since(self, since: impl Into<Since>) -> Self {
        Self {
            since: since.into(),
            ..self
        }
    }

    /// Says in the manifest where it comes from.
    pub fn source(self, source: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            ..self
        }
    }

    /// Says in the manifest when it was made, in place of the time of the system's clock: equal contents are then equal
    /// files.
    pub fn created(self, time: Timestamp) -> Self {
        Self {
            created: Some(time),
            ..self
        }
    }

    /// Puts a signed checkpoint of the store into the manifest, by which the receiver can prove later that what he has is
    /// of that history.
    ///
    /// An import with the feature `proof` refuses a bundle that carries something else here, and, where it asks for a
    /// signature, a checkpoint that no trusted key has signed. Where everything is exported, the first events must be those that
    /// the checkpoint covers, here and in the import; of a part, the log shows it
    /// ([`CheckpointLog::audit`](crate::proof::CheckpointLog::audit)), and no bundle.
    pub fn checkpoint(self, note: impl Into<String>) -> Self {
        Self {
            checkpoint: Some(note.into()),
            ..self
        }
    }

    /// Signs the bundle: a signed note over the CID of its manifest, which names all that is in it, stands in the file
    /// itself. JSON Lines are not signed.
    #[cfg(feature = "proof")]
    pub fn signed_by(self, key: crate::proof::SigningKey) -> Self {
        Self {
            key: Some(key),
            ..self
        }
    }

    /// Encrypts the file to some recipients: whoever has the identity of one of them reads it, and nobody else. What is
    /// inside, and its signature, is the same as without; the file is another one each time.
    ///
    /// ```
    /// # use cim_es::bundle::*;
    /// # use cim_es::store::EventStore;
    /// use cim_es::age::Recipient;
    ///
    /// async fn send(store: std::sync::Arc<dyn EventStore>) -> Result<Exported, Box<dyn std::error::Error>> {
    ///     let archive = Recipient::read("/etc/library/archive.recipients")?;
    ///     Ok(Export::new(store).encrypted_to(archive).bundle_to("week-31.car.age").await?)
    /// }
    /// ```
    #[cfg(feature = "encrypt")]
    pub fn encrypted_to(self, recipients: impl IntoIterator<Item = crate::age::Recipient>) -> Self {
        Self {
            recipients: Some(recipients.into_iter().collect()),
            ..self
        }
    }

    /// Calls a function with how far it has come, at most twenty times in a second, and at the end of each step.
    pub fn on_progress(self, tell: impl FnMut(Progress) + Send + 'static) -> Self {
        Self {
            reporter: Reporter::new(Box::new(tell)),
            ..self
        }
    }

    /// What ends it from elsewhere.
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// Writes a bundle to a file, in place of one that is there: all of it, or nothing. When this returns, the file
    /// survives a power cut.
    ///
    /// The store is read once, and once more where [some aggregates](Self::aggregates) or a [selection](Self::selection) are
    /// wanted. Where it is not encrypted, and a part of the store is wanted, or somebody writes meanwhile, the disk needs room
    /// for the blocks twice until it is done.
    ///
    /// # Errors
    /// [`BundleError`]: there is nothing to export, the store or the medium fails.
    pub async fn bundle_to(self, file: impl AsRef<Path>) -> Result<Exported, BundleError> {
        self.write_file(file.as_ref(), Form::Bundle).await
    }

    /// Writes a bundle to an output that buffers, such as a pipe.
    ///
    /// # Errors
    /// As [`bundle_to`](Self::bundle_to); what was written by then is not a whole bundle, which every reader notices.
    pub async fn write_bundle(
        self,
        output: impl Write + Send + 'static,
    ) -> Result<Exported, BundleError> {
        self.write(output, Path::new("the output"), Form::Bundle)
            .await
            .map(|(exported, _)| exported)
    }

    /// Writes JSON Lines to a file, in place of one that is there: one DAG-JSON object for each event, without loss, as
    /// [`StoredEvent::to_dag_json`](crate::block::StoredEvent::to_dag_json) gives it. There is no manifest in them.
    ///
    /// # Errors
    /// As [`bundle_to`](Self::bundle_to), and [`BundleError::NotJson`] for an event that JSON cannot show.
    pub async fn json_lines_to(self, file: impl AsRef<Path>) -> Result<Exported, BundleError> {
        self.write_file(file.as_ref(), Form::JsonLines).await
    }

    /// Writes JSON Lines to an output that buffers, such as a pipe.
    ///
    /// # Errors
    /// As [`json_lines_to`](Self::json_lines_to).
    pub async fn write_json_lines(
        self,
        output: impl Write + Send + 'static,
    ) -> Result<Exported, BundleError> {
        self.write(output, Path::new("the output"), Form::JsonLines)
            .await
            .map(|(exported, _)| exported)
    }

    async fn write_file(self, path: &Path, form: Form) -> Result<Exported, BundleError> {
        let failed = |doing| move |error| BundleError::file(doing, path, error);
        // What is encrypted must not come to the disk as it is.
        if let (Form::Bundle, None) = (form, &self.recipients) {
            return self.write_by_spool(path).await;
        }
        let new = NewFile::beside(path).map_err(failed("made"))?;
        let output = new.file().try_clone().map_err(failed("made"))?;
        let output = BufWriter::with_capacity(BUFFER, output);
        let (exported, _) = self.write(output, path, form).await?;
        let kept = tokio::task::spawn_blocking(move || new.keep());
        let kept = kept.await.map_err(|_| BundleError::Ended)?;
        kept.map_err(failed("written"))?;
        Ok(exported)
    }

    /// Writes a bundle to a file, the blocks while it is found out what belongs to it.
    async fn write_by_spool(self, path: &Path) -> Result<Exported, BundleError> {
        self.check()?;
        let failed = |error| BundleError::file("made", path, error);
        let spool = Spool::beside(path, self.room(path).await?).map_err(failed)?;
        let (packs, writing) = spool.begin().map_err(failed)?;
        let survey = self.survey(Some(packs)).await;
        // The thread ends with the last pack, or has failed.
        let length = writing.await.map_err(|_| BundleError::Ended)??;
        let survey = survey?;
        let manifest = self.manifest(&survey);
        let front = self.front(&manifest, path)?;
        let (events, bytes) = (survey.events, survey.bytes);
        let (reporter, canceller) = (self.reporter, self.canceller);
        let finish = move || {
            let mut progress = Progress {
                step: Step::Writing,
                events: 0,
                of_events: Some(events),
                bytes: 0,
            };
            let part = |whole: u64, done: u64, of: u64| {
                (u128::from(whole) * u128::from(done) / u128::from(of.max(1))) as u64
            };
            let tell = |done, of| {
                (progress.events, progress.bytes) = (part(events, done, of), part(bytes, done, of));
                reporter.tell(progress);
            };
            let written = spool.finish(&front, length, &canceller, tell)?;
            (progress.events, progress.bytes) = (events, bytes);
            reporter.done(progress);
            Ok::<_, BundleError>(written)
        };
        let finished = tokio::task::spawn_blocking(finish).await;
        Ok(Exported {
            drawn_in: survey.drawn_in(),
            manifest,
            bytes: finished.map_err(|_| BundleError::Ended)??,
        })
    }

    /// The room that what stands in front of the blocks will need; none where that cannot be told before.
    async fn room(&self, path: &Path) -> Result<Option<u64>, BundleError> {
        if !matches!(self.scope, Scope::Everything) || !self.since.is_start() {
            return Ok(None);
        }
        let Some(expected) = expected::of(&*self.store.0).await? else {
            return Ok(None);
        };
        let manifest = Manifest {
            aggregates: expected.aggregates,
            blocks: 2 * expected.events,
            bytes: expected.bytes,
            whole: true,
            ..self.empty_manifest()
        };
        Ok(Some(self.front(&manifest, path)?.len() as u64))
    }

    /// What a bundle has in front of its blocks of events: the header, the manifest, and the signature where there is one.
    fn front(&self, manifest: &Manifest, path: &Path) -> Result<Vec<u8>, BundleError> {
        let mut front = Vec::new();
        write::begin(&mut front, &self.roots(manifest), path).map(drop)?;
        Ok(front)
    }

    /// The name is that of errors.
    async fn write<W: Write + Send + 'static>(
        self,
        output: W,
        name: &Path,
        form: Form,
    ) -> Result<(Exported, W), BundleError> {
        self.check()?;
        let survey = self.survey(None).await?;
        let manifest = self.manifest(&survey);
        let writing = Writing {
            survey: &survey,
            roots: self.roots(&manifest),
            recipients: self.recipients.clone(),
            reporter: &self.reporter,
            canceller: &self.canceller,
        };
        let (bytes, output) = writing.run(&*self.store.0, output, name, form).await?;
        let exported = Exported {
            drawn_in: survey.drawn_in(),
            manifest,
            bytes,
        };
        Ok((exported, output))
    }

    /// Refuses what no file can be made of.
    fn check(&self) -> Result<(), BundleError> {
        #[cfg(feature = "proof")]
        if let Some(key) = &self.key
            && key.usage() != crate::proof::KeyUse::Log
        {
            return Err(BundleError::WrongKey {
                name: key.name().to_owned(),
            });
        }
        #[cfg(feature = "encrypt")]
        if self.recipients.as_ref().is_some_and(Vec::is_empty) {
            return Err(crate::age::AgeError::NoRecipient.into());
        }
        Ok(())
    }

    async fn survey(&self, packs: Option<Handing<Blocks>>) -> Result<Survey, BundleError> {
        let survey = Survey::of(
            &*self.store.0,
            &self.scope,
            &self.since,
            self.checkpoint.as_deref(),
            packs,
            (&self.reporter, &self.canceller),
        );
        survey.await
    }

    fn manifest(&self, survey: &Survey) -> Manifest {
        Manifest {
            aggregates: survey.ranges(),
            blocks: 2 * survey.events,
            bytes: survey.bytes,
            order: survey.order,
            whole: survey.whole,
            ..self.empty_manifest()
        }
    }

    /// What a manifest says whatever it holds.
    fn empty_manifest(&self) -> Manifest {
        Manifest {
            aggregates: Vec::new(),
            blocks: 0,
            bytes: 0,
            order: [0; 32],
            whole: false,
            checkpoint: self.checkpoint.clone(),
            source: self.source.clone(),
            created: self.created.unwrap_or_else(|| SystemClock.now()),
        }
    }

    /// The blocks that a bundle begins with: the manifest, and the signature where there is one.
    fn roots(&self, manifest: &Manifest) -> Vec<Vec<u8>> {
        let manifest_block = manifest.encode();
        #[cfg(feature = "proof")]
        if let Some(key) = &self.key {
            return vec![manifest_block, signature::sign(key, &manifest.cid())];
        }
        vec![manifest_block]
    }
}
