//! Which events a reader wants, by their public subjects.

use std::borrow::Cow;
use std::fmt;

use super::pattern::{Pattern, PatternError, matches};
use super::{Filter, Subject};
use crate::domain::event::{DomainEvent, EventInfo};
use crate::domain::info::Domain;

/// Which events a reader wants, by their public subjects: of an enum of events, of a domain, of a filter, of a text.
///
/// ```
/// # use cim_es::prelude::*;
/// # use cim_es::subject::Subjects;
/// # #[derive(StateMachine, Clone, Debug, Serialize, Deserialize)]
/// # enum LampState { #[state(initial)] #[on(Switch / Switched => _)] On }
/// # #[derive(DomainEvent, Debug, Serialize, Deserialize)]
/// # enum LampEvent { #[apply(times += 1)] Switched }
/// # #[derive(Command, Clone, Debug)]
/// # enum LampCommand { Switch }
/// # #[derive(Aggregate, Clone, Debug, Default, Serialize, Deserialize)]
/// # #[aggregate(domain = "home", name = "lamp")]
/// # struct Lamp { state: LampState, times: u64 }
/// # impl Decide for Lamp {
/// #     fn decide(&self, _: LampCommand, _: &Context) -> Decision<Self> { emit(LampEvent::Switched) }
/// # }
/// let all: Subjects = LampEvent::subjects();
/// assert!(all.matches("home.lamp.switched"));
/// let some = Subjects::from(filter!(LampEvent, "home.*.switched"));
/// let both = all.and("garden.>");
/// assert!(both.matches("garden.gate.opened"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subjects {
    parts: Vec<Part>,
}

/// One pattern, and whose events alone it means.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    pattern: Cow<'static, str>,
    kinds: Option<Kinds>,
}

/// The present kind of an aggregate, and the former ones.
type Kinds = (&'static str, &'static [&'static str]);

impl Subjects {
    /// All events of an enum: those of the present names, of the former ones, and of operations of the aggregate that
    /// only a later version of the program knows, so that these are noticed and not skipped.
    pub fn of<E: DomainEvent>() -> Self {
        let (domain, name) = (E::DOMAIN, E::NAME);
        let own = format!("{domain}.{name}.>");
        let elsewhere: Vec<_> = E::TYPES
            .iter()
            .filter(|event_type| !matches(&own, event_type))
            .map(|event_type| Cow::Borrowed(*event_type))
            .collect();
        let part = |pattern| Part {
            pattern,
            kinds: Some((E::KIND, E::FORMER_KINDS)),
        };
        let patterns = [Cow::Owned(own)].into_iter().chain(elsewhere);
        Self {
            parts: patterns.map(part).collect(),
        }
    }

    /// Some events of an enum, by the names of their variants: those of their present types and of the former ones, and
    /// whatever an upcaster may read as one of them.
    pub(crate) fn of_some<E: DomainEvent>(variants: &[&str]) -> Self {
        let is_wanted =
            |info: &&EventInfo| variants.contains(&info.variant) || info.is_read_as_others();
        let wanted = E::EVENTS.iter().filter(is_wanted);
        let types = wanted.flat_map(|info| {
            [info.event_type]
                .into_iter()
                .chain(info.former_types.iter().copied())
        });
        let part = |event_type| Part {
            pattern: Cow::Borrowed(event_type),
            kinds: Some((E::KIND, E::FORMER_KINDS)),
        };
        Self {
            parts: types.map(part).collect(),
        }
    }

    /// These and others.
    pub fn and(mut self, others: impl Into<Self>) -> Self {
        self.parts.extend(others.into().parts);
        self
    }

    /// Whether there is no pattern at all.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The patterns, each with `*` for one token and `>` for the rest.
    pub fn patterns(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|part| &*part.pattern)
    }

    /// Whether a public subject matches one of the patterns.
    pub fn matches(&self, subject: &str) -> bool {
        self.patterns().any(|pattern| matches(pattern, subject))
    }

    /// Whether events of a type of a kind of aggregate are meant.
    pub(crate) fn selects(&self, kind: &str, event_type: &str) -> bool {
        self.parts.iter().any(|part| {
            let is_kind = part
                .kinds
                .is_none_or(|(present, former)| present == kind || former.contains(&kind));
            is_kind && matches(&part.pattern, event_type)
        })
    }

    /// The patterns as such.
    ///
    /// # Errors
    /// [`PatternError`] for the first that does not follow the rules of NATS.
    pub fn to_patterns(&self) -> Result<Vec<Pattern>, PatternError> {
        let patterns = self.parts.iter();
        patterns
            .map(|part| Pattern::new(part.pattern.clone()))
            .collect()
    }

    /// As few patterns as say the same, none of which shares a subject with another; see [`Pattern::distinct`]. What is
    /// not a pattern matches nothing and is left out.
    pub fn distinct(&self) -> Vec<Pattern> {
        let patterns = self.parts.iter();
        let valid = patterns.filter_map(|part| Pattern::new(part.pattern.clone()).ok());
        Pattern::distinct(valid)
    }

    /// Checks that each pattern follows the rules of NATS.
    ///
    /// # Errors
    /// [`PatternError`] for the first that does not.
    pub fn check(&self) -> Result<(), PatternError> {
        self.to_patterns().map(drop)
    }
}

impl fmt::Display for Subjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, pattern) in self.patterns().enumerate() {
            let separator = if at == 0 { "" } else { ", " };
            write!(f, "{separator}{pattern}")?;
        }
        Ok(())
    }
}

impl From<Part> for Subjects {
    fn from(part: Part) -> Self {
        Self { parts: vec![part] }
    }
}

impl<E> From<Subject<E>> for Subjects {
    fn from(subject: Subject<E>) -> Self {
        subject.as_str().into()
    }
}

impl<E> From<Filter<E>> for Subjects {
    fn from(filter: Filter<E>) -> Self {
        filter.as_str().into()
    }
}

impl From<Domain> for Subjects {
    /// Everything in the domain.
    fn from(domain: Domain) -> Self {
        format!("{}.>", domain.name()).into()
    }
}

impl From<Pattern> for Subjects {
    fn from(pattern: Pattern) -> Self {
        pattern.as_str().to_owned().into()
    }
}

impl From<&'static str> for Subjects {
    fn from(pattern: &'static str) -> Self {
        let pattern = Cow::Borrowed(pattern);
        Part {
            pattern,
            kinds: None,
        }
        .into()
    }
}

impl From<String> for Subjects {
    fn from(pattern: String) -> Self {
        let pattern = Cow::Owned(pattern);
        Part {
            pattern,
            kinds: None,
        }
        .into()
    }
}

impl<S: Into<Subjects>> FromIterator<S> for Subjects {
    fn from_iter<I: IntoIterator<Item = S>>(parts: I) -> Self {
        let empty = Self::default();
        parts.into_iter().fold(empty, |all, part| all.and(part))
    }
}
