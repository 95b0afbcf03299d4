//! Notes that two people take without a network, each on a file, and what becomes of them where there is one.

pub mod inventory;
mod road;
mod story;

pub use road::Road;
pub use story::{StoryError, tell};
