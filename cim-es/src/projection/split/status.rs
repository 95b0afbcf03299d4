//! What a view in parts is doing, summed up.

use std::fmt;

use crate::projection::{Parked, ViewId, ViewState, ViewStatus};
use crate::store::Position;

/// What each part of a view is doing, as this program sees it, and what that comes to. It prints as one line.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SplitStatus {
    /// The view.
    pub view: ViewId,
    /// The parts, by their number.
    pub parts: Vec<ViewStatus>,
}

impl SplitStatus {
    pub(super) fn new(view: ViewId, parts: Vec<ViewStatus>) -> Self {
        Self { view, parts }
    }

    /// How many parts this program keeps current.
    pub fn kept_here(&self) -> usize {
        let is_elsewhere =
            |state: &ViewState| matches!(state, ViewState::Standby | ViewState::Stopped { .. });
        let parts = self.parts.iter();
        parts.filter(|part| !is_elsewhere(&part.state)).count()
    }

    /// How many parts other programs keep current, or are about to.
    pub fn kept_elsewhere(&self) -> usize {
        let parts = self.parts.iter();
        parts
            .filter(|part| part.state == ViewState::Standby)
            .count()
    }

    /// Whether every part that this program keeps has counted everything, and it keeps one.
    pub fn is_live(&self) -> bool {
        let live = self
            .parts
            .iter()
            .filter(|part| part.state == ViewState::Live);
        self.kept_here() > 0 && live.count() == self.kept_here()
    }

    /// The position up to which every part has counted.
    pub fn up_to(&self) -> Position {
        let parts = self.parts.iter().map(|part| part.up_to.position);
        parts.min().unwrap_or_default()
    }

    /// How many events this program has counted, in all parts.
    pub fn counted(&self) -> u64 {
        self.parts.iter().map(|part| part.counted).sum()
    }

    /// How many positions the store is ahead of the part of this program that is furthest behind, as far as it is known.
    pub fn positions_behind(&self) -> u64 {
        let is_elsewhere = |part: &&ViewStatus| part.state != ViewState::Standby;
        let parts = self.parts.iter().filter(is_elsewhere);
        parts.map(ViewStatus::positions_behind).max().unwrap_or(0)
    }

    /// The parts of this program that stand still before an event that they cannot count, by their number.
    pub fn parked(&self) -> impl Iterator<Item = (usize, &Parked)> {
        let parts = self.parts.iter().enumerate();
        parts.filter_map(|(number, part)| Some((number, part.parked()?)))
    }
}

impl fmt::Display for SplitStatus {
    /// One line, such as `cards v1 in 8 parts: 4 kept here, live, 4 elsewhere; at 1042, 977 events counted`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { view, parts } = self;
        write!(
            f,
            "{view} in {} parts: {} kept here",
            parts.len(),
            self.kept_here()
        )?;
        if self.is_live() {
            f.write_str(", live")?;
        }
        if self.kept_elsewhere() > 0 {
            write!(f, ", {} elsewhere", self.kept_elsewhere())?;
        }
        write!(
            f,
            "; at {}, {} events counted",
            self.up_to(),
            self.counted()
        )?;
        if self.positions_behind() > 0 {
            write!(f, ", {} positions behind", self.positions_behind())?;
        }
        for (number, part) in parts.iter().enumerate() {
            match &part.state {
                ViewState::Live | ViewState::CatchingUp | ViewState::Standby => {}
                ViewState::Stopped { reason: None } | ViewState::Paused => {
                    write!(f, "; part {number}: {}", part.state)?;
                }
                state => write!(f, "; part {number} {state}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Bookmark;

    #[test]
    fn it_is_one_line_with_what_a_person_must_look_at() {
        let cards = || ViewId::new("cards", 2).expect("a name");
        let part = |state: ViewState, up_to: u64, counted: u64| {
            let mut part = ViewStatus::new(cards());
            let up_to = Bookmark::from(Position(up_to));
            part.say_where(up_to, up_to);
            (part.state, part.counted) = (state, counted);
            part
        };
        let live = part(ViewState::Live, 9, 5);
        let elsewhere = part(ViewState::Standby, 7, 0);
        let status = SplitStatus::new(cards(), vec![live.clone(), elsewhere, live]);
        assert_eq!(
            status.to_string(),
            "cards v2 in 3 parts: 2 kept here, live, 1 elsewhere; at 7, 10 events counted"
        );
        let stopped = ViewState::Stopped {
            reason: Some("the store\nis closed".to_owned()),
        };
        let status = SplitStatus::new(cards(), vec![part(stopped, 3, 1)]);
        assert_eq!(
            status.to_string(),
            "cards v2 in 1 parts: 0 kept here; at 3, 1 events counted; part 0 stopped: the store is closed"
        );
    }
}
