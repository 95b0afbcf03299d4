//! The saved state of a view in memory, as it stands in a storage: one document, its CID in front.

use cid::Cid;

use super::{ReadModelStorage, ReadModelStorageExt, ViewId, ViewRecord};
use crate::block::{HashCode, verify_cid};

/// The key of the document.
pub(crate) const STATE: &str = "state";

/// A state behind its CID, by which damage is found.
pub(crate) fn sealed_state(state: &[u8]) -> Vec<u8> {
    let mut bytes = HashCode::Sha2_256.cid(state).to_bytes();
    bytes.extend_from_slice(state);
    bytes
}

/// The state behind its CID.
///
/// # Errors
/// What shows that it is damaged.
pub(crate) fn opened_state(bytes: &[u8]) -> Result<&[u8], String> {
    let mut rest = bytes;
    let cid = Cid::read_bytes(&mut rest).map_err(|error| error.to_string())?;
    match verify_cid(&cid, rest) {
        true => Ok(rest),
        false => Err(format!("it does not hash to the {cid} in front of it")),
    }
}

/// The newest version of a view, where it is kept in memory and what is stored of it is its state. A document is no such
/// state, whatever its key is: none begins with its CID.
pub(crate) async fn kept_in_memory(
    storage: &dyn ReadModelStorage,
    versions: &[ViewRecord],
) -> Option<ViewId> {
    let newest = versions.iter().map(|record| &record.view).max()?;
    let state = storage.get(newest, STATE).await.ok()?.value?;
    opened_state(&state).is_ok().then(|| newest.clone())
}
