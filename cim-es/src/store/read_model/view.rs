//! A view: how it is named, declared, held and recorded.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ReadModelError, ViewChanges};
use crate::domain::message::Timestamp;
use crate::store::{Bookmark, Location, Position};

/// The longest name of a view in bytes.
const MAX_NAME: usize = 64;

/// The greatest number of a build; the next one is 0 again, since no build is beside one so much older.
const LAST_BUILD: u32 = u32::MAX >> 1;

/// Names one version of a view.
///
/// A name has 1 to 64 characters of `a` to `z`, `0` to `9`, `_` and `-`, and begins with a letter, so
/// that every storage can use it as it is; a version is a number from 1.
///
/// ```
/// use cim_es::store::read_model::ViewId;
///
/// let cards = ViewId::new("cards", 2)?;
/// assert_eq!(cards.to_string(), "cards v2");
/// assert!(ViewId::new("My cards", 2).is_err());
/// # Ok::<(), cim_es::store::read_model::ReadModelError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ViewId {
    name: Cow<'static, str>,
    version: u32,
    build: u32,
}

impl ViewId {
    /// A version of a view.
    ///
    /// # Errors
    /// [`ReadModelError::InvalidView`] for another name or version than the type allows.
    pub fn new(name: impl Into<Cow<'static, str>>, version: u32) -> Result<Self, ReadModelError> {
        let name = name.into();
        match misfit(&name, version) {
            None => Ok(Self {
                name,
                version,
                build: 0,
            }),
            Some(reason) => Err(ReadModelError::InvalidView {
                name: name.into_owned(),
                version,
                reason,
            }),
        }
    }

    /// Refuses a text that no view can have as its name.
    ///
    /// # Errors
    /// [`ReadModelError::InvalidName`].
    pub(crate) fn check_name(name: &str) -> Result<(), ReadModelError> {
        match misfit(name, 1) {
            None => Ok(()),
            Some(reason) => Err(ReadModelError::InvalidName {
                name: name.to_owned(),
                reason,
            }),
        }
    }

    /// What its versions have in common.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version, from 1.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// How many times this version was built again beside what it was before: a storage keeps each build as a view of its
    /// own. 0 for the first.
    pub fn build(&self) -> u32 {
        self.build
    }

    /// The same version, to be built again beside this build, which answers until the other serves.
    #[must_use]
    pub fn rebuilt(&self) -> Self {
        Self {
            build: self.build.wrapping_add(1) & LAST_BUILD,
            ..self.clone()
        }
    }

    /// Whether it is the same version of the same view, in whichever build.
    pub(crate) fn is_version_of(&self, view: &Self) -> bool {
        (self.name(), self.version) == (view.name(), view.version)
    }
}

/// How the storages that write the two numbers as one do so.
#[cfg(any(feature = "jetstream", feature = "postgres", feature = "sqlite"))]
impl ViewId {
    /// The version and the build as one number below 2^63, which is the version itself for the first build: how storages
    /// write them.
    pub(crate) fn number(&self) -> u64 {
        u64::from(self.build) << 32 | u64::from(self.version)
    }

    /// The view whose version and build are one number.
    ///
    /// # Errors
    /// As for [`new`](Self::new); a number that names none is refused as version 0.
    pub(crate) fn of_number(
        name: impl Into<Cow<'static, str>>,
        number: u64,
    ) -> Result<Self, ReadModelError> {
        let (build, version) = ((number >> 32) as u32, number as u32);
        let is_one = build <= LAST_BUILD;
        let view = Self::new(name, if is_one { version } else { 0 })?;
        Ok(Self { build, ..view })
    }
}

/// What keeps a name and a version from naming a view.
fn misfit(name: &str, version: u32) -> Option<&'static str> {
    let may_hold = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    if version == 0 {
        return Some("versions count from 1");
    }
    if name.len() > MAX_NAME {
        return Some("a name has at most 64 characters");
    }
    if !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        return Some("a name begins with a letter from `a` to `z`");
    }
    (!name.bytes().all(may_hold)).then_some("a name has only `a` to `z`, `0` to `9`, `_` and `-`")
}

impl fmt::Display for ViewId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} v{}", self.name, self.version)
    }
}

/// What a program says of a view when it opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ViewDeclaration {
    /// Its name and version.
    pub view: ViewId,
    /// A number that stands for everything that decides how events become documents: another one under
    /// the same version is refused.
    pub fingerprint: u64,
    /// Up to where another version of the view, or an earlier build of it, had done with what a
    /// projection does outside, such as mails. It is kept when the view is made, and never changes.
    pub settled: Position,
}

impl ViewDeclaration {
    /// A view of which nothing was done outside yet.
    pub fn new(view: ViewId, fingerprint: u64) -> Self {
        Self {
            view,
            fingerprint,
            settled: Position::START,
        }
    }

    /// The same for a view that repeats, up to a position, what was done with before.
    #[must_use]
    pub fn settled_up_to(self, settled: Position) -> Self {
        Self { settled, ..self }
    }
}

/// What a storage knows of a view beside its documents.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ViewRecord {
    /// Its name and version.
    pub view: ViewId,
    /// The fingerprint of the declaration that it is built by.
    pub fingerprint: u64,
    /// The last event that is counted in it.
    pub up_to: Bookmark,
    /// Up to where what is done outside is not repeated, see [`ViewDeclaration::settled`].
    pub settled: Position,
    /// The event at which it stopped, if it did.
    pub parked: Option<Parked>,
    /// The events that a person had it pass over, in the order in which that was done.
    pub skipped: Vec<Skipped>,
    /// Whether those who ask by name are answered from this version.
    pub is_serving: bool,
    /// Who keeps it current; none when nobody does.
    pub held: Option<Held>,
}

impl ViewRecord {
    /// The newest build of a version, among the versions of its view; none where it is not there.
    pub(crate) fn newest_build(versions: &[Self], view: &ViewId) -> Option<ViewId> {
        let versions = versions.iter().map(|record| &record.view);
        let builds = versions.filter(|version| version.is_version_of(view));
        builds.max().cloned()
    }

    /// The record of a view that was just made.
    pub fn new(declaration: &ViewDeclaration) -> Self {
        Self {
            view: declaration.view.clone(),
            fingerprint: declaration.fingerprint,
            up_to: Bookmark::START,
            settled: declaration.settled,
            parked: None,
            skipped: Vec::new(),
            is_serving: false,
            held: None,
        }
    }

    /// Whether it was built by a declaration: the rule of every storage when a view is opened.
    ///
    /// # Errors
    /// [`ReadModelError::DeclarationChanged`].
    pub fn check(
        &self,
        declaration: &ViewDeclaration,
        location: &Location,
    ) -> Result<(), ReadModelError> {
        if self.fingerprint == declaration.fingerprint {
            return Ok(());
        }
        Err(ReadModelError::DeclarationChanged {
            location: location.clone(),
            view: self.view.clone(),
            kept: self.fingerprint,
            declared: declaration.fingerprint,
        })
    }

    /// Takes what a commit says of the view itself, or refuses the commit: the rule of every storage,
    /// which applies it in the transaction that writes the documents. Where it refuses, nothing changed.
    ///
    /// # Errors
    /// [`ReadModelError::NotHeld`] and [`ReadModelError::Moved`].
    pub fn take(
        &mut self,
        changes: &ViewChanges,
        location: &Location,
    ) -> Result<(), ReadModelError> {
        if self.held.is_none_or(|held| held.holder != changes.holder) {
            return Err(ReadModelError::NotHeld {
                location: location.clone(),
                view: self.view.clone(),
                by: self.held.map(|held| (held.holder, held.until)),
            });
        }
        if self.up_to != changes.after {
            return Err(ReadModelError::Moved {
                location: location.clone(),
                view: self.view.clone(),
                expected: Box::new(changes.after),
                actual: Box::new(self.up_to),
            });
        }
        self.up_to = changes.up_to;
        self.parked.clone_from(&changes.parked);
        self.skipped.extend_from_slice(&changes.skipped);
        Ok(())
    }
}

/// The event at which a view stopped, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// The event.
    pub bookmark: Bookmark,
    /// Its type.
    pub event_type: String,
    /// Why it could not be counted, with all that led to it.
    pub reason: String,
    /// When the view stopped.
    pub since: Timestamp,
}

/// An event that a view passed over because a person said so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// The event.
    pub bookmark: Bookmark,
    /// Its type.
    pub event_type: String,
    /// Why it was passed over, in the person's words.
    pub reason: String,
    /// When that was said.
    pub at: Timestamp,
    /// Who said so.
    pub by: String,
}

/// Who holds a view, and for how long if nothing more is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The holder.
    pub holder: Uuid,
    /// When another may take the view, unless the holder prolongs it before.
    pub until: Timestamp,
    /// For how long it was asked, in microseconds.
    pub lease: u64,
}

impl Held {
    /// A hold that begins now.
    pub fn new(holder: Uuid, lease: Duration, now: Timestamp) -> Self {
        Self {
            holder,
            until: now.after(lease),
            lease: u64::try_from(lease.as_micros()).unwrap_or(u64::MAX),
        }
    }

    /// Whether another may take the view. A clock that was set back does not lengthen a hold: none lasts
    /// longer than was asked for.
    pub fn has_lapsed(&self, now: Timestamp) -> bool {
        let left = self.until.as_micros().saturating_sub(now.as_micros());
        u64::try_from(left).map_or(true, |left| left == 0 || left > self.lease)
    }
}

/// The answer to who asks to hold a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Who asked has it.
    Held {
        /// Until when, unless it is prolonged before.
        until: Timestamp,
    },
    /// Another has it.
    HeldByAnother {
        /// The other.
        holder: Uuid,
        /// When to ask again at the latest.
        until: Timestamp,
    },
}

impl Hold {
    /// What becomes of a view that `held` says who holds, when another asks for it: the rule of every
    /// storage. Where the answer is [`Held`](Self::Held), the storage keeps
    /// [`Held::new`] of the same arguments.
    pub fn decide(held: Option<&Held>, holder: Uuid, lease: Duration, now: Timestamp) -> Self {
        match held {
            Some(other) if other.holder != holder && !other.has_lapsed(now) => {
                Self::HeldByAnother {
                    holder: other.holder,
                    until: other.until,
                }
            }
            _ => Self::Held {
                until: Held::new(holder, lease, now).until,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(10);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn a_hold_lasts_as_long_as_was_asked_and_no_longer_where_a_clock_goes_back() {
        let held = Held::new(Uuid::from_u128(1), LEASE, at(100));
        assert!(!held.has_lapsed(at(100)));
        assert!(!held.has_lapsed(at(109)));
        assert!(held.has_lapsed(at(110)));
        assert!(held.has_lapsed(at(50)));
    }

    #[test]
    fn who_holds_a_view_prolongs_it_and_another_waits_for_the_end() {
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let held = Held::new(one, LEASE, at(100));
        let mine = Hold::decide(Some(&held), one, LEASE, at(105));
        assert_eq!(mine, Hold::Held { until: at(115) });
        let theirs = Hold::decide(Some(&held), other, LEASE, at(105));
        let until = at(110);
        assert_eq!(theirs, Hold::HeldByAnother { holder: one, until });
        let later = Hold::decide(Some(&held), other, LEASE, at(110));
        assert_eq!(later, Hold::Held { until: at(120) });
    }

    #[test]
    fn a_name_that_some_storage_would_have_to_change_is_refused() {
        for (name, version) in [
            ("", 1),
            ("Cards", 1),
            ("1cards", 1),
            ("a.b", 1),
            ("käfer", 1),
        ] {
            assert!(ViewId::new(name, version).is_err(), "{name}");
        }
        assert!(ViewId::new("cards", 0).is_err());
        assert!(ViewId::new("a".repeat(65), 1).is_err());
        assert!(ViewId::new("open-loans_2", u32::MAX).is_ok());
    }

    #[test]
    fn a_build_is_another_view_of_the_same_version_and_is_read_back_from_its_number() {
        let first = ViewId::new("cards", u32::MAX).expect("a name");
        assert_eq!(first.number(), u64::from(u32::MAX));
        let again = first.rebuilt().rebuilt();
        assert_eq!((again.version(), again.build()), (u32::MAX, 2));
        assert!(first < again && again < again.rebuilt());
        assert_eq!(again.to_string(), first.to_string());
        for view in [first, again] {
            let read = ViewId::of_number("cards", view.number());
            assert_eq!(read.expect("a view"), view);
        }
        for number in [0, 1 << 32, u64::MAX, 1 << 63 | 1] {
            assert!(ViewId::of_number("cards", number).is_err(), "{number}");
        }
    }
}
