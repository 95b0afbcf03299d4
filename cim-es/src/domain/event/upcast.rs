//! Bringing old payloads up to the present schema.

use ipld_core::ipld::Ipld;

/// One step of a schema change: takes a payload of one version to the next.
pub type Upcaster = fn(Ipld) -> Result<Ipld, UpcastError>;

/// Why an old payload could not be brought up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UpcastError(
    /// What is wrong with the payload.
    pub String,
);

impl UpcastError {
    /// Says what is wrong with the payload.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}
