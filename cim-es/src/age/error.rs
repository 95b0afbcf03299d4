//! Why a file is not encrypted or not decrypted, and why a key is not taken.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Why a file is not encrypted, or not decrypted.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgeError {
    /// The medium failed: nothing is known of the file itself.
    #[error("the encrypted file could not be {doing}")]
    Io {
        /// `read` or `written`.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// It is not an encrypted file, it is for somebody else, or it was damaged.
    #[error("the encrypted file is refused: {0}")]
    Refused(AgeFault),
    /// A file was to be encrypted to nobody: nobody could read it.
    #[error("a file that is encrypted needs a recipient")]
    NoRecipient,
    /// More recipients than a header has room for.
    #[error("{given} recipients are too many: a file takes {most}; encrypt it several times")]
    TooManyRecipients {
        /// How many were given.
        given: usize,
        /// How many are taken.
        most: usize,
    },
    /// The system gave no random bytes.
    #[error("the system gives no random bytes: {reason}")]
    NotRandom {
        /// What it said.
        reason: String,
    },
}

/// What is wrong with an encrypted file, or with who wants to read it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AgeFault {
    /// It does not begin as such a file does.
    #[error("it is not an encrypted file (age)")]
    NotEncrypted,
    /// It is in the form for mails.
    #[error(
        "it is in the armored form of age, as text: have the binary form sent, as `age` makes it without `-a`"
    )]
    Armored,
    /// It is of another version of the format.
    #[error("it is of version `{version}` of the format, and this program reads `v1`")]
    Version {
        /// The version.
        version: String,
    },
    /// Its header is damaged.
    #[error("its header is damaged: in line {line}, {reason}")]
    Header {
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        reason: &'static str,
    },
    /// None of the identities is that of a recipient.
    #[error(
        "it is encrypted to {recipients}, and none of the {identities} identities that were given is one of them: give the identity of a recipient, or have it encrypted to yours"
    )]
    NotForUs {
        /// To whom: how many of each kind.
        recipients: String,
        /// How many identities were tried.
        identities: usize,
    },
    /// The header was changed after it was made.
    #[error("its header was changed: the code that stands behind it is another one")]
    HeaderChanged,
    /// It ends before its end.
    #[error("it is cut: {at} bytes of what is inside are there, and the rest is missing")]
    Cut {
        /// How many bytes of what is inside stand before the place.
        at: u64,
    },
    /// A part was changed, moved, or cut in its middle.
    #[error("a part of it was changed or cut: the one that begins at byte {at} of what is inside")]
    Changed {
        /// Where the part begins, in bytes of what is inside.
        at: u64,
    },
    /// Something follows what should be the last part.
    #[error("bytes follow its end, at byte {at} of what is inside")]
    Trailing {
        /// How many bytes are inside.
        at: u64,
    },
}

/// Why a recipient or an identity is not taken, or not made. No part of an identity is in it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgeKeyError {
    /// The text is not a recipient.
    #[error("this is not a recipient, `age1…` with 62 characters: {reason}")]
    Recipient {
        /// What is wrong and what to do.
        reason: &'static str,
    },
    /// The text is not an identity.
    #[error("this is not an identity, `AGE-SECRET-KEY-1…` with 74 characters: {reason}")]
    Identity {
        /// What is wrong and what to do.
        reason: &'static str,
    },
    /// A line of a file is not what it should be.
    #[error("line {line} of {} is refused", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        #[source]
        source: Box<AgeKeyError>,
    },
    /// A file holds none.
    #[error("{} holds no {what}", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// `recipient` or `identity`.
        what: &'static str,
    },
    /// A file cannot be read.
    #[error("the file {} cannot be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// A file for a new identity cannot be made; one that is there is never written over.
    #[error("the identity file {} cannot be made", path.display())]
    NotMade {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// The system gave no random bytes.
    #[error("the system gives no random bytes: {reason}")]
    NotRandom {
        /// What it said.
        reason: String,
    },
}

impl AgeError {
    pub(super) fn io(doing: &'static str, error: io::Error) -> Self {
        Self::Io {
            doing,
            source: Arc::new(error),
        }
    }

    pub(super) fn not_random(error: getrandom::Error) -> Self {
        Self::NotRandom {
            reason: error.to_string(),
        }
    }
}

impl From<AgeFault> for AgeError {
    fn from(fault: AgeFault) -> Self {
        Self::Refused(fault)
    }
}
