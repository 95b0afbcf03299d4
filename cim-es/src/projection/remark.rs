//! What a view says of other versions of it.

use super::ViewId;

/// That a later version answers, which this one does not take over from.
pub(super) fn later(later: &ViewId) -> String {
    format!("`{later}` answers, so that nobody is answered from this version")
}

/// That a former version answers for now.
pub(super) fn former(former: &ViewId) -> String {
    format!("`{former}` answers until this version is level")
}
