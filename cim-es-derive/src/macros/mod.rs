//! `subject!`, `filter!` and `domain!`.

mod domain;
mod subject;

pub(crate) use domain::domain;
pub(crate) use subject::{filter, subject};
