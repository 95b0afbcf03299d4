//! Keeping an inventory of the machine that the program runs on: [`found`] reads it, [`view`] folds what is known, and
//! [`mod@record`] tells the difference in commands.

pub mod found;
pub mod record;
pub mod view;

pub use found::{Found, FoundError};
pub use record::{Changes, SurveyError, record};
pub use view::live;
