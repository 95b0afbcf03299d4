//! Why nobody is answered from a view.

use std::fmt;

use super::{Parked, ViewId, ViewRecord};
use crate::store::Position;

/// Why no version of a view answers those who ask by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unserved {
    /// Nobody has opened it in this storage, or a person removed it.
    NotThere,
    /// It is built for the first time, or again.
    Building {
        /// The version.
        view: ViewId,
        /// The last event that is counted.
        up_to: Position,
    },
    /// It is kept in memory, by the program that has it, and only its state is saved.
    InMemory {
        /// The version.
        view: ViewId,
    },
    /// A later version is kept in parts, which are asked as one otherwise.
    InParts,
    /// It stopped at an event before it was level for the first time.
    Parked {
        /// The version.
        view: ViewId,
        /// Where it stopped, and why.
        parked: Box<Parked>,
    },
}

impl Unserved {
    /// What the versions of a view say, none of which serves; the newest one is about to.
    pub fn of(versions: &[ViewRecord]) -> Self {
        let newest = versions
            .iter()
            .max_by(|one, other| one.view.cmp(&other.view));
        match newest {
            None => Self::NotThere,
            Some(record) => match &record.parked {
                Some(parked) => Self::Parked {
                    view: record.view.clone(),
                    parked: Box::new(parked.clone()),
                },
                None => Self::Building {
                    view: record.view.clone(),
                    up_to: record.up_to.position,
                },
            },
        }
    }
}

impl fmt::Display for Unserved {
    /// A sentence without a full stop, with what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotThere => f.write_str(
                "nobody builds it; start the program that keeps it, and ask again when it is level",
            ),
            Self::InMemory { view } => write!(
                f,
                "`{view}` is kept in memory and not as documents, only its state is saved here; ask the handle that \
                 the program has which keeps it, or open the view with `documents`"
            ),
            Self::InParts => f.write_str("it is kept in parts by now; ask it with a `SplitReader`"),
            Self::Building { view, up_to } => write!(
                f,
                "`{view}` is being built and has counted up to position {up_to}; ask again when it is level, \
                 and start the program that keeps it where none runs"
            ),
            Self::Parked { view, parked } => write!(
                f,
                "`{view}` is parked before {} at position {}: {}; mend the projection and resume it, or skip \
                 the event with a reason",
                parked.event_type, parked.bookmark.position, parked.reason
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::message::Timestamp;
    use crate::store::read_model::ViewDeclaration;

    fn version(number: u32) -> ViewRecord {
        let view = ViewId::new("cards", number).expect("a name");
        ViewRecord::new(&ViewDeclaration::new(view, 7))
    }

    #[test]
    fn the_newest_version_says_why_none_answers() {
        let said = |versions: &[ViewRecord]| Unserved::of(versions).to_string();
        assert!(said(&[]).starts_with("nobody builds it"));
        let mut newest = version(3);
        newest.up_to = Position(41).into();
        let building = said(&[version(1), newest.clone(), version(2)]);
        assert!(
            building.starts_with("`cards v3` is being built and has counted up to position 41"),
            "{building}"
        );
        newest.parked = Some(Parked {
            bookmark: Position(42).into(),
            event_type: "library.book.lent".to_owned(),
            reason: "the order has no number".to_owned(),
            since: Timestamp::from_micros(0),
        });
        let parked = said(&[newest]);
        assert!(
            parked.starts_with(
                "`cards v3` is parked before library.book.lent at position 42: the order has no number; mend"
            ),
            "{parked}"
        );
    }
}
