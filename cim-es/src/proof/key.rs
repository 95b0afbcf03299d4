//! Keys: who signs checkpoints, and who is trusted.

use std::fmt::{self, Write};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::Signer;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::key_text::{self, Seed};
use super::{KeyError, ProofError};
use crate::store::secret_file;

/// What a key is for; signatures for one use do not pass for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyUse {
    /// It signs the checkpoints of a log, whose origin is its name.
    Log,
    /// It cosigns checkpoints of others, with the time.
    Witness,
}

impl KeyUse {
    /// The signature type of C2SP's signed notes.
    fn signature_type(self) -> u8 {
        match self {
            Self::Log => 0x01,
            Self::Witness => 0x04,
        }
    }

    fn of_signature_type(byte: u8) -> Option<Self> {
        [Self::Log, Self::Witness]
            .into_iter()
            .find(|it| it.signature_type() == byte)
    }
}

impl fmt::Display for KeyUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Log => "log",
            Self::Witness => "witness",
        })
    }
}

/// Whether a text can be the name of a key.
pub(super) fn is_name(name: &str) -> bool {
    let is_refused = |it: char| it.is_whitespace() || it.is_control() || it == '+';
    (1..=255).contains(&name.len()) && !name.contains(is_refused)
}

fn checked_name(name: &str) -> Result<String, KeyError> {
    match is_name(name) {
        true => Ok(name.to_owned()),
        false => Err(KeyError::Name {
            name: name.to_owned(),
        }),
    }
}

/// A secret key with its name (Ed25519). `Debug` shows the name and the id; the key is wiped from memory when it is
/// dropped.
///
/// It comes from a file, and is never given on a command line. Three forms are taken:
///
/// | form | made by |
/// |---|---|
/// | the seed of an nkey, `SU…`, `SA…` and the like | `nk -gen user` |
/// | PEM, `-----BEGIN PRIVATE KEY-----` (PKCS#8) | `openssl genpkey -algorithm ed25519` |
/// | a signer of Go's notes, `PRIVATE+KEY+<name>+<id>+<key>` | Go's `note.GenerateKey` |
///
/// ```
/// use cim_es::proof::SigningKey;
///
/// # fn main() -> Result<(), cim_es::proof::KeyError> {
/// # let text = "-----BEGIN PRIVATE KEY-----\n\
/// # MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n\
/// # -----END PRIVATE KEY-----\n";
/// let key = SigningKey::parse("example.org/library", text)?;
/// // What others need in order to trust it.
/// println!("{}", key.verifying_key());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SigningKey {
    name: String,
    usage: KeyUse,
    key: ed25519_dalek::SigningKey,
}

impl SigningKey {
    /// The key that a text holds, in one of the three forms, under the name of a log: the origin of its checkpoints,
    /// such as `example.org/library`. A key that brings its name along has to have this one.
    ///
    /// # Errors
    /// [`KeyError`] says what is wrong, and shows nothing of the text.
    pub fn parse(name: &str, text: &str) -> Result<Self, KeyError> {
        let name = checked_name(name)?;
        let (named, Seed(seed)) = key_text::parse(text)?;
        let usage = match &named {
            Some(named) => KeyUse::of_signature_type(named.signature_type).ok_or_else(|| {
                KeyError::Malformed {
                    expected: "a signer of notes with Ed25519",
                    reason: format!("its signature type is {:#04x}", named.signature_type),
                }
            })?,
            None => KeyUse::Log,
        };
        let key = Self {
            name,
            usage,
            key: ed25519_dalek::SigningKey::from_bytes(&seed),
        };
        let Some(named) = named else { return Ok(key) };
        if named.name != key.name {
            return Err(KeyError::OtherName {
                expected: key.name,
                found: named.name,
            });
        }
        if named.id != key.verifying_key().id() {
            return Err(KeyError::Malformed {
                expected: "a signer of notes",
                reason: "its id is not that of the key: a part of the text was changed".to_owned(),
            });
        }
        Ok(key)
    }

    /// The key in a file, as [`parse`](Self::parse) takes it.
    ///
    /// # Errors
    /// [`KeyError::File`] when the file cannot be read; else as for `parse`.
    pub fn read(name: &str, path: impl AsRef<Path>) -> Result<Self, KeyError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|error| KeyError::File {
            path: path.to_owned(),
            source: Arc::new(error),
        })?;
        Self::parse(name, &Zeroizing::new(text))
    }

    /// Makes a new key and a file for it, as PEM, which its owner alone may read (mode 0600 where there are modes). A file that
    /// is there is never written over.
    ///
    /// ```
    /// use cim_es::proof::SigningKey;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = std::env::temp_dir().join(format!("cim-es-key-{}", std::process::id()));
    /// # std::fs::create_dir_all(&directory)?;
    /// # let path = directory.join("library.pem");
    /// let key = SigningKey::create("example.org/library", &path)?;
    /// let read = SigningKey::read("example.org/library", &path)?;
    /// assert_eq!(read.verifying_key(), key.verifying_key());
    /// # std::fs::remove_dir_all(&directory)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`KeyError::Name`], [`KeyError::NotRandom`], and [`KeyError::NotMade`] where the file is there, or cannot be written.
    pub fn create(name: &str, path: impl AsRef<Path>) -> Result<Self, KeyError> {
        let (name, path) = (checked_name(name)?, path.as_ref());
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed).map_err(|error| KeyError::NotRandom {
            reason: error.to_string(),
        })?;
        let text = key_text::to_pem(&seed);
        secret_file::write(path, &text).map_err(|error| KeyError::NotMade {
            path: path.to_owned(),
            source: Arc::new(error),
        })?;
        Ok(Self {
            name,
            usage: KeyUse::Log,
            key: ed25519_dalek::SigningKey::from_bytes(&seed),
        })
    }

    /// The same key as that of a witness. Its id is another one, so that neither use passes for the other; better still
    /// is a key of its own.
    #[must_use]
    pub fn for_witness(self) -> Self {
        Self {
            usage: KeyUse::Witness,
            ..self
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is for.
    pub fn usage(&self) -> KeyUse {
        self.usage
    }

    /// The public key, which is given to others.
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey {
            name: self.name.clone(),
            usage: self.usage,
            key: self.key.verifying_key(),
        }
    }

    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }

    pub(super) fn needs(&self, needed: KeyUse) -> Result<(), ProofError> {
        match self.usage == needed {
            true => Ok(()),
            false => Err(ProofError::WrongKey {
                name: self.name.clone(),
                is: self.usage,
                needed,
            }),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("name", &self.name)
            .field("usage", &self.usage)
            .finish_non_exhaustive()
    }
}

/// A public key with its name and use. It prints and reads as C2SP's verifier key:
/// `<name>+<id>+base64(signature type || key)`.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifyingKey {
    name: String,
    usage: KeyUse,
    key: ed25519_dalek::VerifyingKey,
}

impl VerifyingKey {
    /// Its name: of a log, the origin of the checkpoints.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is for.
    pub fn usage(&self) -> KeyUse {
        self.usage
    }

    /// The id that stands in front of its signatures. It is short and tells keys of one name apart, no more.
    pub fn id(&self) -> [u8; 4] {
        let hash = Sha256::new()
            .chain_update(&self.name)
            .chain_update([b'\n', self.usage.signature_type()])
            .chain_update(self.key.as_bytes())
            .finalize();
        [hash[0], hash[1], hash[2], hash[3]]
    }

    /// Whether it is the same key, by whatever name.
    pub(super) fn is_same_key(&self, other: &Self) -> bool {
        self.key == other.key
    }

    /// Whether a signature is this key's.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        ed25519_dalek::Signature::from_slice(signature)
            .is_ok_and(|signature| self.key.verify_strict(message, &signature).is_ok())
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+", self.name)?;
        for byte in self.id() {
            write!(f, "{byte:02x}")?;
        }
        let key = [&[self.usage.signature_type()], &self.key.as_bytes()[..]].concat();
        f.write_char('+')?;
        f.write_str(&STANDARD.encode(key))
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({self})")
    }
}

impl FromStr for VerifyingKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = |reason: &str| KeyError::Malformed {
            expected: "a verifier key, `<name>+<id>+<key>`",
            reason: reason.to_owned(),
        };
        let named = key_text::named(text).map_err(refused)?;
        let name = checked_name(&named.name)?;
        let usage = KeyUse::of_signature_type(named.signature_type)
            .ok_or_else(|| refused("only Ed25519 keys of logs (1) and witnesses (4) are taken"))?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(&named.key)
            .ok()
            .filter(|key| !key.is_weak())
            .ok_or_else(|| refused("it is not an Ed25519 key that can be trusted"))?;
        let key = Self { name, usage, key };
        match key.id() == named.id {
            true => Ok(key),
            false => Err(refused(
                "its id is not that of the key: a part of it was changed",
            )),
        }
    }
}
