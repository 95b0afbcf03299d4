//! Subjects and filters that know whose events they name.

use std::fmt;
use std::marker::PhantomData;

use crate::domain::event::DomainEvent;

/// The public subject of one event of `E`, checked at compile time by [`subject!`](crate::subject!).
pub struct Subject<E> {
    name: &'static str,
    events: PhantomData<fn() -> E>,
}

/// A filter that matches at least one subject of `E`, checked at compile time by [`filter!`](crate::filter!).
pub struct Filter<E> {
    pattern: &'static str,
    events: PhantomData<fn() -> E>,
}

impl<E> Subject<E> {
    #[doc(hidden)]
    pub const fn __checked(name: &'static str) -> Self {
        Self {
            name,
            events: PhantomData,
        }
    }

    /// The subject, `<domain>.<aggregate>.<operation>`.
    pub const fn as_str(&self) -> &'static str {
        self.name
    }
}

impl<E: DomainEvent> Subject<E> {
    /// The subject of an event.
    pub fn of(event: &E) -> Self {
        Self::__checked(event.event_type())
    }

    /// The present subjects of all events, in order of declaration.
    pub fn all() -> impl Iterator<Item = Self> {
        E::EVENTS
            .iter()
            .map(|event| Self::__checked(event.event_type))
    }
}

impl<E> Filter<E> {
    #[doc(hidden)]
    pub const fn __checked(pattern: &'static str) -> Self {
        Self {
            pattern,
            events: PhantomData,
        }
    }

    /// The pattern, with `*` for one token and `>` for the rest.
    pub const fn as_str(&self) -> &'static str {
        self.pattern
    }

    /// Whether a subject matches.
    pub fn matches(&self, subject: &str) -> bool {
        super::pattern::matches(self.pattern, subject)
    }
}

macro_rules! named {
    ($type:ident, $field:ident) => {
        impl<E> Clone for $type<E> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<E> Copy for $type<E> {}

        impl<E> PartialEq for $type<E> {
            fn eq(&self, other: &Self) -> bool {
                self.$field == other.$field
            }
        }

        impl<E> Eq for $type<E> {}

        impl<E> fmt::Debug for $type<E> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($type), "({})"), self.$field)
            }
        }

        impl<E> fmt::Display for $type<E> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.$field)
            }
        }
    };
}

named!(Subject, name);
named!(Filter, pattern);
