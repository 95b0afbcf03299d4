//! Files that are encrypted: to whom an export writes, and how an import reads.

use std::io::{self, Cursor, Read, Write};
use std::path::Path;
use std::sync::Arc;

use super::{At, BundleError, BundleFault};
#[cfg(feature = "encrypt")]
use crate::age::{AgeError, AgeFault, AgeReader, AgeWriter};

/// Who reads an encrypted file.
#[cfg(feature = "encrypt")]
pub(super) type Identity = crate::age::Identity;
/// To whom a file is encrypted.
#[cfg(feature = "encrypt")]
pub(super) type Recipient = crate::age::Recipient;
/// Nobody without the feature `encrypt`.
#[cfg(not(feature = "encrypt"))]
#[derive(Clone, Debug)]
pub(super) enum Identity {}
/// Nobody without the feature `encrypt`.
#[cfg(not(feature = "encrypt"))]
#[derive(Clone, Debug)]
pub(super) enum Recipient {}

/// How encrypted files begin, as bytes and as text.
const BEGINS: [&[u8]; 2] = [b"age-encryption.org/", b"-----BEGIN AGE ENCRYPTED FILE"];
/// As many bytes as tell them from all others.
const LOOKED_AT: u64 = 29;

/// What a pass over a file reads: what is inside, where it is encrypted and should be.
pub(super) fn opened(
    path: &Path,
    mut bytes: Box<dyn Read + Send>,
    identities: Option<&[Identity]>,
) -> Result<Box<dyn Read + Send>, BundleError> {
    let mut begin = Vec::new();
    let read = (&mut bytes).take(LOOKED_AT).read_to_end(&mut begin);
    read.map_err(|error| BundleError::file("read", path, error))?;
    let is_encrypted = BEGINS.iter().any(|it| begin.starts_with(it));
    let bytes: Box<dyn Read + Send> = Box::new(Cursor::new(begin).chain(bytes));
    let refused = |fault| BundleError::refused(path, At::Whole, fault);
    match (identities, is_encrypted) {
        (None, false) => Ok(bytes),
        (None, true) => Err(refused(BundleFault::Encrypted)),
        (Some(_), false) => Err(refused(BundleFault::NotEncrypted)),
        (Some(identities), true) => decrypted(path, bytes, identities),
    }
}

#[cfg(feature = "encrypt")]
fn decrypted(
    path: &Path,
    bytes: Box<dyn Read + Send>,
    identities: &[Identity],
) -> Result<Box<dyn Read + Send>, BundleError> {
    match AgeReader::new(bytes, identities) {
        Ok(reader) => Ok(Box::new(reader)),
        Err(AgeError::Refused(fault)) => Err(BundleError::refused(path, At::Whole, fault)),
        Err(AgeError::Io { source, .. }) => Err(BundleError::File {
            doing: "read",
            file: path.to_owned(),
            source,
        }),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(feature = "encrypt"))]
fn decrypted(
    _: &Path,
    bytes: Box<dyn Read + Send>,
    _: &[Identity],
) -> Result<Box<dyn Read + Send>, BundleError> {
    Ok(bytes)
}

/// Why reading ended: the medium failed, or what is encrypted was damaged.
pub(super) fn read_failed(path: &Path, doing: &'static str, source: Arc<io::Error>) -> BundleError {
    #[cfg(feature = "encrypt")]
    {
        let inner = source.get_ref();
        if let Some(fault) = inner.and_then(|it| it.downcast_ref::<AgeFault>()) {
            return BundleError::refused(path, At::Whole, fault.clone());
        }
    }
    BundleError::File {
        doing,
        file: path.to_owned(),
        source,
    }
}

/// What an export writes to.
pub(super) enum Output<W> {
    Plain(W),
    #[cfg(feature = "encrypt")]
    Encrypted(Box<AgeWriter<W>>),
}

impl<W: Write> Output<W> {
    /// Encrypts what is written where there are recipients.
    #[cfg(feature = "encrypt")]
    pub(super) fn new(
        output: W,
        path: &Path,
        recipients: Option<Vec<Recipient>>,
    ) -> Result<Self, BundleError> {
        let Some(recipients) = recipients else {
            return Ok(Self::Plain(output));
        };
        match AgeWriter::new(output, &recipients) {
            Ok(writer) => Ok(Self::Encrypted(Box::new(writer))),
            Err(AgeError::Io { doing, source }) => Err(BundleError::File {
                doing,
                file: path.to_owned(),
                source,
            }),
            Err(error) => Err(error.into()),
        }
    }

    #[cfg(not(feature = "encrypt"))]
    pub(super) fn new(output: W, _: &Path, _: Option<Vec<Recipient>>) -> Result<Self, BundleError> {
        Ok(Self::Plain(output))
    }

    /// Writes the end, and gives the output.
    pub(super) fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(mut output) => output.flush().map(|()| output),
            #[cfg(feature = "encrypt")]
            Self::Encrypted(writer) => writer.finish(),
        }
    }
}

impl<W: Write> Write for Output<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(output) => output.write(bytes),
            #[cfg(feature = "encrypt")]
            Self::Encrypted(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(output) => output.flush(),
            #[cfg(feature = "encrypt")]
            Self::Encrypted(writer) => writer.flush(),
        }
    }
}
