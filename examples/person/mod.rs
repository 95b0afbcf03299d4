//! People: who they are, as far as it is known, from the first record to the archive.
//!
//! One aggregate, [`Person`], with its values: [`name`], [`date`], [`attribute`], [`values`]. [`vcard`] reads cards and
//! [`import`] records what they say, [`search`] finds people by their names. `examples/person/README.md` shows lifecycle, subjects and rules.

pub mod aggregate;
pub mod attribute;
pub mod date;
pub mod import;
pub mod merge;
pub mod name;
pub mod record;
pub mod search;
pub mod values;
pub mod vcard;
pub mod version_1;
pub mod view;

pub use aggregate::{Person, PersonCommand, PersonError, PersonEvent, PersonState};
pub use record::Record;

use cim_es::prelude::*;

domain! {
    /// Every subject of the domain.
    pub PEOPLE = [PersonEvent]
}
