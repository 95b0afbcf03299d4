//! Events from JSON Lines.

use std::io::{BufRead, Read};
use std::path::Path;
use std::sync::Arc;

use ipld_core::ipld::Ipld;

use super::input::Bytes;
use crate::block::{BODY_HEAD, StoredEvent, accept_cid, parse_dag_json};
use crate::bundle::encryption;
use crate::bundle::{At, BundleError, BundleFault};
use crate::store::Position;

/// The longest line in bytes: several times the largest payload that a store takes unless it is told otherwise.
const LONGEST: u64 = 256 * 1024 * 1024;

/// The lines of a file, each an event.
pub(super) struct Lines {
    path: Arc<Path>,
    bytes: Bytes,
    line: u64,
    events: u64,
}

impl Lines {
    pub(super) fn new(path: Arc<Path>, bytes: Bytes) -> Self {
        Self {
            path,
            bytes,
            line: 0,
            events: 0,
        }
    }

    /// The event of the next line that is not empty.
    pub(super) fn next(&mut self) -> Result<Option<(At, StoredEvent)>, BundleError> {
        loop {
            let mut line = Vec::new();
            let bytes = &mut self.bytes;
            let read = bytes.take(LONGEST + 1).read_until(b'\n', &mut line);
            let read =
                read.map_err(|error| encryption::read_failed(&self.path, "read", Arc::new(error)))?;
            if read == 0 {
                return Ok(None);
            }
            self.line += 1;
            let at = At::Line(self.line);
            let refused = |fault| BundleError::refused(&self.path, at, fault);
            if line.len() as u64 > LONGEST {
                return Err(refused(not_an_event(format!(
                    "it is longer than {LONGEST} bytes"
                ))));
            }
            let text = str::from_utf8(&line);
            let text = text.map_err(|_| refused(not_an_event("it is not UTF-8")))?;
            if text.trim().is_empty() {
                continue;
            }
            self.events += 1;
            let event = event(Position(self.events), text).map_err(refused)?;
            return Ok(Some((at, event)));
        }
    }
}

/// The event that a line holds: its values are made blocks again, and these must hash to the CIDs that it names.
fn event(position: Position, text: &str) -> Result<StoredEvent, BundleFault> {
    const FORM: &str = "it must be an object of `cid`, `envelope` and `payload`";
    let Ipld::Map(mut fields) = parse_dag_json(text)? else {
        return Err(not_an_event(FORM));
    };
    let parts = (
        fields.remove("cid"),
        fields.remove("envelope"),
        fields.remove("payload"),
    );
    let (Some(Ipld::Link(cid)), Some(envelope), Some(payload)) = parts else {
        return Err(not_an_event(FORM));
    };
    if !fields.is_empty() {
        return Err(not_an_event(FORM));
    }
    let cid = accept_cid(cid).map_err(|error| not_an_event(error.to_string()))?;
    let mut body = vec![BODY_HEAD];
    for part in [envelope, payload] {
        let block = serde_ipld_dagcbor::to_vec(&part);
        body.extend(block.map_err(|error| not_an_event(error.to_string()))?);
    }
    StoredEvent::verify(position, cid, body.into()).map_err(BundleFault::Event)
}

fn not_an_event(reason: impl Into<String>) -> BundleFault {
    BundleFault::NotAnEvent {
        reason: reason.into(),
    }
}
