//! Keys: to whom a file is encrypted, and who reads it.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use curve25519_dalek::MontgomeryPoint;
use zeroize::Zeroizing;

use super::{AgeKeyError, bech32, kept, random};
use crate::store::secret_file;

const RECIPIENT: &str = "age";
const IDENTITY: &str = "age-secret-key-";

/// Somebody a file is encrypted to: the public half of an [`Identity`]. It prints and reads as `age1…`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Recipient(pub(super) MontgomeryPoint);

impl Recipient {
    /// The recipients in a file, one on each line; a line that is empty or begins with `#` is passed over.
    ///
    /// # Errors
    /// [`AgeKeyError`]: the file cannot be read, holds none, or has a line that is none.
    pub fn read(path: impl AsRef<Path>) -> Result<Vec<Self>, AgeKeyError> {
        kept::lines(path.as_ref(), "recipient", |line| line.parse())
    }
}

impl FromStr for Recipient {
    type Err = AgeKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = |reason| AgeKeyError::Recipient { reason };
        let small = text.to_ascii_lowercase();
        if small.starts_with(IDENTITY) {
            return Err(refused(
                "it is an identity, which is secret: give the recipient that belongs to it, and make a new one if others have seen it",
            ));
        }
        if small.starts_with("ssh-") || small.starts_with("age1pq1") {
            return Err(refused(
                "recipients of other kinds than X25519 are not taken",
            ));
        }
        let bytes = bech32::decode(RECIPIENT, text).map_err(refused)?;
        let point = MontgomeryPoint(*bytes);
        // With such a point everybody knows the key.
        let is_weak = point.mul_clamped([1; 32]).0 == [0; 32];
        match is_weak {
            true => Err(refused("it is a key that hides nothing")),
            false => Ok(Self(point)),
        }
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bech32::encode(RECIPIENT, &self.0.0))
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({self})")
    }
}

/// Who reads a file that is encrypted to its [`Recipient`]: a secret key (X25519). `Debug` shows the recipient; the key is
/// wiped from memory when it is dropped.
///
/// It comes from a file as `age-keygen` makes it, and is never given on a command line.
#[derive(Clone)]
pub struct Identity(pub(super) Zeroizing<[u8; 32]>);

impl Identity {
    /// A new one.
    ///
    /// # Errors
    /// [`AgeKeyError::NotRandom`].
    pub fn generate() -> Result<Self, AgeKeyError> {
        let key = random().map_err(|error| AgeKeyError::NotRandom {
            reason: error.to_string(),
        })?;
        Ok(Self(key))
    }

    /// The identity in a text, `AGE-SECRET-KEY-1…`.
    ///
    /// # Errors
    /// [`AgeKeyError::Identity`] says what is wrong, and shows nothing of the text.
    pub fn parse(text: &str) -> Result<Self, AgeKeyError> {
        let refused = |reason| AgeKeyError::Identity { reason };
        if text.starts_with("age1") {
            return Err(refused(
                "it is a recipient, which is public: give the secret key that it belongs to",
            ));
        }
        let key = bech32::decode(IDENTITY, text).map_err(refused)?;
        Ok(Self(key))
    }

    /// The identities in a file, one on each line; a line that is empty or begins with `#` is passed over.
    ///
    /// # Errors
    /// [`AgeKeyError`]: the file cannot be read, holds none, or has a line that is none.
    pub fn read(path: impl AsRef<Path>) -> Result<Vec<Self>, AgeKeyError> {
        kept::lines(path.as_ref(), "identity", Self::parse)
    }

    /// Makes a new one and a file for it, which its owner alone may read (mode 0600 where there are modes). A file that is
    /// there is never written over.
    ///
    /// ```
    /// use cim_es::age::Identity;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = std::env::temp_dir().join(format!("cim-es-identity-{}", std::process::id()));
    /// # std::fs::create_dir_all(&directory)?;
    /// # let path = directory.join("ann.identity");
    /// let ann = Identity::create(&path)?;
    /// let read = Identity::read(&path)?;
    /// assert_eq!(read[0].recipient(), ann.recipient());
    /// # std::fs::remove_dir_all(&directory)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`AgeKeyError::NotRandom`], and [`AgeKeyError::NotMade`] where the file is there, or cannot be written.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, AgeKeyError> {
        let (identity, path) = (Self::generate()?, path.as_ref());
        let secret = bech32::encode(IDENTITY, &identity.0);
        let secret = Zeroizing::new(secret.to_ascii_uppercase());
        let text = Zeroizing::new(format!(
            "# public key: {}\n{}\n",
            identity.recipient(),
            *secret
        ));
        secret_file::write(path, &text).map_err(|error| AgeKeyError::NotMade {
            path: path.to_owned(),
            source: Arc::new(error),
        })?;
        Ok(identity)
    }

    /// The recipient that others encrypt to.
    pub fn recipient(&self) -> Recipient {
        Recipient(MontgomeryPoint::mul_base_clamped(*self.0))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity(of {})", self.recipient())
    }
}
