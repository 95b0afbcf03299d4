//! Which events of a store a reader wants.

use std::collections::BTreeSet;
use std::fmt;

use super::{AggregateKey, Location, PARTITIONS, partition};
use crate::block::StoredEvent;
use crate::domain::aggregate::Aggregate;
use crate::domain::event::DomainEvent;
use crate::domain::info::Domain;
use crate::domain::subject::{Filter, Pattern, PatternError, Subject, Subjects};

/// Which events of a store a reader wants: all; those of some public subjects; those of some kinds of aggregates; those
/// of one aggregate. Of each of these all, or the aggregates of some partitions alone.
///
/// An engine reads no more than that where it can: by its index over types, by passing over what is of other partitions, or
/// by letting the server filter.
///
/// ```
/// # use cim_es::prelude::*;
/// # #[derive(StateMachine, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
/// use cim_es::store::Selection;
///
/// let typed = Selection::events::<LampEvent>();
/// let as_text = Selection::subjects("home.>");
/// let a_quarter = Selection::from(subject!(LampEvent, "home.lamp.switched")).in_partitions(0..16);
/// assert!([typed, as_text, a_quarter].iter().all(|selection| selection.check().is_ok()));
///
/// let nothing = Selection::subjects("home.>.lamp").check().unwrap_err();
/// assert_eq!(
///     nothing.to_string(),
///     "`home.>.lamp` is not a filter of subjects: `>` stands for all the rest: put it last",
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    wanted: Wanted,
    partitions: Partitions,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Everything,
    Subjects(Subjects),
    Kinds(BTreeSet<String>),
    Aggregate(AggregateKey),
}

/// Some of the partitions, a bit for each; and the first that was named and does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Partitions {
    bits: u64,
    unknown: Option<u8>,
}

/// Why a selection can match nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectionError {
    /// A pattern that no subject matches.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// No subject is named.
    #[error("the selection names no subject: name one, or select everything")]
    NoSubject,
    /// A text that can be the name of no type of event.
    #[error(
        "`{event_type}` is not a type of event: it must be tokens with dots between, without wildcards"
    )]
    Type {
        /// The text.
        event_type: String,
    },
    /// No kind of aggregate is named.
    #[error("the selection names no kind of aggregate: name one, or select everything")]
    NoKind,
    /// A text that can be the name of no kind of aggregate.
    #[error("`{kind}` is not a kind of aggregate: write `<domain>.<name>`, without wildcards")]
    Kind {
        /// The text.
        kind: String,
    },
    /// No partition is named.
    #[error("the selection names no partition: name some of 0 to {}", PARTITIONS - 1)]
    NoPartition,
    /// A partition that does not exist.
    #[error("there is no partition {partition}: they are 0 to {}", PARTITIONS - 1)]
    Partition {
        /// The number.
        partition: u8,
    },
    /// The one aggregate is in none of the partitions.
    #[error("{aggregate} is in partition {partition}, which the selection leaves out")]
    OtherPartition {
        /// The aggregate.
        aggregate: AggregateKey,
        /// Its partition.
        partition: u8,
    },
    /// The store keeps none of the subjects.
    #[error(
        "{location} keeps events on {kept}, and none of {wanted} is among them: open the store of that domain, or correct the subjects"
    )]
    NotKept {
        /// The file or stream.
        location: Location,
        /// The subjects whose events it keeps.
        kept: String,
        /// The subjects that are wanted.
        wanted: String,
    },
}

impl Partitions {
    const ALL: Self = Self {
        bits: u64::MAX,
        unknown: None,
    };
}

impl Selection {
    /// Every event.
    pub fn everything() -> Self {
        Self::of(Wanted::Everything)
    }

    /// Events of public subjects: of a subject, a filter, a domain, a text such as `infrastructure.>`, or several of
    /// them.
    pub fn subjects(subjects: impl Into<Subjects>) -> Self {
        Self::of(Wanted::Subjects(subjects.into()))
    }

    /// All events of an enum, those of its former names and of later versions of the program among them; see
    /// [`Subjects::of`].
    pub fn events<E: DomainEvent>() -> Self {
        Self::subjects(Subjects::of::<E>())
    }

    /// All events of a kind of aggregate.
    pub fn kind<A: Aggregate>() -> Self {
        Self::events::<A::Event>()
    }

    /// All events of kinds of aggregates by their names, `<domain>.<name>`, as a tool needs it that does not know the
    /// types.
    ///
    /// A SQLite file knows which types each kind has events of, and reads those alone. On JetStream every event of the
    /// stream is read: a server filters by subjects alone, and those hold the id and the type of an event. Its type says
    /// nothing sure of its kind, since an event may name another aggregate in its subject, and a renamed kind keeps the
    /// types of its former name. Where the events' type is known, take [`kind`](Self::kind), which is found by its
    /// subjects on every engine.
    pub fn kinds<K: Into<String>>(kinds: impl IntoIterator<Item = K>) -> Self {
        Self::of(Wanted::Kinds(kinds.into_iter().map(Into::into).collect()))
    }

    /// The events of one aggregate.
    pub fn aggregate(aggregate: AggregateKey) -> Self {
        Self::of(Wanted::Aggregate(aggregate))
    }

    /// Of these, the events of the aggregates in some partitions alone; a further call leaves what is in both.
    pub fn in_partitions(mut self, partitions: impl IntoIterator<Item = u8>) -> Self {
        let mut bits = 0;
        for number in partitions {
            if number < PARTITIONS {
                bits |= 1 << number;
            } else {
                self.partitions.unknown.get_or_insert(number);
            }
        }
        self.partitions.bits &= bits;
        self
    }

    fn of(wanted: Wanted) -> Self {
        Self {
            wanted,
            partitions: Partitions::ALL,
        }
    }

    /// Checks that some event could match. Engines check before they read.
    ///
    /// # Errors
    /// [`SelectionError`] says why nothing can.
    pub fn check(&self) -> Result<(), SelectionError> {
        if let Some(partition) = self.partitions.unknown {
            return Err(SelectionError::Partition { partition });
        }
        if self.partitions.bits == 0 {
            return Err(SelectionError::NoPartition);
        }
        match &self.wanted {
            Wanted::Everything => Ok(()),
            Wanted::Subjects(subjects) if subjects.is_empty() => Err(SelectionError::NoSubject),
            Wanted::Subjects(subjects) => Ok(subjects.check()?),
            Wanted::Kinds(kinds) if kinds.is_empty() => Err(SelectionError::NoKind),
            Wanted::Kinds(kinds) => kinds.iter().try_for_each(|kind| check_kind(kind)),
            Wanted::Aggregate(key) => {
                let partition = partition(key.id().as_str());
                match self.may_have_partition(partition) {
                    true => Ok(()),
                    false => Err(SelectionError::OtherPartition {
                        aggregate: key.clone(),
                        partition,
                    }),
                }
            }
        }
    }

    /// Whether an event is wanted.
    pub fn includes(&self, event: &StoredEvent) -> bool {
        let is_wanted = match &self.wanted {
            Wanted::Everything => true,
            Wanted::Subjects(subjects) => subjects.includes(event),
            Wanted::Kinds(kinds) => kinds.contains(&event.envelope.aggregate),
            Wanted::Aggregate(key) => key.has(event),
        };
        is_wanted
            && (self.partitions.bits == u64::MAX
                || self.may_have_partition(partition(&event.envelope.aggregate_id)))
    }

    /// Whether every event is wanted.
    pub fn is_everything(&self) -> bool {
        self.wanted == Wanted::Everything && self.partitions.bits == u64::MAX
    }

    /// The one aggregate, where it is one.
    pub fn one_aggregate(&self) -> Option<&AggregateKey> {
        match &self.wanted {
            Wanted::Aggregate(key) => Some(key),
            _ => None,
        }
    }

    /// Whether an event of a type could be wanted: what an engine with an index over types asks of each type.
    pub fn may_have_type(&self, event_type: &str) -> bool {
        match &self.wanted {
            Wanted::Subjects(subjects) => subjects.matches(event_type),
            Wanted::Everything | Wanted::Kinds(_) | Wanted::Aggregate(_) => true,
        }
    }

    /// Whether an event of a kind of aggregates could be wanted: what an engine that knows the kinds of the events of
    /// each type asks of each kind.
    pub fn may_have_kind(&self, kind: &str) -> bool {
        match &self.wanted {
            Wanted::Kinds(kinds) => kinds.contains(kind),
            Wanted::Aggregate(key) => key.kind() == kind,
            Wanted::Everything | Wanted::Subjects(_) => true,
        }
    }

    /// Whether it helps to know the kinds of the events of each type.
    pub fn is_by_kind(&self) -> bool {
        matches!(self.wanted, Wanted::Kinds(_))
    }

    /// Whether an index over types helps to find what is wanted.
    pub fn is_by_type(&self) -> bool {
        let is_all = |subjects: &Subjects| subjects.patterns().any(|pattern| pattern == ">");
        matches!(&self.wanted, Wanted::Subjects(subjects) if !is_all(subjects))
    }

    /// Patterns of public subjects outside of which nothing is wanted, none of which shares a subject with another;
    /// what an engine that filters by subjects asks for. What [`includes`](Self::includes) refuses may come with them.
    pub fn patterns(&self) -> Vec<Pattern> {
        match &self.wanted {
            Wanted::Subjects(subjects) => subjects.distinct(),
            Wanted::Everything | Wanted::Kinds(_) | Wanted::Aggregate(_) => vec![Pattern::ALL],
        }
    }

    /// The partitions of the aggregates that are wanted; none when it is all of them.
    pub fn partitions(&self) -> Option<Vec<u8>> {
        let is_some = self.partitions.bits != u64::MAX;
        is_some.then(|| {
            (0..PARTITIONS)
                .filter(|number| self.may_have_partition(*number))
                .collect()
        })
    }

    /// Whether an event of an aggregate in a [partition](partition) could be wanted: what an engine that knows the
    /// partitions of events asks of each. There is no partition past 63.
    pub fn may_have_partition(&self, number: u8) -> bool {
        number < PARTITIONS && self.partitions.bits & (1 << number) != 0
    }
}

fn check_kind(kind: &str) -> Result<(), SelectionError> {
    let pattern = Pattern::new(kind.to_owned());
    match pattern.is_ok_and(|pattern| pattern.is_literal()) {
        true => Ok(()),
        false => Err(SelectionError::Kind {
            kind: kind.to_owned(),
        }),
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.wanted {
            Wanted::Everything => f.write_str("everything")?,
            Wanted::Subjects(subjects) => subjects.fmt(f)?,
            Wanted::Kinds(kinds) => {
                let kinds: Vec<_> = kinds.iter().map(String::as_str).collect();
                write!(f, "all of {}", kinds.join(", "))?;
            }
            Wanted::Aggregate(key) => key.fmt(f)?,
        }
        match self.partitions() {
            None => Ok(()),
            Some(partitions) => write!(f, " in partitions {partitions:?}"),
        }
    }
}

impl From<Subjects> for Selection {
    fn from(subjects: Subjects) -> Self {
        Self::subjects(subjects)
    }
}

impl<E> From<Subject<E>> for Selection {
    fn from(subject: Subject<E>) -> Self {
        Self::subjects(subject)
    }
}

impl<E> From<Filter<E>> for Selection {
    fn from(filter: Filter<E>) -> Self {
        Self::subjects(filter)
    }
}

impl From<Domain> for Selection {
    /// Everything in the domain.
    fn from(domain: Domain) -> Self {
        Self::subjects(domain)
    }
}

impl From<AggregateKey> for Selection {
    fn from(aggregate: AggregateKey) -> Self {
        Self::aggregate(aggregate)
    }
}
