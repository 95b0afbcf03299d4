//! What stands beside an object, in the metadata of its entry, where other tools for NATS object stores show it.

use std::collections::HashMap;
use std::time::SystemTime;

use async_nats::jetstream::object_store::ObjectInfo as Entry;
use cid::Cid;

use crate::domain::message::Timestamp;
use crate::store::{ContentType, ObjectInfo};

/// The key of what the bytes are.
const CONTENT_TYPE: &str = "content-type";
/// The key of the time at which it was kept first, as RFC 3339.
const STORED_AT: &str = "stored-at";

/// The metadata of an object that is kept now.
pub(super) fn write(content_type: &ContentType) -> HashMap<String, String> {
    let now = Timestamp::from(SystemTime::now());
    HashMap::from([
        (CONTENT_TYPE.to_owned(), content_type.to_string()),
        (STORED_AT.to_owned(), now.to_string()),
    ])
}

/// What an entry says of an object.
///
/// # Errors
/// Why a value is not one.
pub(super) fn read(cid: Cid, entry: &Entry) -> Result<ObjectInfo, String> {
    let content_type = entry.metadata.get(CONTENT_TYPE);
    let content_type = content_type.map(|text| text.parse::<ContentType>());
    let stored_at = entry.metadata.get(STORED_AT);
    let stored_at = stored_at.map(|text| text.parse::<Timestamp>());
    Ok(ObjectInfo {
        content_type: content_type
            .transpose()
            .map_err(|error| error.to_string())?,
        stored_at: stored_at.transpose().map_err(|error| error.to_string())?,
        ..ObjectInfo::new(cid, entry.size as u64)
    })
}
