//! A library that is asked: who has which book, what a card says, which books a reader has.
//!
//! The domain is in [`domain`], the views in [`views`]; [`desk`] answers what is asked of them, each answer with the position
//! up to which it is true.

pub mod desk;
pub mod domain;
pub mod views;

pub use desk::{Desk, DeskError, Question};
pub use domain::{Book, BookCommand, BookEvent};
