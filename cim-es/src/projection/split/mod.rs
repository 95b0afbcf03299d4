//! Views of documents in parts: several programs keep one view, each some of its parts.
//!
//! A part is a view of its own, of the events of some partitions, kept as every other: held by a lease, counted exactly
//! once. The programs that run one agree on who keeps which by leases as well (`members`); where they do not agree yet, the
//! lease of the part decides. Readers are shown a version once all its parts are level.

mod home;
mod members;
mod open;
mod status;
mod view;

pub use open::OpenSplit;
pub use status::SplitStatus;
pub use view::SplitView;

/// How many parts a view has where it is not said: enough for eight programs.
const PARTS: u8 = 8;
