//! Content ids: which are made, and which are accepted.

use ::cid::Cid;
use multihash::Multihash;
use sha2::{Digest, Sha256};

/// The multicodec of dag-cbor.
pub(crate) const DAG_CBOR: u64 = 0x71;
/// Version, codec, hash code and hash length of one byte each, then a digest of 32 bytes.
pub(crate) const CID_BYTES: usize = 36;

/// The hash of a CID.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HashCode {
    /// SHA2-256, which every IPLD tool knows.
    #[default]
    Sha2_256,
    /// BLAKE3 with 256 bits of output.
    Blake3_256,
}

/// A CID of this library in 33 bytes, for who keeps many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ShortCid {
    hash: HashCode,
    digest: [u8; 32],
}

impl ShortCid {
    /// None for a CID that this library does not make.
    pub(crate) fn of(cid: &Cid) -> Option<Self> {
        let hash = HashCode::from_code(cid.hash().code())?;
        let digest = cid.hash().digest().try_into().ok()?;
        Some(Self { hash, digest })
    }

    /// The CID that bytes from outside hold, under the rules of [`parse_cid`].
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, CidError> {
        if let [1, 0x71, code, 32, digest @ ..] = bytes
            && let Some(hash) = HashCode::from_code(u64::from(*code))
            && let Ok(digest) = digest.try_into()
        {
            return Ok(Self { hash, digest });
        }
        if bytes.len() != CID_BYTES {
            return Err(CidError::Length { found: bytes.len() });
        }
        let malformed = |reason: String| CidError::Malformed { reason };
        let cid = Cid::try_from(bytes).map_err(|error| malformed(error.to_string()))?;
        let accepted = Self::of(&accept_cid(cid)?);
        accepted.ok_or_else(|| malformed("no digest of 32 bytes".into()))
    }

    pub(crate) fn cid(&self) -> Cid {
        self.hash.cid_of(&self.digest)
    }

    /// The bytes of the CID.
    #[cfg(feature = "car")]
    pub(crate) fn to_bytes(self) -> [u8; CID_BYTES] {
        let mut bytes = [0; CID_BYTES];
        bytes[..4].copy_from_slice(&[1, DAG_CBOR as u8, self.hash.code() as u8, 32]);
        bytes[4..].copy_from_slice(&self.digest);
        bytes
    }

    /// Whether bytes hash to it.
    pub(crate) fn is_of(&self, bytes: &[u8]) -> bool {
        self.hash.digest(bytes) == self.digest
    }

    /// The digest, which nobody can choose.
    #[cfg(feature = "dag")]
    pub(crate) fn digest(&self) -> &[u8; 32] {
        &self.digest
    }
}

/// Why bytes or a text are not accepted as a CID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CidError {
    /// A CID of this library has 36 bytes.
    #[error("a CID has {CID_BYTES} bytes here, found {found}")]
    Length {
        /// The number of bytes found.
        found: usize,
    },
    /// The bytes are no CID.
    #[error("not a CID: {reason}")]
    Malformed {
        /// What the parser said.
        reason: String,
    },
    /// The CID is of another version or codec.
    #[error("CID `{cid}` is not version 1 with codec dag-cbor (0x71)")]
    Kind {
        /// The CID as text.
        cid: String,
    },
    /// The CID has a hash that is not accepted.
    #[error(
        "CID `{cid}` has hash code {code:#x}: only sha2-256 (0x12) and blake3 (0x1e) with 32 bytes are accepted"
    )]
    Hash {
        /// The CID as text.
        cid: String,
        /// The multihash code.
        code: u64,
    },
}

impl HashCode {
    /// The code in the multihash table.
    pub const fn code(self) -> u64 {
        match self {
            Self::Sha2_256 => 0x12,
            Self::Blake3_256 => 0x1e,
        }
    }

    fn from_code(code: u64) -> Option<Self> {
        match code {
            0x12 => Some(Self::Sha2_256),
            0x1e => Some(Self::Blake3_256),
            _ => None,
        }
    }

    fn digest(self, bytes: &[u8]) -> [u8; 32] {
        match self {
            Self::Sha2_256 => Sha256::digest(bytes).into(),
            Self::Blake3_256 => blake3::hash(bytes).into(),
        }
    }

    /// The CID (version 1, dag-cbor) of a block's bytes.
    pub fn cid(self, bytes: &[u8]) -> Cid {
        self.cid_of(&self.digest(bytes))
    }

    fn cid_of(self, digest: &[u8; 32]) -> Cid {
        let hash =
            Multihash::wrap(self.code(), digest).expect("32 bytes fit into a multihash of 64");
        Cid::new_v1(DAG_CBOR, hash)
    }
}

/// The CID that bytes from outside hold: 36 bytes, version 1, dag-cbor, one of the two known hashes.
///
/// # Errors
/// [`CidError`] for anything else, trailing bytes included.
pub fn parse_cid(bytes: &[u8]) -> Result<Cid, CidError> {
    ShortCid::parse(bytes).map(|short| short.cid())
}

/// The CID that a text from outside holds, under the rules of [`parse_cid`].
///
/// # Errors
/// [`CidError`] for anything else.
pub fn parse_cid_text(text: &str) -> Result<Cid, CidError> {
    let cid = Cid::try_from(text).map_err(|error| CidError::Malformed {
        reason: error.to_string(),
    })?;
    accept_cid(cid)
}

/// Whether bytes hash to a CID.
pub fn verify_cid(cid: &Cid, bytes: &[u8]) -> bool {
    HashCode::from_code(cid.hash().code())
        .is_some_and(|code| code.digest(bytes) == cid.hash().digest())
}

/// The CID itself when it is of the kind that this library makes.
pub(crate) fn accept_cid(cid: Cid) -> Result<Cid, CidError> {
    if cid.version() != ::cid::Version::V1 || cid.codec() != DAG_CBOR {
        return Err(CidError::Kind {
            cid: cid.to_string(),
        });
    }
    let hash = cid.hash();
    if HashCode::from_code(hash.code()).is_none() || hash.digest().len() != 32 {
        return Err(CidError::Hash {
            cid: cid.to_string(),
            code: hash.code(),
        });
    }
    Ok(cid)
}
