//! What is imported, read from its start as many times as it takes.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::Form;
use super::lines::Lines;
use super::read::{Begun, Blocks, Commits, Events};
use crate::bundle::encryption::{self, Identity};
use crate::bundle::signature::Trust;
use crate::bundle::{At, BundleError, BundleFault, Manifest};

/// The bytes that are read at once.
const BUFFER: usize = 256 * 1024;

/// What opens an input from its start, once for each pass.
pub(super) type Opener = dyn Fn() -> io::Result<Box<dyn Read + Send>> + Send + Sync;

/// Where the input comes from.
#[derive(Clone)]
pub(super) enum Source {
    /// A file by its path.
    Path,
    /// What a function opens.
    Opener(Arc<Opener>),
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Path => "Path",
            Self::Opener(_) => "Opener",
        })
    }
}

/// What is imported.
#[derive(Clone)]
pub(super) struct Input {
    opened: Opened,
    path: Arc<Path>,
    form: Form,
    trust: Option<Arc<Trust>>,
    identities: Option<Arc<[Identity]>>,
}

#[derive(Clone)]
enum Opened {
    /// A file that stays open, so that nobody puts another one in its place between two passes.
    File(Arc<Mutex<File>>),
    Opener(Arc<Opener>),
}

/// A pass over the file, at a place of its own: an earlier pass may not have noticed yet that nobody wants it any more.
struct Pass {
    file: Arc<Mutex<File>>,
    at: u64,
}

impl Read for Pass {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.at))?;
        let read = file.read(buffer)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// What the passes read from.
pub(super) type Bytes = BufReader<Box<dyn Read + Send>>;

impl Input {
    pub(super) fn open(
        path: &Path,
        source: Source,
        form: Form,
        trust: Option<Arc<Trust>>,
        identities: Option<Arc<[Identity]>>,
    ) -> Result<Self, BundleError> {
        let opened = match source {
            Source::Path => {
                let file = File::open(path);
                let file = file.map_err(|error| BundleError::file("opened", path, error))?;
                Opened::File(Arc::new(Mutex::new(file)))
            }
            Source::Opener(opener) => Opened::Opener(opener),
        };
        Ok(Self {
            opened,
            path: path.into(),
            form,
            trust,
            identities,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The commits from the first on, and what stands before them.
    pub(super) fn commits(&self) -> Result<(Begun, Commits), BundleError> {
        let (begun, events) = self.events()?;
        Ok((begun, Commits::of(self.path.clone(), events)))
    }

    pub(super) fn manifest(&self) -> Result<Option<Manifest>, BundleError> {
        self.events().map(|(begun, _)| begun.manifest)
    }

    fn events(&self) -> Result<(Begun, Events), BundleError> {
        let (bytes, trust) = (self.bytes()?, self.trust.as_deref());
        match self.form {
            Form::Bundle => {
                let (begun, blocks) = Blocks::begin(&self.path, bytes, trust)?;
                Ok((begun, Events::Blocks(blocks)))
            }
            Form::JsonLines if trust.is_some() => Err(BundleError::refused(
                &self.path,
                At::Whole,
                BundleFault::Unsigned,
            )),
            Form::JsonLines => {
                let lines = Lines::new(self.path.clone(), bytes);
                Ok((Begun::default(), Events::Lines(lines)))
            }
        }
    }

    fn bytes(&self) -> Result<Bytes, BundleError> {
        let pass: Box<dyn Read + Send> = match &self.opened {
            Opened::File(file) => Box::new(Pass {
                file: Arc::clone(file),
                at: 0,
            }),
            Opened::Opener(open) => {
                open().map_err(|error| BundleError::file("opened", &self.path, error))?
            }
        };
        let pass = encryption::opened(&self.path, pass, self.identities.as_deref())?;
        Ok(BufReader::with_capacity(BUFFER, pass))
    }
}
